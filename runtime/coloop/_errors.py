"""Every exception of the runtime, and what its catcher should do.

Two of them are no `Exception`: `Cancelled` must pass through `except Exception`, as
`KeyboardInterrupt` does, and `Timeout` is a `TimeoutError` so that code which never heard of
coloop handles it. All others derive from `CoroutineError`.
"""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._address import Address
    from ._snapshot import CoroutinePicture


class CoroutineError(Exception):
    """The base of what the runtime raises on its own account."""


class NotRunning(CoroutineError, RuntimeError):
    """No scheduler runs on this thread: call from inside `coloop.run(main)`."""


class AlreadyRunning(CoroutineError, RuntimeError):
    """A scheduler runs on this thread already: use `go` instead of a second `run`."""


class WrongThread(CoroutineError, RuntimeError):
    """A scheduler was touched from a foreign thread: use `call_soon_threadsafe`."""


class WrongProcess(CoroutineError, RuntimeError):
    """A connection, coroutine or channel was taken to another process: open it where it is used."""


class TooManyCoroutines(CoroutineError):
    """`go` would exceed `max_coroutines`: wait for some to end, or raise the limit."""


class NotSuspended(CoroutineError):
    """`resume` met a coroutine that is not suspended; the message tells which case it is."""


class Busy(CoroutineError):
    """Somebody else reads from, or writes to, this socket already: one of each at a time."""


class Closed(CoroutineError):
    """The channel, inbox or socket is closed: there is nothing more to come, or to give."""


class OutputFull(CoroutineError):
    """More is queued for this peer than may be: it reads too slowly. Drop the message, or the connection."""


class Truncated(CoroutineError):
    """A datagram was longer than what was asked for, and the rest is lost: ask for more.

    Attributes:
        beginning: what was kept of it; None where it lies in the caller's own buffer.
        sender: the address that it came from.
    """

    def __init__(self, text: str, beginning: bytes | None, sender: Address) -> None:
        super().__init__(text)
        self.beginning = beginning
        self.sender = sender


class LockMisused(CoroutineError, RuntimeError):
    """A lock given back by one that does not hold it, taken twice, or kept by the dead: mend the program."""


class BrokenBarrier(CoroutineError, RuntimeError):
    """Not all will meet at this barrier; the message tells who left it. `reset` makes it whole again."""


class WasCancelled(CoroutineError):
    """`result()` of a coroutine that was cancelled: it has none."""


class Deadlock(CoroutineError):
    """All are parked, and neither a timer nor I/O nor a thread can wake anyone.

    Attributes:
        coroutines: the parked ones, as pictures with `waiting_on` and `where`.
    """

    def __init__(self, coroutines: tuple[CoroutinePicture, ...], report: str) -> None:
        super().__init__(report)
        self.coroutines = coroutines


class MemoryLimitExceeded(MemoryError):
    """A coroutine crossed its memory limit: let go of what it holds, or let it end.

    Attributes:
        limit_bytes: the limit that was crossed.
        used_bytes: what the account held when this was noticed.
    """

    def __init__(self, limit_bytes: int, used_bytes: int, tried_bytes: int, where: str) -> None:
        super().__init__(
            f"memory limit of {limit_bytes} bytes exhausted (tried to allocate {tried_bytes} bytes) at {where}"
        )
        self.limit_bytes = limit_bytes
        self.used_bytes = used_bytes


class Timeout(TimeoutError):
    """The time given to a block or a call is over; what was begun has been given up."""


class WaitTimeout(Timeout):
    """The time given to one wait is over; the runtime must not take a block's `Timeout` for it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Timeout, self.args, vars(self)


# What a user sees of it is what he catches.
WaitTimeout.__name__ = WaitTimeout.__qualname__ = Timeout.__name__
WaitTimeout.__module__ = "coloop"  # as `__init__.py` calls the others


class QueueEmpty(Timeout, queue.Empty):
    """There was nothing to get, at once or in the time given: try later. Also caught as `queue.Empty`."""


class QueueFull(Timeout, queue.Full):
    """There was no room, at once or in the time given: the item was not put. Also caught as `queue.Full`."""


class Cancelled(BaseException):
    """This coroutine was asked to end: clean up, and let it pass."""


class Killed(Cancelled):
    """Raised, also in the middle of a computation, in a coroutine that is being killed."""
