"""What a call costs, in steps that are counted: a busy machine makes them slower, but never more.

A step is a line of Python. A pattern does its work out of sight, so a `CountedPattern` takes its place, and each
character that it passes over is a step too.
"""

import re
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any


class CountedPattern:
    """A compiled pattern that counts the characters it passes over.

    Args:
        pattern: the one that does the work.
        begins: the characters at which a match that fails may have looked at all that follows; at any other
            it has looked at that one alone.
    """

    def __init__(self, pattern: re.Pattern[str], begins: str) -> None:
        self._pattern = pattern
        self._begins = frozenset(begins)
        self.characters = 0

    def match(self, text: str, at: int = 0) -> re.Match[str] | None:
        found = self._pattern.match(text, at)
        self.characters += self._failed(text, at) if found is None else found.end() - at
        return found

    def search(self, text: str, at: int = 0) -> re.Match[str] | None:
        found = self._pattern.search(text, at)
        self._skipped(text, at, len(text) if found is None else found.start())
        self.characters += 0 if found is None else found.end() - found.start()
        return found

    def sub(self, fill: Callable[[re.Match[str]], str], text: str) -> str:
        at = 0
        for found in self._pattern.finditer(text):
            self._skipped(text, at, found.start())
            at = found.end()
            self.characters += at - found.start()
        self._skipped(text, at, len(text))
        return self._pattern.sub(fill, text)

    def _skipped(self, text: str, start: int, end: int) -> None:
        self.characters += sum(self._failed(text, at) for at in range(start, end))

    def _failed(self, text: str, at: int) -> int:
        return len(text) - at if text[at : at + 1] in self._begins else 1


def steps(call: Callable[[], object], patterns: Iterable[CountedPattern] = ()) -> int:
    """How many lines of Python a call runs, and how many characters these patterns pass over meanwhile."""
    patterns = tuple(patterns)
    before = sum(pattern.characters for pattern in patterns)
    lines = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        if frame.f_globals["__name__"] == __name__:
            return None
        lines += event == "line"
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(previous)
    return lines + sum(pattern.characters for pattern in patterns) - before


def check_linear(
    make: Callable[[int], Callable[[], object]], size: int, patterns: Iterable[CountedPattern] = ()
) -> None:
    """Twice as much of it costs twice as many steps, and not four times."""
    patterns = tuple(patterns)
    few, many = (steps(make(each), patterns) for each in (size, 2 * size))
    assert few >= 1
    assert many <= 2.2 * few, f"{few} steps became {many}"
