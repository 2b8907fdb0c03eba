"""What an app returns, and what becomes of it on the wire.

A str is text, a dict or a list is JSON, bytes are bytes, and whatever can be iterated otherwise is streamed. A
forgotten `return` is a mistake and not an empty page.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from .headers import GivenHeaders, encoded

TEXT: Final = b"text/plain; charset=utf-8"
JSON: Final = b"application/json"
BYTES: Final = b"application/octet-stream"

# How long a body is, and whether the connection goes on, is said by us.
_OURS: Final = frozenset({b"content-length", b"transfer-encoding", b"connection", b"keep-alive"})


@dataclass(slots=True)
class Response:
    """An answer in full.

    Attributes:
        status: 200 to 599.
        headers: a mapping, or pairs.
        body: as an app can return it: str, bytes, dict, list, or an iterable of str and bytes.
    """

    status: int = 200
    headers: GivenHeaders = ()
    body: Any = b""


class Ready(NamedTuple):
    """An answer that can be sent.

    Attributes:
        status: its number.
        headers: the app's own and, of a whole body, its type; not those that tell of length and connection.
        body: all of it, if it is known.
        pieces: what gives it otherwise.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    pieces: Iterator[Any] | None


def ready(value: Any) -> Ready:
    """Make an answer of what an app returned.

    Args:
        value: str, bytes, dict, list, an iterator, a `Response`, `(status, body)` or `(status, headers, body)`.

    Raises:
        TypeError, ValueError: it is none of these; the message says what it is.
    """
    if type(value) is str:  # what most are
        return Ready(200, [(b"content-type", TEXT)], value.encode(), None)
    status, headers, body = _parts(value)
    if type(status) is not int and not isinstance(status, HTTPStatus):
        raise TypeError(f"a status is a number such as 200, not {status!r}")
    if not 200 <= status <= 599:
        raise ValueError(f"a status is between 200 and 599, not {status}")
    pairs = [pair for pair in encoded(headers) if pair[0] not in _OURS] if headers else []
    kind, content, pieces = _content(body)
    if kind is not None and not any(name == b"content-type" for name, _ in pairs):
        pairs.append((b"content-type", kind))
    return Ready(int(status), pairs, content, pieces)


def _parts(value: Any) -> tuple[Any, GivenHeaders, Any]:
    if isinstance(value, Response):
        return value.status, value.headers, value.body
    if not isinstance(value, tuple):
        return 200, (), value
    if len(value) == 2:
        return value[0], (), value[1]
    if len(value) == 3:
        return value
    raise TypeError(f"a tuple is (status, body) or (status, headers, body), and has not {len(value)} parts")


def _content(body: Any) -> tuple[bytes | None, bytes, Iterator[Any] | None]:
    """Its type, and its bytes, or what gives them."""
    if isinstance(body, str):
        return TEXT, body.encode(), None
    if isinstance(body, (bytes, bytearray, memoryview)):
        return (BYTES if len(body) else None), bytes(body), None
    if isinstance(body, (dict, list)):
        return JSON, json.dumps(body).encode(), None
    if isinstance(body, Iterable):
        return None, b"", iter(body)
    raise TypeError(
        f"an app returns str, bytes, dict, list, an iterator, a tuple or a Response, not {type(body).__name__}"
    )


def piece_of(piece: Any) -> bytes:
    """A piece of a body that an iterator gives, as bytes.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, (bytes, bytearray, memoryview)):
        return bytes(piece)
    raise TypeError(f"a streamed answer consists of str and bytes, not {type(piece).__name__}")


def with_type_of(answer: Ready, first: Any) -> Ready:
    """A streamed answer with the type that its first piece has, unless the app has given it one."""
    if any(name == b"content-type" for name, _ in answer.headers):
        return answer
    kind = TEXT if isinstance(first, str) else BYTES
    return answer._replace(headers=[*answer.headers, (b"content-type", kind)])
