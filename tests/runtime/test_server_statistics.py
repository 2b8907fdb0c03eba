import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import coloop
from coloop._connect import connect
from coloop._server import serve
from coloop._socket import Socket
from coloop.testing import wait_until_idle

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]


def echo(conn: Socket) -> None:
    while data := conn.recv():
        conn.sendall(data)


def test_statistics_are_a_picture() -> None:
    with serve(":0", echo, name="e", max_connections=7) as server, connect(server.address) as client:
        client.sendall(b"x")
        assert client.recv() == b"x"
        picture = server.statistics()
        assert (picture.name, picture.address, picture.state) == ("e", str(server.address), "accepting")
        assert (picture.connections, picture.max_connections) == (1, 7)
        assert (picture.accepted, picture.rejected, picture.failed, picture.last_trouble) == (1, 0, 0, None)
        assert repr(server) == f"<Server e on {server.address} accepting, 1 connections>"


def test_messages_connections_and_bytes_are_counted() -> None:
    with serve(":0", on_receive=lambda one, message: one.send(message * 2), framing="line") as server:
        with connect(server.address) as first, connect(server.address) as second:
            for client in (first, second):
                client.sendall(b"abc\n")
                assert client.recv() == b"abcabc\n"
            now = server.statistics()
            assert (now.requests, now.messages, now.bytes_in, now.bytes_out) == (2, 2, 8, 14)
            assert (now.connections, now.peak_connections, now.queued_bytes) == (2, 2, 0)
        wait_until_idle()
        now = server.statistics()
        assert (now.requests, now.bytes_in, now.bytes_out, now.connections, now.peak_connections) == (
            2,
            8,
            14,
            0,
            2,
        )
        assert (now.closed_by_peer, now.closed_by_server, now.resets) == (2, 0, 0)


def test_a_handler_that_has_finished_is_a_request_unless_it_counts_them_itself() -> None:
    def once(conn: Socket) -> None:
        conn.sendall(conn.recv())

    with serve(":0", once) as server:
        for _ in range(3):
            with connect(server.address) as client:
                client.sendall(b"x")
                assert client.recv() == b"x"
        wait_until_idle()
        assert (server.requests, server.statistics().messages) == (3, 0)

    def thrice(conn: Socket) -> None:
        server = coloop.serving()
        assert server is not None
        for _ in range(3):
            server.count_request()
        conn.sendall(b"x")

    with serve(":0", thrice) as server:
        with connect(server.address) as client:
            client.recv()
        wait_until_idle()
        assert server.requests == 3


# -- how connections with a handler end --------------------------------------------------------


def ends(server: coloop.Server) -> dict[str, int]:
    """How often each, without those that never were."""
    now = server.statistics()
    counts = {
        "peer": now.closed_by_peer,
        "server": now.closed_by_server,
        "idle": now.closed_idle,
        "error": now.closed_by_error,
        "reset": now.resets,
    }
    assert sum(counts.values()) + now.connections == now.accepted
    return {who: count for who, count in counts.items() if count}


def closes(conn: Socket) -> None:
    conn.recv()
    conn.close()
    conn.sendall(b"too late")


def shuts_down(conn: Socket) -> None:
    conn.recv()
    conn.shutdown("write")
    conn.recv()


def resets(conn: Socket) -> None:
    conn.recv()
    conn.close(linger=0)


def fails(conn: Socket) -> None:
    conn.recv()
    raise ValueError("on purpose")


def fails_behind_the_end(conn: Socket) -> None:
    echo(conn)
    raise ValueError("on purpose")


def resets_behind_the_end(conn: Socket) -> None:
    echo(conn)
    conn.close(linger=0)


def is_tired_of_waiting(conn: Socket) -> None:
    conn.recv()
    conn.recv(timeout=0)


def gives_up(conn: Socket) -> None:
    conn.recv()
    with suppress(coloop.Timeout):
        conn.recv(timeout=0)


def gives_up_in_a_block(conn: Socket) -> None:
    conn.recv()
    with suppress(coloop.Timeout), coloop.timeout(0):
        conn.recv()


def asks_again(conn: Socket) -> None:
    with suppress(coloop.Timeout):
        conn.recv(timeout=0)
    conn.recv()


def is_tired_of_others(conn: Socket) -> None:
    conn.recv()
    with coloop.timeout(0):
        coloop.suspend()


@pytest.mark.parametrize(
    ("handler", "who"),
    [
        (echo, "peer"),
        (lambda conn: conn.recv(), "server"),
        (closes, "server"),
        (shuts_down, "server"),
        (resets, "reset"),
        (fails, "error"),
        (fails_behind_the_end, "peer"),
        (resets_behind_the_end, "peer"),
        (is_tired_of_waiting, "idle"),
        (gives_up, "idle"),
        (gives_up_in_a_block, "idle"),
        (asks_again, "server"),
        (is_tired_of_others, "error"),
    ],
)
def test_what_a_handler_has_met_first_has_ended_its_connection(
    handler: Callable[[Socket], object], who: str, observer: Any
) -> None:
    with serve(":0", handler) as server:
        with connect(server.address) as client:
            wait_until_idle()
            client.sendall(b"x")
            wait_until_idle()
        wait_until_idle()
        assert ends(server) == {who: 1}
    observer.failures.clear()


def test_a_peer_that_resets_is_counted_as_such_and_one_that_has_left_before_is_not() -> None:
    with serve(":0", echo) as server:
        with connect(server.address) as client:
            client.sendall(b"x")
            client.recv()
            client.close(linger=0)
        wait_until_idle()
        assert ends(server) == {"reset": 1}


def test_an_end_of_the_stream_that_no_handler_has_read_has_ended_nothing() -> None:
    def deaf(conn: Socket) -> None:
        conn.recv(1)
        coloop.suspend()
        conn.close()

    with serve(":0", deaf, name="d") as server:
        with connect(server.address) as client:
            client.sendall(b"xyz")
            wait_until_idle()
        (one,) = server._connections
        coloop.current_scheduler().wake(one)
        wait_until_idle()
        assert ends(server) == {"server": 1}


def test_those_that_a_stop_cancels_were_closed_by_the_server_silent_or_not() -> None:
    def polls(conn: Socket) -> None:
        while True:
            with suppress(coloop.Timeout):
                conn.recv(timeout=0)
            coloop.suspend()

    server = serve(":0", polls)
    with connect(server.address), connect(server.address):
        wait_until_idle()
        server.stop()
        assert ends(server) == {"server": 2}


def test_who_sees_no_handshake_through_is_counted_too() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for callbacks in ({"handler": echo}, {"on_receive": print}):
        with serve(":0", tls=context, **callbacks) as server:
            with connect(server.address) as client:
                wait_until_idle()
                client.close()
                wait_until_idle()
            with connect(server.address) as client:
                client.sendall(b"what is this?")
                wait_until_idle()
            assert ends(server) == {"peer": 1, "error": 1}
