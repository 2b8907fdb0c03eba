"""Asking: what is sent, what comes of the answer, and what a server cannot do to us."""

import gzip
import json
import ssl
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

import coloop
from coshell_plugins.hypertext.client import Reply, _Inflate, request
from coshell_plugins.hypertext.errors import HttpError
from coshell_plugins.hypertext.request import Request
from coshell_plugins.hypertext.server import Handler
from tests.plugins.http_serving import in_coroutine, serving, url_of
from tests.ports import free_port


def tell(asked: Request) -> dict[str, Any]:
    """What was asked."""
    return {
        "method": asked.method,
        "target": asked.target,
        "headers": dict(asked.headers),
        "body": asked.body.decode(),
    }


def told(method: str, path: str = "/", **options: Any) -> Any:
    with serving(tell) as server:
        return request(method, url_of(server, path), **options).json()


# -- what is sent --------------------------------------------------------------------------------


@in_coroutine()
def test_a_request_has_the_headers_that_every_server_wants() -> None:
    with serving(tell) as server:
        asked = request("get", url_of(server, "/é?c=d")).json()
        host = str(server.address)
    assert (asked["method"], asked["target"], asked["body"]) == ("GET", "/%C3%A9?c=d", "")
    assert asked["headers"] == {
        "host": host,
        "accept": "*/*",
        "accept-encoding": "gzip, deflate",
        "user-agent": "coshell",
    }


@pytest.mark.parametrize(
    ("options", "body", "kind"),
    [
        ({"data": "é"}, "é", None),
        ({"data": b"a"}, "a", None),
        ({"data": {"a": 1, "b": ["x", "y z"]}}, "a=1&b=x&b=y+z", "application/x-www-form-urlencoded"),
        ({"json": {"a": [1]}}, '{"a": [1]}', "application/json"),
        ({"json": 1, "headers": {"Content-Type": "a/b"}}, "1", "a/b"),
        ({"data": iter([b"ab", b"c"])}, "abc", None),
        ({}, "", None),
    ],
)
@in_coroutine()
def test_a_body_may_be_text_bytes_a_form_json_or_pieces(options: Any, body: str, kind: str | None) -> None:
    asked = told("POST", **options)
    assert (asked["body"], asked["headers"].get("content-type")) == (body, kind)
    assert ("content-length" in asked["headers"]) != ("transfer-encoding" in asked["headers"])


@in_coroutine()
def test_headers_of_ones_own_come_first() -> None:
    headers = told("GET", headers={"User-Agent": "me", "X-A": 1, "host": "other"})["headers"]
    assert (headers["user-agent"], headers["x-a"], headers["host"]) == ("me", "1", "other")


@in_coroutine()
def test_two_bodies_are_one_too_many() -> None:
    with pytest.raises(TypeError, match="data and json are two bodies"):
        told("POST", data="a", json=1)


@pytest.mark.parametrize(
    ("method", "headers"),
    [("GET", {"A": "b\r\nC: d"}), ("GET", {"A b": "c"}), ("G T", {}), ("GET", {"A": "b\x00"})],
)
@in_coroutine()
def test_what_would_be_another_request_is_not_sent(method: str, headers: dict[str, str]) -> None:
    with serving(tell) as server:
        with pytest.raises(HttpError, match="cannot be asked for"):
            request(method, url_of(server), headers=headers)
        assert request("GET", url_of(server)).ok


# -- what comes ----------------------------------------------------------------------------------


@in_coroutine()
def test_a_reply_tells_all_about_the_answer() -> None:
    with serving(lambda _: (404, {"X-A": "b"}, "no")) as server:
        reply = request("GET", url_of(server, "/x"))
        assert reply.url == url_of(server, "/x")
    assert (reply.status, reply.reason, reply.ok, reply.body, reply.text) == (
        404,
        "Not Found",
        False,
        b"no",
        "no",
    )
    assert (reply.headers["x-a"], reply.reused, reply.redirects) == ("b", False, ())
    assert 0 < reply.timings.first_byte_s <= reply.timings.total_s
    assert 0 < reply.timings.connect_s < reply.timings.total_s


@in_coroutine()
def test_a_stream_is_read_to_its_end_and_head_has_none() -> None:
    with serving(lambda _: (f"{n}" for n in range(5))) as server:
        assert request("GET", url_of(server)).text == "01234"
        assert request("HEAD", url_of(server)).body == b""
        assert request("GET", url_of(server)).reused


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/plain; charset=latin-1", b"\xe9", "é"),
        ('text/plain; a=b; Charset="utf-16-le"', b"a\0", "a"),
        ("text/plain", "é".encode(), "é"),
        ("text/plain; charset=nonsense", b"a\xff", "a\\xff"),
        ("text/plain; charset=", b"a", "a"),
        ("text/plain; charset=base64", b"YQ==", "YQ=="),
    ],
)
@in_coroutine()
def test_text_is_in_its_charset_and_a_wrong_one_breaks_nothing(kind: str, body: bytes, text: str) -> None:
    with serving(lambda _: (200, {"Content-Type": kind}, body)) as server:
        assert request("GET", url_of(server)).text == text


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b"hello" * 10_000)),
        ("GZIP", gzip.compress(b"hello" * 10_000)),
        ("deflate", zlib.compress(b"hello" * 10_000)),
        ("deflate", raw_deflate(b"hello" * 10_000)),
        ("identity", b"hello" * 10_000),
    ],
)
@in_coroutine()
def test_compression_is_undone(coding: str, packed: bytes) -> None:
    headers = {"Content-Encoding": coding}
    with serving(lambda _: (200, headers, iter([packed[:3], packed[3:40], packed[40:]]))) as server:
        assert request("GET", url_of(server)).body == b"hello" * 10_000


@pytest.mark.parametrize(
    ("packed", "why"),
    [(b"nonsense", "broken"), (gzip.compress(bytes(range(256)))[:-20], "in the middle of its gzip")],
)
@in_coroutine()
def test_broken_compression_is_an_error(packed: bytes, why: str) -> None:
    with (
        serving(lambda _: (200, {"Content-Encoding": "gzip"}, packed)) as server,
        pytest.raises(HttpError, match=why),
    ):
        request("GET", url_of(server))


@in_coroutine()
def test_an_answer_that_is_too_long_is_not_read_to_its_end_packed_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unpacked: list[int] = []
    feed = _Inflate.feed

    def noted(inflate: _Inflate, data: bytes, most: int) -> bytes:
        plain = feed(inflate, data, most)
        unpacked.append(len(plain))
        return plain

    monkeypatch.setattr(_Inflate, "feed", noted)
    bomb = gzip.compress(bytes(50_000_000))
    sent = []

    def app(asked: Request) -> Any:
        if asked.path == "/bomb":
            return 200, {"Content-Encoding": "gzip"}, bomb
        return endless()

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield bytes(10_000)

    with serving(app) as server:
        for path in ("/bomb", "/endless"):
            with pytest.raises(HttpError, match="longer than 1000000 bytes"):
                request("GET", url_of(server, path), max_bytes=1_000_000)
    assert len(sent) < 5000
    assert sum(unpacked) == 1_000_001


def test_a_bomb_is_not_unpacked_further_than_wanted() -> None:
    assert len(_Inflate().feed(gzip.compress(bytes(50_000_000)), 1001)) == 1001


# -- connections ---------------------------------------------------------------------------------


@in_coroutine()
def test_a_connection_is_used_again() -> None:
    with serving(tell) as server:
        assert [request("GET", url_of(server)).reused for _ in range(3)] == [False, True, True]
        assert server.accepted == 1


@in_coroutine()
def test_many_at_once_have_a_connection_each() -> None:
    with serving(lambda _: (coloop.sleep(0.01), "x")[1]) as server:
        asking = [coloop.go(request, "GET", url_of(server)) for _ in range(20)]
        assert {one.result().text for one in asking} == {"x"}
        assert server.accepted == 20


def closes_after_one(connection: coloop.Socket) -> None:
    """A server that promises to keep the connection, and does not."""
    connection.recv_until(b"\r\n\r\n")
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    connection.recv_until(b"\r\n\r\n")


@in_coroutine()
def test_a_connection_that_was_closed_just_now_costs_a_second_attempt_and_no_error() -> None:
    with coloop.serve(":0", closes_after_one) as server:
        replies = [request("GET", url_of(server)) for _ in range(4)]
    assert [reply.text for reply in replies] == ["ok"] * 4
    assert [reply.reused for reply in replies] == [False] * 4


@in_coroutine()
def test_what_might_be_done_twice_is_not_asked_twice() -> None:
    with coloop.serve(":0", closes_after_one) as server:
        request("POST", url_of(server))
        with pytest.raises((coloop.Closed, ConnectionError)):
            request("POST", url_of(server))


@in_coroutine()
def test_nobody_there_is_the_error_of_the_network() -> None:
    with pytest.raises(ConnectionRefusedError):
        request("GET", f"http://127.0.0.1:{free_port()}/")


@in_coroutine(mock=True)
def test_all_of_it_has_one_limit_of_time() -> None:
    def slow(_: Request) -> Iterator[str]:
        while True:
            coloop.sleep(1)
            yield "x"

    with serving(slow) as server:
        with pytest.raises(coloop.Timeout, match=r"GET http://.*: timed out after 5s"):
            request("GET", url_of(server), timeout=5)
        assert coloop.current_scheduler().clock.now() <= 6


@in_coroutine()
def test_tls_asks_for_a_certificate_and_keeps_its_connection() -> None:
    authority = trustme.CA()
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(theirs)
    ours = ssl.create_default_context()
    authority.configure_trust(ours)
    with coloop.serve("127.0.0.1:0", Handler(tell), tls=theirs) as server:
        url = f"https://localhost:{server.address.port}/"
        assert [request("GET", url, tls=ours).reused for _ in range(2)] == [False, True]
        with pytest.raises(ssl.SSLCertVerificationError):
            request("GET", url)


@in_coroutine()
def test_a_server_in_tls_lets_go_of_who_has_nothing_to_ask_when_it_stops() -> None:
    authority = trustme.CA()
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(theirs)
    ours = ssl.create_default_context()
    authority.configure_trust(ours)
    with coloop.serve("127.0.0.1:0", Handler(tell), tls=theirs) as server:
        assert request("GET", f"https://localhost:{server.address.port}/", tls=ours).ok
        assert len(server.connections) == 1
        assert server.stop(drain=30)


# -- redirects -----------------------------------------------------------------------------------


def leads(asked: Request) -> Any:
    """`/301/x` leads to `/x`; the rest tells what was asked."""
    first, _, rest = asked.path[1:].partition("/")
    if first.isdecimal():
        return int(first), {"Location": f"/{rest}"}, ""
    return tell(asked)


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [
        ("GET", 301, "GET"),
        ("HEAD", 302, "HEAD"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("PUT", 302, "PUT"),
        ("PUT", 303, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
    ],
)
@in_coroutine()
def test_redirects_are_followed_each_in_its_way(method: str, status: int, then: str) -> None:
    with serving(leads) as server:
        reply: Reply = request(
            method, url_of(server, f"/{status}/x"), data="abc" if method[0] == "P" else None
        )
        assert reply.redirects == (url_of(server, f"/{status}/x"),)
        assert reply.url == url_of(server, "/x")
    assert reply.method == then
    if then != "HEAD":
        asked = json.loads(reply.text)
        assert (asked["body"], "content-length" in asked["headers"]) == (
            ("abc", True) if then[0] == "P" else ("", False)
        )


@in_coroutine()
def test_only_so_many_are_followed_and_none_if_that_is_wanted() -> None:
    with serving(lambda _: (302, {"Location": "/again"}, "")) as server:
        with pytest.raises(HttpError, match="leads on, after 5 redirects"):
            request("GET", url_of(server))
        assert request("GET", url_of(server), redirects=0).status == 302


@in_coroutine()
def test_a_redirect_leads_to_no_file_and_is_none_without_a_place() -> None:
    with serving(
        lambda asked: (302, {"Location": "file:///etc/passwd"} if asked.path == "/" else {}, "")
    ) as server:
        with pytest.raises(HttpError, match="only http and https"):
            request("GET", url_of(server))
        assert request("GET", url_of(server, "/x")).status == 302


@in_coroutine()
def test_a_secret_is_not_told_another_server() -> None:
    secrets = {"Authorization": "Basic x", "Cookie": "a=b", "X-Plain": "c"}
    with serving(tell) as other:
        with serving(lambda _: (302, {"Location": url_of(other)}, "")) as server:
            headers = request("GET", url_of(server), headers=secrets).json()["headers"]
    assert headers["host"] == str(other.address)
    assert "authorization" not in headers
    assert "cookie" not in headers
    assert headers["x-plain"] == "c"


@in_coroutine()
def test_within_one_server_a_secret_is_told_again() -> None:
    with serving(leads) as server:
        reply = request("GET", url_of(server, "/302/x"), headers={"Authorization": "Basic x"})
    assert reply.json()["headers"]["authorization"] == "Basic x"


@in_coroutine()
def test_pieces_cannot_be_sent_a_second_time() -> None:
    with serving(lambda asked: (307, {"Location": "/x"}, f"{len(asked.body)}")) as server:
        with pytest.raises(HttpError, match="the body cannot be sent a second time"):
            request("POST", url_of(server), data=iter([b"a"]))
