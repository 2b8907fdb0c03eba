"""What is said of a connection, in which order, whoever closes it."""

import gc
import weakref
from collections.abc import Callable, Iterator
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


class Log:
    """What a server has said, connection by connection."""

    def __init__(self) -> None:
        self.said: list[tuple[int, str]] = []
        self.ends: list[coloop.ClosedBy | None] = []

    def on_connect(self, connection: Connection) -> None:
        self.said.append((connection.id, "connect"))

    def on_receive(self, connection: Connection, message: bytes) -> None:
        self.said.append((connection.id, message.decode()))

    def on_close(self, connection: Connection) -> None:
        self.said.append((connection.id, "close"))
        self.ends.append(connection.closed_by)

    @property
    def words(self) -> list[str]:
        return [word for _, word in self.said]

    @property
    def end(self) -> coloop.ClosedBy:
        (end,) = self.ends
        assert end is not None
        return end


@contextmanager
def serving(log: Log, **options: Any) -> Iterator[tuple[Server, Socket]]:
    """A server whose callbacks write that log, and one client."""
    callbacks = {"on_connect": log.on_connect, "on_receive": log.on_receive, "on_close": log.on_close}
    with serve(":0", name="s", **{"framing": "line", **callbacks, **options}) as server:
        with connect(server.address) as client:
            yield server, client


def closing(connection: Connection, message: bytes) -> None:
    connection.send(b"bye")
    connection.close()


# -- the order, whoever closes ---------------------------------------------------------------------


def test_connect_then_messages_then_close_when_the_peer_leaves() -> None:
    log = Log()
    with serving(log) as (server, client):
        client.sendall(b"one\ntwo\nthree")
        client.close()
        wait_until_idle()
        assert log.words == ["connect", "one", "two", "close"]
        assert (log.end.who, log.end.where) == ("peer", "")
        assert log.end.why.endswith("has ended it, 5 bytes after the last whole message")
        assert (server.clients, server.connections) == ((), ())


def test_a_close_by_us_delivers_no_more_messages_and_loses_nothing_that_was_sent() -> None:
    log = Log()

    def on_receive(connection: Connection, message: bytes) -> None:
        log.on_receive(connection, message)
        closing(connection, message)

    with serving(log, on_receive=on_receive) as (_, client):
        client.sendall(b"one\ntwo\n")
        assert client.recv_until(b"\n") == b"bye\n"
        assert client.recv() == b""
        wait_until_idle()
        assert log.words == ["connect", "one", "close"]
        assert log.end.who == "server"
        assert "in closing" in log.end.where
        assert "'s/c1'" in log.end.why


def test_a_close_from_elsewhere_ends_the_wait_for_a_message() -> None:
    log = Log()
    with serving(log) as (server, client):
        wait_until_idle()
        server.clients[0].close()
        assert client.recv() == b""
        assert log.words == ["connect", "close"]
        assert log.end.why == "closed by co#1 'main'" or "co#1" in log.end.why


def test_a_close_from_elsewhere_waits_for_the_callback_that_runs() -> None:
    log, go_on = Log(), coloop.Event()

    def on_receive(connection: Connection, message: bytes) -> None:
        log.on_receive(connection, message)
        go_on.wait()
        log.on_receive(connection, b"returned")

    with serving(log, on_receive=on_receive) as (server, client):
        client.sendall(b"one\ntwo\n")
        wait_until_idle()
        server.clients[0].close()
        wait_until_idle()
        assert log.words == ["connect", "one"]
        go_on.set()
        assert client.recv() == b""
        assert log.words == ["connect", "one", "returned", "close"]


def test_a_reset_by_us_drops_what_is_queued_and_the_peer_gets_no_end() -> None:
    log = Log()
    with serving(log) as (server, client):
        wait_until_idle()
        server.clients[0].reset()
        with pytest.raises(ConnectionResetError):
            client.recv()
        wait_until_idle()
        assert log.words == ["connect", "close"]
        assert log.end.who == "reset"
        assert server.statistics().resets == 1


def test_a_reset_by_the_peer_disturbs_nobody() -> None:
    log = Log()
    with serving(log) as (server, client):
        client.sendall(b"one\n")
        wait_until_idle()
        client.close(linger=0)
        wait_until_idle()
        assert log.words == ["connect", "one", "close"]
        assert log.end.who == "reset"
        assert "was reset by peer" in log.end.why
        assert (server.failed, server.connections) == (0, ())


@pytest.mark.parametrize("where", ["on_connect", "on_receive"])
def test_a_callback_that_fails_is_reported_as_a_handler_is_and_close_is_still_said_once(
    observer: Any, where: str
) -> None:
    log = Log()

    def fail(connection: Connection, *_: object) -> None:
        getattr(log, where)(connection, *_)
        connection.send(b"last words")
        raise RuntimeError("broken callback")

    with serving(log, **{where: fail}) as (server, client):
        client.sendall(b"one\ntwo\n")
        assert client.recv_until(b"\n") == b"last words\n"
        assert client.recv() == b""
        wait_until_idle()
        assert log.words == ["connect", "one", "close"] if where == "on_receive" else ["connect", "close"]
        assert (log.end.who, log.end.why) == ("error", "a callback failed: RuntimeError('broken callback')")
        failure = observer.failures.pop()
        assert (failure.name, failure.message, server.failed) == ("s/c1", "broken callback", 1)
        assert server.statistics().closed_by_error == 1


def test_a_failing_on_close_is_reported_and_its_connection_is_closed(observer: Any) -> None:
    def fail(connection: Connection) -> None:
        raise RuntimeError("broken close")

    with serving(Log(), on_close=fail) as (server, client):
        client.shutdown()
        assert client.recv() == b""
        wait_until_idle()
        assert observer.failures.pop().message == "broken close"
        assert server.connections == ()


def test_close_is_said_once_also_to_one_who_is_cancelled() -> None:
    log = Log()
    with serving(log) as (_, client):
        wait_until_idle()
        scheduler = coloop.current_scheduler()
        (mine,) = [one for one in scheduler.living.values() if one.name == "s/c1"]
        mine.cancel()
        assert client.recv() == b""
        assert log.words == ["connect", "close"]
        assert (log.end.who, mine.state) == ("server", "cancelled")
        assert log.end.why.startswith("cancelled by co#")


def test_closing_in_on_connect_skips_to_on_close() -> None:
    log = Log()

    def on_connect(connection: Connection) -> None:
        log.on_connect(connection)
        connection.send(b"not you")
        connection.close()
        connection.close()

    with serving(log, on_connect=on_connect) as (_, client):
        client.sendall(b"one\n")
        assert client.recv_until(b"\n") == b"not you\n"
        assert client.recv() == b""
        wait_until_idle()
        assert log.words == ["connect", "close"]


def test_who_closes_first_has_closed_it() -> None:
    log = Log()
    with serving(log) as (server, client):
        wait_until_idle()
        connection = server.clients[0]
        connection.close()
        client.close()
        connection.reset()
        wait_until_idle()
        assert log.words == ["connect", "close"]
        assert log.end.who == "server"


def test_no_two_callbacks_of_a_connection_run_at_once_but_those_of_others_do() -> None:
    running: list[int] = []
    most: list[tuple[int, int]] = []

    def on_receive(connection: Connection, message: bytes) -> None:
        running.append(connection.id)
        coloop.yield_now()
        most.append((running.count(1), len(set(running))))
        running.remove(connection.id)

    with serving(Log(), on_receive=on_receive) as (server, client), connect(server.address) as other:
        for each in (client, other):
            each.sendall(b"a\nb\nc\n")
        wait_until_idle()
        assert max(count for count, _ in most) == 1
        assert max(count for _, count in most) == 2


# -- what comes ------------------------------------------------------------------------------------


def test_a_message_that_is_too_long_closes_its_connection_and_is_told_once(observer: Any) -> None:
    log = Log()
    with serving(log, framing=coloop.Lines(5)) as (server, client):
        client.sendall(b"12345\n123456")
        assert client.recv() == b""
        wait_until_idle()
        assert log.words == ["connect", "12345", "close"]
        assert log.end.who == "error"
        assert observer.warnings == [
            "s/c1 was closed: a message came that is longer than 5 bytes, the limit of its framing"
        ]
        assert server.failed == 0


def test_without_framing_a_message_is_what_has_come() -> None:
    log = Log()
    with serving(log, framing=None) as (server, client):
        client.sendall(b"one\ntwo")
        wait_until_idle()
        assert log.words == ["connect", "one\ntwo"]
        assert server.requests == server.messages == 1


def test_after_a_half_close_everything_is_answered() -> None:
    def echo(connection: Connection, message: bytes) -> None:
        coloop.yield_now()
        connection.send(message)

    with serving(Log(), on_receive=echo) as (_, client):
        client.sendall(b"".join(b"%d\n" % n for n in range(1000)))
        client.shutdown()
        answer = b""
        while data := client.recv():
            answer += data
        assert answer.split() == [b"%d" % n for n in range(1000)]


# -- ending gently ---------------------------------------------------------------------------------


def test_what_the_peer_still_sends_after_our_close_is_dropped_and_kills_no_answer() -> None:
    with serving(Log(), on_receive=closing) as (_, client):
        client.sendall(b"one\n")
        client.sendall(b"x" * 100_000)  # unread data at a close would make a reset of it
        wait_until_idle()
        client.sendall(b"y" * 100_000)
        assert client.recv_until(b"\n") == b"bye\n"
        assert client.recv() == b""


def test_a_peer_that_does_not_leave_is_waited_for_a_second(mock_clock: MockClock) -> None:
    with serving(Log(), on_receive=closing) as (server, client):
        client.sendall(b"one\n")
        assert client.recv_until(b"\n") == b"bye\n"
        assert client.recv() == b""
        assert (len(server.connections), server.clients) == (1, ())
        while server.connections:
            coloop.sleep(0.1)
        assert 1 <= mock_clock.now() <= 1.2


def test_close_sends_all_that_is_queued_to_a_late_reader() -> None:
    def pour(connection: Connection, message: bytes) -> None:
        connection.send(b"x" * (8 << 20))
        connection.close()

    with serving(Log(), on_receive=pour, framing=None) as (server, client):
        client.sendall(b"go")
        wait_until_idle()
        assert server.statistics().queued_bytes > 1 << 20
        size = 0
        while data := client.recv():
            size += len(data)
        assert size == 8 << 20


def test_a_peer_that_takes_nothing_is_given_up_after_a_minute_or_two(mock_clock: MockClock) -> None:
    def pour(connection: Connection, message: bytes) -> None:
        connection.send(b"x" * (8 << 20))
        connection.close()

    with serving(Log(), on_receive=pour, framing=None) as (server, client):
        client.sendall(b"go")
        while not server.statistics().queued_bytes:
            coloop.yield_now()
        while server.connections:
            coloop.sleep(1)
        assert 60 <= mock_clock.now() <= 122


# -- pausing ---------------------------------------------------------------------------------------


def test_a_paused_connection_reads_nothing_until_it_is_resumed() -> None:
    log = Log()
    with serving(log) as (server, client):
        wait_until_idle()
        connection = server.clients[0]
        connection.pause()
        client.sendall(b"one\n")
        wait_until_idle()
        assert (log.words, connection.paused, connection.received) == (["connect"], True, 0)
        connection.resume()
        wait_until_idle()
        assert log.words == ["connect", "one"]


def test_a_callback_may_pause_what_has_come_already() -> None:
    log = Log()

    def on_receive(connection: Connection, message: bytes) -> None:
        log.on_receive(connection, message)
        if message == b"one":
            connection.pause()

    with serving(log, on_receive=on_receive) as (server, client):
        client.sendall(b"one\ntwo\n")
        wait_until_idle()
        assert log.words == ["connect", "one"]
        server.clients[0].resume()
        wait_until_idle()
        assert log.words == ["connect", "one", "two"]


def test_a_paused_connection_can_be_closed() -> None:
    log = Log()
    with serving(log) as (server, client):
        wait_until_idle()
        server.clients[0].pause()
        client.sendall(b"one\n")
        wait_until_idle()
        server.clients[0].close()
        assert client.recv() == b""
        assert log.words == ["connect", "close"]


# -- callbacks -------------------------------------------------------------------------------------


def test_all_styles_of_callbacks_will_do() -> None:
    seen: list[str] = []

    class Handlers:
        def method(self, connection: Connection, message: bytes) -> None:
            seen.append(f"method {message.decode()}")

        @staticmethod
        def static(connection: Connection, message: bytes) -> None:
            seen.append(f"static {message.decode()}")

        def __call__(self, connection: Connection, message: bytes) -> None:
            seen.append(f"called {message.decode()}")

    def closure(prefix: str) -> Callable[[Connection, bytes], None]:
        return lambda _, message: seen.append(f"{prefix} {message.decode()}")

    for on_receive in (Handlers().method, Handlers.static, Handlers(), closure("closure")):
        with serving(Log(), on_receive=on_receive) as (_, client):
            client.sendall(b"x\n")
            wait_until_idle()
    assert seen == ["method x", "static x", "called x", "closure x"]


def test_another_callback_holds_for_connections_that_are_open() -> None:
    log = Log()
    with serving(log) as (server, client):
        client.sendall(b"one\n")
        wait_until_idle()
        server.on("receive", lambda connection, message: connection.send(message.upper()))
        client.sendall(b"two\n")
        assert client.recv_until(b"\n") == b"TWO\n"
        server.on("on_close", None)
        client.close()
        wait_until_idle()
        assert log.words == ["connect", "one"]


def test_a_connection_that_is_over_is_freed_without_the_collector() -> None:
    gone: list[weakref.ref[Connection]] = []
    gc.collect()
    gc.disable()
    try:
        with serve(":0", on_connect=lambda one: gone.append(weakref.ref(one)), on_receive=closing) as server:
            with connect(server.address) as client:
                client.sendall(b"x")
                while client.recv():
                    pass
            wait_until_idle()
        assert [one() for one in gone] == [None]
    finally:
        gc.enable()
