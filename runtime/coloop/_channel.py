"""A channel hands values from coroutine to coroutine, in order.

Invariants, as in Go's `chan.go`: at least one of the two lines is empty. Somebody waits to
receive only if nothing is buffered; somebody waits to send only if the buffer is full. So a
newcomer that finds its own side's line not empty would have to wait as well: nobody overtakes.

A value is handed to the receiver that is first in line at the moment of sending. If that
receiver is cancelled a moment later, the value is its own: no other sees it.

A coroutine that waits both to send and to receive here (`select`) stands in both lines of an
unbuffered channel. That is the one exception, and it breaks nothing: any newcomer meets it.

Those who need not wait let others run first, now and then (`checkpoint`), and look at the channel
after that: once a value has been taken, nothing may come between it and its receiver.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

from ._errors import Closed
from ._scheduler import Scheduler, current_scheduler
from ._sync import NOBODY, WaitQueue

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
        if not self._give(value, scheduler):
            self._senders.wait("send to", self, timeout, brings=value)

    def receive(self, timeout: float | None = None) -> T:
        """The next value; park while there is none, in line behind those who wait already.

        Raises:
            Closed: the channel is closed and drained.
            Timeout: nothing came within `timeout` seconds.
        """
        scheduler = current_scheduler()
        scheduler.checkpoint()
        value: T = self._take(scheduler)
        if value is NOBODY:
            if self._closed:
                raise self._closed_error()
            value = self._receivers.wait("receive from", self, timeout)
        return value

    def sending(self, value: T) -> Operation:
        """To send `value` here, as one of the operations of a `select`."""
        return Operation(self, sends=True, value=value)

    def receiving(self) -> Operation:
        """To receive from here, as one of the operations of a `select`."""
        return Operation(self)

    def close(self) -> None:
        """No more values: those who wait get `Closed`; what is buffered can be received. Twice is once."""
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

    def _give(self, value: T, scheduler: Scheduler) -> bool:
        """Hand `value` over, if that is possible without waiting."""
        if self._closed:
            raise self._closed_error()
        if self._receivers._line and self._receivers.serve(scheduler, value) is not NOBODY:
            return True
        if len(self._buffer) < self.capacity:
            self._buffer.append(value)
            return True
        return False

    def _take(self, scheduler: Scheduler) -> Any:
        """The next value, if there is one without waiting; `NOBODY` if not."""
        sent: Any = self._senders.serve(scheduler) if self._senders._line else NOBODY
        if not self._buffer:
            return sent
        if sent is not NOBODY:
            self._buffer.append(sent)
        return self._buffer.popleft()

    def _closed_error(self) -> Closed:
        return Closed(f"channel#{self.id} is closed")

    def __str__(self) -> str:
        return f"channel#{self.id}"

    def __repr__(self) -> str:
        waiting = f"{len(self._senders)} sending, {len(self._receivers)} receiving"
        closed = " closed" if self._closed else ""
        return f"<Channel#{self.id} {len(self._buffer)}/{self.capacity}{closed}, {waiting}>"


class Operation:
    """One thing that `select` may do; made by `Channel.sending` and `Channel.receiving`, and not used up.

    Attributes:
        channel: where.
        sends: whether it sends; it receives otherwise.
        value: what it sends.
    """

    __slots__ = ("channel", "sends", "value")

    def __init__(self, channel: Channel[Any], *, sends: bool = False, value: Any = None) -> None:
        self.channel = channel
        self.sends = sends
        self.value = value

    @property
    def _line(self) -> WaitQueue:
        return self.channel._senders if self.sends else self.channel._receivers

    def __str__(self) -> str:
        return f"{'send to' if self.sends else 'receive from'} {self.channel}"

    def __repr__(self) -> str:
        return f"<Operation: {self}>"
