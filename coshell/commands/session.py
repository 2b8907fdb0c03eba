"""Commands about the session itself: what there is, how it fares, how it behaves, and its end."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coshell import static_names
from coshell.command import Arg, Command, CommandError, UsageError
from coshell.command_error import did_you_mean
from coshell.config import SettingError, about, keys
from coshell.ending import Quit
from coshell.namespace import CommandFunction
from coshell.render import Column, table
from coshell.text import plural, printable

if TYPE_CHECKING:
    from coshell.shell import Shell

_CONCEPTS: Final = """\
A line is a command or Python; the word at the right tells which. :word is always a command, !line is the
system's shell, ?word is help. $name and {expression} put Python values into a command. Every command
has --help and --json, and is a function too: co.ps()."""


# -- help ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Topic:
    """One command in the list of all.

    Attributes:
        name: what is typed.
        summary: what it does.
        usage: its arguments.
        owner: the plugin that brought it, or `coshell`.
    """

    name: str
    summary: str
    usage: str
    owner: str


def help_(shell: Shell, topic: Any) -> list[Topic] | str:
    """All commands, or the help of one thing."""
    if topic is None:
        return [Topic(c.name, c.summary, c.usage(), c.owner) for c in shell.commands]
    if not isinstance(topic, str):
        return _about_object(str(getattr(topic, "__name__", type(topic).__name__)), topic)
    name = topic.strip().removeprefix(":")
    if name in shell.commands:
        return shell.commands.get(name).help()
    if name in keys():
        return f"{name}: {about(name)} (set {name} VALUE)"
    found = static_names.object_at(name.split("."), shell.names)
    if found is static_names.NOWHERE:
        hint = did_you_mean(name, [*shell.commands.names(), *keys(), *shell.names])
        raise CommandError(f"no help on {name!r}{hint}")
    return _about_object(name, found)


def _about_object(name: str, value: Any) -> str:
    """Its signature and its documentation, found without running any code of its own."""
    if isinstance(value, CommandFunction):
        return str(value.__doc__)
    speaks_for_itself = inspect.isroutine(value) or inspect.isclass(value) or inspect.ismodule(value)
    documented = value if speaks_for_itself else type(value)
    head = f"{name}{_signature(value)}" if speaks_for_itself else f"{name}: {type(value).__name__}"
    return printable(f"{head}\n\n{inspect.getdoc(documented) or 'no documentation'}")


def _signature(value: Any) -> str:
    try:
        return str(inspect.signature(value))
    except (ValueError, TypeError):
        return ""


def _help_lines(value: list[Topic] | str, width: int) -> Iterable[str]:
    if isinstance(value, str):
        return value.split("\n")
    columns = (Column("name", "COMMAND"), Column("summary", "", minimum=20))
    return [*_CONCEPTS.split("\n"), "", *table(value, columns, width)]


# -- set -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        key: its name.
        value: what it is.
        origin: where that came from.
        about: what it is for.
    """

    key: str
    value: Any
    origin: str
    about: str


def set_(shell: Shell, key: str | None, value: Any) -> list[Setting] | Setting:
    """Show the settings, or change one."""
    if key is None:
        return [_setting(shell, name) for name in keys()]
    try:
        if value is not None:
            shell.change_setting(key, value)
        else:
            shell.settings.changed(key, getattr(shell.settings, key.replace("-", "_"), None))
    except SettingError as error:
        raise UsageError(f"set: {error}") from None
    return _setting(shell, key.replace("-", "_"))


def _setting(shell: Shell, key: str) -> Setting:
    return Setting(key, getattr(shell.settings, key), shell.origins.get(key, "default"), about(key))


def _set_lines(value: list[Setting] | Setting, width: int) -> list[str]:
    if isinstance(value, Setting):
        return [printable(f"ok  {value.key} = {_plain(value.value)}", keep="")]
    return table([{**vars(s), "value": _plain(s.value)} for s in value], _SETTING_COLUMNS, width)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)


_SETTING_COLUMNS: Final = (
    Column("key", "KEY"),
    Column("value", "VALUE"),
    Column("origin", "FROM", minimum=12),
    Column("about", "ABOUT", drop=1),
)


# -- run -------------------------------------------------------------------------------------------


class RunFailed(CommandError):
    """A step of the file has failed, and that has been told."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run(shell: Shell, file: tuple[Path, ...]) -> None:
    """Run session files here and now."""
    from coshell.runner import run_here

    for path in file:
        code = run_here(shell, str(path))
        if code:
            raise RunFailed(f"run: {path} has failed", code)


# -- plugins ---------------------------------------------------------------------------------------

_PLUGIN_COLUMNS: Final = (
    Column("name", "NAME"),
    Column("state", "STATE"),
    Column("version", "VERSION", drop=3),
    Column("commands", "COMMANDS", drop=2, minimum=12),
    Column("time", "TIME", ">", drop=4),
    Column("source", "SOURCE", drop=1, minimum=12),
    Column("why", "REMARK", minimum=12),
)


def plugins(shell: Shell) -> list[Any]:
    """What is loaded, and what was refused and why."""
    return shell.plugins.records()


def _plugins_lines(value: list[Any], width: int) -> list[str]:
    told = any(record.why for record in value)
    columns = _PLUGIN_COLUMNS if told else _PLUGIN_COLUMNS[:-1]
    return table(value, columns, width) or ["no plugins"]


def plugin(shell: Shell, action: str, name: str) -> Any:
    """Load or unload one."""
    if action == "load":
        return shell.plugins.load(name)
    return shell.plugins.unload(name)


def _plugin_lines(value: Any, _: int) -> list[str]:
    if isinstance(value, tuple):
        return ["ok  unloaded", *(printable(f"    stopped {label}", keep="") for label in value)]
    commands = f": {', '.join(value.commands)}" if value.commands else ""
    return [printable(f"ok  plugin {value.name}{commands}", keep="")]


# -- quit ------------------------------------------------------------------------------------------


def quit_(shell: Shell, code: int, force: bool) -> None:
    """End the session."""
    living = len(shell.living()) - 1
    terminal = shell.terminal
    asks = terminal is not None and living > 0 and not force
    if (
        asks
        and terminal is not None
        and not terminal.confirm(f"{plural(living, 'coroutine')} running; leave?")
    ):
        return
    raise Quit(code)


_QUIT_ARGS: Final = (
    Arg("code", "the exit code", "int", default=0, optional=True),
    Arg("--force", "do not ask, whatever still runs", "flag", "-f"),
)

COMMANDS: Final = (
    Command(
        "help",
        "show what commands there are, or explain one of them, a setting, or a Python object",
        help_,
        (Arg("topic", "a command, a setting, or a Python name", "value", optional=True),),
        ("help", "help ps", "?sleep"),
        lane="any",
        show=_help_lines,
    ),
    Command(
        "set",
        "show the settings, or change one",
        set_,
        (
            Arg("key", "a setting", "name", optional=True),
            Arg("value", "what it is to be", "value", optional=True),
        ),
        ("set", "set level heap", "set timeout 2s"),
        lane="any",
        show=_set_lines,
    ),
    Command(
        "run",
        "run session files here",
        run,
        (Arg("file", "a session file", "path", repeat=True),),
        lane="any",
    ),
    Command(
        "plugins",
        "list the plugins, and what was refused and why",
        plugins,
        examples=("plugins", "plugins --json"),
        lane="any",
        show=_plugins_lines,
    ),
    Command(
        "plugin",
        "load or unload a plugin",
        plugin,
        (
            Arg("action", "what to do", "choice", choices=("load", "unload")),
            Arg(
                "name",
                "a path, or the name of an installed plugin or module to load; a loaded one's to unload",
            ),
        ),
        lane="any",
        show=_plugin_lines,
        details="Only what is named here is loaded; nothing is, because it lies in the current folder.",
    ),
    Command("quit", "end the session", quit_, _QUIT_ARGS, lane="any"),
    Command("exit", "the same as quit", quit_, _QUIT_ARGS, lane="any"),
)
