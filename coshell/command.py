"""A command is declared once; its parsing, help, completion, JSON and function form follow from that."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from . import command_help
from .arg import HELP, JSON, RAW_KINDS, Arg
from .command_error import CommandError, HelpAsked, UsageError, did_you_mean
from .command_line import CommandLine, Evaluate
from .lines import LineError

if TYPE_CHECKING:
    from .render import Column

__all__ = ["Arg", "Command", "CommandError", "CommandTable", "HelpAsked", "UsageError"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Command:
    """A command, as the shell, its help and its completion know it.

    Attributes:
        name: what is typed.
        summary: what it does, in half a line.
        run: called as `run(shell, **values)` with a value for each argument, by `Arg.key`.
        args: its arguments, positional ones in their order.
        examples: lines that run as they stand, one after the other, in a fresh shell.
        lane: `loop` runs in a coroutine and may park; `any` runs on the thread that calls it, must not park,
            and works while a coroutine lets nobody else run.
        columns: how records are shown as a table; by default as their class says.
        show: from the value and the width of the screen to lines, instead of the usual form.
        record: from the value to what JSON tells of it, where that is more than the value.
        owner: the plugin that brought it.
        details: more than the summary, for its help.
        function: what its name means in Python, where that is more than the command; `co.NAME` stays the command.
        forms: what its positional arguments are if the first of them says so, for completion; as `args` otherwise.
    """

    name: str
    summary: str
    run: Callable[..., Any]
    args: tuple[Arg, ...] = ()
    examples: tuple[str, ...] = ()
    lane: str = "loop"
    columns: tuple[Column, ...] = ()
    show: Callable[[Any, int], Iterable[str]] | None = None
    record: Callable[[Any], Any] | None = None
    owner: str = "coshell"
    details: str = ""
    function: Callable[..., Any] | None = None
    forms: Mapping[str, tuple[Arg, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a declaration that could not work."""
        if not _NAME.fullmatch(self.name) or keyword.iskeyword(self.name):
            raise ValueError(f"a command cannot be named {self.name!r}")
        if self.lane not in {"loop", "any"}:
            raise ValueError(f"command {self.name!r}: no lane {self.lane!r}")

    @property
    def positionals(self) -> tuple[Arg, ...]:
        """The arguments that are given by their place."""
        return tuple(arg for arg in self.args if not arg.is_option)

    @property
    def options(self) -> tuple[Arg, ...]:
        """The arguments that are given by their name, with those that every command has."""
        return (*(arg for arg in self.args if arg.is_option), JSON, HELP)

    @property
    def tail(self) -> str:
        """What is left unsplit at the end of its line: `python`, `rest`, or nothing."""
        last = self.positionals[-1:]
        return last[0].kind if last and last[0].kind in RAW_KINDS else ""

    def parse(self, text: str, evaluate: Evaluate) -> dict[str, Any]:
        """The values for what stands behind the command's name.

        Args:
            text: the rest of the line, and the block below it if there is one.
            evaluate: gives the value of a Python expression that was put into the line.

        Returns:
            A value for each argument, by `Arg.key`, and `json`.

        Raises:
            UsageError: it does not fit; one line.
            HelpAsked: `--help` is among the words.
        """
        try:
            return CommandLine(self, evaluate).read(text)
        except LineError as error:
            raise UsageError(f"{self.name}: {error}") from None

    def call(self, shell: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The function form, `co.NAME(...)`: positional arguments in their order, options by their key.

        Raises:
            TypeError: too many, too few, or unknown ones.
            ValueError: one has a value that it cannot have.
        """
        return self.run(shell, **self.bound(args, kwargs))

    def bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The values for a call from Python, by `Arg.key`; raises as `call` does."""
        known = {arg.key: arg for arg in self.args}
        given = self._by_place(args)
        for key, value in kwargs.items():
            if key not in known:
                raise TypeError(f"{self.name}() has no argument {key!r}{did_you_mean(key, known)}")
            if key in given:
                raise TypeError(f"{self.name}() got {key!r} twice")
            given[key] = value
        missing = next((a for a in self.positionals if not a.optional and a.key not in given), None)
        if missing is not None:
            raise TypeError(f"{self.name}() needs {missing.key!r}")
        return {key: _called_with(arg, given) for key, arg in known.items()}

    def _by_place(self, args: tuple[Any, ...]) -> dict[str, Any]:
        places = self.positionals
        if places and places[-1].repeat:
            args = (*args[: len(places) - 1], args[len(places) - 1 :])
        if len(args) > len(places):
            raise TypeError(f"{self.name}() takes {len(places)} positional arguments, {len(args)} were given")
        return {arg.key: value for arg, value in zip(places, args, strict=False) if value != ()}

    def usage(self) -> str:
        """One line: `connect ADDRESS [--as NAME] [--json]`."""
        return command_help.usage(self)

    def help(self) -> str:
        """The whole text of `--help`."""
        return command_help.text(self)


def _called_with(arg: Arg, given: Mapping[str, Any]) -> Any:
    if arg.key not in given:
        return arg.absent
    value = given[arg.key]
    if value is None:
        return arg.absent
    if arg.repeat:
        several = value if isinstance(value, (tuple, list)) else (value,)
        return tuple(arg.converted(one) for one in several)
    return arg.converted(value)


class CommandTable:
    """The commands by name; a name belongs to one owner, and whoever comes second is told whose it is."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}

    def register(self, command: Command) -> None:
        """Add a command.

        Raises:
            CommandError: the name is taken; the message tells by whom.
        """
        present = self._commands.get(command.name)
        if present is not None:
            owner = "the shell itself" if present.owner == "coshell" else f"plugin {present.owner!r}"
            raise CommandError(f"command {command.name!r} belongs to {owner}")
        self._commands[command.name] = command

    def unregister(self, name: str) -> None:
        """Take a command away; nothing happens if there is none."""
        self._commands.pop(name, None)

    def get(self, name: str) -> Command:
        """The command of that name.

        Raises:
            UsageError: there is none; the message names the nearest.
        """
        if name not in self._commands:
            hint = did_you_mean(name, self._commands) or "; help lists them all"
            raise UsageError(f"no command {name!r}{hint}")
        return self._commands[name]

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._commands)

    def __contains__(self, name: object) -> bool:
        return name in self._commands

    def __iter__(self) -> Iterator[Command]:
        return iter([self._commands[name] for name in self.names()])

    def __len__(self) -> int:
        return len(self._commands)
