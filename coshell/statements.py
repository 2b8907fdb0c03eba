"""Where a statement ends that arrives line by line.

Python's own answer (`codeop`) compiles everything typed so far at each new line, which is quadratic, and
it wants an empty line after a block, which no file has. To see where a statement *ends* it is enough to
follow brackets, quotes, backslashes and indentation; each line is looked at once. Whether what came
together is valid is for the compiler to say.

A weakness: quotes of the same kind nested in an f-string (valid since Python 3.12) are read as two
strings, which goes wrong only if there is an odd bracket in what lies between them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_HAS_CLAUSES: Final = re.compile(r"(?:if|for|while|try|async)\b")
_CLAUSE: Final = re.compile(r"(?:else|elif|except|finally)\b")
_DECORATED: Final = re.compile(r"@|(?:def|class|async)\b")
_LAYOUT: Final = re.compile(r"\s*(?:#|$)")

_INTERESTING: Final = re.compile(r"""'''|\"""|['"#()\[\]{}]""")
_REST_OF_STRING: Final = {
    quote: re.compile(rf"(?:\\.|(?!{quote})[^\\])*+{quote}") for quote in ("'''", '"""', "'", '"')
}


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is never closed.

    Attributes:
        line: where it was opened, in lines after the statement's first.
        column: where in that line, from 1.
        message: what it is.
    """

    line: int
    column: int
    message: str


@dataclass(slots=True)
class _Scan:
    """What is open after the lines seen so far."""

    brackets: list[tuple[int, int]] = field(default_factory=list)  # (line, column) of each open one
    quote: str = ""  # of the string that goes on in the next line
    quote_at: tuple[int, int] = (0, 0)
    backslash: int = 0  # the column of the one that ended the last line, outside strings; 0 for none
    colon: bool = False  # the last line ended with one, outside strings, brackets and comments
    flaw: Flaw | None = None

    @property
    def open(self) -> bool:
        return self.flaw is None and bool(self.brackets or self.quote or self.backslash)

    def feed(self, text: str, number: int) -> None:
        """Look at one line, the `number`th after the first."""
        at = self._close_string(text) if self.quote else 0
        code_end = at
        while at < len(text):
            found = _INTERESTING.search(text, at)
            if found is None or found[0] == "#":
                end = found.start() if found else len(text)
                code_end = end if text[at:end].strip() else code_end
                break
            at = code_end = self._step(text, found, number)
        code = text[:code_end].rstrip()
        outside = not self.quote and not self.brackets
        self.colon = outside and code.endswith(":")
        self.backslash = len(code) if not self.quote and text[:code_end].endswith("\\") else 0

    def _step(self, text: str, found: re.Match[str], number: int) -> int:
        """Deal with one quote or bracket; returns where to go on."""
        mark, at = found[0], found.start()
        if mark in "([{":
            self.brackets.append((number, at + 1))
        elif mark in ")]}":
            del self.brackets[-1:]
        else:
            self.quote, self.quote_at = mark, (number, at + 1)
            return self._close_string(text, found.end())
        return found.end()

    def _close_string(self, text: str, start: int = 0) -> int:
        """Where the open string ends; the end of the line if it goes on, or should have ended there."""
        found = _REST_OF_STRING[self.quote].match(text, start)
        if found is not None:
            self.quote = ""
            return found.end()
        if len(self.quote) == 1 and not _ends_with_odd_backslash(text, start):
            self.flaw = self.flaw or Flaw(*self.quote_at, "quote opened here is never closed")
            self.quote = ""
        return len(text)

    def unclosed(self, last_line: int) -> Flaw | None:
        """What would be left open if no line followed."""
        if self.flaw is not None:
            return self.flaw
        if self.quote:
            return Flaw(*self.quote_at, "quote opened here is never closed")
        if self.brackets:
            return Flaw(*self.brackets[-1], "bracket opened here is never closed")
        if self.backslash:
            return Flaw(last_line, self.backslash, "backslash at the end, and no line follows")
        return None


def _ends_with_odd_backslash(text: str, start: int) -> bool:
    tail = text[start:]
    return (len(tail) - len(tail.rstrip("\\"))) % 2 == 1


class Statement:
    """One statement, from its first line on.

    Args:
        first: its first line.
        blank_ends: an empty line ends a block, as at a prompt; in a file the next line at the margin does.
        offset: how many characters of the first line are not Python: a command's name.

    Attributes:
        awaits_definition: it has only decorators so far.
    """

    def __init__(self, first: str, *, blank_ends: bool = False, offset: int = 0) -> None:
        self._lines = [first]
        self._layout_at_end = 0  # how many of the lines may lie behind its end
        self._blank_ends = blank_ends
        self._scan = _Scan()
        self._scan.feed(" " * offset + first[offset:], 0)
        head = first[offset:].lstrip()
        self.awaits_definition = head.startswith("@")
        self._has_clauses = _HAS_CLAUSES.match(head) is not None
        self._is_block = self._has_clauses or self._scan.colon

    @property
    def lines(self) -> list[str]:
        """Its lines, without the empty ones and comments that came after its end."""
        return self._lines[: len(self._lines) - self._layout_at_end]

    @property
    def complete(self) -> bool:
        """Nothing that may follow can belong to it."""
        return not (self._scan.open or self.awaits_definition or self._is_block)

    @property
    def flaw(self) -> Flaw | None:
        """What is still open; None if it may end here."""
        if self.awaits_definition:
            return Flaw(0, 1, "a decorator stands before a function or a class, and none follows")
        return self._scan.unclosed(len(self._lines) - 1)

    def takes(self, line: str) -> bool:
        """Whether the next line belongs to it."""
        if self._scan.open:
            return True
        if self.complete or (self._blank_ends and not line.strip()):
            return False
        if _LAYOUT.match(line):
            return True
        if self.awaits_definition:
            return _DECORATED.match(line) is not None
        return line[0] in " \t" or (self._has_clauses and _CLAUSE.match(line) is not None)

    def add(self, line: str) -> None:
        """Add a line that it takes."""
        goes_on = self._scan.open
        self._lines.append(line)
        self._scan.feed(line, len(self._lines) - 1)
        if not goes_on and _LAYOUT.match(line):
            self._layout_at_end += 1
            return
        self._layout_at_end = 0
        if not goes_on and self.awaits_definition:
            self.awaits_definition = line.startswith("@")
        self._is_block = self._is_block or (self._scan.colon and not self.awaits_definition)
