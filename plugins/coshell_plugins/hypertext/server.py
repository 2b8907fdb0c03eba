"""An app becomes a handler of connections, which any server can be given."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final
from weakref import WeakKeyDictionary

import coloop
from coloop import Server, Socket

from .conversation import App, Conversation
from .limits import Limits
from .request import Request

_answers: Final[WeakKeyDictionary[Server, Counter[int]]] = WeakKeyDictionary()  # by all its handlers, in turn


class Handler:
    """What `http(app)` makes: called with a connection, it has the requests on it answered by the app.

    It can be pickled if the app can; the copy begins to count anew.

    Args:
        app: called with each `Request`; returns str, bytes, dict, list, an iterator (streamed), `(status, body)`,
            `(status, headers, body)` or a `Response`.
        limits: what clients may do.

    Attributes:
        app: as given.
        limits: as given.
        requests: how many were answered, refused ones included.
        answers: how many of each hundred: 2 for 200 to 299.
    """

    def __init__(self, app: App, limits: Limits | None = None) -> None:
        if not callable(app):
            raise TypeError(f"an app is a function of one request, not {app!r}")
        self.app = app
        self.limits = Limits() if limits is None else limits
        self.requests = 0
        self.answers: Counter[int] = Counter()
        self.__name__ = str(getattr(app, "__name__", type(app).__name__))

    @property
    def __code__(self) -> Any:
        """The app's: a connection's coroutine is born where the app begins."""
        return self.app.__code__

    def __call__(self, connection: Socket) -> None:
        """Hold the conversation of one connection. Each request is answered by the app that the server has by then."""
        server = coloop.serving()
        answering = self

        def answer(request: Request) -> Any:
            nonlocal answering
            latest = None if server is None else server.handler
            answering = latest if isinstance(latest, Handler) else answering
            return answering.app(request)

        def count(status: int) -> None:
            answering.requests += 1
            answering.answers[status // 100] += 1
            if server is not None:
                server.count_request()
                _answers.setdefault(server, Counter())[status // 100] += 1

        Conversation(connection, answer, self.limits, server, count).hold()

    def answers_at(self, server: Server) -> Counter[int]:
        """How many of each hundred a server has given, by this handler and by those before it."""
        return _answers.get(server, Counter())

    def __reduce__(self) -> tuple[type[Handler], tuple[App, Limits]]:
        return Handler, (self.app, self.limits)

    def __repr__(self) -> str:
        return f"<http {self.__name__}, {self.requests} answered>"
