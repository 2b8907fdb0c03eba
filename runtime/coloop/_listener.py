"""Waiting to be called: from an address to a listener, and from a listener to connections.

What is set on a listening TCP socket is inherited by all that it accepts, which saves system calls for
each: no delay for small writes, urgent bytes in their place in the stream (a peer's byte must not
vanish because it was marked), and buffers that bound what a slow reader can make the kernel hold.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from types import TracebackType
from typing import Final

from ._address import Address, AddressLike, address_of, parse_address, resolve
from ._binding import SocketFile, bind_failure, give_back, ipv4_first, take_address
from ._endpoint import Endpoint
from ._form import quick
from ._inherited import SCHEME, inherited_listener
from ._kernel import kernel_state, waiting_connections
from ._poller import READ
from ._snapshot import SocketPicture
from ._socket import Socket
from ._tls import TlsSocket, check_server_context
from ._wire import closed_socket

BACKLOG: Final = 1024  # at 100 four of five clients in a burst of 500 had to resend their SYN
BUFFER_BYTES: Final = 256 * 1024  # the kernel's own limit lets one slow reader hold 4 to 26 MiB

# One connection failed before it was accepted (accept(2)): the next may be fine.
_ONE_IS_LOST: Final = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNABORTED",
        "EPROTO",
        "EPERM",
        "ENETDOWN",
        "ENOPROTOOPT",
        "EHOSTDOWN",
        "ENONET",
        "EHOSTUNREACH",
        "ENETUNREACH",
    )
    if hasattr(errno, name)
)


class Listener(Endpoint):
    """A socket that accepts connections; made by `listen`. `with` closes it at the end of the block."""

    __slots__ = ("_tls",)

    def __init__(
        self, raw: socket.socket, file: SocketFile | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(raw, "listener", address_of(raw.getsockname()), file)
        self._tls = tls
        self._plain = tls is None and type(raw) is socket.socket  # then the native form need not ask us
        closed_socket(int(raw.family))

    @property
    def address(self) -> Address:
        """Where it listens, with the real port."""
        return self.local

    @property
    def accepted(self) -> int:
        """How many connections it has given out."""
        return self.received

    @quick
    def accept(self, timeout: float | None = None) -> Socket:
        """The next connection; parks until there is one.

        Raises:
            Closed: it was closed.
            Busy: another coroutine accepts.
            Timeout: nobody called in time.
            OSError: EMFILE, ENFILE, ENOMEM or ENOBUFS: the connection still waits; try again later.
        """
        me = self._begin()
        if self._reader is not None:
            raise self._busy("being accepted from", self._reader, me)
        self._reader = me
        try:
            return self._limited("accept", timeout, self._accept)
        finally:
            self._reader = None

    def _accept(self) -> Socket:
        while True:
            if self._readable:
                try:
                    raw, peer = self._raw.accept()
                except BlockingIOError:
                    self._readable = False
                except OSError as error:
                    if error.errno not in _ONE_IS_LOST:
                        raise
                    continue
                else:
                    self.received += 1
                    return self._connection(raw, address_of(peer) if peer else None)
            self._wait(READ, "accept")

    def _connection(self, raw: socket.socket, peer: Address | None) -> Socket:
        """The handshake of TLS is left to whoever uses it: a silent client must hold up nobody else."""
        if self._tls is None:
            return Socket(raw, "server", peer)
        return TlsSocket(raw, "server", peer, context=self._tls)

    @property
    def tls(self) -> bool:
        """Whether its connections are over TLS."""
        return self._tls is not None

    def renew(self, tls: ssl.SSLContext | None) -> None:
        """Use another certificate for connections that come from now on.

        Raises:
            TypeError, ValueError: what is wrong with it; or there was none before, or is to be none now.
        """
        if (tls is None) != (self._tls is None):
            raise ValueError(
                f"{self.address} is served {'without' if tls else 'over'} TLS, and that stays so"
            )
        check_server_context(tls)
        self._tls = tls

    def close(self) -> None:
        """Stop listening; who waits in `accept` gets `Closed`. A second time: nothing happens."""
        if self._retire():
            self._release()

    def info(self) -> SocketPicture:
        """A frozen picture of it."""
        return SocketPicture(
            id=self.id,
            fd=self._raw.fileno(),
            kind=self.kind,
            role=self.role,
            local=str(self.local),
            peer=None,
            state="closed" if self.closed else "listening",
            kernel=kernel_state(self._raw),
            unread=None,
            unsent=None,
            received=0,
            sent=0,
            reader=None if self._reader is None else self._reader.id,
            writer=None,
            owner=self.owner,
            age_s=self.age_s,
            waiting=waiting_connections(self._raw),
        )

    def __enter__(self) -> Listener:  # noqa: PYI034 - nobody derives from it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Listener#{self.id} {self.address} {'closed' if self.closed else 'listening'}>"


def listen(
    address: AddressLike,
    *,
    backlog: int = BACKLOG,
    reuse_port: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Listener:
    """Listen on an address; parks only while a name is looked up.

    Args:
        address: `(host, port)`, `"host:port"`, `":port"` (for this machine only), `"[::1]:port"`,
            `"unix:/path"` or `"unix:@name"`. Port 0 takes a free one; `Listener.address` tells which.
            `"fd:3"` is a socket that listens already, which this process was started with.
        backlog: how many connections may wait to be accepted.
        reuse_port: share the port with others who ask for that; the kernel deals out the connections.
        tls: a context for servers, with a certificate: connections are `TlsSocket`s, which make the handshake
            when they are first used, within 10 seconds.

    Raises:
        ValueError: what is wrong with the address, or with `tls`.
        OSError: the port is in use (and by whom), needs rights, is not of this machine ...; one line
            says which, `errno` is set.
    """
    if isinstance(address, str) and address.startswith(SCHEME):
        check_server_context(tls)
        return Listener(inherited_listener(address), None, tls)
    place = parse_address(address)
    if place.datagram:
        raise ValueError(f"{place} has no connections to listen for: use bind({str(place)!r})")
    if backlog < 1:
        raise ValueError(f"backlog must be 1 or more, not {backlog}")
    check_server_context(tls)
    family, name = min(resolve(place), key=ipv4_first)
    raw = socket.socket(family, socket.SOCK_STREAM)
    file = None
    try:
        _prepare(raw, reuse_port=reuse_port)
        file = take_address(raw, name, place)
        raw.listen(backlog)
    except OSError as error:
        give_back(raw, file)
        raise bind_failure(error, place) from None
    return Listener(raw, file, tls)


def _prepare(raw: socket.socket, *, reuse_port: bool) -> None:
    """All that its connections are to inherit, and what makes a restart work at once."""
    raw.setblocking(False)
    if raw.family == socket.AF_UNIX:
        return
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    if os.name == "posix":
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if raw.family == socket.AF_INET6:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
