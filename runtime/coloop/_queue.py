"""A queue of the shape that `queue.Queue` has, for coroutines: tasks for those who work.

It differs from a channel in three things: without a limit it takes whatever is put, it knows
how many tasks are not done yet, and it raises what `queue.Queue` raises. Its invariants are a channel's:
somebody waits to get only if nothing is there, somebody waits to put only if it is full. So a newcomer
never overtakes, and whoever is handed an item and cancelled at the same moment has it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

from ._errors import Closed, QueueEmpty, QueueFull, WaitTimeout
from ._line import WaitQueue
from ._scheduler import Scheduler, current_scheduler
from ._shelter import shelter

T = TypeVar("T")

_ids: Final = itertools.count(1)


class Queue(Generic[T]):
    """A queue of at most `maxsize` items; without a limit if that is 0 or less.

    Raises:
        ValueError: maxsize is no integer.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_getters",
        "_items",
        "_joiners",
        "_putters",
        "_unfinished",
        "id",
        "maxsize",
    )

    def __init__(self, maxsize: int = 0) -> None:
        if type(maxsize) is not int:
            raise ValueError(f"maxsize must be an integer, not {maxsize!r}")
        self.id = next(_ids)
        self.maxsize = maxsize
        self._items: deque[T] = deque()
        self._unfinished = 0
        self._closed = False
        self._getters = WaitQueue()
        self._putters = WaitQueue()
        self._joiners = WaitQueue()

    def qsize(self) -> int:
        """How many items are in it."""
        return len(self._items)

    def empty(self) -> bool:
        """Whether no item is in it."""
        return not self._items

    def full(self) -> bool:
        """Whether it holds `maxsize` items."""
        return 0 < self.maxsize <= len(self._items)

    @property
    def unfinished_tasks(self) -> int:
        """How many items were put for which `task_done` was not called yet."""
        return self._unfinished

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Add `item`; park while it is full, in line behind those who wait already.

        Args:
            item: any object.
            block: False is `put_nowait`.
            timeout: seconds to wait at most.

        Raises:
            Closed: it is closed, or is closed while this waits; the item was not put.
            QueueFull: no room within `timeout` seconds; likewise. It is both a `queue.Full`, as from
                `queue.Queue`, and a `Timeout`, as from a channel.
        """
        scheduler = current_scheduler()
        scheduler.checkpoint()
        if self._put_at_once(item, scheduler):
            return
        if not block:
            raise QueueFull(f"{self} is full ({self.maxsize} items)")
        try:
            self._putters.wait("put to", self, timeout, brings=item)
        except WaitTimeout as error:
            raise QueueFull(str(error)) from None

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """The next item; park while there is none, in line behind those who wait already.

        Args:
            block: False is `get_nowait`.
            timeout: seconds to wait at most.

        Raises:
            Closed: it is closed, and all items have been taken.
            QueueEmpty: nothing came within `timeout` seconds. It is both a `queue.Empty`, as from
                `queue.Queue`, and a `Timeout`, as from a channel.
        """
        scheduler = current_scheduler()
        scheduler.checkpoint()
        if self._items:
            return self._take(scheduler)
        self._check_open()
        if not block:
            raise QueueEmpty(f"{self} is empty")
        try:
            item: T = self._getters.wait("get from", self, timeout)
        except WaitTimeout as error:
            raise QueueEmpty(str(error)) from None
        return item

    def put_nowait(self, item: T) -> None:
        """Add `item` if there is room.

        Raises:
            Closed: it is closed.
            QueueFull: it is full (also caught as `queue.Full`).
        """
        self.put(item, block=False)

    def get_nowait(self) -> T:
        """The next item if there is one.

        Raises:
            Closed: it is closed, and all items have been taken.
            QueueEmpty: it is empty (also caught as `queue.Empty`).
        """
        return self.get(block=False)

    def task_done(self) -> None:
        """What one of the items asked for has been done; after the last one all who `join` are woken.

        Raises:
            ValueError: called more often than items were put.
        """
        if self._unfinished == 0:
            raise ValueError(f"{self}: task_done() was called more often than items were put")
        if self._unfinished == 1 and self._joiners:
            self._joiners.wake_all()
        self._unfinished -= 1  # at last: who is killed in the midst of this has done nothing

    def join(self, timeout: float | None = None) -> bool:
        """Park until `task_done` was called for every item that was put.

        Args:
            timeout: seconds to wait at most.

        Returns:
            True when all is done, False when the time was over first (as `Coroutine.join`; there is no
            value to return, so no exception is needed to tell).
        """
        current_scheduler().checkpoint()
        if self._unfinished == 0:
            return True
        try:
            self._joiners.wait("join", self, timeout)
        except WaitTimeout:
            return self._unfinished == 0
        return True

    def close(self) -> None:
        """No more items: those who wait hear `Closed`; what is in it can still be got. Twice is once."""
        if not self._closed:
            self._getters.interrupt_all(self._closed_error)
            self._putters.interrupt_all(self._closed_error)
            self._closed = True

    def __iter__(self) -> Iterator[T]:
        """Get until it is closed and empty."""
        while True:
            try:
                item = self.get()
            except Closed:
                if self._closed:
                    return
                raise
            yield item

    def _put_at_once(self, item: T, scheduler: Scheduler) -> bool:
        """False if there is no room."""
        self._check_open()
        getter = self._getters.first(scheduler)
        if getter is not None:
            with shelter(scheduler):
                scheduler.wake(getter, item)
                self._unfinished += 1
            return True
        if self.full():
            return False
        self._unfinished += 1
        self._items.append(item)
        return True

    def _take(self, scheduler: Scheduler) -> T:
        """The item whose turn it is; its place goes to the first who waits to put."""
        putter = self._putters.first(scheduler)
        if putter is None:
            return self._items.popleft()
        with shelter(scheduler):
            brought: Any = self._putters.brought_by(putter)
            scheduler.wake(putter)
            self._items.append(brought)
            self._unfinished += 1
            return self._items.popleft()

    def _check_open(self) -> None:
        if self._closed:
            raise self._closed_error()

    def _closed_error(self) -> Closed:
        return Closed(f"{self} is closed")

    def __str__(self) -> str:
        return f"queue#{self.id}"

    def __repr__(self) -> str:
        size = f"{len(self._items)}/{self.maxsize}" if self.maxsize > 0 else f"{len(self._items)} items"
        closed = " closed" if self._closed else ""
        waiting = f"{len(self._putters)} putting, {len(self._getters)} getting, {len(self._joiners)} joining"
        return f"<Queue#{self.id} {size}{closed}, {self._unfinished} unfinished, {waiting}>"
