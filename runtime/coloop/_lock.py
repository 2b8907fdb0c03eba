"""Locks: one coroutine at a time, and the lock knows which.

Where coroutines switch only at waits, a lock is needed by those who wait in the midst of what must
not be mixed. It belongs to whoever holds it: giving it back hands it to the first in line at that
moment, so that a newcomer never overtakes. One that is handed it and cancelled at the same moment
holds it: `acquire` returns, and the exception comes at its next wait, inside the block that gives
the lock back.

A holder that ends without giving back is a mistake that should be seen, so the lock stays with the
dead one and names it, and newcomers are refused instead of waiting for ever. There is one way to
get there without a mistake: a coroutine that is killed while it computes can be hit at the very
door of `release`, and no door is narrower in Python. That is why anybody may release what a dead one
holds.
"""

from __future__ import annotations

import itertools
from typing import Final

from ._coroutine import Coroutine
from ._errors import LockMisused, NotRunning, WaitTimeout, WrongThread
from ._line import WaitQueue
from ._scheduler import Scheduler, current_scheduler
from ._shelter import shelter

_ids: Final = itertools.count(1)


class Lock:
    """Held by one coroutine at a time: `with lock: ...`."""

    __slots__ = ("__weakref__", "_depth", "_holder", "_waiters", "id")

    def __init__(self) -> None:
        self.id = next(_ids)
        self._holder: Coroutine | None = None  # without one, nobody waits
        self._depth = 0  # how often the holder has to give it back
        self._waiters = WaitQueue()

    @property
    def holder(self) -> Coroutine | None:
        """Who holds it; one that has ended if it did not give it back."""
        return self._holder

    def locked(self) -> bool:
        """Whether anybody holds it."""
        return self._holder is not None

    def acquire(self, timeout: float | None = None) -> bool:
        """Park until it is this coroutine's turn to hold it.

        Args:
            timeout: seconds to wait at most.

        Returns:
            True when it is held, False when the time was over first (as `threading.Lock.acquire`; there is
            no value to return, so no exception is needed to tell).

        Raises:
            LockMisused: this coroutine holds it already, or one that has ended kept it.
            NotRunning: no coroutine runs here: nobody could hold it.
            WrongThread: it is held by a coroutine of another scheduler.
        """
        scheduler = current_scheduler()
        scheduler.checkpoint()
        me = self._candidate(scheduler)
        holder = self._holder
        if holder is None:
            self._holder, self._depth = me, 1
            return True
        if holder is me:
            return self._acquire_again(me)
        self._check_waiting_helps(holder, me)
        try:
            self._waiters.wait("acquire", self, timeout)
        except WaitTimeout:
            return False
        return True

    def release(self) -> None:
        """Give it back: the first in line holds it from this moment.

        Raises:
            LockMisused: this coroutine does not hold it.
        """
        scheduler = current_scheduler()
        self._check_may_release(scheduler)
        self._pass_on(scheduler)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _candidate(self, scheduler: Scheduler) -> Coroutine:
        if scheduler.running is None:
            raise NotRunning(
                f"only a coroutine can hold {self._name}: call this inside coloop.run(main) or go(...)"
            )
        return scheduler.running

    def _acquire_again(self, me: Coroutine) -> bool:
        raise LockMisused(f"{called(me)} holds {self._name} already and would wait for itself: use an RLock")

    def _check_waiting_helps(self, holder: Coroutine, me: Coroutine) -> None:
        if holder.ended:
            raise LockMisused(
                f"{called(me)} would wait for ever: {self._name} is held by {called(holder)}; "
                "release() frees it"
            )
        if holder._scheduler is not me._scheduler:
            raise WrongThread(f"{self._name} is held by {called(holder)} of another scheduler")

    def _check_may_release(self, scheduler: Scheduler) -> None:
        holder = self._holder
        if holder is not None and (holder is scheduler.running or holder.ended):
            return
        raise LockMisused(f"{called(scheduler.running)} cannot release {self._name}: it is {self._state}")

    def _pass_on(self, scheduler: Scheduler) -> None:
        """All of it, to the first in line."""
        heir = self._waiters.first(scheduler)
        if heir is None:
            self._holder = None
        else:
            with shelter(scheduler):
                scheduler.wake(heir)
                self._holder, self._depth = heir, 1

    def _take_back(self, me: Coroutine, depth: int) -> None:
        """Hold it again as before; whatever strikes meanwhile is kept for this coroutine's next wait."""
        kept: list[BaseException] = []
        while self._holder is not me:
            try:
                if self._holder is None:
                    self._holder = me
                else:
                    self._waiters.wait("acquire", self)
            except RecursionError:  # it could not even begin to wait, and never will
                raise
            except BaseException as error:
                kept.append(error.with_traceback(None))
        self._depth = depth
        if kept:
            me._interrupts = kept + (me._interrupts or [])

    @property
    def _state(self) -> str:
        return "free" if self._holder is None else f"held{self._how_often()} by {called(self._holder)}"

    @property
    def _name(self) -> str:
        return f"{type(self).__name__.lower()}#{self.id}"

    def __str__(self) -> str:
        """What one waits for, and for whom."""
        holder = self._holder
        if holder is None:
            return self._name
        return f"{self._name} of {holder}{', which has ended' if holder.ended else ''}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}#{self.id} {self._state}, {len(self._waiters)} waiting>"

    def _how_often(self) -> str:
        return "" if self._depth == 1 else f" {self._depth} times"


class RLock(Lock):
    """A lock that its holder may take again; it is free when it was given back as often as it was taken."""

    __slots__ = ()

    def release(self) -> None:
        """Give it back once: at the last time the first in line holds it from this moment.

        What one that has ended still holds is given back all at once.

        Raises:
            LockMisused: this coroutine does not hold it.
        """
        scheduler = current_scheduler()
        self._check_may_release(scheduler)
        if self._depth > 1 and self._holder is scheduler.running:
            self._depth -= 1
        else:
            self._pass_on(scheduler)

    def _acquire_again(self, me: Coroutine) -> bool:  # noqa: ARG002 - a plain lock names it
        self._depth += 1
        return True


def called(coroutine: Coroutine | None) -> str:
    """Its number and name and, if it has ended, how; for error messages."""
    if coroutine is None:
        return "a callback"
    ended = f" (which has ended: {coroutine.outcome})" if coroutine.ended else ""
    return f"{coroutine} {coroutine.name!r}{ended}"
