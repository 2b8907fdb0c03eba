"""An argument says what it becomes, and nobody parses anything by himself.

What a user types is a word. What a command's function wants is a value: a size in bytes, a duration in seconds, a
Python object that was put in with `$name` or `{expression}`. The kind of the argument tells how to come
from one to the other, at the prompt and in a call from Python alike.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .command_error import did_you_mean
from .values import parse_duration, parse_size

# These take an object as it is when one is put in; what is typed stays text, and the command looks it up.
_OBJECT_KINDS: Final = frozenset({"value", "pair", "coroutine", "socket", "server", "address"})
RAW_KINDS: Final = frozenset({"python", "rest"})  # these are left unsplit
KINDS: Final = (
    _OBJECT_KINDS | RAW_KINDS | {"text", "int", "size", "duration", "flag", "name", "path", "choice"}
)


@dataclass(frozen=True)
class Arg:
    """One argument of a command.

    Attributes:
        name: `address` for a positional argument; `--linger` for an option.
        help: a few words about it.
        kind: what it becomes. `text` and `name` a str, `int` an int, `size` bytes as an int, `duration`
            seconds as a float, `flag` a bool, `path` a `Path`, `choice` one of `choices`. `coroutine`,
            `socket`, `server`, `address` and `value` are given as typed, or as the object that
            was put in. `pair` is `KEY=VALUE`: as typed, or `{key: value}` if the value was put in. `python` is source
            code, with a block if one follows; `rest` is the rest of the line.
        short: another name of an option, as `-n`.
        default: what it is when it is not given.
        optional: whether a positional argument may be left out; options always may.
        repeat: may come several times; its value is a tuple.
        choices: what a `choice` may be; of other kinds, what is offered to complete it.
    """

    name: str
    help: str = ""
    kind: str = "text"
    short: str | None = None
    default: Any = None
    optional: bool = False
    repeat: bool = False
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a declaration that could not work."""
        if self.kind not in KINDS:
            raise ValueError(f"argument {self.name!r}: no kind {self.kind!r}")
        if self.kind == "flag" and not self.is_option:
            raise ValueError(f"argument {self.name!r}: a flag is an option, as in '--{self.name}'")

    @property
    def is_option(self) -> bool:
        """Whether it is given by name."""
        return self.name.startswith("--")

    @property
    def key(self) -> str:
        """The name of the parameter: `--memory-limit` is `memory_limit`, `--as` is `as_`."""
        key = self.name.lstrip("-").replace("-", "_")
        return f"{key}_" if keyword.iskeyword(key) else key

    @property
    def absent(self) -> Any:
        """Its value when it is not given."""
        if self.repeat and self.default is None:
            return ()
        return False if self.kind == "flag" and self.default is None else self.default

    def converted(self, given: Any) -> Any:
        """The value for what was typed, or put in.

        Raises:
            ValueError: it cannot be one; the message says what was wanted.
        """
        if self.kind in _OBJECT_KINDS or self.kind in RAW_KINDS:
            return given
        return _CONVERTERS[self.kind](self, given)


def _text(_: Arg, given: Any) -> str:
    return given if isinstance(given, str) else str(given)


def _integer(_: Arg, given: Any) -> int:
    try:
        number = int(given)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{given!r} is not a whole number") from None
    if isinstance(given, bool) or (isinstance(given, float) and number != given):
        raise ValueError(f"{given!r} is not a whole number")
    return number


def _size(arg: Arg, given: Any) -> int:
    return parse_size(given) if isinstance(given, str) else _integer(arg, given)


def _duration(_: Arg, given: Any) -> float:
    if isinstance(given, str):
        return parse_duration(given)
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        raise ValueError(f"{given!r} is no time: 1.5 (seconds), 200ms, 2m") from None
    if not 0 <= seconds < math.inf:
        raise ValueError(f"a time must be 0 or more, and have an end, not {given!r}")
    return seconds


def _flag(_: Arg, given: Any) -> bool:
    return bool(given)


def _path(_: Arg, given: Any) -> Path:
    path = Path(_text(_, given))
    try:
        return path.expanduser()
    except RuntimeError:  # there is no home directory
        return path


def _choice(arg: Arg, given: Any) -> str:
    if given in arg.choices:
        return str(given)
    raise ValueError(f"{given!r} is none of {', '.join(arg.choices)}{did_you_mean(str(given), arg.choices)}")


_CONVERTERS: Final[Mapping[str, Callable[[Arg, Any], Any]]] = {
    "text": _text,
    "name": _text,
    "int": _integer,
    "size": _size,
    "duration": _duration,
    "flag": _flag,
    "path": _path,
    "choice": _choice,
}


JSON: Final = Arg("--json", "one JSON object per line", "flag")
HELP: Final = Arg("--help", "this text", "flag", "-h")
