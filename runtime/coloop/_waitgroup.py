"""A wait group: wait until a number of things is done, as Go's `sync.WaitGroup`.

It counts what is still to be done, by whomever. (A `Group` waits for coroutines, and cares for their
failures; this only counts.)
"""

from __future__ import annotations

import itertools
from typing import Final

from ._errors import WaitTimeout
from ._line import WaitQueue
from ._scheduler import current_scheduler

_ids: Final = itertools.count(1)


class WaitGroup:
    """`add` before each start, `done` at each end (`coloop.defer(group.done)`), `wait` for them all."""

    __slots__ = ("__weakref__", "_pending", "_waiters", "id")

    def __init__(self) -> None:
        self.id = next(_ids)
        self._pending = 0
        self._waiters = WaitQueue()

    @property
    def pending(self) -> int:
        """How many are not done yet."""
        return self._pending

    def add(self, n: int = 1) -> None:
        """There are `n` more to be done (fewer, if negative); at zero all who wait are woken.

        Raises:
            ValueError: fewer than none would be left, or n is no integer; nothing has changed.
        """
        if type(n) is not int:
            raise ValueError(f"n must be an integer, not {n!r}")
        left = self._pending + n
        if left < 0:
            raise ValueError(f"{self} has only {self._pending} to be done: {-n} cannot be")
        if left == 0 and self._waiters:
            self._waiters.wake_all()
        self._pending = left  # at last: who is killed in the midst of this has done nothing

    def done(self) -> None:
        """One of them is done.

        Raises:
            ValueError: none was left.
        """
        self.add(-1)

    def wait(self, timeout: float | None = None) -> bool:
        """Park until all are done; returns at once if there is nothing to be done.

        Args:
            timeout: seconds to wait at most.

        Returns:
            True when all are done, False when the time was over first (as `Event.wait`; there is no value to
            return, so no exception is needed to tell).
        """
        current_scheduler().checkpoint()
        if self._pending == 0:
            return True
        try:
            self._waiters.wait("wait for", self, timeout)
        except WaitTimeout:
            return self._pending == 0
        return True

    def __str__(self) -> str:
        return f"waitgroup#{self.id}"

    def __repr__(self) -> str:
        return f"<WaitGroup#{self.id} {self._pending} to be done, {len(self._waiters)} waiting>"
