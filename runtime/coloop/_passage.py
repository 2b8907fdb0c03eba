"""What passes through a channel: values handed from coroutine to coroutine, in order.

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

from collections import deque
from typing import Any, Generic, TypeVar

from ._errors import Closed
from ._line import NOBODY, WaitQueue
from ._scheduler import Scheduler, current_scheduler

T = TypeVar("T")


class Passage(Generic[T]):
    """The two lines of a channel, and the buffer between them; `Channel` adds what is not in haste."""

    __slots__ = ("_buffer", "_closed", "_receivers", "_senders", "capacity")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._buffer: deque[T] = deque()
        self._closed = False
        self._senders = WaitQueue()
        self._receivers = WaitQueue()

    def __len__(self) -> int:
        return len(self._buffer)

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
                raise closed_error(self)
            value = self._receivers.wait("receive from", self, timeout)
        return value

    def _give(self, value: T, scheduler: Scheduler) -> bool:
        """Hand `value` over, if that is possible without waiting."""
        if self._closed:
            raise closed_error(self)
        if not self._receivers.is_empty() and self._receivers.serve(scheduler, value) is not NOBODY:
            return True
        if len(self._buffer) < self.capacity:
            self._buffer.append(value)
            return True
        return False

    def _take(self, scheduler: Scheduler) -> Any:
        """The next value, if there is one without waiting; `NOBODY` if not."""
        sent: Any = NOBODY if self._senders.is_empty() else self._senders.serve(scheduler)
        if not self._buffer:
            return sent
        if sent is not NOBODY:
            self._buffer.append(sent)
        return self._buffer.popleft()


def closed_error(passage: object) -> Closed:
    """What those hear who send, or wait, where no value passes any more."""
    return Closed(f"{passage} is closed")
