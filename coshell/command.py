"""A command is declared once; its parsing, help, completion, JSON and function form follow from that.

What a user types is a row of words. What the command's function wants is values: a size in bytes, a
duration in seconds, a Python object that was put in with `$name` or `{expression}`. The declaration
(`Arg.kind`) says how to come from one to the other, so that no command parses anything by itself, and
misuse reads the same everywhere: one line that names the command and the nearest right thing.
"""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .lines import Expression, LineError, Word, split_raw, words
from .text import nearest
from .values import parse_duration, parse_size

if TYPE_CHECKING:
    from .render import Column

Evaluate = Callable[[str], Any]

# These take an object as it is when one is put in; what is typed stays text, and the command looks it up.
_OBJECT_KINDS: Final = frozenset({"value", "coroutine", "socket", "server", "address"})
_RAW_KINDS: Final = frozenset({"python", "rest"})
HELP_WIDTH: Final = 80
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")

KINDS: Final = (
    _OBJECT_KINDS | _RAW_KINDS | {"text", "int", "size", "duration", "flag", "name", "path", "choice"}
)


class CommandError(Exception):
    """What a command could not do, in one line for the user.

    Attributes:
        hint: what to do instead; empty if nobody knows.
        exit_code: what a script ends with: 1 for a failure, 2 for misuse.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}: {hint}" if hint else message)
        self.hint = hint


class UsageError(CommandError):
    """A command was called in a way that it does not understand."""

    exit_code = 2


class HelpAsked(Exception):
    """`--help` stands among the words: show the help and do nothing."""


@dataclass(frozen=True)
class Arg:
    """One argument of a command.

    Attributes:
        name: `address` for a positional argument; `--linger` for an option.
        help: a few words about it.
        kind: what it becomes. `text` and `name` a str, `int` an int, `size` bytes as an int, `duration`
            seconds as a float, `flag` a bool, `path` a `Path`, `choice` one of `choices`. `coroutine`,
            `socket`, `server`, `address` and `value` are given as typed, or as the object that
            was put in. `python` is source code, with a block if one follows; `rest` is the rest of the line.
        short: another name of an option, as `-n`.
        default: what it is when it is not given.
        optional: whether a positional argument may be left out; options always may.
        repeat: may come several times; its value is a tuple.
        choices: what a `choice` may be.
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
        if self.kind in _OBJECT_KINDS or self.kind in _RAW_KINDS:
            return given
        return _CONVERTERS[self.kind](self, given)


def _text(_: Arg, given: Any) -> str:
    return given if isinstance(given, str) else str(given)


def _integer(_: Arg, given: Any) -> int:
    try:
        return int(given)
    except (TypeError, ValueError):
        raise ValueError(f"{given!r} is not a whole number") from None


def _size(_: Arg, given: Any) -> int:
    return parse_size(given) if isinstance(given, str) else int(given)


def _duration(_: Arg, given: Any) -> float:
    return parse_duration(given) if isinstance(given, str) else float(given)


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
    raise ValueError(f"{given!r} is none of {', '.join(arg.choices)}{_did_you_mean(str(given), arg.choices)}")


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

_JSON: Final = Arg("--json", "one JSON object per line", "flag")
_HELP: Final = Arg("--help", "this text", "flag", "-h")


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
        owner: the plugin that brought it.
        details: more than the summary, for its help.
    """

    name: str
    summary: str
    run: Callable[..., Any]
    args: tuple[Arg, ...] = ()
    examples: tuple[str, ...] = ()
    lane: str = "loop"
    columns: tuple[Column, ...] = ()
    show: Callable[[Any, int], Iterable[str]] | None = None
    owner: str = "coshell"
    details: str = ""

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
        return (*(arg for arg in self.args if arg.is_option), _JSON, _HELP)

    @property
    def tail(self) -> str:
        """What is left unsplit at the end of its line: `python`, `rest`, or nothing."""
        last = self.positionals[-1:]
        return last[0].kind if last and last[0].kind in _RAW_KINDS else ""

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
            if self.tail:
                return _Reader(self, evaluate).read_raw(text)
            return _Reader(self, evaluate).read(words(text))
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
                raise TypeError(f"{self.name}() has no argument {key!r}{_did_you_mean(key, known)}")
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
        return " ".join([self.name, *(_usage_of(arg) for arg in (*self.positionals, *self.options[:-1]))])

    def help(self) -> str:
        """The whole text of `--help`."""
        parts = [f"{self.name}: {self.summary}", f"usage: {self.usage()}"]
        if self.details:
            parts.append(textwrap.fill(self.details, HELP_WIDTH))
        parts.append("\n".join(_help_lines([*self.positionals, *self.options])))
        if self.examples:
            parts.append(
                "\n".join(["examples:", *(f"  {line}" for e in self.examples for line in e.split("\n"))])
            )
        if self.owner != "coshell":
            parts.append(f"from plugin {self.owner}")
        return "\n\n".join(parts)


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


def _usage_of(arg: Arg) -> str:
    if not arg.is_option:
        shown = f"{_metavar(arg)}{'...' if arg.repeat else ''}"
        return f"[{shown}]" if arg.optional else shown
    value = "" if arg.kind == "flag" else f" {_metavar(arg)}"
    return f"[{arg.short or arg.name}{value}]"


def _metavar(arg: Arg) -> str:
    if arg.choices:
        return "|".join(arg.choices)
    if not arg.is_option:
        return arg.name.upper().replace("-", "_")
    kinds = {"int": "N", "duration": "SECONDS", "python": "EXPR", "value": "VALUE"}
    return kinds.get(arg.kind, arg.kind.upper())


def _help_lines(args: list[Arg]) -> list[str]:
    heads = [_help_head(arg) for arg in args]
    width = max(map(len, heads))
    return [f"  {head:{width}}  {arg.help}".rstrip() for head, arg in zip(heads, args, strict=True)]


def _help_head(arg: Arg) -> str:
    if not arg.is_option:
        return _metavar(arg)
    names = f"{arg.short}, {arg.name}" if arg.short else arg.name
    return names if arg.kind == "flag" else f"{names} {_metavar(arg)}"


def _did_you_mean(word: str, candidates: Iterable[str]) -> str:
    found = nearest(word, candidates)
    return f", did you mean {found!r}?" if found else ""


class _Reader:
    """Takes the words of one line to the arguments of one command."""

    def __init__(self, command: Command, evaluate: Evaluate) -> None:
        self._command = command
        self._evaluate = evaluate
        self._options = {name: arg for arg in command.options for name in (arg.name, arg.short) if name}
        self._values: dict[str, Any] = {}

    def read_raw(self, text: str) -> dict[str, Any]:
        """A line whose last argument is source code or unsplit text, with options before or behind it.

        A block below the line belongs to it as `:` and the lines of the block.
        """
        line, newline, block = text.partition("\n")
        if newline and line.rstrip().endswith(":"):
            line, block = line.rstrip()[:-1], f":\n{block}"
        else:
            line, block = text, ""
        source, options = split_raw(line, {name: arg.kind != "flag" for name, arg in self._options.items()})
        for name, value in options.items():
            self._put(self._options[name], value if value is True else self._value_in(value))
        *before, last = self._command.positionals
        for arg in before:
            head, _, source = source.partition(" ")
            if head:
                self._put(arg, self._value_in(head))
        if source.strip() or block:
            self._put(last, source.strip() + block)
        return self._finished()

    def _value_in(self, text: Any) -> Any:
        """The value of an option that was left as it was typed."""
        found = words(text) if text[:1] in "{$" else []
        return self._value_of(found[0]) if found else text

    def read(self, line: list[Word]) -> dict[str, Any]:
        """A line of words."""
        rest = iter(self._with_as_option(line))
        waiting = list(self._command.positionals)
        literal = False
        for word in rest:
            plain = _plain(word)
            if literal or plain is None or not _looks_like_option(plain, self._options):
                self._take_positional(word, waiting)
            elif plain == "--":
                literal = True
            else:
                self._take_option(plain, rest)
        return self._finished()

    def _with_as_option(self, line: list[Word]) -> Iterator[Word]:
        """The words, with `as NAME` at the end written out as `--as NAME`."""
        ends_with_as = len(line) >= 2 and _plain(line[-2]) == "as" and "--as" in self._options
        for index, word in enumerate(line):
            is_as = ends_with_as and index == len(line) - 2
            yield Word(("--as",), word.start, word.end, quoted=False) if is_as else word

    def _take_positional(self, word: Word, waiting: list[Arg]) -> None:
        if not waiting:
            shown = _shown(word)
            raise self._misuse(f"{shown!r} is one argument too many")
        self._put(waiting[0], self._value_of(word))
        if not waiting[0].repeat:
            del waiting[0]

    def _take_option(self, plain: str, rest: Iterator[Word]) -> None:
        name, has_value, value = plain.partition("=")
        arg = self._options.get(name)
        if arg is None:
            raise self._misuse(f"no option {name!r}{_did_you_mean(name, self._options)}")
        if arg.kind == "flag":
            if has_value:
                raise self._misuse(f"{name} takes no value")
            self._put(arg, True)
        elif has_value:
            self._put(arg, value)
        else:
            word = next(rest, None)
            if word is None:
                raise self._misuse(f"{name} needs a value ({_metavar(arg)})")
            self._put(arg, self._value_of(word))

    def _value_of(self, word: Word) -> Any:
        """The object, if the word is one expression and nothing else; text otherwise."""
        values = [
            self._evaluate(part.source) if isinstance(part, Expression) else part for part in word.parts
        ]
        if len(values) == 1 and not word.quoted:
            return values[0]
        return "".join(map(str, values))

    def _put(self, arg: Arg, given: Any) -> None:
        if arg is _HELP:
            raise HelpAsked
        try:
            value = arg.converted(given)
        except (ValueError, TypeError, OverflowError) as error:
            raise self._misuse(f"{arg.name}: {error}") from None
        if arg.repeat:
            self._values[arg.key] = (*self._values.get(arg.key, ()), value)
        elif arg.key in self._values and arg.kind != "flag":
            raise self._misuse(f"{arg.name} is given twice")
        else:
            self._values[arg.key] = value

    def _finished(self) -> dict[str, Any]:
        for arg in self._command.positionals:
            if not arg.optional and arg.key not in self._values:
                raise self._misuse(f"{_metavar(arg)} is missing")
        declared = (*self._command.args, _JSON)
        return {arg.key: self._values.get(arg.key, arg.absent) for arg in declared}

    def _misuse(self, what: str) -> UsageError:
        return UsageError(f"{self._command.name}: {what}", f"usage: {self._command.usage()}")


def _plain(word: Word) -> str | None:
    """The text of a word in which nothing is quoted or put in."""
    if word.quoted or any(isinstance(part, Expression) for part in word.parts):
        return None
    return "".join(part for part in word.parts if isinstance(part, str))


def _shown(word: Word) -> str:
    return "".join(f"{{{p.source}}}" if isinstance(p, Expression) else p for p in word.parts)


def _looks_like_option(plain: str, options: Mapping[str, Arg]) -> bool:
    """A word that begins with a dash, but `-` alone and negative numbers are values."""
    if not plain.startswith("-") or plain == "-":
        return False
    return plain in options or not re.match(r"-\.?\d", plain)


class CommandTable:
    """The commands by name; each name has one owner."""

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
            hint = _did_you_mean(name, self._commands) or "; help lists them all"
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
