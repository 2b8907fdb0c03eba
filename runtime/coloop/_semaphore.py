"""A semaphore: so many at a time, no matter who.

A permit that is given back goes to the first in line at that moment, so a newcomer never
overtakes. One that is given it and cancelled at the same moment has it: `acquire` returns, and the
exception comes at its next wait, inside the block that gives the permit back.
"""

from __future__ import annotations

import itertools
from typing import Final

from ._errors import WaitTimeout
from ._line import WaitQueue
from ._scheduler import Scheduler, current_scheduler
from ._shelter import shelter

_ids: Final = itertools.count(1)


class Semaphore:
    """A number of permits: `with semaphore: ...` takes one, and gives it back.

    Args:
        value: how many permits there are to begin with.
        max_value: how many there may ever be; giving back more is then a `ValueError`.

    Raises:
        ValueError: value is negative or no integer, or max_value is less than value.
    """

    __slots__ = ("__weakref__", "_value", "_waiters", "id", "max_value")

    def __init__(self, value: int = 1, *, max_value: int | None = None) -> None:
        if type(value) is not int or value < 0:
            raise ValueError(f"value must be an integer >= 0, not {value!r}")
        if max_value is not None and (type(max_value) is not int or max_value < value):
            raise ValueError(f"max_value must be an integer >= value ({value}), not {max_value!r}")
        self.id = next(_ids)
        self.max_value = max_value
        self._value = value  # if it is not 0, nobody waits
        self._waiters = WaitQueue()

    @property
    def value(self) -> int:
        """How many permits can be had at this moment."""
        return self._value

    def acquire(self, timeout: float | None = None) -> bool:
        """Take a permit; park while there is none, in line behind those who wait already.

        Args:
            timeout: seconds to wait at most.

        Returns:
            True with a permit, False when the time was over first (as `threading.Semaphore.acquire`; there is
            no value to return, so no exception is needed to tell).
        """
        current_scheduler().checkpoint()
        if self._value > 0:
            self._value -= 1
            return True
        try:
            self._waiters.wait("acquire", self, timeout)
        except WaitTimeout:
            return False
        return True

    def release(self, n: int = 1) -> None:
        """Give back `n` permits, to those first in line; anybody may.

        Raises:
            ValueError: n is less than 1, or there would be more than `max_value`; nothing was given back.
        """
        if type(n) is not int or n < 1:
            raise ValueError(f"n must be an integer >= 1, not {n!r}")
        scheduler = current_scheduler()
        self._check_room_for(n)
        if self._waiters.first(scheduler) is None:
            self._value += n
        else:
            self._hand_out(n, scheduler)

    def _hand_out(self, n: int, scheduler: Scheduler) -> None:
        with shelter(scheduler):
            while n > 0 and (heir := self._waiters.first(scheduler)) is not None:
                scheduler.wake(heir)
                n -= 1
            self._value += n

    def _check_room_for(self, n: int) -> None:
        limit = self.max_value
        if limit is not None and self._value + n > limit and self._value + n - len(self._waiters) > limit:
            raise ValueError(f"{self} was released too often: it has {limit} permits at most")

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def __str__(self) -> str:
        return f"semaphore#{self.id}"

    def __repr__(self) -> str:
        of = "" if self.max_value is None else f"/{self.max_value}"
        return f"<Semaphore#{self.id} {self._value}{of} free, {len(self._waiters)} waiting>"
