"""Who died, and of what, can be asked for some time after it was told; then it is forgotten.

A server whose every connection fails would fill the memory with tracebacks, so what is kept is text only
(no frame, no local variable stays alive) and has a limit in characters for all of it together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from coloop import Failure

from .mishaps import MAX_MESSAGE_CHARS, shortened
from .text import printable
from .values import Duration

MAX_KEPT: Final = 256
MAX_KEPT_CHARS: Final = 512 * 1024


@dataclass(frozen=True)
class Death:
    """The end of a coroutine by an exception that nobody joined.

    Attributes:
        id: the coroutine; 0 for a call that belonged to none.
        name: its name.
        age: how long it had lived.
        error: the exception in one line.
        traceback: its traceback, bounded, as printable text.
    """

    id: int
    name: str
    age: Duration
    error: str
    traceback: str

    def line(self, *, ascii_only: bool = False) -> str:
        """`✗ co#7 conn died after 1.2s: ConnectionResetError: ... (traceback: err 7)`."""
        mark = "error:" if ascii_only else "✗"
        who = f"co#{self.id} {self.name}" if self.id else self.name
        return f"{mark} {who} died after {self.age}: {self.error} (traceback: err{f' {self.id}' if self.id else ''})"


def death_of(failure: Failure) -> Death:
    """What is kept of a failure."""
    message = failure.message.strip().split("\n", 1)[0][:MAX_MESSAGE_CHARS]
    error = f"{failure.exception_type}: {message}" if message else failure.exception_type
    return Death(
        id=failure.id,
        name=printable(failure.name, keep=""),
        age=Duration(failure.age_s),
        error=printable(error, keep=""),
        traceback=printable(shortened(failure.traceback.rstrip("\n"))),
    )


class Failures:
    """The last deaths, oldest first.

    Attributes:
        count: how many there were in all.
    """

    def __init__(self) -> None:
        self.count = 0
        self._kept: deque[Death] = deque(maxlen=MAX_KEPT)

    def add(self, death: Death) -> None:
        """Keep one more, and let go of the oldest if that is too much."""
        self.count += 1
        self._kept.append(death)
        while len(self._kept) > 1 and sum(len(kept.traceback) for kept in self._kept) > MAX_KEPT_CHARS:
            self._kept.popleft()

    def of(self, id: int) -> Death | None:  # noqa: A002 - the contract's name
        """How that coroutine died, if it is remembered."""
        return next((death for death in reversed(self._kept) if death.id == id), None)

    def latest(self) -> Death | None:
        """The last one."""
        return self._kept[-1] if self._kept else None

    def __iter__(self) -> Iterator[Death]:
        return iter(tuple(self._kept))

    def __len__(self) -> int:
        return len(self._kept)
