"""Waiting in line: a fair queue of coroutines. All that one can wait for is built on it.

First come, first served. A wait ends at the moment when somebody ends it, also by a cancel or at a
deadline, though the coroutine itself hears of it a little later; so only those that still wait
count as in line. An `OrderedDict` keeps both ends and the middle O(1).

Who waits for the first of several things stands in several lines at once, with one `JointWait` as
his proxy in all of them. It counts as in line for as long as its coroutine waits: so whoever serves
it in one line takes it out of all, in the same instant, without having to know the others.

The native core has lines of its own; where it is at work they go by the names of those here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from ._coroutine import Coroutine
from ._coroutine_state import READY, WAITING
from ._errors import WrongThread
from ._form import native
from ._scheduler import Scheduler, current_scheduler
from ._shelter import shelter

NOBODY: Final = object()  # what `serve` returns for an empty line: any object may be brought


class WaitQueue:
    """A line of parked coroutines; each may bring something with it."""

    __slots__ = ("_line",)

    def __init__(self) -> None:
        self._line: OrderedDict[Any, Any] = OrderedDict()

    def __len__(self) -> int:
        return sum(waiter._state == WAITING for waiter in self._line)

    def __iter__(self) -> Iterator[Any]:
        """Those who wait, in order."""
        return iter([waiter for waiter in self._line if waiter._state == WAITING])

    def is_empty(self) -> bool:
        """Whether nobody stands here, not even one whose wait is over and who has not left yet."""
        return not self._line

    def wait(self, verb: str, subject: object, timeout_s: float | None = None, brings: Any = None) -> Any:
        """Park the running coroutine at the end of the line; returns what it is woken with."""
        scheduler = current_scheduler()
        me = scheduler.running
        self._line[me] = brings
        try:
            return scheduler.park(verb, subject, timeout_s)
        finally:
            # No call from here on: whoever was given something is not killed before its caller has it.
            if me in self._line:
                del self._line[me]

    def serve(self, scheduler: Scheduler, value: Any = None) -> Any:
        """Wake who is first in line with `value`; returns what it has brought, `NOBODY` if none is there.

        Raises:
            WrongThread: it belongs to another scheduler than the one that runs here.
        """
        line = self._line
        while line:
            waiter = next(iter(line))
            if waiter._state == WAITING:
                if waiter._scheduler is not scheduler:
                    raise foreign(waiter._coroutine if type(waiter) is JointWait else waiter)
                brought = line[waiter]
                if type(waiter) is JointWait:
                    return waiter.end(brought, value)
                scheduler.wake(waiter, value)
                del line[waiter]  # it will do so itself, but later: the next to look finds the line empty
                return brought
            del line[waiter]
        return NOBODY

    def first(self, scheduler: Scheduler) -> Coroutine | None:
        """Who is first in line; None if nobody is. To wake or to interrupt it takes it out.

        Only for lines that no `JointWait` stands in: for others there is `serve`.

        Raises:
            WrongThread: it belongs to another scheduler than the one that runs here.
        """
        waiter: Coroutine | None = self._first(scheduler)
        return waiter

    def brought_by(self, waiter: Coroutine) -> Any:
        """What one that is in line has brought with it."""
        return self._line[waiter]

    def wake_all(self, value: Any = None) -> None:
        """Wake everyone, in order; all or, when killed, none."""
        scheduler = current_scheduler()
        with shelter(scheduler):
            while self.serve(scheduler, value) is not NOBODY:
                pass

    def interrupt_all(self, make_error: Callable[[], BaseException]) -> None:
        """Raise an exception of its own, `make_error()`, in everyone, in order; a `JointWait` returns it."""
        scheduler = current_scheduler()
        with shelter(scheduler):
            while (waiter := self._first(scheduler)) is not None:
                if type(waiter) is JointWait:
                    waiter.end(self._line[waiter], None, make_error())
                else:
                    scheduler.interrupt(waiter, make_error())

    def _first(self, scheduler: Scheduler) -> Any:
        line = self._line
        while line:
            waiter = next(iter(line))
            if waiter._state == WAITING:
                if waiter._scheduler is not scheduler:
                    raise foreign(waiter._coroutine if type(waiter) is JointWait else waiter)
                return waiter
            del line[waiter]
        return None


class JointWait:
    """One wait in several lines: whoever ends it in one of them has ended it in all.

    Made for one wait; it is also the subject that this wait is shown with.

    Args:
        what: what is waited for, in a form that can be shown.
    """

    __slots__ = ("_coroutine", "_scheduler", "_what")

    def __init__(self, what: Sequence[object]) -> None:
        self._what = what
        self._scheduler = current_scheduler()
        self._coroutine: Coroutine | None = None

    @property
    def _state(self) -> str:
        return READY if self._coroutine is None else self._coroutine._state

    def wait(
        self, verb: str, places: Sequence[tuple[int, WaitQueue, Any]], timeout_s: float | None
    ) -> tuple[int, Any, BaseException | None]:
        """Park the running coroutine at the end of several lines; if one is named twice, the first counts.

        Args:
            verb: what it does, for those who look.
            places: a number, a line, and what is brought there.
            timeout_s: raise `Timeout` after so many seconds.

        Returns:
            The number of the place that was served; what it was served with; and the exception if
            everyone in that line was interrupted.
        """
        try:
            self._coroutine = self._scheduler.running
            for number, line, brings in places:
                line._line.setdefault(self, (number, brings))
            ended: tuple[int, Any, BaseException | None] = self._scheduler.park(verb, self, timeout_s)
            return ended
        finally:
            # First, in one step: a kill may strike between any two of the others, and what stays behind then
            # must not count, wherever its coroutine waits next.
            self._coroutine = None
            self._what = ()
            for _, line, _ in places:
                line._line.pop(self, None)

    def end(self, place: tuple[int, Any], value: Any, error: BaseException | None = None) -> Any:
        """End the wait in `place`, with `value`; returns what was brought there."""
        number, brought = place
        self._scheduler.wake(self._coroutine, (number, value, error))
        return brought

    def __str__(self) -> str:
        return either(self._what)


def foreign(coroutine: object) -> WrongThread:
    """What to raise when another thread's scheduler would serve `coroutine`."""
    return WrongThread(
        f"{coroutine} waits here for somebody on its own thread: use its scheduler.call_soon_threadsafe(...)"
    )


def either(what: Sequence[object]) -> str:
    """Several things of which one is enough, as text."""
    return " or ".join(map(str, what))


if not TYPE_CHECKING and native is not None:
    WaitQueue, JointWait = native.WaitQueue, native.JointWait
