import contextvars
import errno
import hashlib
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

import coloop
from coloop._connect import connect
from coloop._listener import Listener, listen
from coloop._server import serve
from coloop._socket import Socket
from coloop.testing import MockClock, wait_until_idle
from tests.ports import free_port

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]


def echo(conn: Socket) -> None:
    while data := conn.recv():
        conn.sendall(data)


def ask(conn: Socket, question: bytes) -> bytes:
    conn.sendall(question)
    return conn.recv_exactly(len(question))


def living() -> dict[str, coloop.Coroutine]:
    """All coroutines but the test's own, by name."""
    scheduler = coloop.current_scheduler()
    return {picture.name: scheduler.living[picture.id] for picture in coloop.snapshot().coroutines[1:]}


# -- connections ---------------------------------------------------------------------------------


def test_a_connection_is_born_where_its_handler_begins_and_the_server_where_it_was_started() -> None:
    with serve(":0", echo, name="e") as server, connect(server.address) as client:
        assert ask(client, b"one") == b"one"
        born = {name: one.spawned_at for name, one in living().items()}
        begins = f"test_server.py:{echo.__code__.co_firstlineno} in echo"
        assert born["e/c1"] == begins
        assert born["e"].endswith(
            "in test_a_connection_is_born_where_its_handler_begins_and_the_server_where_it_was_started"
        )


def test_a_handler_that_is_no_function_is_born_where_the_server_was_started() -> None:
    with serve(":0", partial(echo), name="e") as server, connect(server.address) as client:
        assert ask(client, b"one") == b"one"
        assert living()["e/c1"].spawned_at == living()["e"].spawned_at


def test_another_handler_has_another_place_of_birth() -> None:
    def shout(conn: Socket) -> None:
        conn.sendall(conn.recv().upper())

    with serve(":0", echo, name="e") as server:
        server.handler = shout
        with connect(server.address) as client:
            client.send(b"")
            wait_until_idle()
            assert living()["e/c1"].spawned_at.endswith(" in shout")


def test_each_connection_has_a_coroutine_named_after_the_server() -> None:
    with serve(":0", echo, name="e") as server:
        assert list(living()) == ["e"]
        with connect(server.address) as first, connect(server.address) as second:
            assert ask(first, b"one") == b"one"
            assert ask(second, b"two") == b"two"
            assert list(living()) == ["e", "e/c1", "e/c2"]
            assert [conn.peer for conn in server.connections] == [first.local, second.local]
            assert server.accepted == 2
        wait_until_idle()
        assert server.connections == ()
        assert list(living()) == ["e"]
    assert server.state == "stopped"
    assert list(living()) == []


def test_a_server_is_named_after_its_handler() -> None:
    with serve(":0", echo) as first, serve(":0", echo) as second:
        assert first.name.startswith("echo#")
        assert second.name.startswith("echo#")
        assert first.name != second.name


def test_handlers_begin_with_the_context_of_who_called_serve() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("server")

    def tell(conn: Socket) -> None:
        conn.sendall(variable.get().encode())
        variable.set("handler")

    with serve(":0", tell) as server:
        variable.set("later")
        for _ in range(2):
            with connect(server.address) as client:
                assert client.recv_exactly(6) == b"server"
    assert variable.get() == "later"


def test_serve_returns_before_anybody_is_served() -> None:
    called: list[Socket] = []
    with listen(":0") as listener, connect(listener.address):
        with serve(listener, called.append):
            assert called == []
            wait_until_idle()
            assert len(called) == 1
        assert listener.closed


def test_sockets_are_on_the_accounts_of_those_who_use_them() -> None:
    with serve(":0", echo, name="e") as server, connect(server.address) as client:
        ask(client, b"x")
        owners = {picture.role: picture.owner for picture in coloop.snapshot().sockets}
        everybody = living()
        assert owners == {"listener": everybody["e"].id, "client": 1, "server": everybody["e/c1"].id}


def test_a_connection_is_closed_when_its_handler_returns() -> None:
    with serve(":0", lambda conn: conn.sendall(b"bye")) as server, connect(server.address) as client:
        assert client.recv() == b"bye"
        assert client.recv() == b""


def test_a_burst_of_callers_starves_nobody() -> None:
    turns: list[str] = []

    def tick() -> None:
        while True:
            turns.append("tick")
            coloop.yield_now()

    with listen(":0") as listener:
        callers = [connect(listener.address) for _ in range(300)]
        ticker = coloop.go(tick)
        with serve(listener, lambda conn: turns.append("accept")):
            while turns.count("accept") < 300:
                coloop.yield_now()
            ticker.cancel()
    in_a_row = max(len(list(run)) for turn, run in groupby(turns) if turn == "accept")
    assert in_a_row <= 64
    for caller in callers:
        caller.close()


def test_idle_clients_cost_no_turn_and_neither_do_those_who_have_gone(mock_clock: MockClock) -> None:
    scheduler = coloop.current_scheduler()

    def switches_of_ten_questions() -> int:
        before = scheduler.switches
        for _ in range(10):
            assert ask(busy, b"x") == b"x"
        return scheduler.switches - before

    def switches_of_an_hour() -> int:
        before = scheduler.switches
        coloop.sleep(3600)
        return scheduler.switches - before

    with serve(":0", echo) as server, connect(server.address) as busy:
        alone, an_empty_hour = switches_of_ten_questions(), switches_of_an_hour()
        assert an_empty_hour < 10
        idle = [connect(server.address) for _ in range(300)]
        wait_until_idle()
        assert len(server.connections) == 301
        assert switches_of_ten_questions() == alone
        assert switches_of_an_hour() == an_empty_hour
        for client in idle:
            client.close()
        wait_until_idle()
        assert len(server.connections) == 1
        assert switches_of_an_hour() == an_empty_hour


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many may wait")
def test_a_thousand_may_wait_to_be_accepted() -> None:
    """Whoever comes when the queue is full has to ask again, a second later."""
    with listen(":0") as listener:
        told = listener._raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    most = struct.unpack_from("I", told, 28)[0]  # of a listener that is what `ss` shows as Send-Q
    assert most == min(1024, int(Path("/proc/sys/net/core/somaxconn").read_text()))


def test_a_new_handler_is_for_new_connections() -> None:
    with serve(":0", echo) as server, connect(server.address) as old:
        assert ask(old, b"a") == b"a"
        server.handler = lambda conn: conn.sendall(b"new")
        with connect(server.address) as new:
            assert new.recv() == b"new"
        assert ask(old, b"b") == b"b"


# -- how connections end -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit])
def test_a_failing_handler_is_reported_and_its_connection_closed(
    kind: type[BaseException], observer: Any
) -> None:
    def fail(conn: Socket) -> None:
        raise kind("broken handler")

    with serve(":0", fail, name="f") as server:
        with connect(server.address) as client:
            assert client.recv() == b""
        wait_until_idle()  # failures are told when the scheduler has its turn
        failure = observer.failures.pop()
        assert (failure.name, failure.message) == ("f/c1", "broken handler")
        assert (server.failed, server.state) == (1, "accepting")


def outcomes(name: str) -> list[tuple[str, str | None]]:
    return [(dead.state, dead.outcome) for dead in coloop.snapshot().dead if dead.name == name]


def test_a_peer_that_resets_disturbs_nobody() -> None:
    with serve(":0", echo, name="e") as server:
        client = connect(server.address)
        ask(client, b"x")
        client.close(linger=0)
        wait_until_idle()
        ((state, outcome),) = outcomes("e/c1")
        assert state == "failed"
        assert "was reset by peer" in str(outcome)
        assert (server.failed, server.connections) == (0, ())


def test_a_handler_that_reads_on_after_the_end_ends_quietly() -> None:
    def seeds_loop(conn: Socket) -> None:
        while True:
            conn.sendall(conn.recv())

    with serve(":0", seeds_loop, name="s") as server:
        with connect(server.address) as client:
            ask(client, b"x")
        wait_until_idle()
        ((_, outcome),) = outcomes("s/c1")
        assert "was closed by peer 127.0.0.1:" in str(outcome)
        assert server.failed == 0


def test_a_peer_that_leaves_while_we_send_disturbs_nobody() -> None:
    def pour(conn: Socket) -> None:
        while True:
            conn.sendall(bytes(1 << 20))

    with serve(":0", pour) as server:
        client = connect(server.address)
        client.recv()
        client.close()
        wait_until_idle()
        assert (server.failed, server.connections) == (0, ())


def test_a_connection_that_was_closed_under_its_handler_ends_quietly() -> None:
    with serve(":0", echo) as server, connect(server.address) as client:
        ask(client, b"x")
        server.connections[0].close()
        assert client.recv() == b""
        assert server.failed == 0


@pytest.mark.parametrize("kind", ["channel", "upstream"])
def test_the_end_of_something_else_is_a_failure(observer: Any, kind: str) -> None:
    channel: coloop.Channel[int] = coloop.Channel()
    channel.close()

    def handler(conn: Socket) -> None:
        if kind == "channel":
            channel.receive()
        connect(("127.0.0.1", free_port()))

    with serve(":0", handler) as server, connect(server.address) as client:
        assert client.recv() == b""
        wait_until_idle()  # failures are told when the scheduler has its turn
        assert observer.failures.pop().exception_type in {"Closed", "ConnectionRefusedError"}
        assert server.failed == 1


# -- stopping ------------------------------------------------------------------------------------


def test_stop_cancels_those_who_are_left_and_their_finally_runs() -> None:
    ended = []

    def handler(conn: Socket) -> None:
        try:
            echo(conn)
        finally:
            ended.append(conn.state)

    server = serve(f":{free_port()}", handler)
    with connect(server.address) as client:
        ask(client, b"x")
        assert server.stop() is False
        assert ended == ["open"]
        assert client.recv() == b""
    assert server.stop() is True
    with pytest.raises(ConnectionRefusedError):
        connect(server.address)
    assert living() == {}


def test_stop_gives_open_connections_time(mock_clock: MockClock) -> None:
    server = serve(f":{free_port()}", echo)
    client = connect(server.address)
    ask(client, b"x")
    stopping = coloop.go(server.stop, drain=60)
    wait_until_idle()
    assert server.state == "draining"
    with pytest.raises(ConnectionRefusedError):
        connect(server.address)
    assert ask(client, b"still served") == b"still served"
    client.close()
    assert stopping.result() is True
    assert server.state == "stopped"
    assert mock_clock.now() < 60


def test_a_drain_that_was_given_up_goes_on_until_the_last_connection_has_ended() -> None:
    server = serve(":0", echo)
    with connect(server.address) as client:
        ask(client, b"x")
        stopping = coloop.go(server.stop, drain=60)
        wait_until_idle()
        stopping.cancel()
        stopping.join()
        assert (server.state, ask(client, b"still served")) == ("draining", b"still served")
    wait_until_idle()
    assert server.state == "stopped"


@pytest.mark.parametrize(
    ("key", "value"), [("idle", 5), ("heartbeat_message", b"?"), ("framing", "line"), ("overflow", "fail")]
)
def test_what_is_for_callbacks_is_refused_where_a_handler_would_not_heed_it(key: str, value: Any) -> None:
    why = f"{key} is for connections with on_receive, and this server has a handler"
    with pytest.raises(ValueError, match=why):
        serve(":0", echo, **{key: value})
    with serve(":0", echo) as server, pytest.raises(ValueError, match=why):
        server.set(key, value)


def test_settings_that_only_fit_together_are_changed_together() -> None:
    with serve(":0", on_receive=print, high_water=1000, low_water=500) as server:
        server.renew_settings(coloop.Settings(high_water=100, low_water=50))
        assert (server.settings.high_water, server.settings.low_water) == (100, 50)


@pytest.mark.parametrize("to", ["1", None, 1.0, True, -1])
def test_a_message_goes_to_the_number_of_a_worker(to: Any) -> None:
    with serve(":0", echo) as server, pytest.raises(ValueError, match="to must be the number of a worker"):
        server.send_message(to, "x")


def test_stop_waits_no_longer_than_it_was_told(mock_clock: MockClock) -> None:
    server = serve(":0", echo)
    with connect(server.address) as client:
        ask(client, b"x")
        assert server.stop(drain=3) is False
        assert mock_clock.now() == pytest.approx(3)
        assert client.recv() == b""
    with pytest.raises(ValueError, match="drain"):
        server.stop(drain=-1)


def test_a_second_stop_may_cut_the_first_one_s_drain_short(mock_clock: MockClock) -> None:
    """Then neither can say that all have ended by themselves."""
    mock_clock.autojump = False
    server = serve(":0", echo)
    with connect(server.address) as client:
        ask(client, b"x")
        draining = coloop.go(server.stop, 60)
        assert draining.state == "waiting"
        assert server.stop() is False
        assert draining.result() is False
    assert server.stop() is True


def test_a_handler_that_will_not_go_loses_its_connection(mock_clock: MockClock) -> None:
    def stubborn(conn: Socket) -> None:
        while True:
            try:
                conn.recv()
            except coloop.Cancelled:
                continue

    server = serve(":0", stubborn)
    with connect(server.address) as client:
        wait_until_idle()
        assert server.stop() is False
        assert client.recv() == b""
    assert living() == {}


def test_a_handler_may_stop_its_own_server() -> None:
    def quit_server(conn: Socket) -> None:
        server.stop()
        conn.sendall(b"stopped")

    server = serve(":0", quit_server)
    with connect(server.address) as client:
        assert client.recv() == b"stopped"
        assert client.recv() == b""
    assert server.state == "stopped"


def test_cancelling_the_acceptor_closes_the_listener() -> None:
    server = serve(f":{free_port()}", echo, name="e")
    acceptor = living()["e"]
    acceptor.cancel()
    acceptor.join()
    assert server.state == "stopped"
    with pytest.raises(ConnectionRefusedError):
        connect(server.address)


# -- limits --------------------------------------------------------------------------------------


def test_who_is_one_too_many_is_told_and_turned_away(observer: Any) -> None:
    with serve(":0", echo, name="e", max_connections=1) as server, connect(server.address) as first:
        ask(first, b"x")
        with connect(server.address) as second:
            assert second.recv() == b"too many connections (limit 1)\n"
            assert second.recv() == b""
        assert (server.accepted, server.rejected) == (1, 1)
        assert observer.warnings == ["e turns clients away: too many connections (limit 1)"]
        first.close()
        wait_until_idle()
        with connect(server.address) as third:
            assert ask(third, b"y") == b"y"


def test_a_flood_of_rejections_is_told_once_in_a_while(observer: Any, mock_clock: MockClock) -> None:
    with serve(":0", echo, max_connections=1) as server, connect(server.address) as first:
        ask(first, b"x")
        for second in range(6):
            with connect(server.address) as other:
                assert other.recv().startswith(b"too many")
            if second == 4:
                coloop.sleep(5)
        assert len(observer.warnings) == 2
        assert observer.warnings[1].endswith("(and 4 times since the last warning)")
        assert server.last_trouble == observer.warnings[0]


def test_too_many_coroutines_turn_a_client_away(observer: Any) -> None:
    scheduler = coloop.current_scheduler()
    with serve(":0", echo) as server:
        scheduler.max_coroutines = 2
        client = connect(server.address)
        assert client.recv() == b"2 coroutines live already (max_coroutines)\n"
        assert server.rejected == 1
        client.close()


@pytest.mark.parametrize(("handler", "options"), [(None, {}), (echo, {"max_connections": 0})])
def test_what_cannot_be_served_opens_nothing(handler: Any, options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=r"handler must be|max_connections must be"):
        serve(":0", handler, **options)
    assert coloop.snapshot().sockets == ()


def test_a_server_that_cannot_start_leaves_no_listener() -> None:
    coloop.current_scheduler().max_coroutines = 1
    with pytest.raises(coloop.TooManyCoroutines):
        serve(":0", echo)
    assert coloop.snapshot().sockets == ()


# -- callbacks, of the server itself ---------------------------------------------------------------


def test_the_server_tells_of_its_beginning_before_anybody_is_accepted_and_of_its_end_behind_all() -> None:
    said: list[str] = []

    def say(text: str) -> Callable[..., None]:
        return lambda *given: said.append(f"{text} {given[-1]}" if type(given[-1]) is int else text)

    with listen(":0") as listener, connect(listener.address) as client:
        server = serve(
            listener,
            on_start=say("start"),
            on_worker_start=say("worker start"),
            on_connect=say("connect"),
            on_close=say("close"),
            on_worker_stop=say("worker stop"),
            on_shutdown=say("shutdown"),
            worker=3,
        )
        assert said == ["start", "worker start 3"]
        wait_until_idle()
        server.stop()
        server.stop()
        assert said == ["start", "worker start 3", "connect", "close", "worker stop 3", "shutdown"]
        assert client.recv() == b""


def test_a_server_with_a_handler_tells_of_its_beginning_and_end_too() -> None:
    said: list[object] = []
    with serve(
        ":0", echo, on_worker_start=lambda *given: said.append(given), on_shutdown=said.append
    ) as server:
        with connect(server.address) as client:
            assert ask(client, b"x") == b"x"
    assert said == [(server, 0), server]


@pytest.mark.parametrize("event", ["on_start", "on_worker_start"])
def test_a_failing_start_is_raised_and_leaves_nothing_open(event: str) -> None:
    def fail(*_: object) -> None:
        coloop.yield_now()
        raise RuntimeError("no database")

    with pytest.raises(RuntimeError, match="no database"):
        serve(":0", echo, **{event: fail})  # type: ignore[arg-type]
    assert coloop.snapshot().sockets == ()
    assert living() == {}


def test_a_start_may_take_its_time_and_nobody_is_accepted_meanwhile(mock_clock: MockClock) -> None:
    accepted_at: list[float] = []
    with listen(":0") as listener, connect(listener.address) as client:
        with serve(
            listener, lambda _: accepted_at.append(mock_clock.now()), on_start=lambda _: coloop.sleep(5)
        ):
            assert client.recv() == b""
    assert accepted_at == [5]


def test_a_failing_worker_stop_is_raised_and_the_shutdown_is_still_told() -> None:
    said: list[object] = []

    def fail(*_: object) -> None:
        raise RuntimeError("broken stop")

    server = serve(":0", echo, on_worker_stop=fail, on_shutdown=said.append)
    with pytest.raises(RuntimeError, match="broken stop"):
        server.stop()
    assert (said, server.state) == ([server], "stopped")


def test_a_callback_that_stops_its_server_is_spared_and_the_shutdown_is_told_behind_its_close() -> None:
    said: list[str] = []

    def on_receive(connection: coloop.Connection, message: bytes) -> None:
        assert connection.server.stop(drain=5)
        connection.send(b"stopped")

    server = serve(
        ":0",
        on_receive=on_receive,
        on_close=lambda _: said.append("close"),
        on_shutdown=lambda _: said.append("shutdown"),
    )
    with connect(server.address) as client:
        client.sendall(b"stop")
        assert client.recv() == b"stopped"
        assert client.recv() == b""
    wait_until_idle()
    assert said == ["close", "shutdown"]
    assert living() == {}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "handler must be a function of one connection, or there must be on_receive"),
        ({"on_start": print}, "there must be on_receive"),
        ({"handler": echo, "on_receive": print}, "not both"),
        ({"on_receive": 5}, "on_receive must be a function, not 5"),
        ({"on_receive": print, "overflow": "drop"}, "overflow must be"),
        ({"on_receive": print, "framing": "lines"}, "no such framing"),
        ({"on_receive": print, "idle": 0}, "idle must be"),
    ],
)
def test_what_makes_no_server_opens_nothing(options: dict[str, Any], error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        serve(":0", **options)
    assert coloop.snapshot().sockets == ()


def test_changing_a_server_is_checked_and_leaves_it_as_it_was() -> None:
    with serve(":0", echo, max_connections=5) as server:
        before = server.callbacks, server.settings
        for change in (
            lambda: server.on("receive", print),
            lambda: server.on("recieve", print),
            lambda: server.on("start", 5),  # type: ignore[arg-type]
            lambda: server.set("idel", 5),
            lambda: server.set("idle", 0),
            lambda: server.set("max_connections", 0),
        ):
            with pytest.raises((TypeError, ValueError)):
                change()
        assert (server.callbacks, server.settings, server.max_connections) == (*before, 5)
        server.set("max_connections", 7)
        assert server.max_connections == 7


def test_a_callback_of_the_end_can_be_given_later() -> None:
    said: list[object] = []
    with serve(":0", echo) as server:
        server.on("shutdown", said.append)
    assert said == [server]


# -- draining, with callbacks ----------------------------------------------------------------------


def shout(connection: coloop.Connection, message: bytes) -> None:
    coloop.sleep(1)
    connection.send(message.upper())


def test_a_drain_closes_what_is_idle_at_once_and_lets_the_busy_answer(mock_clock: MockClock) -> None:
    server = serve(":0", on_receive=shout, framing="line")
    with connect(server.address) as idle, connect(server.address) as busy:
        coloop.sleep(10)
        busy.sendall(b"one\n")
        wait_until_idle()
        stopping = coloop.go(server.stop, 30)
        assert idle.recv() == b""
        idle.close()
        assert mock_clock.now() < 11
        assert server.draining
        assert busy.recv() == b"ONE\n"
        assert busy.recv() == b""
        busy.close()
        assert stopping.result() is True
        assert mock_clock.now() < 15


def test_who_has_just_come_may_still_say_his_first_message_while_it_drains(mock_clock: MockClock) -> None:
    """A client that connects and then asks has done nothing wrong; his request is on its way."""
    server = serve(":0", on_receive=shout, framing="line")
    with connect(server.address) as asks, connect(server.address) as silent:
        wait_until_idle()
        stopping = coloop.go(server.stop, 30)
        coloop.sleep(2)
        asks.sendall(b"one\n")
        assert asks.recv() == b"ONE\n"
        assert asks.recv() == b""
        asks.close()
        assert silent.recv() == b""
        assert mock_clock.now() == pytest.approx(3.0, abs=0.5)
    assert stopping.result() is True


def test_a_drain_answers_all_that_has_come(mock_clock: MockClock) -> None:
    """Messages in our hands, in the kernel's, and one whose end is still on its way."""
    server = serve(":0", on_receive=shout, framing="line")
    with connect(server.address) as client:
        client.sendall(b"one\ntwo\n")
        wait_until_idle()
        client.sendall(b"three\nfo")
        stopping = coloop.go(server.stop, 30)
        coloop.sleep(4)
        client.sendall(b"ur\n")
        answers = b""
        while data := client.recv():
            answers += data
        assert answers == b"ONE\nTWO\nTHREE\nFOUR\n"
    assert stopping.result() is True


def test_a_request_that_came_in_the_moment_of_the_drain_is_answered() -> None:
    server = serve(":0", on_receive=lambda one, message: one.send(message.upper()), framing="line")
    with connect(server.address) as client:
        wait_until_idle()
        client.sendall(b"late\n")  # the server has not run since
        stopping = coloop.go(server.stop, 30)
        assert client.recv() == b"LATE\n"
        assert client.recv() == b""
    assert stopping.result() is True


def test_a_drain_sends_what_is_queued(mock_clock: MockClock) -> None:
    server = serve(":0", on_receive=lambda one, _: one.send(bytes(8 << 20)), high_water=1 << 30)
    with connect(server.address) as client:
        client.sendall(b"go")
        wait_until_idle()
        stopping = coloop.go(server.stop, 30)
        wait_until_idle()
        size = 0
        while data := client.recv():
            size += len(data)
        assert size == 8 << 20
    assert stopping.result() is True


def test_a_drain_that_runs_out_cancels_the_callbacks_that_are_left(mock_clock: MockClock) -> None:
    ended: list[str] = []

    def hang(connection: coloop.Connection, message: bytes) -> None:
        try:
            coloop.sleep(3600)
        finally:
            ended.append("callback")

    server = serve(":0", on_receive=hang, on_close=lambda _: ended.append("close"))
    with connect(server.address) as client:
        client.sendall(b"x")
        wait_until_idle()
        assert server.stop(drain=3) is False
        assert mock_clock.now() == pytest.approx(3)
        assert ended == ["callback", "close"]
        assert client.recv() == b""


def test_a_paused_connection_does_not_hold_up_a_drain(mock_clock: MockClock) -> None:
    server = serve(":0", on_receive=shout, framing="line")
    with connect(server.address) as client:
        wait_until_idle()
        server.clients[0].pause()
        client.sendall(b"one\n")
        stopping = coloop.go(server.stop, 30)
        assert client.recv() in {b"ONE\n", b""}
    assert stopping.result() is True
    assert mock_clock.now() < 5


# -- messages between workers ----------------------------------------------------------------------


def test_a_message_to_itself_is_delivered_in_a_coroutine_of_its_own(observer: Any) -> None:
    heard: list[tuple[str, int, object]] = []

    def on_message(server: coloop.Server, sender: int, data: object) -> None:
        coloop.yield_now()
        if data == "bad":
            raise RuntimeError("broken message")
        heard.append((server.name, sender, data))

    with serve(":0", echo, name="e", on_message=on_message, worker=2) as server:
        for data in ("one", "bad", {"two": 2}):
            server.send_message(2, data)
        assert heard == []
        wait_until_idle()
        assert heard == [("e", 2, "one"), ("e", 2, {"two": 2})]
        assert observer.failures.pop().name == "e/message"


def test_a_message_to_another_is_the_postman_s() -> None:
    with serve(":0", echo, name="e", worker=2) as server:
        with pytest.raises(ValueError, match="e has no worker 3: this is worker 2, and it is alone"):
            server.send_message(3, "x")
        taken: list[tuple[int, object]] = []
        server.postman = lambda to, data: taken.append((to, data))
        server.send_message(3, "x")
        server.deliver(3, "nobody hears it")
        assert taken == [(3, "x")]


# -- running out of descriptors ------------------------------------------------------------------


class TroubledSocket(socket.socket):
    """Its `accept` fails `troubles` times, for want of something."""

    troubles = 0
    number = errno.ENOBUFS

    def accept(self) -> Any:
        if self.troubles:
            self.troubles -= 1
            raise OSError(self.number, os.strerror(self.number))
        return super().accept()


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.ENOBUFS, "no buffer space available"),
        (errno.ENOMEM, "cannot allocate memory"),
        (errno.ENFILE, "too many open files in system"),
        (errno.EMFILE, "too many open files (limit "),
    ],
)
def test_pauses_grow_to_a_second_and_are_told_every_five(
    observer: Any, mock_clock: MockClock, number: int, why: str
) -> None:
    raw = TroubledSocket()
    raw.number = number
    raw.bind(("127.0.0.1", 0))
    raw.listen()
    raw.troubles = 10
    with serve(Listener(raw), echo, name="e") as server, connect(server.address) as client:
        assert ask(client, b"x") == b"x"
        assert server.state == "accepting"
        assert mock_clock.now() == pytest.approx(0.1 + 0.2 + 0.4 + 0.8 + 6 * 1.0)
    first, second = observer.warnings
    assert first.startswith(f"e cannot accept: {why}")
    assert second.startswith(f"{first} (and ")


def test_a_pausing_server_stops_at_once(observer: Any, mock_clock: MockClock) -> None:
    mock_clock.autojump = False
    raw = TroubledSocket()
    raw.bind(("127.0.0.1", 0))
    raw.listen()
    raw.troubles = 10
    server = serve(Listener(raw), echo)
    with connect(server.address):
        wait_until_idle()
        assert server.state == "pausing"
        assert server.stop() is True


OUT_OF_FILES = """
import json, os, resource
import coloop
from coloop._server import serve

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
warnings, fillers = [], []

class Listening(coloop.Observer):
    def warned(self, text):
        warnings.append(text)

def fill(left):
    try:
        while True:
            fillers.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        for _ in range(left):
            os.close(fillers.pop())

def free():
    while fillers:
        os.close(fillers.pop())

def handler(conn):
    while command := conn.recv_until(b"\\n"):
        if command == b"fill\\n":
            fill(0)
        elif command == b"free\\n":
            free()
        elif command == b"pass a second\\n":
            coloop.sleep(1)
        elif command == b"quit\\n":
            coloop.go(server.stop)
        scheduler = coloop.current_scheduler()
        report = dict(
            state=server.state, switches=scheduler.switches, at_s=scheduler.clock.now(), warnings=warnings
        )
        conn.sendall(json.dumps(report).encode() + b"\\n")

def main():
    global server
    server = serve(":0", handler, name="e")
    print(server.address.port, flush=True)

coloop.run(main, observer=Listening())
"""


def test_without_descriptors_a_server_waits_serves_on_and_recovers() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", OUT_OF_FILES], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        port = int(coloop.to_thread(process.stdout.readline))
        with connect(f":{port}") as veteran:

            def order(command: bytes) -> dict[str, Any]:
                veteran.sendall(command + b"\n")
                report: dict[str, Any] = json.loads(veteran.recv_until(b"\n", timeout=30))
                return report

            begun = order(b"fill")
            assert begun["state"] == "accepting"
            newcomers = [connect(f":{port}") for _ in range(5)]
            while (before := order(b"look"))["state"] != "pausing":
                pass
            after = order(b"pass a second")
            assert after["state"] == "pausing"
            assert after["switches"] - before["switches"] < 50 * (
                after["at_s"] - before["at_s"]
            )  # who does not pause makes thousands
            first, *more = after["warnings"]
            assert first == "e cannot accept: too many open files (limit 64; raise it with ulimit -n)"
            assert len(more) <= (after["at_s"] - begun["at_s"]) // 5  # it is told again every five seconds
            order(b"free")
            for newcomer in newcomers:
                newcomer.sendall(b"look\n")
                assert b"accepting" in newcomer.recv_until(b"\n", timeout=30)
                newcomer.close()
            order(b"quit")
        assert process.wait(30) == 0


# -- real peers ----------------------------------------------------------------------------------

Start = Callable[..., "subprocess.Popen[bytes]"]


def start_client(start_peer: Start, program: str, server: coloop.Server) -> "subprocess.Popen[bytes]":
    port = server.address.port
    if program == "socat":
        return start_peer("socat", "-t30", "-", f"TCP:127.0.0.1:{port}")
    return start_peer(program, *(["-N"] if program == "nc" else []), "127.0.0.1", port)


PROGRAMS = ["nc", "ncat", "socat"]
GARBAGE = {
    "all bytes": bytes(range(256)) * 64,
    "a line of a megabyte": b"x" * (1 << 20) + b"\n",
    "many lines": b"line\n" * 10_000,
    "a TLS hello": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "telnet commands": b"\xff\xfb\x01\xff\xfd\x03\xff\xf4\xff\xf2",
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("garbage", GARBAGE)
def test_real_clients_get_everything_back_after_their_half_close(
    start_peer: Start, program: str, garbage: str
) -> None:
    with serve(":0", echo) as server:
        client = start_client(start_peer, program, server)
        output, errors = coloop.to_thread(client.communicate, GARBAGE[garbage], 30)
        assert (hashlib.sha256(output).digest(), errors) == (hashlib.sha256(GARBAGE[garbage]).digest(), b"")
        assert client.returncode == 0


def test_three_clients_at_once_one_killed_and_one_reset_leave_nothing(start_peer: Start) -> None:
    payload = random.Random(2).randbytes(100_000)
    with serve(":0", echo, name="e") as server:
        clients = {program: start_client(start_peer, program, server) for program in PROGRAMS}
        for client in clients.values():
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write(b"hello\n")
            client.stdin.flush()
            assert coloop.to_thread(client.stdout.readline) == b"hello\n"
        rude = connect(server.address)
        ask(rude, b"x")
        assert len(server.connections) == 4
        clients["ncat"].send_signal(signal.SIGINT)
        rude.close(linger=0)
        coloop.to_thread(clients["ncat"].wait, 30)
        output, _ = coloop.to_thread(clients["nc"].communicate, payload, 30)
        assert output == payload
        clients["socat"].kill()
        coloop.to_thread(clients["socat"].wait, 30)
        wait_until_idle()
        assert server.connections == ()
        assert list(living()) == ["e"]
        assert [picture.role for picture in coloop.snapshot().sockets] == ["listener"]
        assert (server.accepted, server.failed) == (4, 0)


def test_we_are_a_client_of_a_real_server(start_peer: Start, tmp_path: Path) -> None:
    path = tmp_path / "peer.sock"
    peer = start_peer("ncat", "-l", "-U", path, "-c", "cat")
    while True:
        try:
            conn = connect(f"unix:{path}")
            break
        except OSError:
            coloop.yield_now()
    with conn:
        assert ask(conn, b"hello") == b"hello"
        conn.shutdown("write")
        assert conn.recv() == b""
    assert coloop.to_thread(peer.wait, 30) == 0


# -- handlers that wait for what need not come ---------------------------------------------------


def asking(seen: list[object], seconds: float | None = None) -> Callable[[Socket], None]:
    def handler(conn: Socket) -> None:
        server = coloop.serving()
        assert server is not None
        while data := server.unless_draining(conn.recv, 100, seconds):
            seen.append(data)
            conn.sendall(data)
        seen.append(data)

    return handler


def test_who_waits_for_what_need_not_come_is_called_away_when_the_server_stops() -> None:
    seen: list[object] = []
    with serve(":0", asking(seen)) as server, connect(server.address) as client:
        assert ask(client, b"one") == b"one"
        assert server.stop(drain=30)
        assert seen == [b"one", None]
        assert client.recv() == b""


def test_who_comes_to_wait_later_need_not_even_begin() -> None:
    seen: list[object] = []
    going = coloop.Event()

    def handler(conn: Socket) -> None:
        going.wait()
        asking(seen)(conn)

    with serve(":0", handler) as server, connect(server.address) as client:
        client.sendall(b"one")
        wait_until_idle()
        stopping = coloop.go(server.stop, 30)
        going.set()
        assert stopping.result() is True
        assert seen == [None]


def test_what_comes_as_it_is_called_away_is_returned_or_there_for_the_next_wait() -> None:
    seen: list[object] = []

    def handler(conn: Socket) -> None:
        server = coloop.serving()
        assert server is not None
        data = server.unless_draining(conn.recv)
        seen.append(conn.recv() if data is None else data)

    with serve(":0", handler) as server, connect(server.address) as client:
        wait_until_idle()
        stopping = coloop.go(server.stop, 30)
        client.sendall(b"one")
        stopping.join()
        assert seen == [b"one"]


def test_to_wait_for_what_need_not_come_fails_as_it_would_otherwise(mock_clock: MockClock) -> None:
    failed: list[type[BaseException]] = []

    def handler(conn: Socket) -> None:
        server = coloop.serving()
        assert server is not None
        try:
            server.unless_draining(conn.recv, 1, 5.0)
        except coloop.Timeout as error:
            failed.append(type(error))
            coloop.sleep(1)  # no summons of the stop reaches this

    with serve(":0", handler) as server, connect(server.address):
        coloop.sleep(5.5)
        assert server.stop(drain=30)
        assert failed == [coloop.Timeout]


def test_a_stop_without_a_drain_cancels_who_waits_for_what_need_not_come() -> None:
    seen: list[object] = []
    with serve(":0", asking(seen)) as server, connect(server.address) as client:
        assert ask(client, b"one") == b"one"
        assert server.stop() is False
        assert seen == [b"one"]
