"""Datagrams, UDP and unix: whole messages, each by itself, from one address to another.

A stream is ended by `b""`; here an empty message is a message, and there is no end. What a stream
delivers or reports as broken, datagrams lose in silence, with two exceptions that the kernel knows of
and that are told: a message that did not fit into what was asked for (`Truncated`), and a peer's machine
that has answered "nobody listens here" (`ConnectionRefusedError`, which belongs to a message sent before,
so the next call on either lane gets it). Neither ends the socket.

A `sendto` to a unix socket whose queue is full waits by naps: the kernel tells of room only those who
are connected to it, or have a message of their own in there.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any, Final, NoReturn

from ._address import Address, AddressLike, address_of, parse_datagram_address, resolve
from ._binding import bind_failure, ipv4_first, take_address
from ._errors import Truncated
from ._kernel import reason, told
from ._socket import RECV_BYTES, Socket
from ._timers import check_seconds

FULL_QUEUE_NAP_S: Final = 0.01


def _for_streams(call: str) -> Callable[..., NoReturn]:
    """A method that says it is not for datagrams."""

    def refuse(self: DatagramSocket, *_: object, **__: object) -> NoReturn:
        raise told(errno.EOPNOTSUPP, f"{self} is for datagrams, {call} is for streams")

    refuse.__name__ = call
    refuse.__doc__ = "Not here: it is for streams."
    return refuse


class DatagramSocket(Socket):
    """A socket for datagrams; made by `bind`, which hears everybody, and by `connect`, which has a peer.

    `recv`, `recv_into`, `peek` and `recvfrom` take one message, `send`, `sendall` and `sendto` give one. One
    coroutine may read and one may write at a time. `with` closes it at the end of the block.

    Attributes:
        peer: the only address that it talks to; None where it hears everybody.
    """

    __slots__ = ()

    @property
    def address(self) -> Address:
        """Its own address, with the real port."""
        return self.local

    # -- receiving -------------------------------------------------------------------------------

    def recv(self, n: int = RECV_BYTES, timeout: float | None = None) -> bytes:
        """The next message; parks until there is one.

        Args:
            n: how long it may be, in bytes, 1 or more.
            timeout: seconds to wait at most.

        Returns:
            The message; `b""` is an empty one.

        Raises:
            Truncated: it was longer; the rest is lost.
            ConnectionRefusedError: nobody listens where an earlier message was sent to; this goes on.
            Closed: it was closed here.
            Busy: another coroutine reads.
            Timeout: nothing came in time.
        """
        return self.recvfrom(n, timeout)[0]

    def recvfrom(self, n: int = RECV_BYTES, timeout: float | None = None) -> tuple[bytes, Address]:
        """As `recv`, with the address of who sent it, which can be given to `sendto`.

        Who sends from a unix socket without a name cannot be answered: the address is `unixgram:`.
        """
        if n < 1:
            raise ValueError(f"n must be 1 or more bytes, not {n}")
        return self._reading(timeout, self._recvfrom, n)

    def _recvfrom(self, n: int) -> tuple[bytes, Address]:
        data, _, flags, name = self._from_kernel(self._raw.recvmsg, n)
        self.received += len(data)
        sender = address_of(name, datagram=True)
        self._check_whole(flags, n, data, sender)
        return data, sender

    def _recv_into(self, view: memoryview) -> int:
        count, _, flags, name = self._from_kernel(self._raw.recvmsg_into, [view])
        self.received += count
        self._check_whole(flags, len(view), None, address_of(name, datagram=True))
        return count

    def _peek(self, n: int) -> bytes:
        return self._from_kernel(self._raw.recv, n, socket.MSG_PEEK)

    def _check_whole(self, flags: int, n: int, beginning: bytes | None, sender: Address) -> None:
        if flags & socket.MSG_TRUNC:
            raise Truncated(
                f"{self}: a datagram from {sender} was longer than {n} bytes, the rest is lost",
                beginning,
                sender,
            )

    # -- sending ---------------------------------------------------------------------------------

    def send(self, data: bytes | bytearray | memoryview, timeout: float | None = None) -> int:
        """Send `data` to the peer as one message; parks while the kernel has no room for it.

        Returns:
            Its length.

        Raises:
            OSError: it has no peer, or the message is too long (`errno.EMSGSIZE`).
            ConnectionRefusedError: nobody listens where an earlier message was sent to. This one was not
                sent; this goes on.
            Closed: it was closed here.
            Busy: another coroutine writes.
            Timeout: there was no room in time.
        """
        if self.peer is None:
            raise told(errno.EDESTADDRREQ, f"{self} has no peer: use sendto(data, address)")
        return self._writing(timeout, self._give, data)

    def sendall(self, data: bytes | bytearray | memoryview, timeout: float | None = None) -> None:
        """As `send`: a message is sent whole or not at all."""
        self.send(data, timeout)

    def sendto(
        self, data: bytes | bytearray | memoryview, address: AddressLike, timeout: float | None = None
    ) -> int:
        """Send `data` to `address` as one message; parks while a name is looked up, or for room.

        Args:
            data: the message; it may be empty.
            address: what `recvfrom` gave, or as for `bind`.
            timeout: seconds to wait at most.

        Returns:
            Its length.

        Raises:
            ValueError: what is wrong with the address.
            OSError: it cannot be sent there, or is too long (`errno.EMSGSIZE`), or this has a peer.
            Closed, Busy, Timeout: as `send`. That nobody listens there is not told, as no answer is due.
        """
        place = parse_datagram_address(address)
        if self.peer is not None:
            raise told(
                errno.EISCONN, f"{self} talks to {self.peer} only: use send(data), or bind(...) another"
            )
        if place.path == "":
            raise told(errno.EDESTADDRREQ, f"{self}: who has no name cannot be sent anything")
        self._begin()
        return self._limited("send", timeout, self._send_to, data, place)

    def _send_to(self, data: bytes | bytearray | memoryview, place: Address) -> int:
        """The name is looked up outside of the lane: others can send meanwhile."""
        names = [name for family, name in resolve(place) if family == self._raw.family]
        if not names:
            raise told(errno.EAFNOSUPPORT, f"{self} is {self.kind} on {self.local}, it cannot reach {place}")
        return self._writing(None, self._give_to, data, names[0], place)

    def _give(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return self._to_kernel(self._raw.send, data)
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                self._rejoin()
                return self._to_kernel(self._raw.send, data)
            raise self._send_failure(error, data, self.peer) from None

    def _rejoin(self) -> None:
        """The kernel has parted a unix socket from its peer, who had gone; another may be there by now."""
        assert self.peer is not None
        try:
            self._raw.connect(resolve(self.peer)[0][1])
        except OSError as error:
            if error.errno == errno.ENOENT:  # its file has gone with it
                error.errno = errno.ECONNREFUSED
            raise self._failure(error) from None

    def _give_to(self, data: bytes | bytearray | memoryview, name: Any, place: Address) -> int:
        try:
            if place.path is None:
                return self._to_kernel(self._raw.sendto, data, name)
            return self._give_to_unix(data, name)
        except OSError as error:
            raise self._send_failure(error, data, place) from None

    def _give_to_unix(self, data: bytes | bytearray | memoryview, name: Any) -> int:
        while True:
            try:
                count = self._raw.sendto(data, name)
            except BlockingIOError:
                self._nap("send", FULL_QUEUE_NAP_S)
                self._check_open()
            except OSError as error:
                raise self._failure(error) from None
            else:
                self.sent += count
                return count

    # -- failures --------------------------------------------------------------------------------

    def _failure(self, error: OSError) -> OSError:
        if error.errno == errno.ECONNREFUSED:
            return told(errno.ECONNREFUSED, f"{self} was refused: nobody listens on {self.peer}")
        return told(error.errno or errno.EIO, f"{self}: {reason(error)}")

    def _send_failure(self, error: OSError, data: Any, place: Address | None) -> OSError:
        if error.errno == errno.EMSGSIZE:
            size = memoryview(data).nbytes
            return told(errno.EMSGSIZE, f"{self}: a datagram of {size} bytes is too long for {self.kind}")
        if error.errno in {errno.ECONNREFUSED, errno.ENOENT} and self.peer is None:
            return told(error.errno, f"{self} was refused: nobody listens on {place}")
        return error

    # -- what only streams have --------------------------------------------------------------------

    recv_exactly = _for_streams("recv_exactly")
    recv_until = _for_streams("recv_until")
    sendfile = _for_streams("sendfile")
    shutdown = _for_streams("shutdown")

    # -- ending ----------------------------------------------------------------------------------

    def close(self, linger: float | None = None) -> bool | None:
        """Close it; those who wait on it get `Closed`. A second time: nothing happens.

        Args:
            linger: without effect, as nobody acknowledges a datagram; what was sent is on its way.
        """
        if linger is not None:
            check_seconds(linger, "linger")
        if self._retire():
            self._release()
        return None

    def __str__(self) -> str:
        return f"socket#{self.id}"


def bind(address: AddressLike, *, reuse_port: bool = False) -> DatagramSocket:
    """Receive datagrams at an address; parks only while a name is looked up.

    An echo server::

        with coloop.bind(":9000") as sock:
            while True:
                data, sender = sock.recvfrom()
                sock.sendto(data, sender)

    Args:
        address: `"udp:host:port"` or `"unixgram:/path"`; `(host, port)`, `"host:port"` and `":port"` (for this
            machine only) mean UDP here. Port 0 takes a free one; `DatagramSocket.address` tells which.
        reuse_port: share the port with others who ask for that; the kernel deals out the senders.

    Raises:
        ValueError: what is wrong with the address.
        OSError: the port is in use (and by whom), needs rights, is not of this machine ...; one line
            says which, `errno` is set.
    """
    place = parse_datagram_address(address)
    family, name = min(resolve(place), key=ipv4_first)
    raw = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse_port and family != socket.AF_UNIX:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        file = take_address(raw, name, place)
    except OSError as error:
        raw.close()
        raise bind_failure(error, place) from None
    return DatagramSocket(raw, "bound", file=file)
