"""Reaching out: from an address to a connected socket.

A name may stand for several addresses, and the first is not always the one where somebody listens:
`localhost` is `::1` before it is `127.0.0.1`. They are tried one after the other, each within its
share of the time that is left, so that one which swallows packets does not eat it all.

A datagram socket has nobody to call: `connect` gives it a peer, so that the kernel lets nobody else's
datagrams in, and can tell of refusals. Whether anybody is there, the first exchange will show.

On loopback a connection can meet itself: when the port to be reached is one that the kernel gives
out, it may give out that very port, and TCP joins the socket to itself. Nobody listens there.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any, Final

from ._address import (
    Address,
    AddressLike,
    Target,
    address_of,
    parse_address,
    parse_datagram_address,
    resolve,
)
from ._binding import SocketFile, give_back, ipv4_first, take_address
from ._datagram import DatagramSocket
from ._errors import Timeout
from ._kernel import reason, told
from ._poller import WRITE
from ._scheduler import Scheduler, current_scheduler
from ._socket import Socket
from ._timeouts import timeout as time_limit
from ._tls import TlsSocket, tls_client

Make = Callable[..., Socket]

DEFAULT_TIMEOUT_S: Final = 10.0
FULL_BACKLOG_NAP_S: Final = 0.01


def connect(
    address: AddressLike,
    *,
    timeout: float | None = None,
    local: AddressLike | None = None,
    tls: bool | ssl.SSLContext | None = None,
    server_hostname: str | None = None,
) -> Socket:
    """Open a connection; parks until it stands.

    Args:
        address: `(host, port)`, `"host:port"`, `":port"` (on this machine), `"[::1]:port"`, `"unix:/path"` or
            `"unix:@name"`; for datagrams `"udp:host:port"` or `"unixgram:/path"`.
        timeout: seconds for all of it, looking up the name included; 10 by default.
        local: the address to come from.
        tls: True for TLS with a server that one of the system's authorities vouches for, by its host's name;
            a context of the library's for TLS on other terms.
        server_hostname: whom the server's certificate must be for, and who is asked for; the host by default.

    Returns:
        The socket; with `tls` a `TlsSocket`, after the handshake; for datagrams a `DatagramSocket`, though
        nobody may be there.

    Raises:
        ValueError: what is wrong with the address, or with `tls`.
        ConnectionRefusedError: nobody listens there.
        Timeout: no answer in time.
        ssl.SSLError: the server does not speak TLS, or, a `SSLCertVerificationError`, cannot prove who it is.
        OSError: no such host, no route ...; the message says which, `errno` is set.
    """
    scheduler = current_scheduler()
    remote = parse_address(address)
    parse_local = parse_datagram_address if remote.datagram else parse_address
    source = None if local is None else parse_local(local)
    client = tls_client(tls, server_hostname, remote)
    seconds = DEFAULT_TIMEOUT_S if timeout is None else timeout
    limit = time_limit(seconds)
    try:
        with limit:
            deadline = scheduler.clock.now() + seconds
            make = client.socket_maker()
            return _agreed(_connect_any(scheduler, remote, source, make, deadline), seconds)
    except Timeout:
        if limit.expired:
            raise Timeout(f"connect {remote}: timed out after {seconds:g}s") from None
        raise


def _agreed(connection: Socket, seconds: float) -> Socket:
    """With TLS, after the handshake. The host was found: its other addresses would not do better."""
    if isinstance(connection, TlsSocket):
        try:
            connection.handshake(seconds)
        except BaseException:
            connection.abandon()
            raise
    return connection


def _connect_any(
    scheduler: Scheduler, remote: Address, source: Address | None, make: Make, deadline: float
) -> Socket:
    """The first target that answers; the failure of the last if none does."""
    targets = resolve(remote)
    if remote.datagram:
        return _connect_datagram(min(targets, key=ipv4_first), remote, source)
    for left in range(len(targets), 1, -1):
        share = time_limit(max(0.0, deadline - scheduler.clock.now()) / left)
        try:
            with share:
                return _connect_one(scheduler, targets[-left], remote, source, make)
        except Timeout:
            if not share.expired:
                raise
        except OSError:
            continue
    return _connect_one(scheduler, targets[-1], remote, source, make)


def _connect_one(
    scheduler: Scheduler, target: Target, remote: Address, source: Address | None, make: Make
) -> Socket:
    family, name = target
    raw, file = _open(family, source, socket.SOCK_STREAM)
    try:
        number = raw.connect_ex(name)
        while number == errno.EAGAIN and family == socket.AF_UNIX:  # its backlog is full, and no event tells
            scheduler.sleep(FULL_BACKLOG_NAP_S)
            number = raw.connect_ex(name)
        _check(number, remote)
    except BaseException:
        give_back(raw, file)
        raise
    connection = make(raw, "client", address_of(name), file=file)
    try:
        if number != 0:
            connection._wait(WRITE, "connect")
            _check(raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), remote)
        if connection.kind == "tcp" and connection.local == connection.peer:
            raise _refused(errno.ECONNREFUSED, remote)
    except BaseException:
        connection.abandon()
        raise
    return connection


def _connect_datagram(target: Target, remote: Address, source: Address | None) -> DatagramSocket:
    family, name = target
    raw, file = _open(family, source, socket.SOCK_DGRAM)
    try:
        if source is None and family == socket.AF_UNIX and sys.platform == "linux":
            raw.bind(b"")  # the kernel makes up a name, as it does a port for UDP: else nobody could answer
        _check(raw.connect_ex(name), remote)
    except BaseException:
        give_back(raw, file)
        raise
    return DatagramSocket(raw, "client", address_of(name, datagram=True), file=file)


def _open(family: int, source: Address | None, kind: int) -> tuple[socket.socket, SocketFile | None]:
    """A socket that is ready to connect, and the file that this has made."""
    sources = [] if source is None else resolve(source)
    raw = socket.socket(family, kind)
    file = None
    try:
        raw.setblocking(False)
        if family != socket.AF_UNIX and kind == socket.SOCK_STREAM:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        if source is not None:
            file = _bind(raw, source, [name for its_family, name in sources if its_family == family])
    except BaseException:
        raw.close()
        raise
    return raw, file


def _bind(raw: socket.socket, source: Address, names: list[Any]) -> SocketFile | None:
    if not names:
        raise told(errno.EADDRNOTAVAIL, f"local {source} is of another kind than the address to be reached")
    try:
        return take_address(raw, names[0], source)
    except OSError as error:
        raise told(error.errno or errno.EIO, f"cannot come from {source}: {reason(error)}") from None


def _check(number: int, remote: Address) -> None:
    """Raise what the kernel's answer means, unless it stands or is on its way."""
    if number not in {0, errno.EINPROGRESS}:
        raise _refused(number, remote)


def _refused(number: int, remote: Address) -> OSError:
    if number == errno.ECONNREFUSED:
        return told(number, f"refused: nobody listens on {remote}")
    if number == errno.ENOENT:
        return told(number, f"refused: there is no socket {remote}")
    return told(number, f"cannot connect to {remote}: {os.strerror(number).lower()}")
