"""A connection to a server with what `h11` knows of it: one request at a time, and one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import h11

import coloop
from coloop import Closed, Socket

from .errors import HttpError

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 200
MAX_INTERIM: Final = 10  # answers that announce the real one, such as 103


class Link:
    """What is kept between two requests.

    Args:
        connection: to the server.

    Attributes:
        connection: as given.
        requests: how many were sent.
        answered: whether anything has come in answer to the last one.
    """

    def __init__(self, connection: Socket) -> None:
        self.connection = connection
        self.requests = 0
        self.answered = False
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)

    def ask(
        self, method: str, target: str, headers: list[tuple[bytes, bytes]], body: bytes | Iterable[bytes]
    ) -> h11.Response:
        """Send a request, and wait for the head of its answer.

        Raises:
            HttpError: the answer is no HTTP.
            OSError, Closed: the connection broke before it came.
        """
        self.answered = False
        self.requests += 1
        head = h11.Request(method=method, target=target, headers=headers)
        protocol = self._protocol
        broken = None
        try:
            if isinstance(body, bytes):
                self._send(head, body)
            else:
                self.connection.sendall(protocol.send(head) or b"")
                for piece in body:
                    self.connection.sendall(protocol.send(h11.Data(data=piece)) or b"")
                self.connection.sendall(protocol.send(h11.EndOfMessage()) or b"")
        except (ConnectionError, Closed) as error:  # it may have said no, and hung up
            broken = error
        try:
            return self._head()
        except (OSError, Closed, HttpError):
            if broken is not None and not self.answered:
                raise broken from None
            raise

    def _send(self, head: h11.Request, body: bytes) -> None:
        data = self._protocol.send(head) or b""
        if body:
            data += self._protocol.send(h11.Data(data=body)) or b""
        self.connection.sendall(data + (self._protocol.send(h11.EndOfMessage()) or b""))

    def _head(self) -> h11.Response:
        for _ in range(MAX_INTERIM):
            event = self._next_event()
            if isinstance(event, h11.Response):
                if len(event.headers) > MAX_HEADERS:
                    raise HttpError(f"the answer has more than {MAX_HEADERS} headers")
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise Closed(f"{self.connection} was closed by the server before it answered")
        raise HttpError(f"the server announced its answer more than {MAX_INTERIM} times")

    def body(self) -> Iterator[bytes]:
        """The pieces of the answer's body; raises as `ask`."""
        while isinstance(event := self._next_event(), h11.Data):
            yield bytes(event.data)

    def _next_event(self) -> object:
        protocol = self._protocol
        try:
            while (event := protocol.next_event()) is h11.NEED_DATA:
                data = self.connection.recv()
                self.answered = self.answered or bool(data)
                protocol.receive_data(data)
            return event
        except h11.RemoteProtocolError as error:
            if not self.answered:
                raise Closed(f"{self.connection} was closed by the server before it answered") from None
            raise HttpError(str(error)) from None

    def renew(self) -> bool:
        """Make it ready for another request; False if it cannot have one."""
        if self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
            return False
        self._protocol.start_next_cycle()
        return not self._protocol.trailing_data[0] and not self.connection.closed

    def is_fresh(self) -> bool:
        """Whether the server has neither left nor said anything that nobody asked for; never waits."""
        try:
            self.connection.peek(1, timeout=0)
        except coloop.Timeout:
            return True
        except (OSError, Closed):
            return False
        return False

    def close(self) -> None:
        """Without waiting."""
        self.connection.abandon()
