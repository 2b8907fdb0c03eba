"""Waiting in line: a fair queue of coroutines, and what is built on it.

First come, first served. Whoever leaves the line early (cancelled, timed out) takes itself out,
so a waiter that is popped is one that waits. An `OrderedDict` keeps both ends and the middle O(1).
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import Any, Final

from ._errors import Timeout
from ._scheduler import current_scheduler


class WaitQueue:
    """A line of parked coroutines; each may bring something with it."""

    __slots__ = ("_line",)

    def __init__(self) -> None:
        self._line: OrderedDict[Any, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._line)

    def wait(self, verb: str, subject: object, timeout_s: float | None = None, brings: Any = None) -> Any:
        """Park the running coroutine at the end of the line; returns what it is woken with."""
        scheduler = current_scheduler()
        me = scheduler.running
        self._line[me] = brings
        try:
            return scheduler.park(verb, subject, timeout_s)
        finally:
            self._line.pop(me, None)

    def pop(self) -> tuple[Any, Any]:
        """Take out the first in line: the coroutine, and what it brought."""
        waiter, brought = self._line.popitem(last=False)
        return waiter, brought

    def wake_all(self, value: Any = None) -> None:
        """Wake everyone, in order."""
        while self._line:
            waiter, _ = self._line.popitem(last=False)
            current_scheduler().wake(waiter, value)

    def interrupt_all(self, make_error: Any) -> None:
        """Raise an exception of its own, `make_error()`, in everyone, in order."""
        while self._line:
            waiter, _ = self._line.popitem(last=False)
            current_scheduler().interrupt(waiter, make_error())


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
        self._is_set = True
        if self._waiters:
            self._waiters.wake_all()

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
        except Timeout:
            return self._is_set
        return True

    def __str__(self) -> str:
        return f"event#{self.id}"

    def __repr__(self) -> str:
        return f"<Event#{self.id} {'set' if self._is_set else 'clear'}, {len(self._waiters)} waiting>"
