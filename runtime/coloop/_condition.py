"""A condition: wait, with a lock, until somebody says that what it guards has changed.

The lock is given back for as long as one waits, and is held again when `wait` is left, however it
is left. What strikes while the lock is being taken back, a cancel or the limit of a block, is
kept for the next wait. So one that was notified and cancelled at the same moment owns the
notification: `wait` returns True. One that was cancelled before is not notified: the next one is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final, TypeVar

from ._coroutine import Coroutine
from ._errors import LockMisused, WaitTimeout
from ._line import WaitQueue
from ._lock import Lock, RLock, called
from ._scheduler import Scheduler, current_scheduler
from ._shelter import shelter
from ._timers import check_seconds

T = TypeVar("T")

_ids: Final = itertools.count(1)


class Condition:
    """`with condition:` holds its lock; in there one may `wait` and `notify`.

    Args:
        lock: a `Lock` or an `RLock`; several conditions may share one. An `RLock` of its own by default.
    """

    __slots__ = ("__weakref__", "_waiters", "id", "lock")

    def __init__(self, lock: Lock | None = None) -> None:
        self.id = next(_ids)
        self.lock = RLock() if lock is None else lock
        self._waiters = WaitQueue()

    def acquire(self, timeout: float | None = None) -> bool:
        """Take the lock; as `Lock.acquire`."""
        return self.lock.acquire(timeout)

    def release(self) -> None:
        """Give the lock back; as `Lock.release`."""
        self.lock.release()

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock back, however often it was taken; park until notified; take the lock as before.

        Args:
            timeout: seconds to wait for the notification at most; taking the lock back is not limited.

        Returns:
            True when notified, False when the time was over first (as `threading.Condition.wait`; there is no
            value to return, so no exception is needed to tell).

        Raises:
            LockMisused: this coroutine does not hold the lock.
        """
        scheduler = current_scheduler()
        me = self._check_held(scheduler, "wait for")
        lock, depth = self.lock, self.lock._depth
        try:
            lock._pass_on(scheduler)
            self._waiters.wait("wait for", self, timeout)
        except WaitTimeout:
            return False
        finally:
            lock._take_back(me, depth)
        return True

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until `predicate()`, asked with the lock held, says something true.

        Args:
            predicate: asked at once, and after each notification.
            timeout: seconds to wait for notifications at most, all together.

        Returns:
            What `predicate` said last: something false when the time was over first.

        Raises:
            LockMisused: this coroutine does not hold the lock.
        """
        scheduler = current_scheduler()
        self._check_held(scheduler, "wait for")
        deadline = None if timeout is None else scheduler.clock.now() + check_seconds(timeout, "timeout")
        while not (answer := predicate()):
            left_s = None if deadline is None else max(0.0, deadline - scheduler.clock.now())
            if not self.wait(left_s):
                return predicate()
        return answer

    def notify(self, n: int = 1) -> None:
        """Wake the first `n` in line; each goes on when it has the lock.

        Raises:
            LockMisused: this coroutine does not hold the lock.
        """
        scheduler = current_scheduler()
        self._check_held(scheduler, "notify")
        with shelter(scheduler):
            for _ in range(n):
                waiter = self._waiters.first(scheduler)
                if waiter is None:
                    return
                scheduler.wake(waiter)

    def notify_all(self) -> None:
        """Wake all who wait; they go on one after the other, in order.

        Raises:
            LockMisused: this coroutine does not hold the lock.
        """
        self._check_held(current_scheduler(), "notify")
        self._waiters.wake_all()

    def _check_held(self, scheduler: Scheduler, verb: str) -> Coroutine:
        me, lock = scheduler.running, self.lock
        if me is None or lock.holder is not me:
            raise LockMisused(f"{called(me)} must hold {lock._name} to {verb} {self}: it is {lock._state}")
        return me

    def __str__(self) -> str:
        return f"condition#{self.id}"

    def __repr__(self) -> str:
        return f"<Condition#{self.id} with {self.lock}, {len(self._waiters)} waiting>"
