"""The words behind a command's name become the values of its arguments.

Options may stand anywhere, and `as WORD` at the end, or before an option, is an option too. Where the last argument
is source code or plain text, it is left as it is, with options before or behind it, and with the block below it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .arg import HELP, JSON, Arg
from .command_error import HelpAsked, UsageError, did_you_mean
from .command_help import metavar, usage
from .lines import Expression, Word, split_raw, words

if TYPE_CHECKING:
    from .command import Command

Evaluate = Callable[[str], Any]


class CommandLine:
    """Takes what stands behind a command's name to its arguments; good for one line.

    Args:
        command: the command.
        evaluate: gives the value of a Python expression that was put into the line.
    """

    def __init__(self, command: Command, evaluate: Evaluate) -> None:
        self._command = command
        self._evaluate = evaluate
        self._options = {name: arg for arg in command.options for name in (arg.name, arg.short) if name}
        self._values: dict[str, Any] = {}

    def read(self, text: str) -> dict[str, Any]:
        """The values, by `Arg.key`; raises as `Command.parse` does, and `LineError`."""
        if self._command.tail:
            self._read_unsplit(text)
        else:
            self._read_words(words(text))
        return self._finished()

    def _read_unsplit(self, text: str) -> None:
        """A block below the line belongs to its last argument, as `:` and the lines of the block."""
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

    def _value_in(self, text: Any) -> Any:
        """The value of an option that was left as it was typed."""
        found = words(text) if text[:1] in "{$" else []
        return self._value_of(found[0]) if found else text

    def _read_words(self, line: list[Word]) -> None:
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

    def _with_as_option(self, line: list[Word]) -> Iterator[Word]:
        """The words, with `as NAME` at the end, or before an option, written out as `--as NAME`."""
        for index, word in enumerate(line):
            is_as = "--as" in self._options and _plain(word) == "as" and self._is_last_value(line, index + 1)
            yield Word(("--as",), word.start, word.end, quoted=False) if is_as else word

    def _is_last_value(self, line: list[Word], index: int) -> bool:
        """Whether there is a word, and none behind it but options."""
        after = line[index + 1 : index + 2]
        plain = _plain(after[0]) if after else "--"
        return 1 < index < len(line) and plain is not None and _looks_like_option(plain, self._options)

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
            raise self._misuse(f"no option {name!r}{did_you_mean(name, self._options)}")
        if arg.kind == "flag":
            if has_value:
                raise self._misuse(f"{name} takes no value")
            self._put(arg, True)
        elif has_value:
            self._put(arg, value)
        else:
            word = next(rest, None)
            if word is None:
                raise self._misuse(f"{name} needs a value ({metavar(arg)})")
            self._put(arg, self._pair_of(word) if arg.kind == "pair" else self._value_of(word))

    def _pair_of(self, word: Word) -> Any:
        """A mapping from the key to the object, if the word is `key={expression}`; text otherwise."""
        match word.parts:
            case (str(key), Expression(source)) if key.endswith("=") and not word.quoted:
                return {key[:-1]: self._evaluate(source)}
        return self._value_of(word)

    def _value_of(self, word: Word) -> Any:
        """The object, if the word is one expression and nothing else; text otherwise."""
        values = [
            self._evaluate(part.source) if isinstance(part, Expression) else part for part in word.parts
        ]
        if len(values) == 1 and not word.quoted:
            return values[0]
        return "".join(map(str, values))

    def _put(self, arg: Arg, given: Any) -> None:
        if arg is HELP:
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
                raise self._misuse(f"{metavar(arg)} is missing")
        declared = (*self._command.args, JSON)
        return {arg.key: self._values.get(arg.key, arg.absent) for arg in declared}

    def _misuse(self, what: str) -> UsageError:
        return UsageError(f"{self._command.name}: {what}", f"usage: {usage(self._command)}")


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
