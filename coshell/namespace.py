"""The user's names and ours lie in one dictionary, and the user's win.

The runtime's verbs, `co`, and every command as a function are there from the start, so that nothing has to be
imported at the prompt. What the user binds hides them, and is never overwritten by us: a plugin that
brings a command must not take away a variable. Whether a name is the user's is told by what it is bound
to, so deleting it gives ours no second life, but does give the command back.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import Any, Final

import coloop

from .command import Command, CommandError, CommandTable
from .command_error import did_you_mean
from .lines import is_name

# Builtins whose names are commands of ours: theirs would take the keyboard away, or end the process.
_REPLACED_BUILTINS: Final = frozenset({"help", "quit", "exit"})

Call = Callable[[Command, tuple[Any, ...], dict[str, Any]], Any]


class CommandFunction:
    """A command as a function: `ps()`.

    Args:
        command: the command.
        call: runs a command with the arguments of a Python call.
    """

    def __init__(self, command: Command, call: Call) -> None:
        self.__name__ = command.name
        self.__doc__ = command.help()
        self._command = command
        self._call = call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command; the same arguments as on its line, options by keyword."""
        return self._call(self._command, args, kwargs)

    def __repr__(self) -> str:
        return f"<command {self._command.usage()}>"


class Functions:
    """`co`: every command as a function, whatever the user has bound its name to."""

    def __init__(self, commands: CommandTable, call: Call) -> None:
        self._commands = commands
        self._call = call

    def __getattr__(self, name: str) -> CommandFunction:
        if name not in self._commands:
            raise AttributeError(f"no command {name!r}{did_you_mean(name, self._commands.names())}")
        return CommandFunction(self._commands.get(name), self._call)

    def __dir__(self) -> list[str]:
        return self._commands.names()

    def __repr__(self) -> str:
        return "<commands as functions: co.NAME(...)>"


class Bound:
    """The names that the user has bound."""

    def __init__(self, names: dict[str, Any], ours: dict[str, Any]) -> None:
        self._names = names
        self._ours = ours

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or name not in self._names:
            return False
        return name not in self._ours or self._names[name] is not self._ours[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in list(self._names) if name in self and not name.startswith("__"))


class Namespace:
    """What is bound at the prompt, and by whom.

    Args:
        names: the user's module.
        call: runs a command with the arguments of a Python call.

    Attributes:
        commands: the commands; whichever comes or goes there does so here too.
        bound: the names that the user has bound.
    """

    def __init__(self, names: dict[str, Any], call: Call) -> None:
        self._names = names
        self._ours: dict[str, Any] = {}
        self._offered: set[str] = set()
        self._call = call
        self.commands: CommandTable = _Table(self)
        self.bound = Bound(names, self._ours)
        for name in dir(coloop):
            if not name.startswith("_"):
                self._bring(name, getattr(coloop, name))
        self._bring("coloop", coloop)
        self._bring("co", Functions(self.commands, call))

    def bind(self, name: str, value: Any) -> None:
        """Give a value a name of the user's.

        Raises:
            CommandError: it cannot be a Python name.
        """
        if not is_name(name):
            raise CommandError(f"{name!r} cannot be a Python name")
        self._names[name] = value

    def offer(self, command: Command) -> None:
        """Make a command a function, its own if it has one, unless something else has its name."""
        name = command.name
        is_builtin = hasattr(builtins, name) and name not in _REPLACED_BUILTINS
        if not is_builtin and name not in self._names:
            self._offered.add(name)
            self._bring(name, command.function or CommandFunction(command, self._call))

    def withdraw(self, name: str) -> None:
        """Take a command's function away; what else has the name stays."""
        if name in self._offered:
            self._offered.remove(name)
            ours = self._ours.pop(name)
            if self._names.get(name) is ours:
                del self._names[name]

    def _bring(self, name: str, value: Any) -> None:
        self._ours[name] = self._names[name] = value


class _Table(CommandTable):
    """Commands that are functions as well."""

    def __init__(self, namespace: Namespace) -> None:
        super().__init__()
        self._namespace = namespace

    def register(self, command: Command) -> None:
        super().register(command)
        self._namespace.offer(command)

    def unregister(self, name: str) -> None:
        super().unregister(name)
        self._namespace.withdraw(name)
