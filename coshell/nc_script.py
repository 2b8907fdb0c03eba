"""An nc session without a typist: say this, expect that, and be done within a time.

A script waits for facts, never for time to pass: a text is sent, then the bytes that must come are
waited for. While we speak we listen, because a peer that answers before it has read everything would
else fill both directions, and each side would wait for the other for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

import coloop

from .text import plural, printable_bytes
from .values import Bytes, Duration

if TYPE_CHECKING:
    from coloop import Socket, TlsPicture

READ_BYTES: Final = 65536
KEPT_BYTES: Final = 1 << 20  # of what the peer has sent
MAX_UNMATCHED_BYTES: Final = 16 << 20  # in which a pattern is looked for
QUOTED_BYTES: Final = 60
DEFAULT_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True)
class Script:
    """What to say and what to hear.

    The first text is sent, then the first pattern is waited for, then comes the second text, and so
    on. Without any pattern our half is closed after the last text, and all that the peer has to say is read.

    Attributes:
        send: the texts.
        expect: what must occur, byte for byte, each after the one before.
        timeout_s: for all of it together.
        silence_s: the longest time without a byte from the peer; None for no other limit than `timeout_s`.
    """

    send: tuple[bytes, ...] = ()
    expect: tuple[bytes, ...] = ()
    timeout_s: float = DEFAULT_TIMEOUT_S
    silence_s: float | None = None


class Unexpected(Exception):
    """The peer did not say what it should have said; one line that tells what it said instead."""


@dataclass(frozen=True)
class Exchange:
    """What a session came to.

    Attributes:
        sent: bytes sent.
        received: bytes received.
        took: from the first byte to the end.
        data: the first `KEPT_BYTES` of what was received.
        tls: what was agreed on with the peer; None without TLS.
        listened: whether it was the peer who connected.
    """

    sent: Bytes
    received: Bytes
    took: Duration
    data: bytes
    tls: TlsPicture | None = None
    listened: bool = False


def play(socket: Socket, script: Script, now: Callable[[], float]) -> Exchange:
    """Hold a session on an open connection, which stays open.

    Raises:
        Unexpected: what was expected did not come: in time, or before the peer closed.
        OSError, Closed: the connection broke, or was closed by somebody here.
    """
    began_s = now()
    ear = _Ear(socket, script.silence_s)
    listener = coloop.go(ear.listen, name="nc listen")
    try:
        with coloop.timeout(script.timeout_s):
            _talk(socket, script, ear)
    except coloop.Timeout:
        raise Unexpected(f"{ear.missing()} within {Duration(script.timeout_s)}{ear.instead()}") from None
    finally:
        listener.cancel()
        listener.join()
    return Exchange(
        sent=Bytes(sum(map(len, script.send))),
        received=Bytes(ear.received_bytes),
        took=Duration(now() - began_s),
        data=bytes(ear.kept),
        tls=socket.tls,
        listened=socket.role == "server",
    )


def _talk(socket: Socket, script: Script, ear: _Ear) -> None:
    for text, expected in zip_longest(script.send, script.expect, fillvalue=b""):
        if text:
            socket.sendall(text)
        ear.wait_for(expected)
    if not script.expect:
        socket.shutdown("write")
        ear.wait_for_end()


class _Ear:
    """Hears all the time, in a coroutine of its own, and tells when something was said."""

    def __init__(self, socket: Socket, silence_s: float | None) -> None:
        self._socket = socket
        self._silence_s = silence_s
        self._news = coloop.Event()
        self._closed = False
        self._why_silent = ""
        self._failure: Exception | None = None
        self._expected: bytes | None = None
        self._unmatched = bytearray()
        self._searched = 0  # so many of these have been looked at in vain
        self.received_bytes = 0
        self.kept = bytearray()

    def listen(self) -> None:
        """Until the peer has said all, is silent for too long, or is gone."""
        try:
            while data := self._socket.recv(READ_BYTES, timeout=self._silence_s):
                self._take(data)
            self._closed = True
            self._why_silent = " before the peer closed"
        except coloop.Timeout:
            self._why_silent = f": the peer was silent for {Duration(self._silence_s or 0.0)}"
        except (OSError, coloop.Closed) as error:
            self._failure = error
        self._news.set()

    def _take(self, data: bytes) -> None:
        self.received_bytes += len(data)
        self.kept += data[: KEPT_BYTES - len(self.kept)]
        self._unmatched += data
        self._news.set()

    def wait_for(self, expected: bytes) -> None:
        """Wait until this has been said, behind what was waited for before."""
        self._expected = expected
        while (found := self._unmatched.find(expected, self._searched)) < 0:
            self._searched = max(0, len(self._unmatched) - len(expected) + 1)
            if len(self._unmatched) > MAX_UNMATCHED_BYTES:
                raise Unexpected(f"{self.missing()} in {Bytes(len(self._unmatched))}{self.instead()}")
            self._wait_for_news()
        del self._unmatched[: found + len(expected)]
        self._searched = 0
        self._expected = None

    def wait_for_end(self) -> None:
        """Wait until the peer has said all."""
        while not self._closed:
            self._unmatched.clear()
            self._wait_for_news()

    def _wait_for_news(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._why_silent:
            raise Unexpected(f"{self.missing()}{self._why_silent}{self.instead()}")
        self._news.clear()
        self._news.wait()

    def missing(self) -> str:
        """What has not come."""
        return "the peer did not close" if self._expected is None else f"no {quoted(self._expected)}"

    def instead(self) -> str:
        """What came."""
        if not self.received_bytes:
            return ", nothing came"
        return f", got {quoted(self._unmatched)}" if self._unmatched else ", got nothing more"


def quoted(data: bytes | bytearray) -> str:
    """Bytes for a message: printable, between double quotes, and not more than fit in a line."""
    more = len(data) - QUOTED_BYTES
    text = f'"{printable_bytes(bytes(data[:QUOTED_BYTES]))}"'
    return f"{text} and {plural(more, 'more byte')}" if more > 0 else text
