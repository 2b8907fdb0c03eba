"""A channel hands values from coroutine to coroutine, in order.

Invariants, as in Go's `chan.go`: at least one of the two lines is empty. Somebody waits to
receive only if nothing is buffered; somebody waits to send only if the buffer is full. So a
newcomer that finds its own side's line not empty would have to wait as well: nobody overtakes.

A value is handed to the receiver that is first in line at the moment of sending. If that
receiver is cancelled a moment later, the value is its own: no other sees it.

Those who need not wait let others run first, now and then (`checkpoint`), and look at the channel
after that: once a value has been taken, nothing may come between it and its receiver.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from ._coroutine import Coroutine
from ._errors import Closed
from ._scheduler import Scheduler, current_scheduler
from ._sync import WaitQueue

T = TypeVar("T")

_ids: Final = itertools.count(1)


class Channel(Generic[T]):
    """A queue of at most `capacity` values; with 0 every `send` meets its `receive`.

    Args:
        capacity: how many values it buffers.

    Raises:
        ValueError: capacity is negative or no integer.
    """

    __slots__ = ("__weakref__", "_buffer", "_closed", "_receivers", "_senders", "capacity", "id")

    def __init__(self, capacity: int = 0) -> None:
        if type(capacity) is not int or capacity < 0:
            raise ValueError(f"capacity must be an integer >= 0, not {capacity!r}")
        self.id = next(_ids)
        self.capacity = capacity
        self._buffer: deque[T] = deque()
        self._closed = False
        self._senders = WaitQueue()
        self._receivers = WaitQueue()

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def send(self, value: T, timeout: float | None = None) -> None:
        """Hand `value` over; park while there is no room, in line behind those who wait already.

        Raises:
            Closed: the channel is closed, or is closed while this waits; the value was not handed over.
            Timeout: nobody took it within `timeout` seconds; likewise.
        """
        scheduler = current_scheduler()
        scheduler.checkpoint()
        self._check_open()
        receiver = self._receivers.first(scheduler)
        if receiver is not None:
            scheduler.wake(receiver, value)
        elif len(self._buffer) < self.capacity:
            self._buffer.append(value)
        else:
            self._senders.wait("send to", self, timeout, brings=value)

    def receive(self, timeout: float | None = None) -> T:
        """The next value; park while there is none, in line behind those who wait already.

        Raises:
            Closed: the channel is closed and drained.
            Timeout: nothing came within `timeout` seconds.
        """
        scheduler = current_scheduler()
        scheduler.checkpoint()
        sender = self._senders.first(scheduler)
        if self._buffer:
            value = self._buffer.popleft()
            if sender is not None:
                self._buffer.append(self._take_from(sender, scheduler))
            return value
        if sender is not None:
            return self._take_from(sender, scheduler)
        self._check_open()
        received: T = self._receivers.wait("receive from", self, timeout)
        return received

    def close(self) -> None:
        """No more values: those who wait get `Closed`; what is buffered can still be received. Twice is once."""
        if not self._closed:
            self._receivers.interrupt_all(self._closed_error)
            self._senders.interrupt_all(self._closed_error)
            self._closed = True

    def __iter__(self) -> Iterator[T]:
        """Receive until the channel is closed and drained."""
        while True:
            try:
                value = self.receive()
            except Closed:
                if self._closed:
                    return
                raise
            yield value

    def _take_from(self, sender: Coroutine, scheduler: Scheduler) -> T:
        value: T = self._senders.brought_by(sender)
        scheduler.wake(sender)
        return value

    def _check_open(self) -> None:
        if self._closed:
            raise self._closed_error()

    def _closed_error(self) -> Closed:
        return Closed(f"channel#{self.id} is closed")

    def __str__(self) -> str:
        return f"channel#{self.id}"

    def __repr__(self) -> str:
        waiting = f"{len(self._senders)} sending, {len(self._receivers)} receiving"
        closed = " closed" if self._closed else ""
        return f"<Channel#{self.id} {len(self._buffer)}/{self.capacity}{closed}, {waiting}>"
