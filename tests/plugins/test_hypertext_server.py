"""An app behind real programs: curl and wrk."""

import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import coloop
from coshell_plugins.hypertext.limits import Limits
from coshell_plugins.hypertext.request import Request
from coshell_plugins.hypertext.server import Handler
from tests.plugins.http_serving import asked, curl, get, in_coroutine, program, serving, url_of


def app(request: Request) -> Any:
    match request.path:
        case "/echo":
            return request.body
        case "/json":
            return {"sent": request.json(), "type": request.headers["content-type"]}
        case "/count":
            return ticks(int(request.query["n"]))
        case "/length":
            return str(sum(map(len, request.stream())))
        case "/about":
            return {
                "agent": request.headers["User-Agent"],
                "version": request.version,
                "method": request.method,
            }
    return 404, f"no {request.path}\n"


def ticks(n: int) -> Iterator[str]:
    for number in range(n):
        yield f"{number}\n"


# -- curl ----------------------------------------------------------------------------------------


@in_coroutine()
def test_curl_gets_what_the_app_returns() -> None:
    with serving(app) as server:
        assert (
            curl(url_of(server, "/echo"), "--data-binary", "@-", data=bytes(range(32, 127)))
            == bytes(range(32, 127)).decode()
        )
        assert curl("-i", url_of(server, "/none")).startswith("HTTP/1.1 404 Not Found\r\n")
        told = json.loads(curl(url_of(server, "/json"), "--json", '{"a": 1}'))
        assert told == {"sent": {"a": 1}, "type": "application/json"}


@in_coroutine()
def test_curl_keeps_its_connection_for_the_next_request() -> None:
    with serving(app) as server:
        curl(*(url_of(server, f"/count?n={n}") for n in (1, 2, 3)))
        assert server.accepted == 1


@in_coroutine()
def test_curl_understands_our_chunks_and_we_understand_its() -> None:
    with serving(app) as server:
        lines = curl(url_of(server, "/count?n=1000")).splitlines()
        assert lines == [str(n) for n in range(1000)]
        chunked = ("-H", "Transfer-Encoding: chunked", "-T", "-")
        assert curl(url_of(server, "/length"), *chunked, data=bytes(3_000_000)) == "3000000"


@in_coroutine()
def test_curl_is_told_to_send_a_long_body_that_is_wanted_and_not_one_that_is_too_long() -> None:
    with serving(app) as server:
        long = ("-H", "Expect: 100-continue", "--data-binary", "@-")
        assert curl(url_of(server, "/length"), *long, data=bytes(3_000_000)) == "3000000"
        status = ("-o", "/dev/null", "-w", "%{http_code} %{size_upload}")
        assert curl(url_of(server, "/length"), *long, *status, data=bytes(20_000_000)) == "413 0"


@pytest.mark.parametrize("option", ["--http1.0", "--http2", "--head"])
@in_coroutine()
def test_curl_may_speak_an_older_http_want_a_newer_or_only_a_head(option: str) -> None:
    with serving(app) as server:
        told = curl("-i", option, url_of(server, "/about"))
    assert told.startswith("HTTP/1.1 200 OK\r\n")
    assert option == "--head" or '"method": "GET"' in told


@in_coroutine()
def test_curl_gets_an_answer_of_megabytes_whole(tmp_path: Path) -> None:
    with serving(lambda _: bytes(30_000_000)) as server:
        assert curl("-w", "%{size_download}", "-o", tmp_path / "all", url_of(server)) == "30000000"


@in_coroutine()
def test_curl_that_gives_up_closes_the_generator() -> None:
    closed = coloop.Event()

    def endless(_: Request) -> Iterator[bytes]:
        try:
            while True:
                yield bytes(1000)
                coloop.sleep(0.01)
        finally:
            closed.set()

    with serving(endless) as server:
        read = program("sh", "-c", f"curl -sN {url_of(server)} | head -c 1000")  # curl loses its reader
        assert read.stdout == bytes(1000)
        assert closed.wait(10)
        assert server.failed == 0


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (("-H", "Host:"), "400"),
        (("-H", "A: " + "b" * 20_000), "431"),
        (("-H", "Content-Length: 3", "-H", "Transfer-Encoding: chunked", "-d", "abc"), "400"),
        ([part for n in range(200) for part in ("-H", f"a{n}: b")], "431"),
    ],
)
@in_coroutine()
def test_curl_reads_why_it_was_refused(request_line: list[str], status: str) -> None:
    with serving(app) as server:
        found = curl("-o", "/dev/null", "-w", "%{http_code}", *request_line, url_of(server, "/echo"))
    assert found == status


# -- wrk -----------------------------------------------------------------------------------------


@in_coroutine()
def test_wrk_finds_no_error_among_its_answers_and_we_have_counted_them_all() -> None:
    handler = Handler(lambda request: f"hello, {request.path}\n")
    with coloop.serve(":0", handler) as server:
        told = program("wrk", "-t1", "-c50", "-d1", f"{url_of(server)}x").stdout.decode()
    found = re.search(r"(\d+) requests in", told)
    assert found, told
    assert "Non-2xx" not in told
    assert "Socket errors" not in told
    assert 0 < int(found[1]) <= handler.requests
    assert handler.answers == {2: handler.requests}
    assert server.failed == 0


@in_coroutine()
def test_memory_stays_flat_whatever_is_announced() -> None:
    announced = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n"
    lines = b"GET / HTTP/1.1\r\nA: " + b"b" * 1_048_576
    with serving(lambda request: request.body) as server:
        asked(server, announced + bytes(1_000_000))
        asked(server, lines)
        before = psutil.Process().memory_info().rss
        for _ in range(20):
            asked(server, announced + bytes(1_000_000))
            asked(server, lines)
        grown = psutil.Process().memory_info().rss - before
    assert grown < 8 * 1024 * 1024


# -- the handler ---------------------------------------------------------------------------------


def test_it_goes_to_workers_and_counts_anew() -> None:
    handler = Handler(app, Limits(headers=3))
    handler.requests = 5
    copy = pickle.loads(pickle.dumps(handler))
    assert (copy.app, copy.limits, copy.requests) == (app, Limits(headers=3), 0)


def test_it_is_shown_by_the_name_of_its_app() -> None:
    assert repr(Handler(app)) == "<http app, 0 answered>"
    assert Handler(app).__name__ == "app"


def test_what_cannot_be_called_is_no_app() -> None:
    with pytest.raises(TypeError, match="an app is a function of one request, not 3"):
        Handler(3)  # type: ignore[arg-type]


@in_coroutine()
def test_a_connection_is_born_where_the_app_begins() -> None:
    with serving(app) as server, coloop.connect(server.address) as client:
        client.sendall(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
        client.recv()
        born = {one.name: one.spawned_at for one in coloop.snapshot().coroutines}
    assert born["web/c1"].endswith(" in app")


@in_coroutine("ZeroDivisionError")
def test_answers_are_counted_by_their_hundred() -> None:
    handler = Handler(lambda request: (int(request.path[1:]), "") if request.path != "/" else 1 / 0)
    with coloop.serve(":0", handler) as server:
        for path in ("/200", "/201", "/302", "/404", "/"):
            asked(server, get(path))
        asked(server, b"nonsense\r\n\r\n")
    assert dict(handler.answers) == {2: 2, 3: 1, 4: 2, 5: 1}
    assert handler.requests == 6
