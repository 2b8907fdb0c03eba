"""`with timeout(2): ...`: a limit on how long a block may take, waits and all.

The limit is a timer that interrupts the coroutine at its wait, or at its next one. A block that
ends in time, or whose last wait was answered a moment before the limit, ends normally: whatever
the timer may have left behind is taken away. Blocks nest; each raises an exception of its own.
"""

from __future__ import annotations

from types import TracebackType

from ._coroutine import Coroutine
from ._errors import CoroutineError, NotRunning, Timeout
from ._scheduler import current_scheduler
from ._timers import Timer, check_seconds


class timeout:  # noqa: N801 - reads as the statement that it is
    """`with timeout(2): ...` raises `Timeout` at a wait inside the block when that takes more than 2 seconds.

    It is raised at the wait of that moment, or at the next one; a block that never waits is not interrupted. When a
    block has ended, its `timeout` can be used for another.

    Args:
        seconds: on the scheduler's clock; 0 is over at the first wait.

    Raises:
        ValueError: seconds is negative, infinite or NaN.
        NotRunning: entered outside of a coroutine.
        CoroutineError: entered while a block uses it.
    """

    __slots__ = ("__weakref__", "_coroutine", "_error", "_timer", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = check_seconds(seconds, "timeout")
        self._error: Timeout | None = None
        self._coroutine: Coroutine | None = None
        self._timer: Timer | None = None

    @property
    def expired(self) -> bool:
        """Whether the limit was reached inside the block, or the last of them."""
        return self._error is not None and self._error.__traceback__ is not None

    def __enter__(self) -> timeout:  # noqa: PYI034 - a final class, as short as it can be
        scheduler = current_scheduler()
        if scheduler.running is None:
            raise NotRunning("timeout works inside a coroutine only")
        if self._coroutine is not None:
            raise CoroutineError(
                f"timeout({self.seconds:g}) is in use by {self._coroutine}: make one for each block"
            )
        exposed, scheduler.exposed = scheduler.exposed, None  # who is killed must leave no timer
        try:
            self._timer = scheduler.call_later(self.seconds, self._expire)
            self._coroutine, self._error = scheduler.running, None
        finally:
            scheduler.exposed = exposed
        return self

    def _expire(self) -> None:
        """In the root: the time is over."""
        assert self._coroutine is not None
        self._error = Timeout(f"timed out after {self.seconds:g}s")
        self._coroutine._scheduler.interrupt(self._coroutine, self._error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._timer is not None
        assert self._coroutine is not None
        self._timer.cancel()
        if self._error is not None:
            pending = self._coroutine._interrupts
            if pending and self._error in pending:
                pending.remove(self._error)
        self._coroutine = None
