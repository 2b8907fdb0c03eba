"""Asking a server: one function, and all that is behind it: redirects, connections kept, compression undone.

A server is a stranger too. What it sends is limited in bytes, also where it is compressed, and in time; it can
lead on only so often; and what was meant for one server is not told the next.
"""

from __future__ import annotations

import json as json_text
import ssl
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import h11

import coloop
from coloop import Closed, Scheduler

from .errors import HttpError
from .headers import GivenHeaders, Headers, encoded
from .link import Link
from .pool import Pool, Terms, current_pool
from .url import Url, parse_url

TIMEOUT_S: Final = 30.0
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_REDIRECTS: Final = 5

Body = bytes | Iterable[bytes]

_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_METHOD_STAYS: Final = frozenset({307, 308})
_REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})
_SECRETS: Final = frozenset({b"authorization", b"cookie", b"proxy-authorization"})
_ABOUT_BODY: Final = frozenset(
    {b"content-length", b"content-type", b"transfer-encoding", b"content-encoding"}
)
_COMPRESSED: Final = frozenset({"gzip", "x-gzip", "deflate"})


@dataclass(frozen=True, slots=True)
class Timings:
    """How long a request took, in seconds; of several because of redirects, the last.

    Attributes:
        connect_s: to connect, TLS included; 0 on a connection that was kept.
        first_byte_s: from the request until the answer's head was there.
        total_s: all of it, redirects included.
    """

    connect_s: float
    first_byte_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered.

    Attributes:
        method: of the request that was answered.
        url: of that request, after redirects.
        status: 200 to 599.
        reason: the server's word for it.
        headers: the header fields, by name in any case.
        body: all of it, with compression undone.
        timings: how long it took.
        reused: whether the connection had been kept from another request.
        redirects: the URLs that led on, in order.
    """

    method: str
    url: str
    status: int
    reason: str
    headers: Headers
    body: bytes
    timings: Timings
    reused: bool
    redirects: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def text(self) -> str:
        """The body in its charset, UTF-8 if it tells none; bytes that are none in it as escapes."""
        try:
            return self.body.decode(_charset(self.headers.get("content-type", "")), "backslashreplace")
        except (LookupError, ValueError):
            return self.body.decode("utf-8", "backslashreplace")

    def json(self) -> Any:
        """The value of a JSON body; raises ValueError if it is none."""
        return json_text.loads(self.body)


def request(
    method: str,
    url: str,
    *,
    headers: GivenHeaders = (),
    data: str | bytes | Mapping[str, object] | Iterable[bytes] | None = None,
    json: Any = None,
    timeout: float = TIMEOUT_S,
    redirects: int = MAX_REDIRECTS,
    max_bytes: int = MAX_BYTES,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """Ask a server; parks until all of its answer is there.

    Args:
        method: such as `GET`.
        url: `http://host/path`, `https://...`, `:8080/path` on this machine.
        headers: a mapping, or pairs.
        data: the body; a mapping is sent as a form, an iterable of bytes in chunks.
        json: the body, to be sent as JSON.
        timeout: seconds for all of it.
        redirects: how many are followed.
        max_bytes: how long the answer's body may be.
        tls: other terms than those of the system's authorities.

    Raises:
        HttpError: what came is too long, no HTTP, or leads nowhere; or there is something wrong with the URL.
        Timeout: it took too long.
        OSError, Closed: nobody listens there, the connection broke ...
    """
    asked = _Asked.made(method, url, headers, data, json)
    limit = coloop.timeout(timeout)
    try:
        with limit:
            return _Errand(current_pool(), tls, max_bytes, timeout).follow(asked, redirects)
    except coloop.Timeout:
        if limit.expired:
            raise coloop.Timeout(f"{asked.method} {asked.url}: timed out after {timeout:g}s") from None
        raise


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, before it is sent."""

    method: str
    url: Url
    headers: list[tuple[bytes, bytes]]
    body: Body

    @classmethod
    def made(cls, method: str, url: str, headers: GivenHeaders, data: Any, json: Any) -> _Asked:
        if data is not None and json is not None:
            raise TypeError("data and json are two bodies: give one of them")
        pairs = encoded(headers)
        kind: bytes | None
        if json is not None:
            body, kind = json_text.dumps(json).encode(), b"application/json"
        elif isinstance(data, Mapping):
            body, kind = urlencode(data, doseq=True).encode(), b"application/x-www-form-urlencoded"
        else:
            body, kind = data.encode() if isinstance(data, str) else b"" if data is None else data, None
        if kind and not _has(pairs, b"content-type"):
            pairs.append((b"content-type", kind))
        return cls(method.upper(), parse_url(url), pairs, bytes(body) if _is_bytes(body) else body)

    def as_sent(self) -> list[tuple[bytes, bytes]]:
        """The header fields with those that every request has."""
        pairs = [pair for pair in self.headers if pair[0] not in {b"content-length", b"transfer-encoding"}]
        if not _has(pairs, b"host"):
            pairs.insert(0, (b"host", self.url.authority.encode("ascii")))
        for name, value in (
            (b"accept", b"*/*"),
            (b"accept-encoding", b"gzip, deflate"),
            (b"user-agent", b"coshell"),
        ):
            if not _has(pairs, name):
                pairs.append((name, value))
        if not isinstance(self.body, bytes):
            pairs.append((b"transfer-encoding", b"chunked"))
        elif self.body or self.method in {"POST", "PUT", "PATCH"}:
            pairs.append((b"content-length", b"%d" % len(self.body)))
        return pairs

    def redirected(self, status: int, location: str) -> _Asked:
        """What is asked for next."""
        url = self.url.joined(location)
        headers = self.headers
        if url.origin != self.url.origin:
            headers = [pair for pair in headers if pair[0] not in _SECRETS and pair[0] != b"host"]
        if status in _METHOD_STAYS:
            if not isinstance(self.body, bytes):
                raise HttpError(f"{self.url} leads to {url}, but the body cannot be sent a second time")
            return _Asked(self.method, url, headers, self.body)
        if self.method in {"GET", "HEAD"} or (status != 303 and self.method != "POST"):
            return _Asked(self.method, url, headers, self.body)
        return _Asked("GET", url, [pair for pair in headers if pair[0] not in _ABOUT_BODY], b"")


class _Errand:
    """What belongs to one call of `request`."""

    def __init__(self, pool: Pool, tls: ssl.SSLContext | None, max_bytes: int, timeout_s: float) -> None:
        self._pool = pool
        self._scheduler: Scheduler = pool.scheduler
        self._tls = tls
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._began_at = self._scheduler.clock.now()

    def follow(self, asked: _Asked, redirects: int) -> Reply:
        passed: list[str] = []
        while True:
            reply = self._exchange(asked, tuple(passed))
            location = reply.headers.get("location")
            if reply.status not in _MOVED or location is None or redirects == 0:
                return reply
            if len(passed) >= redirects:
                raise HttpError(f"{asked.url} leads on, after {redirects} redirects")
            passed.append(str(asked.url))
            asked = asked.redirected(reply.status, location)

    def _exchange(self, asked: _Asked, passed: tuple[str, ...]) -> Reply:
        """One request and its answer; a connection that was kept may have been closed just now."""
        terms = self._terms(asked.url)
        kept = self._pool.take(asked.url, terms)
        if kept is not None:
            try:
                return self._over(kept, asked, terms, passed, 0.0)
            except (ConnectionError, Closed):
                if kept.answered or asked.method not in _REPEATABLE or not isinstance(asked.body, bytes):
                    raise
        began_at = self._scheduler.clock.now()
        address = (asked.url.host, asked.url.port)
        link = Link(coloop.connect(address, tls=terms, timeout=self._timeout_s))
        return self._over(link, asked, terms, passed, self._scheduler.clock.now() - began_at)

    def _terms(self, url: Url) -> Terms:
        if url.scheme == "http":
            return None
        return True if self._tls is None else self._tls

    def _over(
        self, link: Link, asked: _Asked, terms: Terms, passed: tuple[str, ...], connect_s: float
    ) -> Reply:
        clock = self._scheduler.clock
        sent_at = clock.now()
        good = False
        try:
            head = link.ask(asked.method, asked.url.target, asked.as_sent(), asked.body)
            first_byte_s = clock.now() - sent_at
            headers = Headers(head.headers)
            body = self._read(link, headers, has_body=asked.method != "HEAD")
            good = link.renew()
        except HttpError as error:
            raise HttpError(f"{asked.url}: {error}") from None
        except h11.LocalProtocolError as error:
            raise HttpError(f"{asked.url}: cannot be asked for: {error}") from None
        finally:
            if good:
                self._pool.keep(asked.url, terms, link)
            else:
                link.close()
        return Reply(
            asked.method,
            str(asked.url),
            head.status_code,
            bytes(head.reason).decode("latin-1"),
            headers,
            body,
            Timings(connect_s, first_byte_s, clock.now() - self._began_at),
            link.requests > 1,
            passed,
        )

    def _read(self, link: Link, headers: Headers, *, has_body: bool) -> bytes:
        plain = bytearray()
        coding = headers.get("content-encoding", "").strip().lower()
        inflate = _Inflate() if has_body and coding in _COMPRESSED else None
        for piece in link.body():
            room = self._max_bytes - len(plain)
            plain += piece if inflate is None else inflate.feed(piece, room + 1)
            if len(plain) > self._max_bytes:
                raise HttpError(f"the answer is longer than {self._max_bytes} bytes")
        if inflate is not None and plain and not inflate.complete:
            raise HttpError(f"the answer ends in the middle of its {coding}")
        return bytes(plain)


class _Inflate:
    """Undoes gzip and deflate, the latter with or without a header: servers disagree."""

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever its first bytes say
        self._begun = False

    def feed(self, data: bytes, most: int) -> bytes:
        """What these bytes stand for, `most` of it at most."""
        try:
            return self._fed(data, most)
        except zlib.error as error:
            if self._begun:
                raise HttpError(f"the answer's compression is broken: {error}") from None
        self._engine = zlib.decompressobj(wbits=-15)
        try:
            return self._fed(data, most)
        except zlib.error as error:
            raise HttpError(f"the answer's compression is broken: {error}") from None

    def _fed(self, data: bytes, most: int) -> bytes:
        plain = self._engine.decompress(data, most)
        self._begun = True
        return plain

    @property
    def complete(self) -> bool:
        """Whether its end was seen."""
        return self._engine.eof


def _has(pairs: list[tuple[bytes, bytes]], name: bytes) -> bool:
    return any(known == name for known, _ in pairs)


def _is_bytes(body: object) -> bool:
    return isinstance(body, (bytes, bytearray, memoryview))


def _charset(content_type: str) -> str:
    for part in content_type.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'") or "utf-8"
    return "utf-8"
