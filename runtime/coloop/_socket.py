"""Stream sockets, TCP and unix, that park the coroutine where a plain socket would block the thread.

A call is tried first and waits only if the kernel has nothing for it. All three places where a stream
can be misread are closed off: the end of the stream is given once (`b""`), and reading on raises
`Closed`, so that a loop which forgets to look ends instead of spinning; a reset that
one direction has met is told to the other as well, where the kernel would show it a clean end; and what
`recv_exactly` or `recv_until` had read when they were interrupted waits for the next `recv`.

A file is sent by the kernel itself where it can (sendfile(2)), and read and sent where it cannot.
The kernel is only trusted with what is nothing but its descriptor: a `GzipFile` has one as well, of
the compressed file.
"""

from __future__ import annotations

import errno
import io
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Literal, TypeVar

from ._address import Address, AddressLike, address_of
from ._binding import SocketFile
from ._endpoint import Endpoint
from ._errors import Closed
from ._form import quick
from ._kernel import kernel_state, reason, tcp_state, told, unread_bytes, unsent_bytes
from ._poller import READ, WRITE
from ._snapshot import SocketPicture, TlsPicture
from ._timers import check_seconds
from ._wire import BY_PEER

T = TypeVar("T")

RECV_BYTES: Final = 65536
MAX_DROPPED_BYTES: Final = 1 << 20  # of unread data at a close; who goes on sending gets a reset
LINGER_NAP_S: Final = 0.001
MAX_LINGER_NAP_S: Final = 0.1
SENDFILE_BYTES: Final = 256 * 1024  # by one call; 64 of them, which is a turn, take some 5 ms

_END_IN_QUEUE: Final = frozenset({"FIN_WAIT1", "CLOSING", "LAST_ACK"})  # where it counts as a byte
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # struct linger: on, for no time at all
NO_SIGPIPE: Final = getattr(socket, "MSG_NOSIGNAL", 0)
_NO_SENDFILE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ESPIPE})
_HOW: Final = {"read": socket.SHUT_RD, "write": socket.SHUT_WR, "both": socket.SHUT_RDWR}


class Socket(Endpoint):
    """One end of a connection; made by `connect`, `Listener.accept` and `testing.socket_pair`.

    What `connect` makes for datagrams, and `bind`, is a `DatagramSocket`, where some of this means less.

    One coroutine may read and one may write at a time. `with` closes it at the end of the block.

    Attributes:
        peer: the other end's address; None where it has none.
        received: bytes received so far.
        sent: bytes given to the kernel so far.
    """

    __slots__ = ()

    def __init__(
        self,
        raw: socket.socket,
        role: Literal["client", "server", "bound"],
        peer: Address | None = None,
        local: Address | None = None,
        file: SocketFile | None = None,
    ) -> None:
        super().__init__(raw, role, local, file)
        self.peer = peer
        self._plain = type(self) is Socket  # others have their own ways

    # -- receiving -------------------------------------------------------------------------------

    @quick
    def recv(self, n: int = RECV_BYTES, timeout: float | None = None) -> bytes:
        """What has come, at least one byte and at most `n`; parks while there is nothing.

        Args:
            n: bytes, 1 or more.
            timeout: seconds to wait at most.

        Returns:
            The bytes; `b""` at the end of the stream, once.

        Raises:
            Closed: it was closed here, or the end of the stream was given already.
            ConnectionResetError: the peer has torn the connection down.
            Busy: another coroutine reads.
            Timeout: nothing came in time.
        """
        if n < 1:
            raise ValueError(f"n must be 1 or more bytes, not {n}")
        return self._reading(timeout, self._recv, n)

    def recv_into(self, buffer: Any, n: int | None = None, timeout: float | None = None) -> int:
        """As `recv`, into a buffer that is there already.

        Args:
            buffer: anything bytes-like that can be written to; it cannot change its size meanwhile.
            n: bytes to be taken at most, 1 or more; all that fit in by default.
            timeout: seconds to wait at most.

        Returns:
            How many bytes were put in front; 0 at the end of the stream, once.

        Raises:
            ValueError: there is no room for `n` bytes.
            TypeError: it cannot be written to.
            Closed, ConnectionResetError, Busy, Timeout: as `recv`.
        """
        with memoryview(buffer) as given, given.cast("B") as view:
            if not view:
                raise ValueError("buffer has no room: a read of nothing looks like the end")
            room = len(view) if n is None else n
            if not 1 <= room <= len(view):
                raise ValueError(f"n must be 1 to {len(view)} bytes, the size of the buffer, not {room}")
            if view.readonly:
                raise TypeError(f"a buffer that can be written to is needed, not {type(buffer).__name__}")
            with view[:room] as part:
                return self._reading(timeout, self._recv_into, part)

    def peek(self, n: int = RECV_BYTES, timeout: float | None = None) -> bytes:
        """What the next `recv(n)` would give, which is left there; parks while there is nothing.

        There may be fewer than `n` bytes, now and when asked again: who needs all `n` takes `recv_exactly`.

        Returns:
            The bytes; `b""` at the end of the stream, which `recv` will still give.

        Raises:
            Closed, ConnectionResetError, Busy, Timeout: as `recv`.
        """
        if n < 1:
            raise ValueError(f"n must be 1 or more bytes, not {n}")
        return self._reading(timeout, self._peek, n)

    def recvfrom(self, n: int = RECV_BYTES, timeout: float | None = None) -> tuple[bytes, Address]:
        """As `recv`, with the address that it came from: on a stream always the peer's."""
        return self.recv(n, timeout), self.peer or Address(path="")

    def recv_exactly(self, n: int, timeout: float | None = None) -> bytes:
        """Exactly `n` bytes; parks until all are there.

        Raises:
            Closed: the stream ended before; what came is left for `recv`.
            Timeout: they did not come in time; likewise.
        """
        if n < 0:
            raise ValueError(f"n must be 0 or more bytes, not {n}")
        return self._reading(timeout, self._recv_exactly, n)

    def recv_until(self, delimiter: bytes, limit: int = RECV_BYTES, timeout: float | None = None) -> bytes:
        """All up to and with `delimiter`; parks until it comes.

        Raises:
            ValueError: `delimiter` is empty, or there is none within `limit` bytes, which are left for `recv`.
            Closed: the stream ended before; what came is left for `recv`.
            Timeout: it did not come in time; likewise.
        """
        if not delimiter:
            raise ValueError("delimiter must not be empty")
        return self._reading(timeout, self._recv_until, delimiter, limit)

    def _reading(self, timeout_s: float | None, call: Callable[..., T], *args: object) -> T:
        """`call(*args)` as the only reader."""
        me = self._begin()
        if self._reader is not None:
            raise self._busy("being read", self._reader, me)
        self._reader = me
        try:
            if self._held:  # what was read before waits too
                return self._limited("recv", timeout_s, lambda: self._once_unheld(call, *args))
            return self._limited("recv", timeout_s, call, *args)
        finally:
            self._reader = None

    def _once_unheld(self, call: Callable[..., T], *args: object) -> T:
        while self._held:
            self._wait_while_held()
        return call(*args)

    def _wait_while_held(self) -> None:
        self._wait(READ, "recv")

    def _recv(self, n: int) -> bytes:
        if self._ahead:
            return self._take(n)
        return self._receive(n)

    def _recv_into(self, view: memoryview) -> int:
        if self._ahead:
            data = self._take(len(view))
            view[: len(data)] = data
            return len(data)
        count = self._from_kernel(self._raw.recv_into, view)
        self._took(count, len(view))
        return count

    def _peek(self, n: int) -> bytes:
        if self._ahead:
            return bytes(self._ahead[:n])
        data = self._from_kernel(self._raw.recv, n, socket.MSG_PEEK)
        if not data:
            self._meet_the_end()
        return data

    def _recv_exactly(self, n: int) -> bytes:
        while len(self._ahead) < n:
            self._read_ahead(f"after {len(self._ahead)} of {n} bytes")
        return self._take(n)

    def _recv_until(self, delimiter: bytes, limit: int) -> bytes:
        searched = 0
        while (found := self._ahead.find(delimiter, searched, limit)) < 0:
            if len(self._ahead) >= limit:
                raise ValueError(f"{self}: no {delimiter!r} within {limit} bytes")
            searched = max(0, len(self._ahead) - len(delimiter) + 1)
            self._read_ahead(f"before {delimiter!r}")
        return self._take(found + len(delimiter))

    def _read_ahead(self, so_far: str) -> None:
        data = self._receive(RECV_BYTES)
        if not data:
            raise Closed(f"{self} was {self._read_ended} {so_far}")
        self._ahead += data

    def _take(self, n: int) -> bytes:
        taken = bytes(self._ahead[:n])
        del self._ahead[:n]
        return taken

    def _receive(self, n: int) -> bytes:
        data = self._from_kernel(self._raw.recv, n)
        self._took(len(data), n)
        return data

    def _from_kernel(self, call: Callable[..., T], *args: object) -> T:
        """What `call(*args)` takes from the kernel, as soon as there is anything, or the end."""
        self._check_receiving()
        while True:
            if self._readable:
                try:
                    return call(*args)
                except BlockingIOError:
                    self._readable = False
                except OSError as error:
                    raise self._failure(error) from None
            self._wait(READ, "recv")

    def _check_receiving(self) -> None:
        if self._read_ended is not None:
            raise Closed(f"{self} was {self._read_ended}: there is nothing more to receive")

    def _took(self, count: int, asked: int) -> None:
        """`count` bytes came, where `asked` could have."""
        if not count:
            self._meet_the_end()
            if self._read_ended is None:
                self._read_ended = self._how_left
        elif count < asked and self._short_is_drained:
            self._readable = False
        self.received += count

    def _meet_the_end(self) -> None:
        if self._reset:
            raise self._reset_error()
        # Others get a turn first: a loop that takes the end for data must not spin.
        self._scheduler.yield_now()
        self._check_open()

    # -- sending ---------------------------------------------------------------------------------

    @quick
    def send(self, data: bytes | bytearray | memoryview, timeout: float | None = None) -> int:
        """Give the kernel what it takes of `data`; parks while it takes nothing.

        Returns:
            How many bytes it took: at least one, or 0 for no data.

        Raises:
            Closed: it was closed here, or its sending side was shut down.
            ConnectionError: the peer has gone (`ConnectionResetError`, `BrokenPipeError`).
            Busy: another coroutine writes.
            Timeout: the peer did not read in time.
        """
        return self._writing(timeout, self._give, data)

    @quick
    def sendall(self, data: bytes | bytearray | memoryview, timeout: float | None = None) -> None:
        """Give all of `data` to the kernel; parks as long as the peer is slow to read.

        Raises:
            Closed, ConnectionError, Busy: as `send`; part of the data may have been sent.
            Timeout: the peer did not read all in time; `sent` tells how far it got.
        """
        self._writing(timeout, self._give_all, data)

    def sendto(
        self,
        data: bytes | bytearray | memoryview,  # noqa: ARG002 - as in DatagramSocket
        address: AddressLike,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002
    ) -> int:
        """Give the kernel a datagram for `address`; only a datagram socket can do that.

        Raises:
            OSError: this is a stream, which leads to its peer and to nobody else.
        """
        raise told(errno.EISCONN, f"{self} is a stream to its peer: use send(data)")

    def sendfile(
        self, file: Any, offset: int = 0, count: int | None = None, timeout: float | None = None
    ) -> int:
        """Send a file, or a part of it; parks as long as the peer is slow to read.

        It is the disk that is not waited for: a file that has to be fetched from a slow one holds up the loop.

        Args:
            file: a file, or anything that has `read(n)`, open in binary mode.
            offset: where to begin, in bytes from its start; what cannot `seek` is sent from where it stands.
            count: bytes to be sent at most; all to its end by default.
            timeout: seconds to wait at most.

        Returns:
            How many bytes were sent: fewer than `count` if the file has no more.

        Raises:
            ValueError: it is open in text mode or not to be read, or one of the numbers makes no sense.
            Closed, ConnectionError, Busy: as `send`; part of it may have been sent.
            Timeout: the peer did not read all in time. Whatever ends it, `sent` tells how far it got, and
                so does `file.tell()`: the next byte to be sent is the next to be read.
        """
        if offset < 0:
            raise ValueError(f"offset must be 0 or more bytes, not {offset}")
        if count is not None and count < 0:
            raise ValueError(f"count must be 0 or more bytes, not {count}")
        return self._writing(timeout, self._give_file, file, offset, count)

    def _writing(self, timeout_s: float | None, call: Callable[..., T], *args: object) -> T:
        """`call(*args)` as the only writer."""
        me = self._begin()
        if self._writer is not None:
            raise self._busy("being written to", self._writer, me)
        self._writer = me
        try:
            return self._limited("send", timeout_s, call, *args)
        finally:
            self._writer = None

    def _give(self, data: bytes | bytearray | memoryview) -> int:
        return self._to_kernel(self._raw.send, data, NO_SIGPIPE)

    def _to_kernel(self, call: Callable[..., int], *args: object) -> int:
        """How many bytes `call(*args)` gave to the kernel, as soon as it takes any."""
        while True:
            self._check_sending()
            if self._writable:
                try:
                    count = call(*args)
                except BlockingIOError:
                    self._writable = False
                except OSError as error:
                    raise self._failure(error) from None
                else:
                    self.sent += count
                    return count
            self._wait(WRITE, "send")

    @quick
    def offer(self, data: bytes) -> int:
        """Give the kernel what it takes of `data` at once; never parks.

        Returns:
            How many bytes it took; 0 while another coroutine writes.

        Raises:
            Closed, ConnectionError: as `send`.
        """
        self._check_thread()
        self._check_open()
        self._check_sending()
        if self._writer is not None or not self._writable:
            return 0
        return self._give_at_once(data)

    def _give_at_once(self, data: bytes) -> int:
        try:
            count = self._raw.send(data, NO_SIGPIPE)
        except BlockingIOError:
            self._writable = False
            return 0
        except OSError as error:
            raise self._failure(error) from None
        self.sent += count
        return count

    @property
    def owed(self) -> int:
        """Bytes that were taken from a sender and are not the kernel's yet: with TLS they wait as records."""
        return 0

    def _check_sending(self) -> None:
        if self._write_ended is not None:
            raise Closed(f"{self} cannot send any more: its sending side was {self._write_ended}")

    def _give_all(self, data: bytes | bytearray | memoryview) -> None:
        with memoryview(data) as given, given.cast("B") as view:
            done = self._give(view)
            while done < len(view):
                done += self._give(view[done:])

    def _give_file(self, file: Any, offset: int, count: int | None) -> int:
        seekable = _is_seekable(file)
        if offset and not seekable:
            raise ValueError(f"offset {offset}: {file!r} cannot seek, it is sent from where it stands")
        sent_before = self.sent
        try:
            if not self._let_kernel_send(file, offset, count):
                if seekable:
                    file.seek(offset)
                self._read_and_send(file, count)
        finally:
            if seekable:
                with suppress(OSError, ValueError):  # closed meanwhile, by its owner
                    file.seek(offset + self.sent - sent_before)
        return self.sent - sent_before

    def _let_kernel_send(self, file: Any, offset: int, count: int | None) -> bool:
        """Send by sendfile(2); False if that cannot be used, and nothing was sent."""
        if not hasattr(os, "sendfile") or not isinstance(getattr(file, "raw", file), io.FileIO):
            return False
        if not file.readable():  # the kernel would call the socket's descriptor a bad one
            raise io.UnsupportedOperation(f"a file must be open to be read, to be sent, not {file!r}")
        file.flush()
        done = 0
        while count is None or done < count:
            share = SENDFILE_BYTES if count is None else min(count - done, SENDFILE_BYTES)
            try:
                given = self._to_kernel(self._sendfile, file, offset + done, share)
            except OSError as error:
                if done or error.errno not in _NO_SENDFILE:
                    raise
                return False
            if not given:
                break
            done += given
            self._take_turns()
        return True

    def _sendfile(self, file: Any, offset: int, count: int) -> int:
        return os.sendfile(self._raw.fileno(), file.fileno(), offset, count)

    def _read_and_send(self, file: Any, count: int | None) -> None:
        left = count
        while left is None or left > 0:
            data = file.read(RECV_BYTES if left is None else min(left, RECV_BYTES))
            self._check_open()  # it may have parked to read
            if isinstance(data, str):
                raise ValueError(f"a file must be open in binary mode to be sent, not {file!r}")
            if not data:
                return
            self._give_all(data)
            left = None if left is None else left - len(data)
            self._take_turns()

    def _take_turns(self) -> None:
        """Others may run now, and close this."""
        self._scheduler.checkpoint()
        self._check_open()

    # -- holding ---------------------------------------------------------------------------------

    def _hold(self) -> None:
        """Have all reading wait until `_unhold`, whose limits of time go on: what comes stays with the kernel."""
        self._scheduler.poller.hold(self)

    def _unhold(self) -> None:
        """Let it be read again; without effect if it is not held."""
        if self._held:
            reader = self._scheduler.poller.release(self)
            if reader is not None:
                self._scheduler.wake(reader)

    # -- ending ----------------------------------------------------------------------------------

    def shutdown(self, how: Literal["read", "write", "both"] = "write") -> None:
        """End one direction or both; the other goes on. The peer sees the end of our stream after `write`.

        Raises:
            ValueError: `how` is none of these.
            Closed: it is closed.
        """
        if how not in _HOW:
            raise ValueError(f"how must be 'read', 'write' or 'both', not {how!r}")
        self._check_thread()
        self._check_open()
        ended = f"shut down by {self._scheduler.running or 'its scheduler'}"
        if how != "read":
            self._parting = self._ending or "server"
            self._write_ended = self._write_ended or ended
        if how != "write":
            self._read_ended = self._read_ended or ended
        self._shut(how)

    def _shut(self, how: str) -> None:
        with suppress(OSError):  # ENOTCONN: the peer ended both before we came to it
            self._raw.shutdown(_HOW[how])

    @quick
    def close(self, linger: float | None = None) -> bool | None:
        """Close it; those who wait on it get `Closed`. A second time: nothing happens.

        Args:
            linger: None lets the kernel send the rest in the background. 0 resets the connection: the
                rest is lost. Seconds: park until the peer's kernel has acknowledged all, so long at most;
                if it has not by then, the connection is reset and the rest is lost. Who is interrupted meanwhile
                leaves it to the kernel, as with None. A unix socket knows no reset: what was sent can still be read.

        Returns:
            With seconds, whether all was acknowledged; None otherwise.
        """
        if linger is not None:
            linger = check_seconds(linger, "linger")
        if not self._retire():
            return None
        self._parting = self._ending or ("reset" if linger == 0 else "server")
        try:
            if linger == 0:
                self._drop_unsent()
                return None
            linger = self._take_leave(linger)
            self._drop_unread()
            if linger is None:
                return None
            acknowledged = self._linger(linger)
            if not acknowledged:
                self._drop_unsent()
            return acknowledged
        finally:
            self._release()

    def _drop_unsent(self) -> None:
        """Have the kernel tear the connection down when it is closed, instead of sending the rest."""
        self._note_loss()
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def _note_loss(self) -> None:
        """Put what is dropped down to whoever drops it; where the peer has reset the connection, he did."""
        who, state = self._scheduler.running, tcp_state(self._raw)
        if who is None or state in {None, "CLOSE"}:  # a unix socket loses nothing
            return
        size = (unsent_bytes(self._raw) or 0) - (state in _END_IN_QUEUE)
        if size > 0:
            self._scheduler.losses.add(who.id, who.name, size, self._scheduler.clock.now())

    def _take_leave(self, linger: float | None) -> float | None:
        """What is said at the end, for which a plain stream has no words; returns what is left of `linger`."""
        return linger

    def _drop_unread(self) -> bool:
        """Read what nobody will: a close over unread data would reset the connection and lose what we sent.

        Returns:
            False if the connection is broken.
        """
        dropped = 0
        while not self.peer_gone and dropped < MAX_DROPPED_BYTES:
            try:
                count = len(self._raw.recv(RECV_BYTES))
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not count:  # which nobody has met, so it was not the end of this connection
                break
            dropped += count
        return not self._reset

    def _linger(self, seconds: float) -> bool:
        scheduler = self._scheduler
        with suppress(OSError):
            self._raw.shutdown(socket.SHUT_WR)
        deadline = scheduler.clock.now() + seconds
        nap_s = LINGER_NAP_S
        while unsent_bytes(self._raw) != 0:
            left_s = deadline - scheduler.clock.now()
            if left_s <= 0 or tcp_state(self._raw) == "CLOSE":
                return False
            # No event tells of an acknowledgement, on any platform.
            self._nap("close", min(nap_s, left_s))
            if not self._drop_unread():
                return False
            nap_s = min(2 * nap_s, MAX_LINGER_NAP_S)
        return True

    def _failure(self, error: OSError) -> OSError:
        """What to raise for an error of the kernel's: the same, with the names of both ends."""
        if error.errno == errno.ECONNRESET or self._reset:
            self._reset = True
            return self._reset_error()
        if error.errno == errno.EPIPE:
            self._write_ended = self._how_left
            return told(errno.EPIPE, f"{self} was {self._write_ended}: nobody receives any more")
        return told(error.errno or errno.EIO, f"{self}: {reason(error)}{self._peer_text}")

    def _reset_error(self) -> OSError:
        return told(errno.ECONNRESET, f"{self} was reset by peer{self._peer_text}")

    # -- looking ---------------------------------------------------------------------------------

    @property
    def tls(self) -> TlsPicture | None:
        """What was agreed on with the peer of a TLS connection; None for any other."""
        return None

    @property
    def peer_gone(self) -> bool:
        """Whether the peer is known to have ended its stream, or the connection."""
        ends = (self._read_ended, self._write_ended)
        return self._reset or any(end is not None and end.startswith(BY_PEER) for end in ends)

    @property
    def state(self) -> str:
        """What we think of it: `open`, `half-closed`, `closed by peer`, `ended`, `reset`, `closing`, `closed`."""
        if self._closed_by is not None:
            return "closed" if self._raw.fileno() < 0 else "closing"
        if self._reset:
            return "reset"
        if self._read_ended is not None and self._write_ended is not None:
            return "ended"
        if self._write_ended is not None:
            return "half-closed"
        return "open" if self._read_ended is None else BY_PEER

    def info(self) -> SocketPicture:
        """A frozen picture: what we think, what the kernel thinks, what is queued, and who waits."""
        unread = unread_bytes(self._raw)
        return SocketPicture(
            id=self.id,
            fd=self._raw.fileno(),
            kind=self.kind,
            role=self.role,
            local=str(self.local),
            peer=None if self.peer is None else str(self.peer),
            state=self.state,
            kernel=kernel_state(self._raw),
            unread=None if unread is None else unread + len(self._ahead),
            unsent=unsent_bytes(self._raw),
            received=self.received,
            sent=self.sent,
            reader=None if self._reader is None else self._reader.id,
            writer=None if self._writer is None else self._writer.id,
            owner=self.owner,
            age_s=self.age_s,
        )

    @property
    def _how_left(self) -> str:
        return f"{BY_PEER}{self._peer_text}"

    @property
    def _peer_text(self) -> str:
        return "" if self.peer is None else f" {self.peer}"

    def __enter__(self) -> Socket:  # noqa: PYI034 - nobody derives from it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        peer = "" if self.peer is None else f" - {self.peer}"
        return f"<{type(self).__name__}#{self.id} {self.kind} {self.local}{peer} {self.state}>"


def _is_seekable(file: Any) -> bool:
    seekable: Callable[[], bool] | None = getattr(file, "seekable", None)
    return hasattr(file, "seek") if seekable is None else seekable()


def adopt_socket(raw: socket.socket) -> Socket:
    """Make a connected stream socket of the library's a `Socket` of the running scheduler's.

    Args:
        raw: it belongs to the `Socket` from now on.
    """
    peer = raw.getpeername()
    return Socket(raw, "client", address_of(peer) if peer else None)
