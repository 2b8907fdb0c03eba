"""A descriptor that belongs to a scheduler: who may use it, and how it is closed.

Each direction has a lane, and a lane holds one coroutine: bytes that two of them read from one
stream belong to neither. A second one gets `Busy`, with the names of both and where they stand.

The order of closing is what keeps a reused descriptor number from hearing of its former owner:
out of the poller first, then marked, then those who wait are woken, and only then close(2). Whoever
was woken finds the mark and gets `Closed`, which names who closed it.

A handle is a serial number, never the descriptor's.
"""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ._address import Address, address_of, kind_of
from ._binding import SocketFile
from ._elsewhere import carried, wrong_process
from ._errors import Busy, Closed, NotRunning, Timeout, WrongThread
from ._frames import top_site
from ._own_tables import enter
from ._poller import Wire
from ._scheduler import current_scheduler
from ._timeouts import timeout as time_limit

if TYPE_CHECKING:
    from ._coroutine import Coroutine
    from ._snapshot import SocketPicture

T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., object])

_ids: Final = itertools.count(1)


class Endpoint(Wire):
    """What sockets and listeners have in common.

    Args:
        raw: a socket; it belongs to the endpoint from now on, also if this fails.
        role: `listener`, `client`, `server` or `bound`.
        local: its own address, if it is known already.
        file: what it has made and is to be removed with it.

    Attributes:
        id: its serial number, counted from 1 and never used again.
        owner: the id of the coroutine on whose account it is; 0 for none.
        role: as given.
    """

    __slots__ = ("__weakref__",)

    def __init__(
        self, raw: socket.socket, role: str, local: Address | None = None, file: SocketFile | None = None
    ) -> None:
        try:
            scheduler = current_scheduler()
            raw.setblocking(False)
            super().__init__(raw.fileno())
            scheduler.poller.register(self)
        except BaseException:
            if file is not None:
                file.remove()
            raw.close()
            raise
        # A read that stops at a passed descriptor or at other credentials is short, and drains nothing.
        self._short_is_drained = raw.family != socket.AF_UNIX
        self._raw = raw
        self._file = file
        self._scheduler = scheduler
        self._local = local
        self._born_at = scheduler.clock.now()
        self.id = next(_ids)
        self.owner = 0 if scheduler.running is None else scheduler.running.id
        self.role = role
        enter(scheduler.sockets, self.id, self)

    @property
    def kind(self) -> str:
        """`tcp`, `udp`, `unix` or `unixgram`."""
        return kind_of(unix=self._raw.family == socket.AF_UNIX, datagram=self._is_datagram)

    @property
    def _is_datagram(self) -> bool:
        return self._raw.type == socket.SOCK_DGRAM

    @property
    def local(self) -> Address:
        """Its own address."""
        if self._local is None:
            if self._raw.fileno() < 0:
                return Address("?")
            self._local = address_of(self._raw.getsockname(), datagram=self._is_datagram)
        return self._local

    @property
    def closed(self) -> bool:
        """Whether it was closed, by whomever."""
        return self._closed_by is not None

    @property
    def age_s(self) -> float:
        """Seconds on the scheduler's clock since it was made."""
        return self._scheduler.clock.now() - self._born_at

    def fileno(self) -> int:
        """The descriptor, -1 once it is closed. To look at: whoever uses it gets in the poller's way."""
        return self._raw.fileno()

    def info(self) -> SocketPicture:
        """A frozen picture of it."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Close it at once, without waiting; the way out at the scheduler's end and after failures."""
        self._retire()
        self._release()

    # -- other processes -------------------------------------------------------------------------

    def strand(self, parent: int) -> None:
        """In a child process: it is the parent's, and so is its file."""
        self._closed_by = Stranded(f"the fork of process {parent}")
        self._closed_by.pid = parent
        self._file = None

    @property
    def _described(self) -> str:
        """It and where it leads, for those who do not have it before them."""
        peer = getattr(self, "peer", None)
        if peer is None:
            return f"{self.role}#{self.id} on {self.local}"
        return f"{self.role}#{self.id} {'from' if self.role == 'server' else 'to'} {peer}"

    def __reduce__(self) -> tuple[Any, ...]:
        return carried(self, self._described)

    # -- lanes -----------------------------------------------------------------------------------

    def _begin(self) -> Coroutine:
        """The running coroutine, if it may use this now; a scheduling point, so it comes before any check."""
        self._check_thread()
        scheduler = self._scheduler
        scheduler.checkpoint()
        self._check_open()
        if scheduler.running is None:
            raise NotRunning(f"only a coroutine can use {self}: call this inside coloop.run(main) or go(...)")
        return scheduler.running

    def _check_thread(self) -> None:
        if type(self._closed_by) is Stranded:
            raise wrong_process(f"{self._described} was opened", self._closed_by.pid)
        owner, me = self._scheduler.thread_id, threading.get_ident()
        if me != owner:
            raise WrongThread(
                f"{self} belongs to thread {owner}, this is thread {me}: use scheduler.call_soon_threadsafe(...)"
            )

    def _busy(self, doing: str, holder: Coroutine, me: Coroutine) -> Busy:
        return Busy(f"{self} is {doing} by {_standing(holder)}; {_standing(me)} must wait for its turn")

    def _check_open(self) -> None:
        if self._closed_by is not None:
            raise Closed(f"{self} was closed by {self._closed_by}")

    def _wait(self, direction: int, verb: str) -> None:
        """Park until the kernel says that `direction` may go on; `Closed` if it was closed meanwhile."""
        scheduler = self._scheduler
        scheduler.poller.expect(self, direction, scheduler.running)
        try:
            scheduler.park(verb, self)
        except Timeout:
            self._note_silence()
            raise
        finally:
            scheduler.poller.withdraw(self, direction)
        self._check_open()

    def _note_silence(self) -> None:
        """A wait took too long; while it is held, that is not the peer's doing."""
        if not self._held:
            self._overdue = self.received + self.sent + 1

    def _nap(self, verb: str, seconds: float) -> None:
        """Park for so long, where the kernel tells of no event; `verb` is shown as what this does."""
        scheduler = self._scheduler
        timer = scheduler.call_later(seconds, scheduler.wake, scheduler.running)
        try:
            scheduler.park(verb, self)
        finally:
            timer.cancel()

    def _limited(self, verb: str, timeout_s: float | None, call: Callable[..., T], *args: object) -> T:
        """`call(*args)`, all its waits together within `timeout_s`."""
        if timeout_s is None:
            return call(*args)
        limit = time_limit(timeout_s)
        try:
            with limit:
                return call(*args)
        except Timeout:
            if limit.expired:
                raise Timeout(f"{verb} {self}: timed out after {timeout_s:g}s") from None
            raise

    # -- closing ---------------------------------------------------------------------------------

    def _retire(self) -> bool:
        """Nobody can use it any more, and those who wait wake up; False if that was done before."""
        if self._closed_by is not None:
            return False
        self._check_thread()
        scheduler = self._scheduler
        waiters = scheduler.poller.forget(self)
        self._closed_by = "the end of its scheduler" if scheduler.running is None else str(scheduler.running)
        for waiter in waiters:
            scheduler.wake(waiter)
        return True

    def _release(self) -> None:
        """Give the descriptor back; the file of a unix socket goes along, if it is still ours."""
        self._scheduler.sockets.pop(self.id, None)
        if self._file is not None:
            self._file.remove()
        self._raw.close()

    def __str__(self) -> str:
        return f"{type(self).__name__.lower()}#{self.id}"


class Stranded(str):
    """By whom something was closed that a child process has from its parent: nobody, but it is not its."""

    __slots__ = ("pid",)
    pid: int


def _standing(coroutine: Coroutine) -> str:
    """Who it is and where it stands."""
    where = top_site(coroutine._scheduler.frame_of(coroutine))
    return f"{coroutine} {coroutine.name!r} ({where})"
