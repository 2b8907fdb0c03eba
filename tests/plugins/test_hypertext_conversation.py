"""Requests on one connection: their order, what is refused, how long is waited, and how it ends."""

from collections.abc import Iterator
from typing import Any

import pytest

import coloop
from coloop.testing import wait_until_idle
from coshell_plugins.hypertext import conversation
from coshell_plugins.hypertext.errors import Refused
from coshell_plugins.hypertext.limits import Limits
from coshell_plugins.hypertext.request import Request
from coshell_plugins.hypertext.response import Response
from tests.patience import PATIENCE_S
from tests.plugins.http_serving import asked, asked_once, get, in_coroutine, parsed, rest_of, serving

CHUNKED = "Transfer-Encoding: chunked"


def hello(request: Request) -> str:
    return f"{request.method} {request.path}"


def echo(request: Request) -> bytes:
    return request.body


def read(client: coloop.Socket) -> bytes:
    """One answer that tells its length."""
    head = client.recv_until(b"\r\n\r\n")
    length = int(parsed(head)[1]["content-length"])
    return client.recv_exactly(length)


# -- requests and answers ------------------------------------------------------------------------


@in_coroutine()
def test_an_answer_tells_its_length_its_date_and_who_gave_it() -> None:
    with serving(hello) as server:
        status, headers, body = asked_once(server, get("/a"))
    assert (status, body) == (200, b"GET /a")
    assert headers.pop("date").endswith(" GMT")
    assert headers == {
        "content-type": "text/plain; charset=utf-8",
        "server": "coshell",
        "content-length": "6",
        "connection": "close",
    }


@in_coroutine()
def test_a_connection_is_kept_for_more_requests() -> None:
    with serving(hello) as server, coloop.connect(server.address) as client:
        for path in (b"/1", b"/2", b"/3"):
            client.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            assert read(client) == b"GET " + path
        assert server.accepted == 1


@in_coroutine()
def test_requests_that_come_at_once_are_answered_in_their_order() -> None:
    with serving(hello) as server:
        many = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(50))
        answers = asked(server, many + get("/last"))
    assert [part.split(b"\r\n")[0] for part in answers.split(b"GET /")[1:]] == [
        *(b"%dHTTP/1.1 200 OK" % n for n in range(50)),
        b"last",
    ]


@in_coroutine()
def test_a_request_that_comes_byte_by_byte_is_one() -> None:
    with serving(echo) as server, coloop.connect(server.address) as client:
        for byte in get(method="POST", body=b"abc").replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n"):
            client.sendall(bytes([byte]))
            coloop.yield_now()
        assert parsed(rest_of(client))[2] == b"abc"


@in_coroutine()
def test_a_chunked_body_is_read_whole_and_the_next_request_begins_behind_it() -> None:
    with serving(echo) as server:
        first = (
            f"POST / HTTP/1.1\r\nHost: x\r\n{CHUNKED}\r\n\r\n".encode()
            + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: b\r\n\r\n"
        )
        answers = asked(server, first + get("/"))
    assert b"abcdeHTTP/1.1 200 OK" in answers


@in_coroutine()
def test_http_1_0_gets_an_answer_and_an_end() -> None:
    with serving(lambda _: iter(["a", "b"])) as server:
        status, headers, body = asked_once(server, b"GET / HTTP/1.0\r\n\r\n")
    assert (status, body) == (200, b"ab")
    assert "transfer-encoding" not in headers


@pytest.mark.parametrize(
    "returned",
    ["text", b"bytes", {"a": 1}, (404, "text"), iter(["a"])],
    ids=["str", "bytes", "dict", "404", "iterator"],
)
@in_coroutine()
def test_head_is_answered_by_the_head_of_the_answer(returned: Any) -> None:
    with serving(lambda _: returned) as server, coloop.connect(server.address) as client:
        client.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + get(method="HEAD"))
        answers = rest_of(client)
    assert answers.count(b"HTTP/1.1 ") == 2
    assert answers.endswith(b"\r\n\r\n")
    assert (b"content-length" in answers) != (b"chunked" in answers)


@pytest.mark.parametrize("status", [204, 304])
@in_coroutine()
def test_some_answers_have_no_body_whatever_the_app_returns(status: int) -> None:
    with serving(lambda _: (status, "text")) as server:
        answer = asked(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + get())
    assert answer.count(b"HTTP/1.1 %d" % status) == 2
    assert b"content-length" not in answer
    assert answer.endswith(b"\r\n\r\n")


@in_coroutine()
def test_a_body_that_the_app_does_not_read_is_skipped() -> None:
    with serving(hello) as server:
        first = b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + bytes(60000)
        assert b"GET /2" in asked(server, first + get("/2"))


@in_coroutine()
def test_after_a_long_body_that_the_app_does_not_read_the_connection_ends() -> None:
    with serving(hello) as server:
        first = b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000000)
        answers = asked(server, first + get("/2"))
    assert answers.endswith(b"POST /1")


@in_coroutine()
def test_a_client_that_wants_to_be_told_to_go_on_is_told_when_the_app_wants_its_body() -> None:
    with serving(echo) as server, coloop.connect(server.address) as client:
        client.sendall(get("/", "Expect: 100-continue", "Content-Length: 3", method="POST"))
        assert client.recv_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert parsed(rest_of(client))[2] == b"abc"


@in_coroutine()
def test_a_client_that_is_not_told_to_go_on_gets_its_answer_and_an_end() -> None:
    with serving(hello) as server:
        asking = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        status, headers, body = asked_once(server, asking)
    assert (status, headers["connection"], body) == (200, "close", b"POST /")


@in_coroutine()
def test_what_the_app_says_of_lengths_is_not_believed() -> None:
    with serving(lambda _: Response(200, {"Content-Length": "999", "X-A": "b"}, "four")) as server:
        _, headers, body = asked_once(server, get())
    assert (headers["content-length"], headers["x-a"], body) == ("4", "b", b"four")


# -- streams -------------------------------------------------------------------------------------


@in_coroutine()
def test_pieces_go_out_as_they_are_made_and_empty_ones_end_nothing() -> None:
    going = coloop.Event()

    def app(_: Request) -> Iterator[str]:
        yield "one"
        yield ""
        going.wait()
        yield "two"

    with serving(app) as server, coloop.connect(server.address) as client:
        client.sendall(get())
        head = client.recv_until(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        assert b"text/plain" in head
        assert client.recv_until(b"one\r\n") == b"3\r\none\r\n"
        going.set()
        assert rest_of(client) == b"3\r\ntwo\r\n0\r\n\r\n"


@in_coroutine()
def test_after_a_stream_the_connection_is_kept() -> None:
    with serving(lambda request: iter([request.path])) as server:
        assert asked(server, b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n" + get("/2")).count(b"0\r\n\r\n") == 2
        assert [one.name for one in coloop.snapshot().coroutines if one.state != "dead"][1:] == ["web"]


@pytest.mark.parametrize("how", ["close", "reset"])
@in_coroutine()
def test_when_the_client_leaves_the_generator_is_closed_wherever_it_waits(how: str) -> None:
    heard = []

    def app(_: Request) -> Iterator[str]:
        try:
            yield "first"
            coloop.suspend()
        finally:
            heard.append("closed")

    with serving(app) as server:
        client = coloop.connect(server.address)
        client.sendall(get())
        client.recv_until(b"first")
        client.close(linger=0 if how == "reset" else None)
        wait_for(lambda: not server.connections)
    assert heard == ["closed"]
    assert server.failed == 0


def wait_for(condition: Any) -> None:
    with coloop.timeout(10):
        while not condition():
            coloop.sleep(0.001)


@in_coroutine()
def test_a_client_that_leaves_between_two_pieces_closes_the_generator() -> None:
    heard = []

    def app(_: Request) -> Iterator[bytes]:
        try:
            while True:
                yield bytes(10000)
        finally:
            heard.append("closed")

    with serving(app) as server:
        with coloop.connect(server.address) as client:
            client.sendall(get())
            client.recv_exactly(100_000)
        wait_for(lambda: not server.connections)
    assert heard == ["closed"]
    assert server.failed == 0


@in_coroutine()
def test_the_body_of_a_request_can_be_streamed_back_as_it_comes() -> None:
    def app(request: Request) -> Iterator[bytes]:
        for piece in request.stream():
            yield piece.upper()

    with serving(app) as server, coloop.connect(server.address) as client:
        client.sendall(get("/", CHUNKED, method="POST") + b"1\r\na\r\n")
        client.recv_until(b"1\r\nA\r\n")
        client.sendall(b"1\r\nb\r\n0\r\n\r\n")
        assert rest_of(client) == b"1\r\nB\r\n0\r\n\r\n"


@in_coroutine("ValueError")
def test_a_generator_that_fails_before_its_first_piece_is_a_500() -> None:
    def app(_: Request) -> Iterator[str]:
        raise ValueError("no")
        yield "never"

    with serving(app) as server:
        assert asked_once(server, get())[0] == 500


@in_coroutine("ValueError")
def test_a_generator_that_fails_later_resets_what_nobody_shall_take_for_whole() -> None:
    def app(_: Request) -> Iterator[str]:
        yield "some"
        raise ValueError("no")

    with serving(app) as server, coloop.connect(server.address) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            rest_of(client)


# -- failures ------------------------------------------------------------------------------------


@in_coroutine("ZeroDivisionError")
def test_a_failure_of_the_app_is_a_500_that_tells_no_secrets_and_is_reported() -> None:
    with serving(lambda _: 1 / 0) as server:
        status, headers, body = asked_once(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: server.failed == 1)
    assert (status, headers["connection"]) == (500, "close")
    assert b"zero" not in body.lower()


@in_coroutine("ConnectionRefusedError")
def test_a_connection_of_the_apps_own_that_fails_is_a_500_too() -> None:
    def app(_: Request) -> str:
        raise ConnectionRefusedError("the database is down")

    with serving(app) as server:
        assert asked_once(server, get())[0] == 500


@in_coroutine("TypeError")
def test_a_forgotten_return_is_a_500() -> None:
    with serving(lambda _: None) as server:
        assert asked_once(server, get())[0] == 500


@in_coroutine("LocalProtocolError")
def test_a_header_that_would_be_two_is_a_500() -> None:
    with serving(lambda _: (200, {"X": "a\r\nSet-Cookie: b"}, "")) as server:
        answer = asked(server, get())
    assert parsed(answer)[0] == 500
    assert b"Set-Cookie" not in answer


@in_coroutine()
def test_an_app_may_refuse() -> None:
    def app(_: Request) -> str:
        raise Refused(403, "not you")

    with serving(app) as server:
        status, headers, body = asked_once(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status, headers["connection"], body) == (403, "close", b"403 Forbidden: not you\n")
    assert server.failed == 0


# -- what is refused -----------------------------------------------------------------------------

MANY = b"".join(b"a%d: b\r\n" % n for n in range(10_000))


@pytest.mark.parametrize(
    ("data", "status", "why"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n", 413, b"longer than"),
        (get("/", "Content-Length: 3", CHUNKED, method="POST"), 400, b"both"),
        (get("/", "Content-Length: -1", method="POST"), 400, b"Content-Length"),
        (get("/", "Content-Length: 3", "Content-Length: 4", method="POST"), 400, b"Content-Length"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + MANY + b"\r\n", 431, b""),
        (get("/", *(f"a{n}: b" for n in range(101))), 431, b"more than 100 headers"),
        (get("/", "A: " + "b" * 20_000), 431, b"longer than 16384"),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 1_048_576, 431, b""),
        (get("/" + "a" * 20_000), 414, b"longer than 16384"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, b"Host"),
        (b"GET /\r\n\r\n", 400, b""),
        (b"nonsense\r\n\r\n", 400, b""),
        (b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n", 400, b""),
        (get("/", "Bad Name: x"), 400, b""),
        (get("/", "A: b\x00c"), 400, b""),
        (get("/", "Transfer-Encoding: gzip", method="POST"), 501, b""),
        (get("x:443", method="CONNECT"), 501, b"no proxy"),
    ],
)
@in_coroutine()
def test_it_is_refused_with_the_reason_and_the_connection_ends(data: bytes, status: int, why: bytes) -> None:
    reached = []
    with serving(reached.append) as server:
        found, headers, body = asked_once(server, data)
        assert server.failed == 0
    assert (found, headers["connection"]) == (status, "close")
    assert why in body
    assert reached == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"zz\r\nabc\r\n", 400),
        (b"3\r\nabcde\r\n", 400),
        (b"-1\r\n", 400),
        (b"20\r\n" + bytes(32), 413),
        (b"3\r\na", 400),
    ],
)
@in_coroutine()
def test_a_broken_or_overlong_chunk_is_refused(body: bytes, status: int) -> None:
    with serving(echo, Limits(body_bytes=16)) as server:
        data = get("/", CHUNKED, method="POST") + body
        assert parsed(asked(server, data, then_end=True))[0] == status
        assert server.failed == 0


@in_coroutine()
def test_a_client_that_sends_on_and_on_can_still_read_why_it_should_not() -> None:
    with serving(echo) as server, coloop.connect(server.address) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n")
        client.sendall(bytes(8_000_000))
        assert read(client) == bytes(8_000_000)
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 17000000\r\n\r\n")
        client.sendall(bytes(1_000_000))
        assert parsed(rest_of(client))[0] == 413


@in_coroutine()
def test_a_client_that_reads_only_when_it_has_sent_for_a_while_finds_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conversation, "FAREWELL_S", PATIENCE_S)  # a busy machine is no reason to fail
    with serving(echo) as server, coloop.connect(server.address) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 17000000\r\n\r\n")
        for _ in range(40):
            client.sendall(bytes(100_000))
            coloop.sleep(0.005)
        assert parsed(rest_of(client))[0] == 413


@in_coroutine()
def test_who_leaves_in_the_midst_of_a_request_disturbs_nobody() -> None:
    with serving(echo) as server:
        for data in (b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na"):
            coloop.connect(server.address).close(linger=0)
            with coloop.connect(server.address) as client:
                client.sendall(data)
        wait_for(lambda: server.accepted == 6 and not server.connections)
        assert server.failed == 0


# -- time ----------------------------------------------------------------------------------------

PATIENT = Limits(head_s=30, idle_s=75, body_s=20, send_s=10)


def after(seconds: float, data: bytes, app: Any = echo) -> tuple[bytes, float]:
    """What the server has answered, and when it ended the connection."""
    with serving(app, PATIENT) as server, coloop.connect(server.address) as client:
        clock = coloop.current_scheduler().clock
        client.sendall(data)
        began_at = clock.now()
        answer = rest_of(client)
        return answer, clock.now() - began_at


@pytest.mark.parametrize(
    ("data", "status", "seconds"),
    [
        (b"", 0, 75),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", 408, 30),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab", 408, 20),
        (f"POST / HTTP/1.1\r\nHost: x\r\n{CHUNKED}\r\n\r\n1\r\na\r\n".encode(), 408, 20),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200, 75),
    ],
)
@in_coroutine(mock=True)
def test_nobody_is_waited_for_longer_than_that(data: bytes, status: int, seconds: float) -> None:
    answer, took_s = after(seconds, data)
    assert (parsed(answer)[0] if answer else 0) == status
    assert seconds <= took_s <= seconds + 1.5  # the farewell


@in_coroutine(mock=True)
def test_a_head_must_be_complete_in_time_however_often_a_byte_comes() -> None:
    with serving(hello, PATIENT) as server, coloop.connect(server.address) as client:
        clock = coloop.current_scheduler().clock
        began_at = clock.now()
        client.sendall(b"GET / HTTP/1.1\r\nHost: ")
        with pytest.raises((OSError, coloop.Closed)):
            while clock.now() < began_at + 60:
                coloop.sleep(1)
                client.sendall(b"x")
        assert clock.now() - began_at < 34
        assert rest_of(client).startswith(b"HTTP/1.1 408 ")


@in_coroutine(mock=True)
def test_many_who_never_finish_their_head_keep_nobody_else_waiting() -> None:
    with serving(hello, PATIENT) as server:
        slow = [coloop.connect(server.address) for _ in range(100)]
        for client in slow:
            client.sendall(b"GET / HTTP/1.1\r\nHost: ")
        clock = coloop.current_scheduler().clock
        began_at = clock.now()
        with coloop.connect(server.address) as other:
            other.sendall(get("/quick"))
            assert read(other) == b"GET /quick"
        assert clock.now() - began_at < 1
        assert {parsed(rest_of(client))[0] for client in slow} == {408}
        for client in slow:
            client.close()
        wait_until_idle()
        assert (len(server.connections), server.failed) == (0, 0)


@in_coroutine(mock=True)
def test_a_client_that_does_not_read_is_given_up_and_disturbs_nobody() -> None:
    heard = []

    def app(_: Request) -> Iterator[bytes]:
        try:
            while True:
                yield bytes(1_000_000)
        finally:
            heard.append(coloop.current_scheduler().clock.now())

    with serving(app, PATIENT) as server, coloop.connect(server.address) as client:
        client.sendall(get())
        coloop.sleep(100)
        wait_until_idle()
        assert len(heard) == 1
        assert server.failed == 0
        assert not server.connections


@in_coroutine(mock=True)
def test_an_answer_that_the_client_does_not_read_is_torn_off_and_not_ended() -> None:
    with serving(lambda _: bytes(50_000_000), PATIENT) as server, coloop.connect(server.address) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        coloop.sleep(100)
        wait_until_idle()
        assert server.failed == 0
        assert not server.connections
        with pytest.raises(ConnectionResetError):
            rest_of(client)


# -- a server that stops -------------------------------------------------------------------------


@in_coroutine(mock=True)
def test_when_the_server_stops_who_has_nothing_to_ask_is_let_go_soon() -> None:
    with serving(hello) as server, coloop.connect(server.address) as client:
        client.sendall(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read(client) == b"GET /1"
        assert server.stop(drain=30)
        assert coloop.current_scheduler().clock.now() < 1
        assert client.recv() == b""


@in_coroutine(mock=True)
def test_a_request_that_is_on_its_way_then_is_answered_as_the_last() -> None:
    with serving(hello) as server, coloop.connect(server.address) as client:
        client.sendall(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read(client) == b"GET /1"
        stopping = coloop.go(server.stop, 30)
        client.sendall(b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
        _, headers, body = parsed(rest_of(client))
        assert (headers["connection"], body) == ("close", b"GET /2")
        assert stopping.result() is True


@in_coroutine(mock=True)
def test_a_request_that_is_being_answered_then_is_answered_and_the_last() -> None:
    def slow(request: Request) -> str:
        coloop.sleep(5)
        return "done"

    with serving(slow) as server, coloop.connect(server.address) as client:
        client.sendall(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        coloop.sleep(1)
        assert server.stop(drain=30)
        _, headers, body = parsed(rest_of(client))
        assert (headers["connection"], body) == ("close", b"done")
        assert 5 <= coloop.current_scheduler().clock.now() < 6


@in_coroutine()
def test_a_server_counts_requests_and_not_connections() -> None:
    with serving(hello) as server:
        asked(server, b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n" * 2 + get("/3"))
        asked(server, b"nonsense\r\n\r\n")
        wait_for(lambda: not server.connections)
        assert (server.requests, server.accepted) == (4, 2)
