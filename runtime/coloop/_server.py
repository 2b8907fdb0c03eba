"""A listener, a handler, and one coroutine for each connection.

How a connection ends is its handler's business: when the handler returns, or fails, the connection is
closed. A failure is reported as that of any coroutine, with one exception: a handler that dies of
a connection which its peer has left was not at fault, nor is one that was not called because TLS came to
no agreement. Its coroutine is `failed`, with the reason as its outcome, but nobody is disturbed.

When descriptors or memory run out, the connections that wait keep the listener readable, and a loop
that just tries again burns the processor. So the server pauses, longer each time, and says so once.
"""

from __future__ import annotations

import errno
import itertools
import resource
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import CodeType, TracebackType
from typing import Final

from ._address import Address, AddressLike
from ._coroutine import Coroutine, default_name
from ._errors import Closed, TooManyCoroutines
from ._frames import Site, calling_site
from ._kernel import OUT_OF_RESOURCES, reason
from ._listener import Listener, listen
from ._own_tables import enter
from ._scheduler import current_scheduler
from ._socket import Socket
from ._sync import Event
from ._timers import check_seconds
from ._tls import TlsSocket

SPARE_DESCRIPTORS: Final = 64  # for all that is not a client
FIRST_PAUSE_S: Final = 0.1
MAX_PAUSE_S: Final = 1.0
WARN_EVERY_S: Final = 5.0
STOP_GRACE_S: Final = 1.0

Handler = Callable[[Socket], object]

_numbers: Final = itertools.count(1)


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """A server at one moment.

    Attributes:
        name: its name.
        address: where it listens.
        state: `accepting`, `pausing` (out of descriptors or memory) or `stopped`.
        connections: how many are open.
        max_connections: how many may be; None for no limit.
        accepted: how many were handed to the handler so far.
        rejected: how many were turned away because of a limit.
        failed: how many handlers failed, peers that left not counted.
        last_trouble: the last warning; None if there was none.
    """

    name: str
    address: str
    state: str
    connections: int
    max_connections: int | None
    accepted: int
    rejected: int
    failed: int
    last_trouble: str | None


class Server:
    """What `serve` returns. `with` stops it at the end of the block.

    Attributes:
        name: of the server and of its accepting coroutine; connections are `name/c1`, `name/c2` ...
        handler: called with each new connection; may be replaced, those that are open keep theirs.
        max_connections: who comes when so many are open is turned away with a line; None for no limit.
        accepted: how many connections were handed to the handler so far.
        rejected: how many were turned away because of a limit.
        failed: how many handlers failed, peers that left not counted.
        last_trouble: the last warning, with an advice; None if there was none.
    """

    def __init__(
        self, listener: Listener, handler: Handler, name: str | None, max_connections: int | None
    ) -> None:
        self.name = name if name is not None else f"{default_name(handler)}#{next(_numbers)}"
        self.handler = handler
        self.max_connections = _connection_limit(max_connections)
        self.accepted = self.rejected = self.failed = 0
        self.last_trouble: str | None = None
        self._listener = listener
        self._scheduler = current_scheduler()
        self._site = calling_site()
        self._birth: tuple[Handler, Site | None] = (handler, _first_line(handler))
        self._connections: dict[Coroutine, Socket] = {}
        self._stopping = Event()
        self._emptied = Event()
        self._cuts = 0
        self._pausing = False
        self._warned_at = -WARN_EVERY_S
        self._unsaid = 0
        self._acceptor = self._scheduler.go(self._accept_all, name=self.name, spawned_at=self._site)
        listener.owner = self._acceptor.id

    @property
    def address(self) -> Address:
        """Where it listens, with the real port."""
        return self._listener.address

    @property
    def connections(self) -> tuple[Socket, ...]:
        """Those that are open, oldest first."""
        return tuple(self._connections.values())

    @property
    def state(self) -> str:
        """`accepting`, `pausing` (out of descriptors or memory) or `stopped`."""
        if self._listener.closed:
            return "stopped"
        return "pausing" if self._pausing else "accepting"

    def statistics(self) -> ServerStatistics:
        """A frozen picture of it."""
        return ServerStatistics(
            name=self.name,
            address=str(self.address),
            state=self.state,
            connections=len(self._connections),
            max_connections=self.max_connections,
            accepted=self.accepted,
            rejected=self.rejected,
            failed=self.failed,
            last_trouble=self.last_trouble,
        )

    def stop(self, drain: float = 0.0) -> bool:
        """Accept no more, give the open connections some time, then cancel those that are left.

        A handler that swallows its cancellation loses its connection a second later. When a handler
        calls this, its own connection is spared. Who loses patience may call it again meanwhile.

        Args:
            drain: seconds to wait for connections to end by themselves; parks so long at most.

        Returns:
            True if none had to be cancelled.

        Raises:
            ValueError: drain is negative, infinite or NaN.
            WrongThread: called from another thread.
        """
        check_seconds(drain, "drain")
        self._listener.close()
        self._stopping.set()
        self._acceptor.join()
        cuts_before = self._cuts
        if self._wait_until_empty(drain):
            return self._cuts == cuts_before
        self._cuts += 1
        for coroutine in self._others():
            coroutine.cancel()
        if not self._wait_until_empty(STOP_GRACE_S):
            for coroutine in self._others():
                self._connections[coroutine].abandon()
        return False

    def _others(self) -> list[Coroutine]:
        return [coroutine for coroutine in self._connections if coroutine is not self._scheduler.running]

    def _wait_until_empty(self, seconds: float) -> bool:
        deadline = self._scheduler.clock.now() + seconds
        while self._others():
            self._emptied.clear()
            if not self._emptied.wait(max(0.0, deadline - self._scheduler.clock.now())):
                return not self._others()
        return True

    # -- accepting -------------------------------------------------------------------------------

    def _accept_all(self) -> None:
        """The accepting coroutine. `accept` and `go` are scheduling points: a burst starves nobody."""
        pause_s = FIRST_PAUSE_S
        try:
            self._scheduler.yield_now()  # `serve` returns before the first handler runs
            while True:
                try:
                    connection = self._listener.accept()
                except OSError as error:
                    if error.errno not in OUT_OF_RESOURCES:
                        raise
                    self._pause(error, pause_s)
                    pause_s = min(2 * pause_s, MAX_PAUSE_S)
                else:
                    pause_s = FIRST_PAUSE_S
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
                self._converse, (connection, self.handler), name=name, spawned_at=self._birthplace()
            )
        except TooManyCoroutines as error:
            self._reject(connection, str(error))
        except BaseException:
            connection.abandon()
            raise

    def _birthplace(self) -> Site | None:
        """The handler's first line: of servers started in one place, each handler has a place of its own."""
        if self._birth[0] is not self.handler:
            self._birth = (self.handler, _first_line(self.handler))
        return self._birth[1] or self._site

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
        self._warn(f"{self.name} cannot accept: {reason(error)}{_advice(error.errno)}")
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
        self.accepted += 1
        connection.owner = me.id
        enter(self._connections, me, connection)
        handling = False
        try:
            if isinstance(connection, TlsSocket):
                self._shake_hands(connection)
            handling = True
            handler(connection)
        except Exception as error:
            if handling and not _was_left(connection, error):
                self.failed += 1
            else:
                self._scheduler.watch(me, _heard)
            raise
        finally:
            try:
                connection.close()  # with TLS this may take its time, until `stop` loses patience
            finally:
                del self._connections[me]
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

    def __enter__(self) -> Server:  # noqa: PYI034 - nobody derives from it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Server {self.name} on {self.address} {self.state}, {len(self._connections)} connections>"


def serve(
    listener_or_address: Listener | AddressLike,
    handler: Handler,
    *,
    name: str | None = None,
    max_connections: int | None = None,
    tls: ssl.SSLContext | None = None,
) -> Server:
    """Have `handler(connection)` called in a coroutine of its own for each connection; returns at once.

    Args:
        listener_or_address: where to listen, as for `listen`; a listener belongs to the server from now on.
        handler: when it returns, its connection is closed.
        name: of the server; the handler's with a number by default.
        max_connections: who comes when so many are open is turned away. At most, and by default, what the
            limit of open files leaves after a reserve of 64, or half of it if that is more.
        tls: as for `listen`, if this is an address. The handshake is made before the handler is called.

    Raises:
        ValueError, OSError: as `listen`.
        TypeError: the handler cannot be called.
    """
    if not callable(handler):
        raise TypeError(f"handler must be a function of one connection, not {handler!r}")
    if max_connections is not None and max_connections < 1:
        raise ValueError(f"max_connections must be 1 or more, not {max_connections}")
    given = isinstance(listener_or_address, Listener)
    if isinstance(listener_or_address, Listener):
        if tls is not None:
            raise ValueError(f"{listener_or_address} was made already: give tls to listen")
        listener = listener_or_address
    else:
        listener = listen(listener_or_address, tls=tls)
    try:
        return Server(listener, handler, name, max_connections)
    except BaseException:
        if not given:
            listener.close()
        raise


def _was_left(connection: Socket, error: Exception) -> bool:
    """Whether a handler failed because its peer has gone, or because its connection was closed."""
    return isinstance(error, (ConnectionError, Closed)) and (connection.closed or connection.peer_gone)


def _first_line(handler: Handler) -> Site | None:
    """Where a handler begins; None if it is not written in Python, or is made of another one."""
    code = getattr(handler, "__code__", None)
    return Site(code, 0) if isinstance(code, CodeType) else None


def _connection_limit(asked: int | None) -> int | None:
    """As many as asked for, but not more than descriptors allow."""
    files = _file_limit()
    if files is None:
        return asked
    limit = max(files - SPARE_DESCRIPTORS, files // 2)
    return limit if asked is None else min(asked, limit)


def _file_limit() -> int | None:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def _advice(number: int | None) -> str:
    if number != errno.EMFILE:  # the whole machine is short of it: nothing to be done from here
        return ""
    return f" (limit {_file_limit()}; raise it with ulimit -n)"


def _heard(_: Coroutine) -> None:
    """Watching a coroutine is what marks its failure as seen."""
