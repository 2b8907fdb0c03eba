"""What servers can do wrong, and how we read them."""

from collections.abc import Callable
from contextlib import suppress

import h11
import pytest

import coloop
from coloop.testing import socket_pair
from coshell_plugins.hypertext.errors import HttpError
from coshell_plugins.hypertext.link import Link
from tests.plugins.http_serving import in_coroutine

HEADERS = [(b"host", b"x")]


def answered(answer: bytes, *, ends: bool = True) -> tuple[Link, coloop.Socket]:
    """A link to somebody who says this, whatever is asked."""
    ours, theirs = socket_pair()
    theirs.sendall(answer)
    if ends:
        theirs.shutdown("write")
    return Link(ours), theirs


def ask(link: Link, method: str = "GET") -> tuple[h11.Response, bytes]:
    return link.ask(method, "/", HEADERS, b""), b"".join(link.body())


@in_coroutine()
def test_an_answer_is_read_however_it_is_framed() -> None:
    for framing, body in [
        (b"Content-Length: 3\r\n\r\n", b"abc"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"),
        (b"\r\n", b"abc"),
    ]:
        link, _ = answered(b"HTTP/1.1 200 OK\r\n" + framing + body)
        assert ask(link)[1] == b"abc"


@in_coroutine()
def test_what_is_announced_first_is_passed_over() -> None:
    link, _ = answered(b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert ask(link)[0].status_code == 200


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"nonsense\r\n\r\n", "illegal status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "received 3 bytes, expected 5"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", "incomplete chunked"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 201 + b"\r\n", "more than 200 headers"),
        (b"HTTP/1.1 200 OK\r\na: " + b"b" * 1_000_000, "too long"),
        (b"HTTP/1.1 103 X\r\n\r\n" * 20, "announced its answer more than 10 times"),
    ],
)
@in_coroutine()
def test_what_is_no_answer_is_an_error_in_words(answer: bytes, why: str) -> None:
    ours, theirs = socket_pair()

    def answer_all() -> None:
        with theirs, suppress(OSError):
            theirs.sendall(answer)

    coloop.go(answer_all)
    with pytest.raises(HttpError, match=why), ours:
        ask(Link(ours))


@in_coroutine()
def test_one_that_leaves_without_a_word_has_not_answered() -> None:
    link, _ = answered(b"")
    with pytest.raises(coloop.Closed, match="before it answered"):
        ask(link)
    assert not link.answered


@in_coroutine()
def test_a_server_that_says_no_before_it_has_read_all_is_heard() -> None:
    ours, theirs = socket_pair()

    def refuse() -> None:
        theirs.recv(1000)
        theirs.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        theirs.shutdown("both")

    coloop.go(refuse)
    link = Link(ours)
    head = link.ask("POST", "/", [*HEADERS, (b"content-length", b"50000000")], bytes(50_000_000))
    assert (head.status_code, b"".join(link.body())) == (413, b"no")


@in_coroutine()
def test_it_is_good_for_another_request_only_if_all_was_read_and_nothing_more_came() -> None:
    full = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"
    link, _ = answered(full, ends=False)
    ask(link)
    assert link.renew()
    assert link.is_fresh()
    cases: list[tuple[bytes, Callable[[Link], object]]] = [
        (full.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), ask),
        (full + b"more", ask),
        (full, lambda link: link.ask("GET", "/", HEADERS, b"")),
    ]
    for answer, use in cases:
        link, _ = answered(answer, ends=False)
        use(link)
        assert not link.renew()


@in_coroutine()
def test_one_that_was_closed_or_told_something_is_not_fresh() -> None:
    link, theirs = answered(b"", ends=False)
    assert link.is_fresh()
    theirs.sendall(b"x")
    assert not link.is_fresh()
    assert not answered(b"")[0].is_fresh()
    link.close()
    assert not link.is_fresh()
