"""One connection of a server's: requests come, are handed to the app one by one, and are answered in their order.

`h11` knows the protocol and does no input or output; this is the loop that moves bytes between it and a
socket, and that says no. What is refused (too much, too slow, not HTTP) is answered by an error, and then the
connection is at its end, for nobody knows any more where the next request would begin.

A failure of the app's is answered by 500, and goes on to the server, which reports it like that of any handler.
Once a streamed answer has begun there is no way to say 500: the connection is reset, so that the client cannot
take what it has for all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Final

import h11

import coloop
from coloop import Closed, Server, Socket

from .errors import Refused
from .head import head_of, reason_of
from .leaving import cancelled_when_left
from .limits import Limits
from .request import Request
from .response import TEXT, Ready, piece_of, ready, with_type_of

App = Callable[[Request], Any]

SEND_BYTES: Final = 256 * 1024
MAX_SKIPPED_BYTES: Final = 64 * 1024  # of a body that the app did not read, before the next request
DRAIN_S: Final = 0.25  # for a request of a client that does not know yet that the server stops
FAREWELL_S: Final = 1.0  # for a client that is still sending, to read why it should not
MAX_FAREWELL_BYTES: Final = 16 * 1024 * 1024
NOTHING_CAME: Final = (b"", False)
_BODILESS: Final = frozenset({204, 304})


class Conversation:
    """The requests of one connection.

    Args:
        connection: with the client.
        app: called with each request.
        limits: what the client may do.
        server: whose connection it is, if it is a server's: when that stops, so does this.
        count: told the status of each answer.
    """

    def __init__(
        self,
        connection: Socket,
        app: App,
        limits: Limits,
        server: Server | None,
        count: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._app = app
        self._limits = limits
        self._server = server
        self._count = count
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        self._taken = 0  # of the body of this request

    def hold(self) -> None:
        """Answer until one of the two sides has had enough."""
        try:
            while (head := self._next_head()) is not None:
                if not self._serve(head):
                    return
        except Refused as refusal:
            self._end_with(refusal.status, refusal.why)

    # -- requests --------------------------------------------------------------------------------

    def _next_head(self) -> h11.Request | None:
        """The next request's; None if there is none, because the client left or has nothing to ask."""
        event = h11.NEED_DATA if self._protocol.trailing_data == NOTHING_CAME else self._next_event()
        if event is h11.NEED_DATA:
            try:
                self._feed(self._first_bytes())
            except coloop.Timeout:
                if self._protocol.trailing_data[0]:
                    raise Refused(408, "the head of the request did not come in time") from None
                return None
            event = self._next_event()
            if event is h11.NEED_DATA:
                event = self._rest_of_head()
        if type(event) is not h11.Request:
            return None
        self._check(event)
        self._taken = 0
        return event

    def _first_bytes(self) -> bytes:
        """Of the next request. A server that stops waits a moment longer: one may be on its way."""
        recv, idle_s, server = self._connection.recv, self._limits.idle_s, self._server
        with coloop.timeout(
            idle_s
        ):  # in front of it, because without a limit of its own recv takes a shorter way
            data = recv() if server is None else server.unless_draining(recv)
        return recv(timeout=min(idle_s, DRAIN_S)) if data is None else data

    def _rest_of_head(self) -> object:
        limit = coloop.timeout(self._limits.head_s)
        try:
            with limit:
                while (event := self._next_event()) is h11.NEED_DATA:
                    self._feed(self._connection.recv())
                return event
        except coloop.Timeout:
            if limit.expired:
                raise Refused(408, "the head of the request did not come in time") from None
            raise

    def _next_event(self) -> object:
        try:
            return self._protocol.next_event()
        except h11.RemoteProtocolError as error:
            raise Refused(error.error_status_hint, str(error)) from None

    def _feed(self, data: bytes) -> None:
        self._protocol.receive_data(data)

    def _check(self, head: h11.Request) -> None:
        """What `h11` lets through and we do not."""
        limits = self._limits
        if len(head.target) > limits.line_bytes:
            raise Refused(414, f"the target is longer than {limits.line_bytes} bytes")
        if len(head.headers) > limits.headers:
            raise Refused(431, f"there are more than {limits.headers} headers")
        length = chunked = None
        for name, value in head.headers:
            if len(name) + len(value) > limits.line_bytes:
                raise Refused(431, f"a header is longer than {limits.line_bytes} bytes")
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                chunked = value
        if length is not None and chunked is not None:
            # Whoever forwards it to us may believe one, and we the other: two requests for one of them.
            raise Refused(400, "both Content-Length and Transfer-Encoding")
        if length is not None and length > limits.body_bytes:
            raise self._too_long()
        if head.method == b"CONNECT":
            raise Refused(501, "this is no proxy")
        if not length and chunked is None:
            self._next_event()  # the end of a body that there is not

    def _too_long(self) -> Refused:
        return Refused(413, f"the body is longer than {self._limits.body_bytes} bytes")

    def _receive(self) -> bytes:
        """The next piece of the body; empty at its end."""
        protocol = self._protocol
        if protocol.they_are_waiting_for_100_continue:
            self._send(
                protocol.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
            )
        if protocol.their_state is not h11.SEND_BODY:
            return b""
        while (event := self._next_event()) is h11.NEED_DATA:
            try:
                self._feed(self._connection.recv(timeout=self._limits.body_s))
            except coloop.Timeout:
                raise Refused(408, "the body of the request did not come in time") from None
        if type(event) is not h11.Data:
            return b""
        self._taken += len(event.data)
        if self._taken > self._limits.body_bytes:
            raise self._too_long()
        return bytes(event.data)

    # -- answers ---------------------------------------------------------------------------------

    def _serve(self, head: h11.Request) -> bool:
        """Have a request answered; whether the connection goes on."""
        request = Request(
            head.method.decode("ascii").upper(),
            head.target.decode("ascii"),
            head.headers,
            head.http_version.decode("ascii"),
            self._connection.peer,
            self._receive,
        )
        try:
            self._answer(request)
        except Refused:
            raise
        except Exception:
            self._end_with(500, "the server failed")
            raise
        finally:
            request.end()
        return self._may_go_on()

    def _answer(self, request: Request) -> None:
        answer = ready(self._app(request))
        if answer.pieces is None:
            self._send_whole(request, answer)
        else:
            self._send_streamed(request, answer, answer.pieces)

    def _send_whole(self, request: Request, answer: Ready) -> None:
        body = answer.body
        head = self._head(answer, None if answer.status in _BODILESS else len(body))
        if request.method == "HEAD" or answer.status in _BODILESS:
            body = b""
        protocol = self._protocol
        data = protocol.send(head) or b""
        if body:
            data += protocol.send(h11.Data(data=body)) or b""
        data += protocol.send(h11.EndOfMessage()) or b""
        self._count(answer.status)
        self._send(data)

    def _send_streamed(self, request: Request, answer: Ready, pieces: Iterator[Any]) -> None:
        """The head goes out with the first piece: until then a failure can still be told."""
        protocol = self._protocol
        try:
            if request.method == "HEAD" or answer.status in _BODILESS:
                self._begin_stream(answer, b"")
            else:
                with self._given_up_when_left():
                    first = next((piece for piece in pieces if piece), b"")
                    self._begin_stream(with_type_of(answer, first), piece_of(first))
                    for piece in pieces:
                        if data := piece_of(piece):
                            self._send(protocol.send(h11.Data(data=data)))
            self._send(protocol.send(h11.EndOfMessage()))
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    def _begin_stream(self, answer: Ready, first: bytes) -> None:
        start = self._protocol.send(self._head(answer, None)) or b""
        self._count(answer.status)
        if first:
            start += self._protocol.send(h11.Data(data=first)) or b""
        self._send(start)

    def _given_up_when_left(self) -> AbstractContextManager[None]:
        """Nobody reads while an answer is streamed, unless the request's body still comes."""
        if self._protocol.their_state is h11.SEND_BODY:
            return nullcontext()
        return cancelled_when_left(self._connection)

    def _head(self, answer: Ready, length: int | None) -> h11.Response:
        is_last = self._server is not None and self._server.draining
        ends = is_last or self._protocol.they_are_waiting_for_100_continue
        return head_of(answer.status, tuple(answer.headers), length, ends=ends)

    def _send(self, data: bytes | None) -> None:
        """Give a client who reads slowly more time the more there is, and none who does not read."""
        if not data:
            return
        if len(data) <= SEND_BYTES:
            self._send_some(data)
            return
        view = memoryview(data)
        for at in range(0, len(view), SEND_BYTES):
            self._send_some(view[at : at + SEND_BYTES])

    def _send_some(self, data: bytes | memoryview) -> None:
        connection = self._connection
        try:
            connection.sendall(data, timeout=self._limits.send_s)
        except coloop.Timeout:
            connection.close(linger=0)
            raise ConnectionAbortedError(f"{connection}: the client does not read its answer") from None

    def _may_go_on(self) -> bool:
        protocol = self._protocol
        skipped = 0
        if protocol.our_state is h11.DONE:
            while protocol.their_state is h11.SEND_BODY and skipped <= MAX_SKIPPED_BYTES:
                skipped += len(self._receive())
            if protocol.their_state is h11.DONE:
                protocol.start_next_cycle()
                return True
        if protocol.their_state is h11.SEND_BODY:
            self._say_farewell()
        return False

    # -- endings ---------------------------------------------------------------------------------

    def _end_with(self, status: int, why: str) -> None:
        """Tell the client why, unless it has an answer, or the beginning of one, which is reset."""
        state = self._protocol.our_state
        if state is h11.SEND_BODY:
            self._connection.close(linger=0)
            return
        with suppress(OSError, Closed):
            if state in {h11.IDLE, h11.SEND_RESPONSE}:
                self._send_last(status, why)
            if self._protocol.their_state in {h11.SEND_BODY, h11.ERROR}:
                self._say_farewell()

    def _send_last(self, status: int, why: str) -> None:
        protocol = self._protocol
        body = f"{status} {reason_of(status)}: {why}\n".encode()
        head = head_of(status, ((b"content-type", TEXT),), len(body), ends=True)
        data = protocol.send(head) or b""
        with suppress(h11.LocalProtocolError):  # it was a HEAD
            data += protocol.send(h11.Data(data=body)) or b""
        self._count(status)
        self._send(data)

    def _say_farewell(self) -> None:
        """Read on for a moment: a close over unread data is a reset, and takes the answer along."""
        connection = self._connection
        with suppress(OSError, Closed, coloop.Timeout):
            connection.shutdown("write")
            with coloop.timeout(FAREWELL_S):
                dropped = 0
                while dropped < MAX_FAREWELL_BYTES and (data := connection.recv()):
                    dropped += len(data)
