"""Typed lines become steps: a step is what is run, and answered for, as one.

The same lines mean the same in a file, in a transcript, in a pipe and behind `-c`; only the moment at
which they come is different. So a splitter is fed line by line, and gives each step as soon as no
further line can belong to it.

A line that begins with `@` is a directive if its name is known, and a decorator if a function or class
follows. What is neither may be a directive of a plugin that is not loaded yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from .lines import Line, classify
from .statements import Statement

DIRECTIVES: Final = ("assert", "wait", "idle", "set", "require", "include")
_EXPRESSION_DIRECTIVES: Final = ("assert", "wait")

_DIRECTIVE: Final = re.compile(r"@([A-Za-z_]\w*)\b\s*")
_LAYOUT: Final = re.compile(r"\s*(?:#|$)")


class Names(Protocol):
    """Names to look up and to go through; they may become more while lines come."""

    def __contains__(self, name: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...


class SessionError(Exception):
    """Something in a session file that is wrong as it stands; the message is `file:12:5: what`.

    Attributes:
        file: its name as the user called it.
        line: from 1.
        column: from 1, if it is known.
        reason: the message without the place.
    """

    def __init__(self, file: str, line: int, column: int | None, reason: str) -> None:
        place = f"{file}:{line}" if column is None else f"{file}:{line}:{column}"
        super().__init__(f"{place}: {reason}")
        self.file = file
        self.line = line
        self.column = column
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Grammar:
    """What is known of the words that a line may begin with.

    Attributes:
        commands: the registered commands.
        python_commands: those of them whose argument is Python, so that it may run over several lines.
        text_commands: those of them whose argument is taken as it stands, quotes and all.
        directives: what plugins add to `DIRECTIVES`.
        bound: the names that the user has bound, which hide commands. Empty for files: a hidden
            command is an error there.
    """

    commands: Names = frozenset()
    python_commands: Names = frozenset()
    text_commands: Names = frozenset()
    directives: Names = frozenset()
    bound: Names = frozenset()

    def directive_in(self, line: str) -> re.Match[str] | None:
        """The `@name ` that a line begins with, if that is a directive; group 1 is the name."""
        found = _DIRECTIVE.match(line)
        known = found is not None and (found[1] in DIRECTIVES or found[1] in self.directives)
        return found if known else None


@dataclass(frozen=True, slots=True)
class Step:
    """One command, block, or directive.

    Attributes:
        kind: `input`, or the directive's name; `directive` for those of plugins.
        text: what was typed, without prompts; a directive's text without its name.
        file: the name of its file as the user called it.
        line: the number of its first line.
        name: the directive's name.
        margin: how many characters stand left of the typed text in each of its lines.
        offset: how many more stand left of `text` in the first line: a directive's name.
        transcript: it was typed at a prompt, as shown in a transcript.
        expected: the output that should follow, as patterns; None if any may.
        expected_after: how many lines of the file stand before the expected output.
    """

    kind: str
    text: str
    file: str
    line: int
    name: str = ""
    margin: int = 0
    offset: int = 0
    transcript: bool = False
    expected: tuple[str, ...] | None = None
    expected_after: int = 0

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return f"@{self.name} {self.text}".rstrip() if self.name else self.text


class LineSplitter:
    """Takes lines as they come and gives the steps that they complete; it does not check them.

    Args:
        grammar: what is known of words.
        file: the name for messages.
        blank_ends: an empty line ends a block, as at the prompt. In a file the next line at the margin
            does, so that functions may contain empty lines.
        first_line: the number of the first line.
        margin: how many characters stand left of each line in the file.
    """

    def __init__(
        self,
        grammar: Grammar,
        file: str = "<stdin>",
        *,
        blank_ends: bool = False,
        first_line: int = 1,
        margin: int = 0,
    ) -> None:
        self._grammar = grammar
        self._file = file
        self._blank_ends = blank_ends
        self._next_line = first_line
        self._margin = margin
        self._begun: Step | None = None
        self._statement: Statement | None = None

    @property
    def pending(self) -> bool:
        """Lines were taken that wait for more."""
        return self._begun is not None

    def feed(self, line: str) -> list[Step]:
        """Take one line.

        Raises:
            SessionError: it is indented, and belongs to no block. Lines may be fed on.
        """
        number, self._next_line = self._next_line, self._next_line + 1
        line = line.removesuffix("\n").removesuffix("\r")
        if self._takes(line):
            assert self._statement is not None
            self._statement.add(line)
            steps = []
        else:
            steps = self.close()
            if not _LAYOUT.match(line):
                self._begin(line, number)
        if self._statement is not None and self._statement.complete:
            steps += self.close()
        return steps

    def close(self) -> list[Step]:
        """No more lines come, or none that belong to the last: what was taken."""
        begun, statement = self._begun, self._statement
        self._begun = self._statement = None
        if begun is None or statement is None:
            return []
        if statement.awaits_definition:
            return [
                _unknown_directive(begun, row, line)
                for row, line in enumerate(statement.lines)
                if line[:1] == "@"
            ]
        rest = statement.lines[1:]
        return [replace(begun, text="\n".join([begun.text, *rest])) if rest else begun]

    def _takes(self, line: str) -> bool:
        if self._statement is None:
            return False
        if self._statement.awaits_definition and self._grammar.directive_in(line):
            return False
        return self._statement.takes(line)

    def _begin(self, line: str, number: int) -> None:
        if line[0] in " \t":
            raise SessionError(self._file, number, self._margin + 1, "unexpected indent")
        self._begun, python_at = begin_step(line, self._file, number, self._grammar, self._margin)
        first = "" if python_at is None else line
        self._statement = Statement(first, blank_ends=self._blank_ends, offset=python_at or 0)


def begin_step(
    line: str, file: str, number: int, grammar: Grammar, margin: int = 0
) -> tuple[Step, int | None]:
    """The step that a line begins, and where in the line Python begins; None if no line can follow."""
    found = grammar.directive_in(line)
    if found is None:
        return Step("input", line, file, number, margin=margin), _python_in(line, grammar)
    name, offset = found[1], found.end()
    is_expression = name in _EXPRESSION_DIRECTIVES
    text = line[offset:] if is_expression else line[offset:].rstrip()
    kind = name if name in DIRECTIVES else "directive"
    return Step(kind, text, file, number, name, margin, offset), offset if is_expression else None


def _python_in(line: str, grammar: Grammar) -> int | None:
    if line.startswith("@"):
        return 0
    head = classify(line, grammar.commands, grammar.bound)
    if head.kind == "command":
        return arguments_at(line, head) if head.name in grammar.python_commands else None
    return 0 if head.kind == "python" else None


def arguments_at(line: str, head: Line) -> int:
    """How many characters of a command's line stand before its arguments."""
    return len(line.rstrip()) - len(head.rest)


def _unknown_directive(begun: Step, row: int, line: str) -> Step:
    """What looks like a decorator and decorates nothing."""
    found = _DIRECTIVE.match(line)
    name, offset = (found[1], found.end()) if found else ("", 1)
    return replace(
        begun, kind="directive", name=name, text=line[offset:], line=begun.line + row, offset=offset
    )
