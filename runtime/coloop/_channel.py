"""A channel hands values from coroutine to coroutine, in order. How that is done is said in `_passage.py`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from ._elsewhere import carried
from ._errors import Closed
from ._form import native
from ._line import WaitQueue
from ._passage import closed_error

if TYPE_CHECKING or native is None:
    from ._passage import Passage
else:
    Passage = native.Passage

T = TypeVar("T")

_ids: Final = itertools.count(1)


class Channel(Passage[T], Generic[T]):
    """A queue of at most `capacity` values; with 0 every `send` meets its `receive`.

    Args:
        capacity: how many values it buffers.

    Raises:
        ValueError: capacity is negative or no integer.
    """

    __slots__ = ("__weakref__", "id")

    def __init__(self, capacity: int = 0) -> None:
        if type(capacity) is not int or capacity < 0:
            raise ValueError(f"capacity must be an integer >= 0, not {capacity!r}")
        super().__init__(capacity)
        self.id = next(_ids)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def sending(self, value: T) -> Operation:
        """To send `value` here, as one of the operations of a `select`."""
        return Operation(self, sends=True, value=value)

    def receiving(self) -> Operation:
        """To receive from here, as one of the operations of a `select`."""
        return Operation(self)

    def close(self) -> None:
        """No more values: those who wait get `Closed`; what is buffered can be received. Twice is once."""
        if not self._closed:
            self._receivers.interrupt_all(lambda: closed_error(self))
            self._senders.interrupt_all(lambda: closed_error(self))
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

    def __reduce__(self) -> tuple[Any, ...]:
        return carried(self, str(self), "made", "make one where it is used")

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
