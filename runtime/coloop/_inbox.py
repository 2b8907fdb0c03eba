"""The one place where the world outside wakes a coroutine: any thread puts, one scheduler takes.

While a coroutine waits here, somebody outside may still act: that is hope, and no deadlock.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

from ._coroutine import Coroutine
from ._errors import Busy, WrongThread
from ._scheduler import Scheduler, current_scheduler

T = TypeVar("T")


class Inbox(Generic[T]):
    """An unbounded queue into the scheduler that made it. Make it inside a coroutine."""

    def __init__(self) -> None:
        self._scheduler: Scheduler = current_scheduler()
        self._items: deque[T] = deque()
        self._waiter: Coroutine | None = None

    def put(self, item: T) -> None:
        """Add `item`; from any thread.

        Raises:
            NotRunning: the scheduler has ended.
        """
        self._items.append(item)
        self._scheduler.call_soon_threadsafe(self._notify)

    def get(self) -> T:
        """The next item; parks while there is none.

        Raises:
            Busy: another coroutine waits here already.
            WrongThread: called on another thread.
        """
        if threading.get_ident() != self._scheduler.thread_id:
            raise WrongThread(
                "inbox: get() belongs to the scheduler that made it; use its scheduler.call_soon_threadsafe(...)"
            )
        self._scheduler.checkpoint()
        while not self._items:
            self._wait()
        return self._items.popleft()

    def _wait(self) -> None:
        if self._waiter is not None:
            raise Busy(f"{self._waiter} waits in this inbox already")
        self._waiter = self._scheduler.running
        self._scheduler.inbox_waiters += 1
        try:
            self._scheduler.park("prompt")
        finally:
            self._scheduler.inbox_waiters -= 1
            self._waiter = None

    def _notify(self) -> None:
        if self._waiter is not None:
            self._scheduler.wake(self._waiter)
