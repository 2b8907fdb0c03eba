import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import trustme

import coloop
from coloop._connect import connect
from coloop._server import serve
from coloop._socket import Socket
from coloop.testing import MockClock, wait_until_idle

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]


def echo(conn: Socket) -> None:
    while data := conn.recv():
        conn.sendall(data)


def test_a_handler_and_its_children_know_their_server() -> None:
    known: list[object] = []

    def handler(conn: Socket) -> None:
        known.append(coloop.serving())
        coloop.go(lambda: known.append(coloop.serving())).join()
        conn.sendall(b"x")

    with serve(":0", handler) as one, serve(":0", handler) as two:
        for server in (one, two):
            with connect(server.address) as client:
                assert client.recv() == b"x"
        assert known == [one, one, two, two]
    assert coloop.serving() is None


def test_a_paused_server_accepts_and_reads_nothing_until_it_is_resumed() -> None:
    with serve(":0", on_receive=lambda one, message: one.send(message)) as server:
        with connect(server.address) as old:
            wait_until_idle()
            server.pause()
            assert server.state == "paused"
            with connect(server.address) as new:
                old.sendall(b"old")
                new.sendall(b"new")
                wait_until_idle()
                assert (server.accepted, server.requests) == (1, 0)
                server.resume()
                assert (old.recv(), new.recv()) == (b"old", b"new")
                assert server.state == "accepting"


def test_a_paused_server_can_be_stopped() -> None:
    server = serve(":0", echo)
    server.pause()
    wait_until_idle()
    assert server.stop() is True
    assert [one.name for one in coloop.snapshot().coroutines[1:]] == []


def test_one_that_is_paused_while_somebody_is_just_accepted_keeps_him_waiting() -> None:
    with (
        serve(":0", on_receive=lambda one, message: one.send(message)) as server,
        connect(server.address) as client,
    ):
        client.sendall(b"x")
        server.pause()
        wait_until_idle()
        assert server.requests == 0
        server.resume()
        assert client.recv() == b"x"


# -- pausing those with a handler --------------------------------------------------------------


def by_exactly(conn: Socket) -> None:
    with suppress(coloop.Closed):
        while True:
            conn.sendall(conn.recv_exactly(3))


def by_line(conn: Socket) -> None:
    with suppress(coloop.Closed):
        while True:
            conn.sendall(conn.recv_until(b"\n"))


def into_a_buffer(conn: Socket) -> None:
    buffer = bytearray(64)
    while count := conn.recv_into(buffer):
        conn.sendall(bytes(buffer[:count]))


def peeking(conn: Socket) -> None:
    while conn.peek():
        conn.sendall(conn.recv())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["plain", "tls"])
def sides(request: pytest.FixtureRequest, authority: trustme.CA) -> dict[str, Any]:
    """What a server and its client are made with."""
    if request.param == "plain":
        return {"server": None, "client": None}
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return {"server": server, "client": client}


@pytest.mark.parametrize("handler", [echo, by_exactly, by_line, into_a_buffer, peeking])
@pytest.mark.parametrize("parked", [True, False])
def test_a_handler_of_a_paused_server_reads_nothing_until_it_is_resumed(
    handler: Callable[[Socket], None], parked: bool, sides: dict[str, Any]
) -> None:
    go_on = coloop.Event()

    def prudent(conn: Socket) -> None:
        if not parked:
            go_on.wait()
        handler(conn)

    with serve(":0", prudent, tls=sides["server"]) as server:
        with connect(server.address, tls=sides["client"]) as client:
            if sides["client"] is not None:
                client.handshake()
            wait_until_idle()
            (conn,) = server.connections
            server.pause()
            go_on.set()
            for data in (b"ab\n", b"cd\n"):
                client.sendall(data)
                wait_until_idle()
            assert conn.received == 0
            server.pause()
            server.resume()
            assert client.recv_exactly(6) == b"ab\ncd\n"
            server.resume()
            client.sendall(b"ef\n")
            assert client.recv_exactly(3) == b"ef\n"


def test_what_was_read_ahead_waits_too(sides: dict[str, Any]) -> None:
    def two_at_a_time(conn: Socket) -> None:
        while data := conn.recv(2):
            conn.sendall(data)
            coloop.suspend()

    def by_line(conn: Socket) -> None:
        with suppress(coloop.Closed):
            while True:
                conn.sendall(conn.recv_until(b"\n"))
                coloop.suspend()

    for handler in (two_at_a_time, by_line):
        with serve(":0", handler, tls=sides["server"]) as server:
            with connect(server.address, tls=sides["client"]) as client:
                client.sendall(b"a\nb\n")
                wait_until_idle()
                (conn,), (one,) = server.connections, server._connections
                server.pause()
                one._scheduler.wake(one)
                wait_until_idle()
                assert one.waiting_on == f"recv {conn}"
                server.resume()
                wait_until_idle()
                assert one.waiting_on == "suspend"


def test_the_window_of_who_is_not_read_from_closes() -> None:
    with serve(":0", echo) as server, connect(server.address) as client:
        wait_until_idle()
        server.pause()
        sending = coloop.go(client.sendall, bytes(16 << 20))
        wait_until_idle()
        assert (client.sent < 16 << 20, server.connections[0].received) == (True, 0)
        server.resume()
        assert len(client.recv_exactly(16 << 20)) == 16 << 20
        sending.join()


def test_limits_of_time_go_on_while_a_server_is_paused_and_nobody_is_called_silent(
    mock_clock: MockClock,
) -> None:
    met: list[str] = []

    def patient(conn: Socket) -> None:
        for call in (partial(conn.recv, timeout=2.0), conn.recv):
            try:
                with coloop.timeout(5):
                    call()
            except coloop.Timeout as error:
                met.append(f"{error} at {coloop.current_scheduler().clock.now():g}")

    with serve(":0", patient, name="p") as server:
        with connect(server.address) as client:
            wait_until_idle()
            server.pause()
            begin = coloop.current_scheduler().clock.now()
            client.sendall(b"x")
            for seconds in (2, 5):
                mock_clock.advance(seconds)
                wait_until_idle()
            assert [text.rpartition(" at ")[2] for text in met] == [f"{begin + 2:g}", f"{begin + 7:g}"]
        wait_until_idle()
        assert (server.statistics().closed_idle, server.statistics().closed_by_server) == (0, 1)


def test_who_waits_at_a_paused_server_can_be_cancelled_and_its_connection_closed(
    sides: dict[str, Any],
) -> None:
    with serve(":0", echo, name="e", tls=sides["server"]) as server:
        with (
            connect(server.address, tls=sides["client"]) as first,
            connect(server.address, tls=sides["client"]) as second,
        ):
            for client in (first, second):
                client.sendall(b"x")
                client.recv()
            server.pause()
            (one, two), (_, conn) = server._connections, server.connections
            one.cancel()
            conn.close()
            wait_until_idle()
            assert (one.state, two.state) == ("cancelled", "failed")
            assert (first.recv(), second.recv()) == (b"", b"")
            server.resume()
            assert server.connections == ()


def test_a_paused_server_that_drains_hears_what_has_come_and_is_not_paused_again() -> None:
    def twice(conn: Socket) -> None:
        for _ in range(2):
            conn.sendall(conn.recv())

    server = serve(":0", twice)
    with connect(server.address) as client:
        wait_until_idle()
        server.pause()
        client.sendall(b"x")
        stopping = coloop.go(server.stop, 60)
        assert client.recv() == b"x"
        server.pause()
        client.sendall(b"y")
        assert client.recv() == b"y"
        assert stopping.result() is True


def test_who_was_accepted_just_before_a_pause_shakes_hands_and_then_waits(sides: dict[str, Any]) -> None:
    with serve(":0", echo, tls=sides["server"]) as server:
        with connect(server.address, tls=sides["client"]) as client:
            while not server.connections:
                coloop.yield_now()
            server.pause()
            client.sendall(b"x")
            wait_until_idle()
            assert server.connections[0].received == 0
            server.resume()
            assert client.recv() == b"x"


def test_writing_goes_on_while_a_server_is_paused() -> None:
    def talks(conn: Socket) -> None:
        coloop.suspend()
        conn.sendall(b"x")

    with serve(":0", talks) as server, connect(server.address) as client:
        wait_until_idle()
        server.pause()
        (one,) = server._connections
        one._scheduler.wake(one)
        assert client.recv() == b"x"
