"""Connections that nobody can read or forge on their way: a `Socket` whose bytes pass through TLS.

TLS ties the two directions of a stream together. To read, one may have to write first (the handshake, a
change of keys), and to write one may have to read. So the library's TLS object gets no socket but two
buffers, and who waits for the socket stays our business: whoever the TLS object leaves waiting gives the
kernel all that is meant for the peer, fetches what the peer has sent, and asks again. Fetching and giving
never park, so nobody can be stopped in the midst of them; what is parked for is only "try again". Reader and
writer may wait for the same direction; the second waits until the first one's wait is over.

A TLS object that is asked in vain says so by an exception, which costs as much as to seal a small message
and to open it. So a reader that was told "nothing" asks again only when something has come (`_quiet`), and
who may have more takes all that is there. Where there is a native core, what is usual is done in C: fetch,
open, seal, give (`native/tls.c`).

A record that was made must be sent, or the stream ends for the peer: each carries a number. So what a
writer that was interrupted has left behind goes out with the next call.

The end of a stream is said inside of TLS (close_notify). An end that only TCP tells of may have been made
up on the way, so it is an error, and for the same reason a close waits, by naps, until the kernel has
taken our own.
"""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal
from weakref import WeakKeyDictionary

from ._address import Address
from ._binding import SocketFile
from ._errors import Timeout
from ._kernel import told
from ._line import WaitQueue
from ._poller import READ, WRITE
from ._snapshot import SocketPicture, TlsPicture
from ._socket import LINGER_NAP_S, MAX_LINGER_NAP_S, NO_SIGPIPE, RECV_BYTES, Socket
from ._threads import to_thread
from ._timeouts import timeout as time_limit
from ._timers import check_seconds
from ._wire import Ending

HANDSHAKE_S: Final = 10.0
FAREWELL_S: Final = 10.0  # for a peer that reads so slowly that not even the close_notify finds room
RECORD_BYTES: Final = 16384  # of plain text, at most
SEND_BYTES: Final = 65536  # of plain text made into records at once
MAX_OWED_BYTES: Final = 2 * SEND_BYTES  # to a peer that makes us answer and does not read the answers

_NOT_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNKNOWN_PROTOCOL"}
)


class TlsSocket(Socket):
    """One end of a TLS connection; made by `connect(tls=...)` and by a listener with `tls`.

    It is used as any `Socket`. `received` and `sent` count plain bytes, and a byte that was made into a
    record counts as sent, although a writer that was interrupted may leave the record to the next call.
    `shutdown` parks until what was sent is with the kernel; a `close` as well, but for 10 seconds at most.

    When the stream ends without TLS having said so, `recv` raises `ConnectionAbortedError`: something may be
    missing. What TLS itself objects to is an `ssl.SSLError`. Both end the connection in both directions.
    """

    __slots__ = (
        "_agreed",
        "_allowed_s",
        "_began_at",
        "_fault",
        "_line",
        "_said_end",
        "_stream",
    )

    def __init__(
        self,
        raw: Any,
        role: Literal["client", "server"],
        peer: Address | None = None,
        *,
        context: ssl.SSLContext,
        server_name: str | None = None,
        file: SocketFile | None = None,
    ) -> None:
        super().__init__(raw, role, peer, file=file)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._line = WaitQueue()
        self._fault: OSError | None = None
        self._began_at: float | None = None  # the handshake
        self._allowed_s = HANDSHAKE_S
        self._agreed: TlsPicture | None = None
        self._said_end = False
        try:
            self._stream = context.wrap_bio(self._incoming, self._outgoing, role == "server", server_name)
        except BaseException:
            self.abandon()
            raise

    @property
    def tls(self) -> TlsPicture | None:
        """What was agreed on: version, cipher, names. None before the handshake."""
        return self._agreed

    # -- the handshake ---------------------------------------------------------------------------

    def handshake(self, timeout: float = HANDSHAKE_S) -> None:
        """Agree on keys with the peer now, instead of in the first `recv` or `send`. A second time: nothing.

        Args:
            timeout: seconds, counted from the first attempt, which may have been a `recv` or `send`. After that no
                call waits for it any more.

        Raises:
            ValueError: timeout is negative, infinite or NaN.
            ssl.SSLCertVerificationError: the peer is not whom we wanted, or cannot prove it.
            ssl.SSLError: the peer does not speak TLS, or nothing that both sides accept.
            ConnectionError: the peer has left.
            Timeout: it did not answer in time.
        """
        allowed_s = check_seconds(timeout, "timeout")
        self._begin()
        self._allowed_s = allowed_s
        self._establish()

    def _establish(self) -> None:
        """The handshake, by whoever comes first; whoever else comes meanwhile helps."""
        if self._agreed is not None:
            return
        now = self._scheduler.clock.now()
        if self._began_at is None:
            self._began_at = now
        allowed_s = self._allowed_s  # by the time that it is over somebody else may have allowed more
        limit = time_limit(max(0.0, self._began_at + allowed_s - now))
        try:
            with limit:
                while not self._shake_hands():
                    self._exchange("handshake")
                self._flush("handshake")
        except Timeout:
            if limit.expired:
                raise Timeout(f"tls handshake with {self._other}: timed out after {allowed_s:g}s") from None
            raise

    def _shake_hands(self) -> bool:
        with suppress(ssl.SSLWantReadError):
            self._ask(self._stream.do_handshake)
            self._agreed = self._agreed or _picture_of(self._stream)
            self._seal = getattr(self._stream, "_sslobj", self._stream)  # which the library's hands all on to
        return self._agreed is not None

    # -- what Socket asks of the kernel, asked of TLS --------------------------------------------

    def _receive(self, n: int) -> bytes:
        self._check_receiving()
        self._establish()
        return self._go_on_receiving(n)

    def _go_on_receiving(self, n: int) -> bytes:
        data = self._decrypted(n)
        self._took(len(data), len(data))
        return data

    def _recv_into(self, view: memoryview) -> int:
        data = self._recv(len(view))
        view[: len(data)] = data
        return len(data)

    def _peek(self, n: int) -> bytes:
        if not self._ahead:
            self._check_receiving()
            self._establish()
            data = self._decrypted(n)
            if not data:
                self._meet_the_end()
            self._keep(data)
        return bytes(self._ahead[:n])

    def _keep(self, data: bytes) -> None:
        """For the next `recv`."""
        self.received += len(data)
        self._ahead += data

    def _decrypted(self, n: int) -> bytes:
        """What has come, uncounted; `b""` at the end of the stream, as often as it is asked for."""
        while self._read_ended is None:  # a shutdown may end it meanwhile
            data = self._open(n)
            if data is not None:
                return data
            self._exchange("recv")
        return b""

    def _open(self, n: int) -> bytes | None:
        """What can be opened of what has come; `b""` at the end of the stream, None if that takes more."""
        self._check_whole()
        parts: list[bytes] = []
        while n > 0 and not self._quiet:
            try:
                part: bytes = self._ask(self._stream.read, min(n, RECORD_BYTES))
            except ssl.SSLWantReadError:
                self._quiet = True
                break
            except OSError:
                if not parts:
                    raise
                break  # it is told to whoever asks next
            if not part:
                return b"".join(parts)
            parts.append(part)
            n -= len(part)
            self._quiet = not (self._incoming.pending or self._stream.pending())
        return b"".join(parts) if parts else None

    def _give(self, data: bytes | bytearray | memoryview) -> int:
        self._check_sending()
        self._establish()
        self._flush("send")  # of one who was interrupted
        with memoryview(data) as given, given.cast("B") as view, view[:SEND_BYTES] as part:
            count = self._encrypt(part) if part else 0
        self.sent += count
        self._flush("send")
        return count

    def _give_at_once(self, data: bytes) -> int:
        """Nothing before the handshake; as much as the kernel takes the records of, and one piece more."""
        done = 0
        with memoryview(data) as view:
            while self._agreed is not None and done < len(view) and self._push():
                with view[done : done + SEND_BYTES] as part, suppress(ssl.SSLWantReadError):
                    done += self._ask(self._stream.write, part)
                    continue
                break
        self._push()
        self.sent += done
        return done

    @property
    def owed(self) -> int:
        """Bytes that were taken from a sender and are not the kernel's yet: they wait as records."""
        return self._owed_bytes()

    def _encrypt(self, part: memoryview) -> int:
        while True:
            self._check_sending()
            with suppress(ssl.SSLWantReadError):
                count: int = self._ask(self._stream.write, part)
                return count
            self._exchange("send")

    def _let_kernel_send(self, file: Any, offset: int, count: int | None) -> bool:  # noqa: ARG002
        """It knows no key."""
        return False

    # -- the TLS object and the kernel; nothing here parks ---------------------------------------

    def _ask(self, call: Callable[..., Any], *args: object) -> Any:
        """`call(*args)` of the TLS object's; SSLWantReadError if it needs more from the peer."""
        self._check_whole()
        try:
            return call(*args)
        except ssl.SSLWantReadError:
            raise
        except ssl.SSLError as error:
            self._take_down(error)
        if self._fault is None:
            return b""
        raise _again(self._fault)

    def _take_down(self, error: ssl.SSLError) -> None:
        """What it means that the TLS object refuses: nothing at the end of the stream, else a fault for good."""
        if isinstance(error, ssl.SSLZeroReturnError):
            return
        self._seal = None
        self._fault = self._fault_of(error)
        with suppress(OSError):
            self._push()  # the alert that tells the peer why
        self._rouse(WRITE)

    def _check_whole(self) -> None:
        if self._reset:
            raise self._reset_error()
        if self._fault is not None:
            raise _again(self._fault)

    def _push(self) -> bool:
        """Give the kernel what it takes of the records; True if that was all."""
        while self._unsent is not None or self._outgoing.pending:
            if not self._writable:
                return False
            if self._unsent is None:
                self._unsent = memoryview(self._outgoing.read())
            try:
                count = self._raw.send(self._unsent, NO_SIGPIPE)
            except BlockingIOError:
                self._writable = False
            except OSError as error:
                self._unsent = None
                self._outgoing.read()
                raise self._failure(error) from None
            else:
                self._unsent = self._unsent[count:] or None  # an empty slice would hold the rest
        return True

    def _pull(self) -> bool:
        """Pass on what the kernel has, be it the end; False if it has nothing."""
        if not self._readable:
            return False
        try:
            data = self._raw.recv(RECV_BYTES)
        except BlockingIOError:
            self._readable = False
            return False
        except OSError as error:
            raise self._failure(error) from None
        self._quiet = False
        if not data:
            self._incoming.write_eof()
            return True
        self._incoming.write(data)
        if len(data) < RECV_BYTES and self._short_is_drained:
            self._readable = False
        return True

    def _owed_bytes(self) -> int:
        owed: int = self._outgoing.pending
        return owed if self._unsent is None else owed + len(self._unsent)

    # -- waiting ---------------------------------------------------------------------------------

    def _exchange(self, verb: str) -> None:
        """Give the kernel what is meant for the peer and fetch what has come; parks until there is something.

        A peer that cannot take what we owe it may be waiting for us to read: so we do, up to a limit.
        """
        with suppress(OSError):  # if the peer has gone, it may have left something to be read
            self._push()
        owed = self._owed_bytes()
        if owed > MAX_OWED_BYTES:
            self._wait_for(WRITE, verb)
        elif not self._pull():
            self._wait_for(READ | WRITE if owed else READ, verb)

    def _flush(self, verb: str) -> None:
        """Park until the kernel has taken all."""
        while not self._push():
            self._wait_for(WRITE, verb)
            self._check_whole()

    def _rouse(self, direction: int) -> None:
        """Have whoever waits for `direction` look again, at other things than the kernel's."""
        waiter = self._read_waiter if direction == READ else self._write_waiter
        if waiter is not None:
            self._scheduler.wake(waiter)
        self._line.wake_all()

    def _wait_for(self, directions: int, verb: str) -> None:
        """Park until one of `directions` may go on, or until whoever waits for that already has heard."""
        scheduler, me = self._scheduler, self._scheduler.running
        mine = [direction for direction in (READ, WRITE) if direction & directions & self._free()]
        for direction in mine:
            scheduler.poller.expect(self, direction, me)
        try:
            if sum(mine) == directions:
                scheduler.park(verb, self)
            else:
                self._line.wait(verb, self)
        except Timeout:
            self._note_silence()
            raise
        finally:
            for direction in mine:  # unless it has passed to another already
                if me is (self._read_waiter if direction == READ else self._write_waiter):
                    scheduler.poller.withdraw(self, direction)
            if not self._line.is_empty():
                self._line.wake_all()
        self._check_open()

    def _free(self) -> int:
        """The directions that nobody waits for."""
        return (READ if self._read_waiter is None else 0) | (WRITE if self._write_waiter is None else 0)

    def _wait_while_held(self) -> None:
        self._wait_for(READ, "recv")

    # -- ending ----------------------------------------------------------------------------------

    def _shut(self, how: str) -> None:
        if how != "write":
            self._rouse(READ)
        if how != "read":
            self._establish()
            self._say_end()
            self._flush("shutdown")

    def _say_end(self) -> None:
        """Put a close_notify behind what was sent.

        The TLS object then looks for the peer's at once and drops what it finds instead, but we go on
        reading: so all that has come is taken out of its sight.
        """
        if self._said_end:
            return
        self._said_end = True
        if self._stream.pending():
            self._keep(self._stream.read(self._stream.pending()))
        held = self._incoming.read()
        with suppress(ssl.SSLError):
            self._stream.unwrap()
        if held:
            self._incoming.write(held)

    def _take_leave(self, linger: float | None) -> float | None:
        """Send what is left and the close_notify, by naps: the poller has forgotten us."""
        clock = self._scheduler.clock
        deadline = clock.now() + (FAREWELL_S if linger is None else linger)
        if self._agreed is not None and self._fault is None and not self._reset:
            self._say_end()
            with suppress(OSError):
                self._flush_by_naps(deadline)
        return None if linger is None else max(0.0, deadline - clock.now())

    def _linger(self, seconds: float) -> bool:
        given = not (self._owed_bytes() or self._reset)
        return super()._linger(seconds) and given

    def _flush_by_naps(self, deadline: float) -> None:
        nap_s = LINGER_NAP_S
        self._writable = True
        while not self._push():
            left_s = deadline - self._scheduler.clock.now()
            if left_s <= 0 or self._scheduler.running is None:
                return
            self._nap("close", min(nap_s, left_s))
            nap_s = min(2 * nap_s, MAX_LINGER_NAP_S)
            self._writable = True

    # -- faults ----------------------------------------------------------------------------------

    def _failure(self, error: OSError) -> OSError:
        self._seal = None
        return super()._failure(error)

    def _fault_of(self, error: ssl.SSLError) -> OSError:
        """What to raise for it: the same in a line, or what it means that the stream has just ended."""
        beginning = f"tls with {self._other} failed"
        if not isinstance(error, ssl.SSLEOFError):
            return _alike(error, f"{beginning}: {_reason(error)}")
        if self._agreed is None:
            return told(errno.ECONNABORTED, f"{beginning}: the peer left in the midst of the handshake")
        return told(
            errno.ECONNABORTED,
            f"{self} was cut off{self._peer_text}: the stream ended without the close_notify of TLS, "
            "so its end may be missing",
        )

    @property
    def _other(self) -> str:
        return str(self) if self.peer is None else str(self.peer)

    @property
    def peer_gone(self) -> bool:
        """Whether the peer is known to have ended its stream, or the connection."""
        return super().peer_gone or isinstance(self._fault, ConnectionError)

    @property
    def _ending(self) -> Ending | None:
        cut_off = self._parting is None and isinstance(self._fault, ConnectionError)
        return "peer" if cut_off else super()._ending

    @property
    def state(self) -> str:
        """As of any socket; `broken` when TLS has failed, or was cut off."""
        return "broken" if self._fault is not None and not self.closed else super().state

    def info(self) -> SocketPicture:
        """A frozen picture. What waits in our buffers is counted as it lies there, partly as records."""
        picture = super().info()
        return replace(
            picture,
            unread=None if picture.unread is None else picture.unread + self._incoming.pending,
            unsent=None if picture.unsent is None else picture.unsent + self._owed_bytes(),
            tls=self._agreed,
        )

    def __str__(self) -> str:
        return f"socket#{self.id}"


# -- contexts ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TlsClient:
    """What a connection is to be made with.

    Attributes:
        context: False for no TLS, True for the system's authorities.
        server_name: whom the certificate must be for.
    """

    context: ssl.SSLContext | bool
    server_name: str | None

    def socket_maker(self) -> Callable[..., Socket]:
        """What makes a connected socket of the library's one of ours; parks while authorities are loaded."""
        if self.context is False:
            return Socket
        context = _default_context() if self.context is True else self.context
        return partial(TlsSocket, context=context, server_name=self.server_name)


def tls_client(tls: bool | ssl.SSLContext | None, server_name: str | None, remote: Address) -> TlsClient:
    """What `connect` was asked for, checked before anything is opened.

    Raises:
        TypeError, ValueError: what is wrong with it.
    """
    if tls is None or tls is False:
        if server_name is not None:
            raise ValueError("server_hostname is for tls: write tls=True with it")
        return TlsClient(False, None)
    if tls is not True and not isinstance(tls, ssl.SSLContext):
        raise TypeError(f"tls must be True or an ssl.SSLContext, not {tls!r}")
    if remote.datagram:
        raise ValueError(f"tls is for streams, {remote} is for datagrams")
    name = server_name if server_name is not None else remote.host.removesuffix(".") or None
    if name is None and (tls is True or tls.check_hostname):
        raise ValueError(f"{remote} has no host name that a certificate could be for: give server_hostname")
    if tls is not True:
        _check_side(tls, name, server_side=False)
    return TlsClient(tls, name)


def check_server_context(tls: ssl.SSLContext | None) -> None:
    """Whether a listener can use it.

    Raises:
        TypeError, ValueError: what is wrong with it.
    """
    if tls is None:
        return
    if not isinstance(tls, ssl.SSLContext):
        raise TypeError(f"tls must be an ssl.SSLContext with a certificate, not {tls!r}")
    _check_side(tls, None, server_side=True)
    if not isinstance(tls.sni_callback, _NameNoter):
        tls.sni_callback = _NameNoter(tls.sni_callback)


def _check_side(context: ssl.SSLContext, name: str | None, *, server_side: bool) -> None:
    try:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side, name)
    except ssl.SSLError as error:
        side, other = ("servers", "clients") if server_side else ("clients", "servers")
        raise ValueError(
            f"tls must be a context for {side}, this one is for {other} ({_reason(error)})"
        ) from None


_default_contexts: Final[dict[tuple[str | None, ...], ssl.SSLContext]] = {}


def _default_context() -> ssl.SSLContext:
    """The library's own, which checks certificates and names; loaded once, on a thread: it takes 40 ms."""
    places = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    if places not in _default_contexts:
        _default_contexts[places] = to_thread(ssl.create_default_context)
    return _default_contexts[places]


# -- what was agreed on --------------------------------------------------------------------------

_names_asked_for: Final[WeakKeyDictionary[ssl.SSLObject, str]] = WeakKeyDictionary()


class _NameNoter:
    """Notes which server a client asks for: the library tells it here and nowhere else."""

    def __init__(self, theirs: Callable[..., int | None] | None) -> None:
        self._theirs = theirs

    def __call__(self, stream: Any, name: Any, context: ssl.SSLContext) -> int | None:
        if name is not None:
            _names_asked_for[stream] = name
        return None if self._theirs is None else self._theirs(stream, name, context)


def _picture_of(stream: ssl.SSLObject) -> TlsPicture:
    cipher = stream.cipher()
    certificate: Any = stream.getpeercert() or {}
    subject = [f"{key}={value}" for names in certificate.get("subject", ()) for key, value in names]
    subject = subject or [f"{kind}:{name}" for kind, name in certificate.get("subjectAltName", ())]
    return TlsPicture(
        version=stream.version() or "?",
        cipher="?" if cipher is None else cipher[0],
        alpn=stream.selected_alpn_protocol(),
        server_name=stream.server_hostname or _names_asked_for.get(stream),
        peer_subject=", ".join(subject) or None,
    )


# -- errors in a line ----------------------------------------------------------------------------


def _reason(error: ssl.SSLError) -> str:
    """What TLS objects to, as the end of a sentence of ours."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message.rstrip('.')}"
    code = error.reason or ""
    if code in _NOT_TLS:
        return "the peer does not speak TLS"
    if code == "UNEXPECTED_MESSAGE":  # as an echo server gives
        return "an unexpected message, as from a peer that does not speak TLS"
    before, alert, after = code.partition("ALERT_")
    text = (after if alert else before).replace("_", " ").lower()
    if alert:
        return f"the peer refuses: {text}"
    return text or str(error)


def _alike(error: ssl.SSLError, text: str) -> ssl.SSLError:
    """An error of the same class and with the same attributes that reads `text`."""
    alike = type(error)(error.errno, text)
    alike.__dict__.update(error.__dict__)
    return alike


def _again(error: OSError) -> OSError:
    """A copy to raise: what was raised holds the frames that it passed."""
    if isinstance(error, ssl.SSLError):
        return _alike(error, error.strerror or "")
    return told(error.errno or errno.EIO, str(error))
