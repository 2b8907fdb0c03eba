"""What workers print, and what is said about them: the last of it, and never more than a bounded part.

Text is kept as it came, and made harmless when it is shown.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

MAX_LINES: Final = 2000
MAX_BYTES: Final = 256 * 1024
MAX_LINE_BYTES: Final = 4096


@dataclass(frozen=True)
class LogLine:
    """One line.

    Attributes:
        at: when it came, on the scheduler's clock.
        worker: the number of the worker that printed it; None for what the master says.
        pid: its process.
        text: the line, without its end.
    """

    at: float
    worker: int | None
    pid: int | None
    text: str


class Log:
    """The last lines of one server."""

    def __init__(self) -> None:
        self._lines: deque[LogLine] = deque()
        self._bytes = 0
        self.dropped = 0

    def add(self, at: float, worker: int | None, pid: int | None, text: str) -> None:
        """Keep a line, and let go of the oldest if there are too many."""
        line = LogLine(at, worker, pid, text[:MAX_LINE_BYTES])
        self._lines.append(line)
        self._bytes += len(line.text)
        while len(self._lines) > MAX_LINES or self._bytes > MAX_BYTES:
            self._bytes -= len(self._lines.popleft().text)
            self.dropped += 1

    def lines(self) -> list[LogLine]:
        """Those that are kept, oldest first."""
        return list(self._lines)


class Splitter:
    """Makes lines of what is read piece by piece; a line that does not end is cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are whole now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        return [_text(line) for line in lines]

    def close(self) -> list[str]:
        """What is left without an end."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "backslashreplace")
