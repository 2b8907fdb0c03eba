"""What a client asks for, as the app sees it. Its body is read when it is first looked at, and not before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote

from .errors import Refused
from .headers import Headers, Pairs


class Request:
    """One request. Reading its body parks until it has come; all else is there.

    Args:
        method: such as `GET`.
        target: as it was asked for.
        pairs: the header fields.
        version: `1.1` or `1.0`.
        peer: who asks.
        receive: gives the next piece of the body, `b""` at its end.

    Attributes:
        method: such as `GET`, in upper case.
        target: as it was asked for: `/a%20b?c=d`.
        path: `/a b`.
        query_string: `c=d`.
        headers: the header fields, by name in any case.
        version: `1.1` or `1.0`.
        peer: the client's address.
    """

    __slots__ = (
        "__weakref__",
        "_body",
        "_query",
        "_receive",
        "headers",
        "method",
        "path",
        "peer",
        "query_string",
        "target",
        "version",
    )

    def __init__(
        self,
        method: str,
        target: str,
        pairs: Pairs = (),
        version: str = "1.1",
        peer: object = None,
        receive: Callable[[], bytes] = bytes,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = Headers(pairs)
        self.version = version
        self.peer = peer
        path, _, self.query_string = _without_host(target).partition("?")
        self.path = unquote(path) if "%" in path else path
        self._query: dict[str, str] | None = None
        self._receive = receive
        self._body: bytes | None = None

    @property
    def query(self) -> dict[str, str]:
        """What stands behind the `?`, by name; of several with one name, the last."""
        if self._query is None:
            self._query = dict(parse_qsl(self.query_string, keep_blank_values=True))
        return self._query

    @property
    def body(self) -> bytes:
        """All of the body.

        Raises:
            Refused: it is longer than allowed, did not come in time, or is broken. Let it pass.
        """
        if self._body is None:
            self._body = b"".join(self.stream())
        return self._body

    def stream(self) -> Iterator[bytes]:
        """The body piece by piece, as it comes; raises as `body`."""
        if self._body is not None:
            yield self._body
            return
        while piece := self._receive():
            yield piece

    @property
    def text(self) -> str:
        """The body as UTF-8 text."""
        try:
            return self.body.decode()
        except UnicodeDecodeError as error:
            raise Refused(400, f"the body is no UTF-8: {error}") from None

    def json(self) -> Any:
        """The value of a JSON body; if it is none, the client is told so (400)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, f"the body is no JSON: {error}") from None

    def end(self) -> None:
        """It was answered: what is left of its body is nobody's any more."""
        self._receive = _over

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"


def _without_host(target: str) -> str:
    """The part behind the host of `http://host/path`, which servers must understand too."""
    if target[:1] == "/" or "://" not in target:
        return target
    host_and_path = target.partition("://")[2]
    slash = min((at for at in (host_and_path.find("/"), host_and_path.find("?")) if at >= 0), default=-1)
    rest = "" if slash < 0 else host_and_path[slash:]
    return rest if rest.startswith("/") else f"/{rest}"


def _over() -> NoReturn:
    raise RuntimeError("the request was answered already: its body can be read no more")
