"""Accepting connections, and a coroutine for each that lasts as long as the connection.

When descriptors or memory run out, the connections that wait keep the listener readable, and a loop
that just tries again burns the processor. So the server pauses, longer each time, and says so once.

A handler that dies of a connection which its peer has left was not at fault, nor is one that was not called
because TLS came to no agreement. Its coroutine is `failed`, with the reason as its outcome, but nobody is
disturbed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from types import CodeType
from typing import TYPE_CHECKING, Final, get_args

from ._connection import Connection
from ._coroutine import Coroutine
from ._errors import Cancelled, Closed, Timeout, TooManyCoroutines
from ._frames import Site, calling_site
from ._kernel import OUT_OF_RESOURCES, reason
from ._listener import Listener
from ._own_tables import enter
from ._post import Post
from ._scheduler import current_scheduler
from ._server_limits import advice
from ._socket import Socket
from ._sync import Event
from ._tls import TlsSocket
from ._wire import Ending

if TYPE_CHECKING:
    from ._server import Server

FIRST_PAUSE_S: Final = 0.1
MAX_PAUSE_S: Final = 1.0
WARN_EVERY_S: Final = 5.0

Handler = Callable[[Socket], object]

_serving: Final[ContextVar[Server | None]] = ContextVar("coloop server", default=None)


def serving() -> Server | None:
    """The server for whose connection the running coroutine, or an ancestor, was started; None if none."""
    return _serving.get()


class Accepting:
    """What a server does at its door, and for as long as a connection lasts.

    Args:
        listener: it is closed when no more is accepted.
        name: of the accepting coroutine; connections are `name/c1`, `name/c2` ...
        handler: called with each new connection.
    """

    handler: Handler | None

    def __init__(self, listener: Listener, name: str, max_connections: int | None) -> None:
        self.name = name
        self.max_connections = max_connections
        self.accepted = self.rejected = self.failed = self.requests = self.peak_connections = 0
        self.last_trouble: str | None = None
        self._bytes_in = self._bytes_out = 0
        self._ends: dict[Ending, int] = dict.fromkeys(get_args(Ending), 0)
        self._counts_itself = False
        self._listener = listener
        self._scheduler = current_scheduler()
        self._site = calling_site()
        self._birth: tuple[object, Site | None] = (None, None)
        self._connections: dict[Coroutine, Socket] = {}
        self._clients: dict[int, Connection] = {}
        self._door = Post(self._scheduler)
        self._stopping = Event()
        self._emptied = Event()
        self._pausing = False
        self._paused = False
        self._draining = False
        self._warned_at = -WARN_EVERY_S
        self._unsaid = 0
        self._acceptor: Coroutine | None = None

    # -- accepting -------------------------------------------------------------------------------

    def _accept_all(self) -> None:
        """The accepting coroutine. `accept` and `go` are scheduling points: a burst starves nobody."""
        pause_s = FIRST_PAUSE_S
        _serving.set(self)  # type: ignore[arg-type]
        try:
            self._scheduler.yield_now()  # `serve` returns before the first handler runs
            while True:
                if self._paused and not self._listener.closed:
                    self._door.wait(self._scheduler.park, "wait until resumed", self)
                    continue
                try:
                    connection = self._door.wait(self._listener.accept)
                except OSError as error:
                    if error.errno not in OUT_OF_RESOURCES:
                        raise
                    self._pause(error, pause_s)
                    pause_s = min(2 * pause_s, MAX_PAUSE_S)
                else:
                    pause_s = FIRST_PAUSE_S
                    if connection is not None:
                        self._admit(connection)
        except Closed:
            return
        finally:
            self._listener.close()

    def _admit(self, connection: Socket) -> None:
        if self.max_connections is not None and len(self._connections) >= self.max_connections:
            self._reject(connection, f"too many connections (limit {self.max_connections})")
            return
        name = f"{self.name}/c{self.accepted + 1}"
        try:
            self._scheduler.go(
                self._converse,
                (connection, self.handler or self._talk),
                name=name,
                spawned_at=self._birthplace(),
            )
        except TooManyCoroutines as error:
            self._reject(connection, str(error))
        except BaseException:
            connection.abandon()
            raise

    def _birthplace(self) -> Site | None:
        """The handler's first line: of servers started in one place, each handler has a place of its own."""
        main = self._main_callback()
        if self._birth[0] is not main:
            self._birth = (main, _first_line(main))
        return self._birth[1] or self._site

    def _main_callback(self) -> Callable[..., object] | None:
        """What is called for connections, or the first of it."""
        return self.handler

    def _talk(self, connection: Socket) -> None:
        """What is done for a connection when there is no handler."""
        raise NotImplementedError

    def _reject(self, connection: Socket, why: str) -> None:
        self.rejected += 1
        self._warn(f"{self.name} turns clients away: {why}")
        if not isinstance(
            connection, TlsSocket
        ):  # nothing can be said before a handshake, which takes its time
            with suppress(OSError, Closed):
                connection.send(f"{why}\n".encode())
        connection.close()

    def _pause(self, error: OSError, seconds: float) -> None:
        """Nothing can be accepted now: let things settle, unless the server is stopped meanwhile."""
        self._warn(f"{self.name} cannot accept: {reason(error)}{advice(error.errno)}")
        self._pausing = True
        try:
            self._stopping.wait(seconds)
        finally:
            self._pausing = False

    def _warn(self, text: str) -> None:
        """Tell the observer, but not more often than is of use."""
        now = self._scheduler.clock.now()
        self.last_trouble = text
        if now - self._warned_at < WARN_EVERY_S:
            self._unsaid += 1
            return
        again = f" (and {self._unsaid} times since the last warning)" if self._unsaid else ""
        self._warned_at, self._unsaid = now, 0
        self._scheduler.observer.warned(text + again)

    # -- conversing ------------------------------------------------------------------------------

    def _converse(self, connection: Socket, handler: Handler) -> None:
        """The coroutine of one connection."""
        me = self._scheduler.running
        assert me is not None
        number = self.accepted = self.accepted + 1
        connection.owner = me.id
        enter(self._connections, me, connection)
        self.peak_connections = max(self.peak_connections, len(self._connections))
        handling = False
        try:
            if isinstance(connection, TlsSocket):
                self._shake_hands(connection)
            handling = True
            if self._paused and not self._draining and handler != self._talk:
                connection._hold()
            handler(connection)
            if not self._counts_itself:
                self.requests += 1
            who = connection._ending or "server"
        except BaseException as error:
            who = _who_ended(connection, error)
            if handling and not (isinstance(error, Cancelled) or self._was_left(number, connection, error)):
                self.failed += 1
            elif isinstance(error, Exception):
                self._scheduler.watch(me, _heard)
            raise
        finally:
            try:
                connection.close()  # with TLS this may take its time, until `stop` loses patience
            finally:
                del self._connections[me]
                if self._clients.pop(number, None) is None:  # else it was counted when that was decided
                    self._ends[who] += 1
                self._bytes_in += connection.received
                self._bytes_out += connection.sent
                if not self._emptied.is_set():
                    self._emptied.set()

    def _shake_hands(self, connection: TlsSocket) -> None:
        """Before the handler, which is not at fault if it fails. Clients that just leave are not told of."""
        try:
            connection.handshake()
        except OSError as error:
            if not connection.peer_gone:
                self._warn(f"{self.name}: {error}")
            raise

    def _was_left(self, number: int, connection: Socket, error: BaseException) -> bool:
        """Whether a handler failed because its peer has gone, or because its connection was closed."""
        if not isinstance(error, (ConnectionError, Closed)):
            return False
        if connection.closed or connection.peer_gone:
            return True
        client = self._clients.get(number)
        return client is not None and client.closed_by is not None and client.closed_by.who != "error"


def _who_ended(connection: Socket, error: BaseException) -> Ending:
    """What has ended a connection whose handler `error` has ended: what came first."""
    met = connection._ending
    if met is not None and (met != "idle" or connection.closed or isinstance(error, Timeout)):
        return met
    return "server" if connection.closed or isinstance(error, Cancelled) else "error"


def _first_line(handler: object) -> Site | None:
    """Where a handler begins; None if it is not written in Python, or is made of another one."""
    code = getattr(handler, "__code__", None)
    return Site(code, 0) if isinstance(code, CodeType) else None


def _heard(_: Coroutine) -> None:
    """Watching a coroutine is what marks its failure as seen."""
