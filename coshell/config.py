"""A setting has one value, and it can be told where that came from.

The weakest say is the default's, then the user's own file's, then that of `coshell.toml` in the current folder,
then the environment's, then the command line's; `set` changes it while the shell runs. A file in the
current folder may come from anybody, so it holds data only and cannot set what would let it reach out
of that folder, or loosen what protects the terminal.

A file that is wrong is named with line and key, and counts for nothing: half of it would be a surprise.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from .command_error import did_you_mean
from .values import Duration, parse_duration

USER_FILE: Final = "coshell/config.toml"
LOCAL_FILE: Final = "coshell.toml"
ENVIRONMENT: Final = "COSHELL_"
LEVELS: Final = ("off", "counts", "heap", "sites")
MAX_FILE_BYTES: Final = 64 * 1024

_NOT_SETTINGS: Final = frozenset({"COSHELL_CONFIG"})
_YES_NO: Final = {
    "on": True,
    "yes": True,
    "true": True,
    "1": True,
    "off": False,
    "no": False,
    "false": False,
    "0": False,
}


class SettingError(ValueError):
    """A key that does not exist, or a value that it cannot have; one line."""


def _one_of(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value in choices:
            return str(value)
        raise ValueError(f"one of {', '.join(choices)}{did_you_mean(str(value), choices)}")

    return parse


def _yes_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in _YES_NO:
        return _YES_NO[str(value).lower()]
    raise ValueError("on or off")


def _seconds(value: Any) -> Duration:
    try:
        seconds = float(value) if type(value) in {int, float} else parse_duration(str(value))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise ValueError("a duration above 0, as in 300ms")
    return Duration(seconds)


def _number_or_none(value: Any) -> int | None:
    if value is None or value in {"", "none"}:
        return None
    try:
        return int(str(value))
    except ValueError:
        raise ValueError("a whole number, or none") from None


def _path_or_none(value: Any) -> str | None:
    return None if value is None or value in {"", "none"} else os.path.expanduser(str(value))  # noqa: PTH111 - never raises


def _setting(default: Any, parse: Callable[[Any], Any], about: str, *, local: bool = True) -> Any:
    return field(default=default, metadata={"parse": parse, "about": about, "local": local})


@dataclass(frozen=True)
class Settings:
    """All settings of a shell.

    Attributes:
        level: what the ledger counts.
        clock: `virtual` time passes only while a statement waits, and then at once.
        seed: decides the order in which coroutines run; None is first come first served.
        timeout: seconds that `@wait` and `@idle` have.
        errors: how much is shown of an error.
        color: whether styles become colours; `auto` on a terminal that can.
        ascii: show nothing but ASCII.
        bytes: show sizes in bytes.
        json: show results as JSON, one object a line.
        raw: let the foreground print control characters.
        toolbar: show the bar.
        refresh: seconds between two looks at the scheduler.
        vi: keys mean what they mean in vi.
        history_file: where typed lines are kept; None is the usual place.
    """

    level: str = _setting("heap", _one_of(*LEVELS), "what the ledger counts")
    clock: str = _setting(
        "real", _one_of("real", "virtual"), "virtual: time passes only while a statement waits"
    )
    seed: int | None = _setting(None, _number_or_none, "the order in which coroutines run")
    timeout: float = _setting(Duration(5.0), _seconds, "how long @wait and @idle wait")
    errors: str = _setting("short", _one_of("short", "verbose", "plain"), "how much is shown of an error")
    color: str = _setting("auto", _one_of("auto", "always", "never"), "whether there are colours")
    ascii: bool = _setting(False, _yes_no, "nothing but ASCII on the screen")
    bytes: bool = _setting(False, _yes_no, "sizes in bytes")
    json: bool = _setting(False, _yes_no, "results as JSON")
    raw: bool = _setting(False, _yes_no, "let foreground prints pass control characters", local=False)
    toolbar: bool = _setting(True, _yes_no, "show the bar")
    refresh: float = _setting(Duration(0.5), _seconds, "between two looks at the scheduler")
    vi: bool = _setting(False, _yes_no, "keys as in vi")
    history_file: str | None = _setting(None, _path_or_none, "where typed lines are kept", local=False)

    def changed(self, key: str, value: Any) -> Settings:
        """The same settings but for one.

        Args:
            key: its name.
            value: as typed, or as TOML has it.

        Raises:
            SettingError: no such setting, or no such value.
        """
        found = next((entry for entry in fields(self) if entry.name == key.replace("-", "_")), None)
        if found is None:
            raise SettingError(f"no setting {key!r}{did_you_mean(key, keys())}")
        try:
            return replace(self, **{found.name: found.metadata["parse"](value)})
        except (ValueError, TypeError) as error:
            raise SettingError(f"{key}: {value!r} is not {error}") from None


def keys() -> list[str]:
    """The names of all settings."""
    return [entry.name for entry in fields(Settings)]


def about(key: str) -> str:
    """A few words about a setting."""
    return next(str(entry.metadata["about"]) for entry in fields(Settings) if entry.name == key)


@dataclass(frozen=True)
class Loaded:
    """What the sources gave.

    Attributes:
        settings: the result.
        origins: for each key that is not at its default, where its value came from.
        problems: one line for each source that was refused.
    """

    settings: Settings
    origins: Mapping[str, str]
    problems: tuple[str, ...]


def load(environ: Mapping[str, str], flags: Mapping[str, Any], folder: Path) -> Loaded:
    """Ask all sources, the weakest first.

    Args:
        environ: the environment.
        flags: what was given on the command line, by key.
        folder: the current folder.
    """
    settings, origins, problems = Settings(), dict[str, str](), list[str]()
    for origin, read in _sources(environ, flags, folder):
        try:
            found = read()
            changed = _all_changed(settings, found)
        except (ValueError, OSError) as error:  # also what is no TOML, or not in UTF-8
            problems.append(f"{origin}: {_reason(error)}; ignored")
        else:
            settings = changed
            origins |= dict.fromkeys((key.replace("-", "_") for key in found), origin)
    return Loaded(settings, origins, tuple(problems))


def _all_changed(settings: Settings, found: Mapping[str, Any]) -> Settings:
    for key, value in found.items():
        settings = settings.changed(key, value)
    return settings


def _sources(
    environ: Mapping[str, str], flags: Mapping[str, Any], folder: Path
) -> Iterator[tuple[str, Callable[[], Mapping[str, Any]]]]:
    """Where settings come from, each with what reads it."""
    user = user_file(environ)
    if user is not None:
        yield str(user), lambda: _read_file(user)
    local = folder / LOCAL_FILE
    yield LOCAL_FILE, lambda: _only_local(_read_file(local))
    for name, value in sorted(environ.items()):
        if name.startswith(ENVIRONMENT) and name not in _NOT_SETTINGS:
            yield name, partial(dict[str, Any], {name.removeprefix(ENVIRONMENT).lower(): value})
    yield "the command line", lambda: flags


def user_file(environ: Mapping[str, str]) -> Path | None:
    """The user's own file, which need not exist; None if there is no home directory."""
    if "COSHELL_CONFIG" in environ:
        return Path(environ["COSHELL_CONFIG"])
    base = environ.get("XDG_CONFIG_HOME", "")
    if not Path(base).is_absolute():
        base = os.path.expanduser("~/.config")  # noqa: PTH111 - never raises
    return Path(base) / USER_FILE if Path(base).is_absolute() else None


def _read_file(path: Path) -> dict[str, Any]:
    """What a file says; nothing if there is none.

    Raises:
        SettingError: it is not ours to trust, or nests.
        ValueError: it is no TOML, or not in UTF-8.
    """
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        )  # a pipe must not hang the shell
    except (FileNotFoundError, NotADirectoryError):
        return {}
    with open(descriptor, "rb") as file:  # noqa: PTH123 - not a path
        _refuse_strangers(os.fstat(descriptor))
        import tomllib  # most shells have no such file, and it takes 5 ms

        return tomllib.loads(file.read(MAX_FILE_BYTES).decode())


def _refuse_strangers(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SettingError("not a file")
    if status.st_uid not in {os.getuid(), 0}:
        raise SettingError(f"it belongs to another user (uid {status.st_uid})")
    if status.st_mode & 0o002:
        raise SettingError("everybody may write it: chmod o-w")


def _only_local(found: dict[str, Any]) -> dict[str, Any]:
    """What a file of the current folder may say."""
    kept_out = {entry.name for entry in fields(Settings) if not entry.metadata["local"]} & set(found)
    if kept_out:
        raise SettingError(f"{', '.join(sorted(kept_out))}: only the user's own file may set this")
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
