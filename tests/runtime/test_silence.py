from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import coloop
from coloop._connect import connect
from coloop._connection import Connection
from coloop._server import Server, serve
from coloop._socket import Socket
from coloop.testing import MockClock, wait_until_idle

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]

MUCH = 32 << 20  # for who reads slowly the kernel may take 6 MiB, and more while he reads

Ends = list[coloop.ClosedBy | None]


@contextmanager
def serving(**options: Any) -> Iterator[tuple[Server, Socket, Ends]]:
    ends: Ends = []
    options = {"framing": "line", "on_receive": lambda *_: None, **options}
    with serve(":0", name="s", on_close=lambda one: ends.append(one.closed_by), **options) as server:
        with connect(server.address) as client:
            wait_until_idle()
            yield server, client, ends


def test_a_connection_on_which_nothing_moves_is_closed_not_too_early(mock_clock: MockClock) -> None:
    with serving(idle=5) as (server, client, ends):
        coloop.sleep(4.9)
        assert len(server.clients) == 1
        assert client.recv() == b""
        (end,) = ends
        assert end is not None
        assert (end.who, end.why, end.at_s) == ("idle", "nothing moved for 5s", pytest.approx(5))
        assert server.statistics().closed_idle == 1


def test_what_comes_and_what_is_sent_puts_it_off(mock_clock: MockClock) -> None:
    with serving(idle=5) as (server, client, ends):
        coloop.sleep(3)
        client.sendall(b"half a line")
        coloop.sleep(3)
        server.clients[0].send(b"x")
        coloop.sleep(4.9)
        assert ends == []
        assert client.recv() == b"x\n"
        assert client.recv() == b""
        assert mock_clock.now() == pytest.approx(11, abs=0.2)


def test_a_callback_that_takes_its_time_is_not_the_peer_s_silence(mock_clock: MockClock) -> None:
    def think(connection: Connection, message: bytes) -> None:
        coloop.sleep(60)
        connection.send(b"thought")

    with serving(idle=5, on_receive=think) as (_, client, ends):
        client.sendall(b"x\n")
        assert client.recv() == b"thought\n"
        assert ends == []


def test_a_paused_connection_is_not_idle(mock_clock: MockClock) -> None:
    with serving(idle=5) as (server, client, ends):
        server.clients[0].pause()
        coloop.sleep(60)
        assert ends == []
        server.clients[0].resume()
        assert client.recv() == b""


def test_a_slow_reader_is_not_idle_as_long_as_it_reads(mock_clock: MockClock) -> None:
    with serving(idle=5, framing=None) as (server, client, ends):
        server.clients[0].send(bytes(MUCH))
        for _ in range(8):
            coloop.sleep(4)
            client.recv_exactly(512 * 1024)
        assert ends == []
        while not ends:
            coloop.sleep(1)
        assert ends[0] is not None
        assert ends[0].who == "idle"
        with pytest.raises(ConnectionResetError):  # what nobody reads is dropped
            client.recv_exactly(MUCH)


def test_a_silent_peer_is_asked_and_one_that_answers_lives(mock_clock: MockClock) -> None:
    with serving(heartbeat=5, heartbeat_message=b"ping") as (server, client, ends):
        for beat in range(1, 5):
            assert client.recv() == b"ping\n"
            assert mock_clock.now() == pytest.approx(5 * beat, abs=0.1)
            client.sendall(b"pong\n")
            wait_until_idle()
        assert (ends, server.requests) == ([], 4)


def test_one_that_does_not_answer_is_taken_for_dead(mock_clock: MockClock) -> None:
    with serving(heartbeat=5, heartbeat_message=b"ping") as (_, client, ends):
        assert client.recv() == b"ping\n"
        assert client.recv() == b""
        assert ends[0] is not None
        assert (ends[0].who, ends[0].why) == ("idle", "the heartbeat was not answered within 5s")
        assert mock_clock.now() == pytest.approx(10, abs=0.1)


def test_our_heartbeat_does_not_put_off_that_it_is_idle(mock_clock: MockClock) -> None:
    with serving(heartbeat=3, heartbeat_message=b"ping", idle=5) as (_, client, ends):
        assert client.recv() == b"ping\n"
        assert client.recv() == b""
        assert ends[0] is not None
        assert ends[0].why == "nothing moved for 5s"


def test_a_setting_that_changes_holds_for_those_that_are_open(mock_clock: MockClock) -> None:
    with serving() as (server, client, ends):
        coloop.sleep(60)
        server.set("idle", 100)
        coloop.sleep(39)
        assert ends == []
        server.set("idle", 60)
        assert client.recv() == b""
        assert mock_clock.now() == pytest.approx(99, abs=0.2)


def test_no_timer_is_left_behind(mock_clock: MockClock) -> None:
    with serving(idle=5, heartbeat=5) as (server, client, _):
        assert len(coloop.current_scheduler().timers) >= 1
        client.close()
        wait_until_idle()
        assert len(coloop.current_scheduler().timers) == 0
        server.set("idle", 7)
        assert len(coloop.current_scheduler().timers) == 0


def test_without_an_idle_time_there_is_no_timer() -> None:
    with serving() as (_, client, _):
        client.sendall(b"x\n")
        wait_until_idle()
        assert len(coloop.current_scheduler().timers) == 0
