"""A server: a listener, and what is called for its connections.

There are two forms. A handler has the connection to itself, as a socket, and how it ends is the handler's
business: when it returns, or fails, the connection is closed. Or there are callbacks, which are called in
a fixed order (`_conversation.py`) with messages that are whole (`_framing.py`), and sending never loses
what is queued (`_outbox.py`).

A server may be one of several processes that serve an address together. It knows its number, and has
somebody who takes messages to the others (`postman`); who starts and ends them is not its business.
"""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, TypeVar

from ._accepting import Accepting, Handler
from ._address import Address, AddressLike
from ._broadcast import Broadcast, broadcast
from ._callbacks import (
    HIGH_WATER_BYTES,
    KEYS,
    LOW_WATER_BYTES,
    Callbacks,
    Overflow,
    Settings,
    as_framing,
    check_known,
)
from ._connection import Connection
from ._conversation import converse
from ._coroutine import Coroutine, default_name
from ._elsewhere import carried
from ._framing import Bytes, Framing
from ._listener import Listener, listen
from ._own_tables import enter
from ._post import Post
from ._server_limits import connection_limit
from ._server_statistics import ServerStatistics
from ._socket import Socket
from ._timers import check_seconds
from ._tls import TlsSocket
from ._wire import Ending

T = TypeVar("T")

STOP_GRACE_S: Final = 1.0

_numbers: Final = itertools.count(1)


class Server(Accepting):
    """What `serve` returns. `with` stops it at the end of the block.

    Attributes:
        name: of the server and of its accepting coroutine; connections are `name/c1`, `name/c2` ...
        handler: called with each new connection; may be replaced, those that are open keep theirs. None
            with callbacks.
        max_connections: who comes when so many are open is turned away with a line; None for no limit.
        callbacks: what is called; `on` replaces one.
        settings: how connections are treated that have callbacks; `set` changes one.
        worker: the number of this process among those that serve the address, counted from 1; 0 if it is
            alone.
        postman: called with `(to, data)` to take a message to another worker; None if there is none.
        accepted: how many connections were handed to the handler so far.
        rejected: how many were turned away because of a limit.
        failed: how many handlers failed, peers that left not counted.
        requests: how many messages were delivered, or handlers have finished, or were counted by
            `count_request`.
        messages: how many messages were delivered to callbacks.
        peak_connections: how many were open at once at most.
        last_trouble: the last warning, with an advice; None if there was none.
    """

    def __init__(
        self,
        listener: Listener,
        handler: Handler | None,
        name: str | None,
        max_connections: int | None,
        callbacks: Callbacks,
        settings: Settings,
        worker: int,
    ) -> None:
        main = handler or callbacks.of_connections[0]
        name = name if name is not None else f"{default_name(main)}#{next(_numbers)}"
        super().__init__(listener, name, connection_limit(max_connections))
        self.handler = handler
        self.callbacks = callbacks
        self.settings = settings
        self.worker = worker
        self.postman: Callable[[int, object], None] | None = None
        self.messages = 0
        self._cuts = 0
        self._waiting: set[Post] = set()
        self._concluded = False
        self._start()

    def _start(self) -> None:
        if self.callbacks.on_start is not None:
            self.callbacks.on_start(self)
        if self.callbacks.on_worker_start is not None:
            self.callbacks.on_worker_start(self, self.worker)
        if not self._draining:
            self._acceptor = self._scheduler.go(self._accept_all, name=self.name, spawned_at=self._site)
            self._listener.owner = self._acceptor.id

    # -- looking ---------------------------------------------------------------------------------

    @property
    def address(self) -> Address:
        """Where it listens, with the real port."""
        return self._listener.address

    @property
    def tls(self) -> bool:
        """Whether it serves over TLS."""
        return self._listener.tls

    @property
    def connections(self) -> tuple[Socket, ...]:
        """The sockets that are open, oldest first."""
        return tuple(self._connections.values())

    @property
    def clients(self) -> tuple[Connection, ...]:
        """The connections with callbacks that are open, oldest first."""
        return tuple(client for client in self._clients.values() if client.closed_by is None)

    def client(self, id: int) -> Connection | None:  # noqa: A002 - as the connection's own
        """The open connection of that id; None if there is none, or no more."""
        client = self._clients.get(id)
        return None if client is None or client.closed else client

    @property
    def state(self) -> str:
        """`accepting`, `pausing` (out of descriptors or memory), `paused` (on request), `draining` or `stopped`."""
        if self._listener.closed:
            return "draining" if self._connections and not self._concluded else "stopped"
        if self._paused:
            return "paused"
        return "pausing" if self._pausing else "accepting"

    @property
    def draining(self) -> bool:
        """Whether it was told to stop: connections that are open should come to their end."""
        return self._draining

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
            draining=self._draining,
            peak_connections=self.peak_connections,
            requests=self.requests,
            messages=self.messages,
            bytes_in=self._bytes_in + sum(one.received for one in self._connections.values()),
            bytes_out=self._bytes_out + sum(one.sent for one in self._connections.values()),
            queued_bytes=sum(client.queued for client in self._clients.values()),
            closed_by_peer=self._ends["peer"],
            closed_by_server=self._ends["server"],
            closed_idle=self._ends["idle"],
            closed_by_error=self._ends["error"],
            resets=self._ends["reset"],
        )

    def count_request(self) -> None:
        """Count one in `requests`, where a connection has many; the end of its handler then is none."""
        self._counts_itself = True
        self.requests += 1

    def unless_draining(self, call: Callable[..., T], *args: object) -> T | None:
        """Wait for something that need not come, such as a next request, until the server is told to stop.

        Args:
            call: what waits, such as `connection.recv`; nothing is lost if it is called away.
            *args: its arguments.

        Returns:
            What `call(*args)` returned; None if the server is draining, and there was nothing yet.
        """
        if self._draining:
            return None
        post = Post(self._scheduler)
        self._waiting.add(post)
        try:
            return post.wait(call, *args)
        finally:
            self._waiting.discard(post)

    # -- changing --------------------------------------------------------------------------------

    def on(self, event: str, call: Callable[..., object] | None) -> None:
        """Have something else called from now on, by connections that are open too.

        Args:
            event: `connect`, `receive`, `close`, `message` ..., with or without `on_`.
            call: None for nobody.

        Raises:
            ValueError: there is no such event; or it is one of a connection, and the server has a handler.
            TypeError: it cannot be called.
            WrongThread: called from another thread.
        """
        self._scheduler.check_thread("on")
        callbacks = self.callbacks.having(event, call)
        callbacks.check_beside(self.handler)
        self.callbacks = callbacks

    def set(self, key: str, value: object) -> None:
        """Change a setting, for connections that are open too; but their framing stays.

        Args:
            key: one of `Settings`, or `max_connections`.
            value: the new one.

        Raises:
            ValueError: there is no such setting, or not with this value; or it is one of callbacks, and the server has
                a handler.
            WrongThread: called from another thread.
        """
        self._scheduler.check_thread("set")
        check_known(key, (*KEYS, "max_connections"), f"setting {key!r}")
        if key == "max_connections":
            self.max_connections = connection_limit(value)  # type: ignore[arg-type]
        else:
            self.renew_settings(self.settings.having(key, value))

    def renew_settings(self, settings: Settings) -> None:
        """Change all of them at once, as `set` changes one.

        Raises:
            ValueError: the server has a handler, which they do not concern.
            WrongThread: called from another thread.
        """
        self._scheduler.check_thread("renew_settings")
        settings.check_beside(self.handler)
        self.settings = settings
        for client in self._clients.values():
            client._outbox.review(self.settings)
            client._vigil.begin()

    def renew_tls(self, tls: ssl.SSLContext | None) -> None:
        """Use another certificate for connections that come from now on; those that are open keep theirs.

        Args:
            tls: a context as for `listen`; None if it does not serve over TLS.

        Raises:
            TypeError, ValueError: what is wrong with it; or it would begin or end to serve over TLS.
            WrongThread: called from another thread.
        """
        self._scheduler.check_thread("renew_tls")
        self._listener.renew(tls)

    def pause(self) -> None:
        """Accept and read no more, until `resume` or `stop`; returns at once.

        Who calls waits in the kernel, and so does what peers send: soon they will be able to send no more. With a
        handler it is `recv` and the like that wait, also for what was read ahead; their limits of time go on. A handler
        that reads nothing runs on, and sending goes on.
        """
        self._scheduler.check_thread("pause")
        self._paused = True
        self._look_again()
        for connection in self._handled() if not self._draining else ():
            connection._hold()

    def resume(self) -> None:
        """Accept and read again. Returns at once."""
        self._scheduler.check_thread("resume")
        self._paused = False
        self._unhold_all()
        self._look_again()

    def _handled(self) -> list[Socket]:
        """The sockets that are a handler's, and not a `Connection`'s or still in a handshake."""
        others = {client._socket for client in self._clients.values()}
        return [
            connection
            for connection in self._connections.values()
            if connection not in others
            and not connection.closed
            and not (isinstance(connection, TlsSocket) and connection.tls is None)
        ]

    def _unhold_all(self) -> None:
        for connection in self._connections.values():
            connection._unhold()

    def _look_again(self) -> None:
        self._door.call_away()
        for client in self._clients.values():
            client._post.call_away()

    # -- messages --------------------------------------------------------------------------------

    def broadcast(self, message: Bytes, among: Iterable[Connection] | None = None) -> Broadcast:
        """Send a message to many; who has too much queued already is left out. Never parks.

        Args:
            message: it is put in the framing of each.
            among: to whom; all that are open by default.

        Returns:
            To how many it was sent, or is queued; and who was left out, because too much is queued or it
            is closed.

        Raises:
            ValueError, TypeError: as `Connection.send`.
        """
        self._scheduler.check_thread("broadcast")
        return broadcast(message, self.clients if among is None else tuple(among))

    def send_message(self, to: int, data: object) -> None:
        """Send something to a worker of this server, where `on_message` is called with it.

        Args:
            to: the number of the worker.
            data: whatever the postman can carry; to itself anything.

        Raises:
            ValueError: that is no number of a worker, or this one is alone. Whether there is one of that number only its
                master knows, and tells in its log.
        """
        if type(to) is not int or to < 0:
            raise ValueError(f"to must be the number of a worker, not {to!r}")
        if self.postman is not None:
            self.postman(to, data)
        elif to == self.worker:
            self.deliver(self.worker, data)
        else:
            raise ValueError(f"{self.name} has no worker {to}: this is worker {self.worker}, and it is alone")

    def deliver(self, sender: int, data: Any) -> None:
        """Have `on_message` called, in a coroutine of its own; nobody else fails with it.

        Args:
            sender: the number of the worker that it comes from.
            data: what it has sent.
        """
        call = self.callbacks.on_message
        if call is not None:
            self._scheduler.go(call, (self, sender, data), name=f"{self.name}/message", spawned_at=self._site)

    # -- conversing ------------------------------------------------------------------------------

    def _main_callback(self) -> Callable[..., object] | None:
        return self.handler or next(iter(self.callbacks.of_connections), None)

    def _talk(self, connection: Socket) -> None:
        number = self.accepted  # nobody was accepted since: see `_converse`
        client = Connection(self, connection, number)
        enter(self._clients, number, client)
        self._counts_itself = True
        if self._draining:
            client._leave()
        try:
            converse(client)
        finally:
            client._let_go()

    def _count_end(self, who: Ending) -> None:
        self._ends[who] += 1

    # -- stopping --------------------------------------------------------------------------------

    def stop(self, drain: float = 0.0) -> bool:
        """Accept no more, give the open connections some time, then cancel those that are left.

        With callbacks, a connection on which nothing is going on is closed at once, the others when what
        has come is answered and sent. A handler that swallows its cancellation loses its connection a
        second later. When a handler or a callback calls this, its own connection is spared. Who loses
        patience may call it again meanwhile.

        At last `on_worker_stop` and `on_shutdown` are called, once.

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
        self._draining = True
        self._stopping.set()
        self._unhold_all()  # nobody is left to resume
        self._door.call_away()
        if self._acceptor is not None:
            self._acceptor.join()
        in_peace = self._empty(drain)
        self._conclude()
        return in_peace

    def _empty(self, drain: float) -> bool:
        """Wait until all have ended, and end those that have not."""
        cuts_before = self._cuts
        for client in self.clients if drain else ():
            client._leave()
        for post in tuple(self._waiting) if drain else ():
            post.call_away()
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

    def _conclude(self) -> None:
        """Tell that it is over, behind the last connection, which may be the caller's own."""
        if self._concluded:
            return
        self._concluded = True
        if self._scheduler.running in self._connections:
            self._scheduler.go(self._conclude_later, name=f"{self.name}/stop", spawned_at=self._site)
        else:
            self._say_that_it_is_over()

    def _conclude_later(self) -> None:
        while self._connections:
            self._emptied.clear()
            self._emptied.wait()
        self._say_that_it_is_over()

    def _say_that_it_is_over(self) -> None:
        try:
            if self.callbacks.on_worker_stop is not None:
                self.callbacks.on_worker_stop(self, self.worker)
        finally:
            if self.callbacks.on_shutdown is not None:
                self.callbacks.on_shutdown(self)

    def __enter__(self) -> Server:  # noqa: PYI034 - nobody derives from it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __reduce__(self) -> tuple[Any, ...]:
        return carried(
            self, f"server {self.name} on {self.address}", "started", "callbacks are called with theirs"
        )

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Server {self.name} on {self.address} {self.state}, {len(self._connections)} connections>"


def serve(
    listener_or_address: Listener | AddressLike,
    handler: Handler | None = None,
    *,
    name: str | None = None,
    max_connections: int | None = None,
    tls: ssl.SSLContext | None = None,
    on_start: Callable[[Server], object] | None = None,
    on_worker_start: Callable[[Server, int], object] | None = None,
    on_connect: Callable[[Connection], object] | None = None,
    on_receive: Callable[[Connection, bytes], object] | None = None,
    on_close: Callable[[Connection], object] | None = None,
    on_worker_stop: Callable[[Server, int], object] | None = None,
    on_shutdown: Callable[[Server], object] | None = None,
    on_message: Callable[[Server, int, Any], object] | None = None,
    framing: Framing | str | None = None,
    high_water: int = HIGH_WATER_BYTES,
    low_water: int = LOW_WATER_BYTES,
    overflow: Overflow = "suspend",
    idle: float | None = None,
    heartbeat: float | None = None,
    heartbeat_message: bytes = b"",
    worker: int = 0,
) -> Server:
    """Serve an address: by a handler that has each connection to itself, or by callbacks. Returns at once.

    A handler is called as `handler(connection)`, in a coroutine of its own for each connection. With
    callbacks, each connection has a coroutine too, which calls `on_connect`, `on_receive` for each message
    and `on_close`, in this order, one after another.

    Args:
        listener_or_address: where to listen, as for `listen`; a listener belongs to the server from now on.
        handler: when it returns, its connection is closed.
        name: of the server; that of the handler, or of the first callback, with a number by default.
        max_connections: who comes when so many are open is turned away. At most, and by default, what the
            limit of open files leaves after a reserve of 64, or half of it if that is more.
        tls: as for `listen`, if this is an address. The handshake is made before anything is called.
        on_start: called in here, before anything is accepted; if it fails, so does this.
        on_worker_start: likewise, then.
        on_connect: instead of a handler, as the two that follow; see `Callbacks` for all of them.
        on_receive: for each message.
        on_close: last, and once.
        on_worker_stop: called by `Server.stop`, when all connections have ended.
        on_shutdown: called then.
        on_message: for what another worker has sent.
        framing: `Raw()`, `Lines()`, `Delimited(b"...")` or `LengthPrefixed()`, or its name as for
            `framing_of`; None for raw.
        high_water: bytes that may be queued for a peer that reads slowly; see `Settings` for all that follow.
        low_water: bytes, at which sending goes on.
        overflow: `suspend` or `fail`, what becomes of who sends above `high_water`.
        idle: seconds after which a connection on which nothing moves is closed.
        heartbeat: seconds of silence after which a peer is asked whether it lives.
        heartbeat_message: what it is asked.
        worker: the number of this process, if there are several that serve this address.

    Raises:
        ValueError, OSError: as `listen`; a setting that makes no sense, or has no effect because there is a handler; or
            a handler and callbacks.
        TypeError: the handler, or a callback, cannot be called; or there is none.
    """
    if handler is not None and not callable(handler):
        raise TypeError(f"handler must be a function of one connection, not {handler!r}")
    callbacks = Callbacks(
        on_start=on_start,
        on_worker_start=on_worker_start,
        on_connect=on_connect,
        on_receive=on_receive,
        on_close=on_close,
        on_worker_stop=on_worker_stop,
        on_shutdown=on_shutdown,
        on_message=on_message,
    )
    callbacks.check_beside(handler)
    settings = Settings(
        framing=as_framing(framing),
        high_water=high_water,
        low_water=low_water,
        overflow=overflow,
        idle=idle,
        heartbeat=heartbeat,
        heartbeat_message=heartbeat_message,
    )
    settings.check_beside(handler)
    connection_limit(max_connections)
    given = isinstance(listener_or_address, Listener)
    if isinstance(listener_or_address, Listener):
        if tls is not None:
            raise ValueError(f"{listener_or_address} was made already: give tls to listen")
        listener = listener_or_address
    else:
        listener = listen(listener_or_address, tls=tls)
    try:
        return Server(listener, handler, name, max_connections, callbacks, settings, worker)
    except BaseException:
        if not given:
            listener.close()
        raise
