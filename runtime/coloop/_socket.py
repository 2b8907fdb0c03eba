"""Stream sockets, TCP and unix, that park the coroutine where a plain socket would block the thread.

A call is tried first and waits only if the kernel has nothing for it. All three places where a stream
can be misread are closed off: the end of the stream is given once (`b""`), and reading on raises
`Closed`, so that a loop which forgets to look ends instead of spinning; a reset that
one direction has met is told to the other as well, where the kernel would show it a clean end; and what
`recv_exactly` or `recv_until` had read when they were interrupted waits for the next `recv`.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Literal, TypeVar

from ._address import Address, address_of
from ._endpoint import Endpoint
from ._errors import Closed
from ._kernel import reason, tcp_state, told, unread_bytes, unsent_bytes
from ._poller import READ, WRITE
from ._snapshot import SocketPicture
from ._timers import check_seconds

T = TypeVar("T")

RECV_BYTES: Final = 65536
MAX_DROPPED_BYTES: Final = 1 << 20  # of unread data at a close; who goes on sending gets a reset
LINGER_NAP_S: Final = 0.001
MAX_LINGER_NAP_S: Final = 0.1
BY_PEER: Final = "closed by peer"

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # struct linger: on, for no time at all
_NO_SIGPIPE: Final = getattr(socket, "MSG_NOSIGNAL", 0)
_HOW: Final = {"read": socket.SHUT_RD, "write": socket.SHUT_WR, "both": socket.SHUT_RDWR}


class Socket(Endpoint):
    """One end of a connection; made by `connect`, `Listener.accept` and `testing.socket_pair`.

    One coroutine may read and one may write at a time. `with` closes it at the end of the block.

    Attributes:
        peer: the other end's address; None where it has none.
        received: bytes received so far.
        sent: bytes given to the kernel so far.
    """

    __slots__ = ("_ahead", "_read_ended", "_reset", "_write_ended", "peer", "received", "sent")

    def __init__(
        self,
        raw: socket.socket,
        role: Literal["client", "server"],
        peer: Address | None = None,
        local: Address | None = None,
    ) -> None:
        super().__init__(raw, role, local)
        self.peer = peer
        self.received = 0
        self.sent = 0
        self._ahead = bytearray()
        self._read_ended: str | None = None
        self._write_ended: str | None = None
        self._reset = False

    # -- receiving -------------------------------------------------------------------------------

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
            return self._limited("recv", timeout_s, call, *args)
        finally:
            self._reader = None

    def _recv(self, n: int) -> bytes:
        if self._ahead:
            return self._take(n)
        return self._receive(n)

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
        """From the kernel."""
        if self._read_ended is not None:
            raise Closed(f"{self} was {self._read_ended}: there is nothing more to receive")
        watch = self._watch
        while True:
            if watch.readable:
                try:
                    data = self._raw.recv(n)
                except BlockingIOError:
                    watch.readable = False
                except OSError as error:
                    raise self._failure(error) from None
                else:
                    break
            self._wait(READ, "recv")
        if not data:
            self._end_of_stream()
        elif len(data) < n and watch.short_is_drained:
            watch.readable = False
        self.received += len(data)
        return data

    def _end_of_stream(self) -> None:
        if self._reset:
            raise self._reset_error()
        # Others get a turn first: a loop that takes the end for data must not spin.
        self._scheduler.yield_now()
        self._check_open()
        if self._read_ended is None:
            self._read_ended = f"{BY_PEER}{self._peer_text}"

    # -- sending ---------------------------------------------------------------------------------

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

    def sendall(self, data: bytes | bytearray | memoryview, timeout: float | None = None) -> None:
        """Give all of `data` to the kernel; parks as long as the peer is slow to read.

        Raises:
            Closed, ConnectionError, Busy: as `send`; part of the data may have been sent.
            Timeout: the peer did not read all in time; `sent` tells how far it got.
        """
        self._writing(timeout, self._give_all, data)

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
        watch = self._watch
        while True:
            if self._write_ended is not None:
                raise Closed(f"{self} cannot send any more: its sending side was {self._write_ended}")
            if watch.writable:
                try:
                    count = self._raw.send(data, _NO_SIGPIPE)
                except BlockingIOError:
                    watch.writable = False
                except OSError as error:
                    raise self._failure(error) from None
                else:
                    self.sent += count
                    return count
            self._wait(WRITE, "send")

    def _give_all(self, data: bytes | bytearray | memoryview) -> None:
        with memoryview(data) as given, given.cast("B") as view:
            done = self._give(view)
            while done < len(view):
                done += self._give(view[done:])

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
            self._write_ended = self._write_ended or ended
        if how != "write":
            self._read_ended = self._read_ended or ended
        with suppress(OSError):  # ENOTCONN: the peer ended both before we came to it
            self._raw.shutdown(_HOW[how])

    def close(self, linger: float | None = None) -> bool | None:
        """Close it; those who wait on it get `Closed`. A second time: nothing happens.

        Args:
            linger: None lets the kernel send the rest in the background. 0 resets the connection: the
                rest is lost. Seconds: park until the peer's kernel has acknowledged all, so long at most;
                if it has not by then, the kernel goes on as with None.

        Returns:
            With seconds, whether all was acknowledged; None otherwise.
        """
        if linger is not None:
            linger = check_seconds(linger, "linger")
        if not self._retire():
            return None
        try:
            if linger == 0:
                self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                return None
            self._drop_unread()
            return None if linger is None else self._linger(linger)
        finally:
            self._release()

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
            if not count:
                self._read_ended = BY_PEER
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
            timer = scheduler.call_later(min(nap_s, left_s), scheduler.wake, scheduler.running)
            try:
                scheduler.park("close", self)
            finally:
                timer.cancel()
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
            self._write_ended = f"{BY_PEER}{self._peer_text}"
            return told(errno.EPIPE, f"{self} was {self._write_ended}: nobody receives any more")
        return told(error.errno or errno.EIO, f"{self}: {reason(error)}{self._peer_text}")

    def _reset_error(self) -> OSError:
        return told(errno.ECONNRESET, f"{self} was reset by peer{self._peer_text}")

    # -- looking ---------------------------------------------------------------------------------

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
            kernel=tcp_state(self._raw),
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
        return f"<Socket#{self.id} {self.kind} {self.local}{peer} {self.state}>"


def adopt_socket(raw: socket.socket) -> Socket:
    """Make a connected stream socket of the library's a `Socket` of the running scheduler's.

    Args:
        raw: it belongs to the `Socket` from now on.
    """
    peer = raw.getpeername()
    return Socket(raw, "client", address_of(peer) if peer else None)
