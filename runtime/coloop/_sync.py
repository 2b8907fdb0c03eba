"""Waiting in line: a fair queue of coroutines, and what is built on it.

First come, first served. A wait ends at the moment when somebody ends it, also by a cancel or at a
deadline, though the coroutine itself hears of it a little later; so only those that still wait
count as in line. An `OrderedDict` keeps both ends and the middle O(1).
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from ._coroutine import WAITING, Coroutine
from ._errors import WaitTimeout, WrongThread
from ._scheduler import Scheduler, current_scheduler


class WaitQueue:
    """A line of parked coroutines; each may bring something with it."""

    __slots__ = ("_line",)

    def __init__(self) -> None:
        self._line: OrderedDict[Any, Any] = OrderedDict()

    def __len__(self) -> int:
        return sum(waiter._state == WAITING for waiter in self._line)

    def wait(self, verb: str, subject: object, timeout_s: float | None = None, brings: Any = None) -> Any:
        """Park the running coroutine at the end of the line; returns what it is woken with."""
        scheduler = current_scheduler()
        me = scheduler.running
        self._line[me] = brings
        try:
            return scheduler.park(verb, subject, timeout_s)
        finally:
            self._line.pop(me, None)

    def first(self, scheduler: Scheduler) -> Coroutine | None:
        """Who is first in line; None if nobody is. To wake or to interrupt it takes it out.

        Raises:
            WrongThread: it belongs to another scheduler than the one that runs here.
        """
        line = self._line
        while line:
            waiter: Coroutine = next(iter(line))
            if waiter._state == WAITING:
                if waiter._scheduler is not scheduler:
                    raise WrongThread(
                        f"{waiter} waits here for somebody on its own thread: use its "
                        "scheduler.call_soon_threadsafe(...)"
                    )
                return waiter
            del line[waiter]
        return None

    def brought_by(self, waiter: Coroutine) -> Any:
        """What one that is in line has brought with it."""
        return self._line[waiter]

    def wake_all(self, value: Any = None) -> None:
        """Wake everyone, in order."""
        scheduler = current_scheduler()
        while (waiter := self.first(scheduler)) is not None:
            scheduler.wake(waiter, value)

    def interrupt_all(self, make_error: Callable[[], BaseException]) -> None:
        """Raise an exception of its own, `make_error()`, in everyone, in order."""
        scheduler = current_scheduler()
        while (waiter := self.first(scheduler)) is not None:
            scheduler.interrupt(waiter, make_error())


_event_ids: Final = itertools.count(1)


class Event:
    """A flag that coroutines can wait for. `set` wakes all who wait; it stays set until `clear`."""

    __slots__ = ("__weakref__", "_is_set", "_waiters", "id")

    def __init__(self) -> None:
        self.id = next(_event_ids)
        self._is_set = False
        self._waiters = WaitQueue()

    def is_set(self) -> bool:
        """Whether the flag is up."""
        return self._is_set

    def set(self) -> None:
        """Raise the flag and wake all who wait."""
        if self._waiters:
            self._waiters.wake_all()
        self._is_set = True  # at last: whoever is killed in the midst of this has not set it

    def clear(self) -> None:
        """Take the flag down: who waits from now on, waits."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Park until the flag is up.

        Args:
            timeout: seconds to wait at most.

        Returns:
            True when it is up, False when the time was over first (as `threading.Event.wait`).
        """
        if self._is_set:
            return True
        try:
            self._waiters.wait("wait for", self, timeout)
        except WaitTimeout:
            return self._is_set
        return True

    def __str__(self) -> str:
        return f"event#{self.id}"

    def __repr__(self) -> str:
        return f"<Event#{self.id} {'set' if self._is_set else 'clear'}, {len(self._waiters)} waiting>"
