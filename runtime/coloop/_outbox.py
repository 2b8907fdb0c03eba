"""What is to be sent to one peer, in order, and how much of that may lie here.

A message is given to the kernel at once if it takes it. What it does not take is queued, and a coroutine
that lives as long as something is queued writes it. So a connection whose peer keeps up costs no second
coroutine, and nobody has to wait for a slow one: that is what the watermarks decide. Above the high one
who wants to send waits in line, with his message, until the queue has come down to the low one; or he is
refused.

Who waits in line has sent nothing yet: when he is cancelled, his message is not sent. From the moment when
he is woken it is queued: so it is sent, whatever strikes him then. Newcomers do not overtake, or messages
would change places.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from ._callbacks import Settings
from ._coroutine import Coroutine
from ._errors import Closed, OutputFull, TooManyCoroutines, WaitTimeout
from ._frames import Site
from ._line import NOBODY, WaitQueue
from ._scheduler import Scheduler
from ._shelter import shelter
from ._socket import Socket
from ._timers import Timer

WRITE_BYTES: Final = 65536  # small messages are put together up to this
RETRY_S: Final = 0.1  # when there are as many coroutines as there may be


class Outbox:
    """The queue in front of one socket.

    Args:
        socket: nobody else may write to it.
        name: whom the messages are for; the writer is named after it.
        settings: whose watermarks hold; may be replaced, see `review`.
        broken: called with the reason when nothing can be sent any more; it must not park.
    """

    __slots__ = (
        "_broken",
        "_end",
        "_full",
        "_line",
        "_lost",
        "_messages",
        "_name",
        "_queued",
        "_scheduler",
        "_site",
        "_socket",
        "_timer",
        "_writer",
        "_writing",
        "settings",
    )

    def __init__(
        self,
        socket: Socket,
        name: str,
        settings: Settings,
        broken: Callable[[BaseException], None],
        site: Site | None = None,
    ) -> None:
        self.settings = settings
        self._socket = socket
        self._name = name
        self._broken = broken
        self._site = site
        self._scheduler: Scheduler = socket._scheduler
        self._messages: deque[bytes | memoryview] = deque()
        self._queued = 0
        self._full = False
        self._lost = False
        self._line = WaitQueue()
        self._end = WaitQueue()  # of those who wait until all is written
        self._writer: Coroutine | None = None
        self._timer: Timer | None = None  # until it is started
        self._writing = False  # from the moment when one is needed

    @property
    def queued(self) -> int:
        """Bytes that the kernel has not taken."""
        return self._queued + self._socket.owed

    @property
    def full(self) -> bool:
        """Whether more was queued than may be, and it has not come down yet."""
        return self._full or bool(self._line)

    def put(self, message: bytes) -> None:
        """Send it, or queue it; parks while too much is queued.

        Raises:
            OutputFull: too much is queued, and nobody waits here (`overflow="fail"`).
            Closed: it was closed while this waited; the message is not sent.
            ConnectionError: the peer has gone.
        """
        if not self.full:
            with shelter(self._scheduler):
                self._add(message)
            return
        if self.settings.overflow == "fail":
            raise OutputFull(
                f"{self._name}: {self.queued} bytes are queued (high_water {self.settings.high_water}); "
                "its peer reads too slowly"
            )
        self._line.wait("send to", self._name, brings=message)

    def offer(self, message: bytes) -> bool:
        """Send it, or queue it; False if too much is queued. Never parks."""
        if self.full:
            return False
        with shelter(self._scheduler):
            self._add(message)
        return True

    def review(self, settings: Settings) -> None:
        """Go by other watermarks from now on."""
        self.settings = settings
        self._full = self._full and self._queued > settings.low_water
        self._admit()

    def empty(self, patience_s: float) -> bool:
        """Park until the kernel has all; False if nothing moved for `patience_s`, or some is lost."""
        while self._writing:
            before = self._socket.sent
            try:
                self._end.wait("send to", self._name, patience_s)
            except WaitTimeout:
                if self._socket.sent == before:
                    return False
        return not self.queued and not self._lost

    def refuse(self, error: Callable[[], BaseException]) -> None:
        """Nobody can wait to send any more: those who do get `error()`. What is queued will still be sent."""
        if self._line:
            self._line.interrupt_all(error)

    def drop(self) -> None:
        """What is queued will not be sent, so the stream can come to no proper end any more."""
        self._lost = self._lost or self._writing or bool(self._messages)
        self._messages.clear()
        self._queued = 0
        self._full = False
        if self._writer is not None and self._writer is not self._scheduler.running:
            self._scheduler.cancel(self._writer)
        elif self._timer is not None:  # it has not begun
            self._timer.cancel()
            self._timer = None
            self._writing = False
            self._end.wake_all()

    def let_go(self) -> None:
        """Nobody wants to hear any more what becomes of it."""
        self._broken = _unheard

    # -- the way of a message --------------------------------------------------------------------

    def _add(self, message: bytes) -> None:
        """Others send here too, and nothing may come between two messages: so this is done to its end."""
        rest: bytes | memoryview = message
        if not self._writing and not self._messages:
            try:
                count = self._socket.offer(message)
            except (OSError, Closed) as error:
                self._broken(error)
                raise
            if count == len(message) and not self._socket.owed:
                return
            if count:
                rest = memoryview(message)[count:]
        if rest:
            self._messages.append(rest)
            self._queued += len(rest)
        self._full = self._full or self.queued > self.settings.high_water
        if not self._writing:
            self._writing = True
            self._start_soon(0.0)  # to start it here would be a place where others run

    def _start_soon(self, delay_s: float) -> None:
        self._timer = self._scheduler.call_later(delay_s, self._start)

    def _start(self) -> None:
        """In the root: have it written by a coroutine of its own."""
        self._timer = None
        try:
            self._writer = self._scheduler.go(self._write, name=f"{self._name}/out", spawned_at=self._site)
        except TooManyCoroutines:  # some will end
            self._start_soon(RETRY_S)
        else:
            self._scheduler.adopt(self._writer, self._ended)

    def _write(self) -> None:
        """The writer: until nothing is left. Its failure is the connection's, and is told there."""
        try:
            while self._messages or self._socket.owed:
                self._took(self._socket.send(self._next()))
        except (OSError, Closed) as error:
            self._fail(error)
        except BaseException as error:
            self._fail(error)
            raise

    def _fail(self, error: BaseException) -> None:
        self._writing = False
        self._broken(error)

    def _ended(self, writer: Coroutine) -> None:
        """Of one that was cancelled before it began, this is all that is heard."""
        self._writer = None
        if self._writing and (self._messages or self._socket.owed):
            self._fail(Closed(f"{writer} was cancelled, which was to write to {self._name}"))
        self._writing = False
        self._end.wake_all()

    def _next(self) -> bytes | memoryview:
        """What is to be written next; it stays in front of the queue until the kernel has taken it."""
        messages = self._messages
        if not messages:
            return b""
        if len(messages) == 1 or len(messages[0]) + len(messages[1]) > WRITE_BYTES:
            return messages[0]
        parts: list[bytes | memoryview] = []
        size = 0
        while messages and size + len(messages[0]) <= WRITE_BYTES:
            size += len(messages[0])
            parts.append(messages.popleft())
        joined = b"".join(parts)
        messages.appendleft(joined)
        return joined

    def _took(self, count: int) -> None:
        """The kernel has taken so many bytes of the first."""
        if count and self._messages:
            first = self._messages.popleft()
            if count < len(first):
                self._messages.appendleft(memoryview(first)[count:])
            self._queued -= count
        if self.queued <= self.settings.low_water:
            self._full = False
            self._admit()

    def _admit(self) -> None:
        """Queue what those in line have brought, until it is too much again."""
        while not self._full:
            message = self._line.serve(self._scheduler)
            if message is NOBODY:
                return
            self._messages.append(message)
            self._queued += len(message)
            self._full = self._queued > self.settings.high_water


def _unheard(_: BaseException) -> None:
    """What is told of a connection that is over."""
