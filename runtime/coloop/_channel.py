"""A channel hands values from coroutine to coroutine, in order.

Invariants, as in Go's `chan.go`: at least one of the two lines is empty. Somebody waits to
receive only if nothing is buffered; somebody waits to send only if the buffer is full. So a
newcomer that finds its own side's line not empty would have to wait as well: nobody overtakes.

A value is handed to the receiver that was first in line at the moment of sending. If that
receiver is cancelled in the same moment, the value is its own: no other sees it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from ._errors import Closed
from ._scheduler import current_scheduler
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
        self._check_open()
        scheduler = current_scheduler()
        if self._receivers:
            receiver, _ = self._receivers.pop()
            scheduler.wake(receiver, value)
        elif len(self._buffer) < self.capacity:
            self._buffer.append(value)
        else:
            self._senders.wait("send to", self, timeout, brings=value)
            return
        scheduler.checkpoint()

    def receive(self, timeout: float | None = None) -> T:
        """The next value; park while there is none, in line behind those who wait already.

        Raises:
            Closed: the channel is closed and drained.
            Timeout: nothing came within `timeout` seconds.
        """
        if self._buffer:
            value = self._buffer.popleft()
            if self._senders:
                self._buffer.append(self._take_from_sender())
        elif self._senders:
            value = self._take_from_sender()
        else:
            self._check_open()
            received: T = self._receivers.wait("receive from", self, timeout)
            return received
        current_scheduler().checkpoint()
        return value

    def close(self) -> None:
        """No more values: those who wait get `Closed`; what is buffered can still be received. Twice is once."""
        self._closed = True
        self._receivers.interrupt_all(self._closed_error)
        self._senders.interrupt_all(self._closed_error)

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

    def _take_from_sender(self) -> T:
        sender, value = self._senders.pop()
        current_scheduler().wake(sender)
        taken: T = value
        return taken

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
