"""Deadlines, soonest first; those of the same instant in the order in which they were set.

A heap of entries that are never removed from its middle: a cancelled timer is only marked, and
skipped when it comes to the top. Code under a timeout cancels nearly every timer it sets, so
when half of the heap is dead it is rebuilt; cancelling is then O(1) amortised and the dead cost
at most as much memory as the living. The heap is told the time, it never reads a clock.

NaN is refused where a timer is made: one NaN in a heap of floats silently breaks its order.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any, Final

MIN_REBUILD: Final = 64  # below this many entries a rebuild costs more than it gives back


def check_seconds(seconds: object, what: str) -> float:
    """Return `seconds` as a float, or raise a ValueError or TypeError that names `what` and the value.

    Args:
        seconds: a finite, non-negative number of seconds.
        what: the argument's name, for the message.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{what} must be a number of seconds, not {seconds!r}")
    try:
        value = float(seconds)
    except OverflowError:
        raise ValueError(f"{what} is too large a number of seconds") from None
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{what} must be finite and not negative, not {value!r}")
    return value


class Timer:
    """One call that is due at a time; made by `Timers.add`, cancelled by `cancel()`."""

    __slots__ = ("_timers", "args", "deadline", "fn", "owner")

    def __init__(
        self, timers: Timers, deadline: float, owner: object, fn: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        self._timers: Timers | None = timers
        self.deadline = deadline
        self.owner = owner
        self.fn: Callable[..., Any] | None = fn
        self.args = args

    @property
    def active(self) -> bool:
        """Whether it is still going to fire."""
        return self._timers is not None

    def cancel(self) -> None:
        """Never fire, and hold nothing any more. A second time, or after firing: nothing happens."""
        timers, self._timers = self._timers, None
        if timers is not None:
            self._release()
            timers._forget_one()

    def _release(self) -> None:
        self.fn = None
        self.args = ()
        self.owner = None

    def __repr__(self) -> str:
        return f"<Timer at {self.deadline:.6f}{'' if self.active else ' (over)'}>"


class Timers:
    """The timers of one scheduler; `len()` counts those that are going to fire."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._living = 0

    def __len__(self) -> int:
        return self._living

    @property
    def held(self) -> int:
        """How many entries there are in memory: the living, and the cancelled that were not dropped yet."""
        return len(self._heap)

    def __iter__(self) -> Any:
        """The living timers, in no particular order."""
        return (timer for _, _, timer in self._heap if timer.active)

    def add(self, deadline: float, fn: Callable[..., Any], *args: Any, owner: object = None) -> Timer:
        """Have `fn(*args)` called once, at `deadline` on the scheduler's clock.

        Args:
            deadline: a finite time in seconds.
            fn: what to call; it must not park.
            *args: its arguments.
            owner: the coroutine on whose account the timer is shown, if any.
        """
        assert math.isfinite(deadline)
        timer = Timer(self, deadline, owner, fn, args)
        self._count += 1
        self._living += 1
        heapq.heappush(self._heap, (deadline, self._count, timer))
        return timer

    def next_deadline(self) -> float | None:
        """When the soonest timer is due; None when there is none."""
        heap = self._heap
        while heap and not heap[0][2].active:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop_expired(self, now: float) -> tuple[Callable[..., Any], tuple[Any, ...]] | None:
        """The call of the soonest timer that is due at `now`, taken out of the heap; None when none is."""
        deadline = self.next_deadline()
        if deadline is None or deadline > now:
            return None
        timer = heapq.heappop(self._heap)[2]
        timer._timers = None
        self._living -= 1
        fn, args = timer.fn, timer.args
        assert fn is not None
        timer._release()
        return fn, args

    def _forget_one(self) -> None:
        self._living -= 1
        if len(self._heap) > MIN_REBUILD and self._living * 2 < len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].active]
            heapq.heapify(self._heap)
