"""Standard input that is no terminal, read so that a signal is heard while nothing comes, and no line gets lost.

Python runs a signal's handler between two of its own instructions. A signal that arrives when the next thing is
read(2) has no effect until something is read (1 of 700 SIGTERMs on a busy machine). So nothing is read before it
is there, and the wait for that is over from time to time.

A script comes through it, and `input()` in that script takes its next line. Python's reader of text would take
all that is there, and the rest of the script with it.
"""

from __future__ import annotations

import io
import os
import select
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LOOK_S: Final = 0.2


class _Patient(io.RawIOBase):
    """A descriptor; it stays its stream's, which is kept."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._fd = stream.fileno()
        self.name = stream.name
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        while not self._poll.poll(LOOK_S * 1000):
            pass  # here handlers run
        try:
            return os.readv(self._fd, [buffer])
        except BlockingIOError:
            return None


class _LineByLine(io.BufferedReader):
    """Whoever reads text through it is given no more than a line at a time."""

    def read1(self, size: int = -1, /) -> bytes:
        there = self.peek(1)
        count = there.find(b"\n") + 1 or len(there)
        return super().read1(count if size < 0 else min(count, size))


def patient(stream: TextIO) -> TextIO:
    """The same, read like that; if it is a terminal, or no file of the system's, just the same."""
    if not isinstance(stream, io.TextIOWrapper) or stream.isatty() or not hasattr(select, "poll"):
        return stream
    if isinstance(stream.buffer, _LineByLine):  # a second one would not see what the first has read ahead
        return stream
    try:
        raw = _Patient(stream)
    except OSError:  # it has no descriptor
        return stream
    return io.TextIOWrapper(_LineByLine(raw), encoding=stream.encoding, errors=stream.errors)
