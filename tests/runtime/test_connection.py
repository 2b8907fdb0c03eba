import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trustme

import coloop
from coloop._connect import connect
from coloop._connection import Connection
from coloop._server import Server, serve
from coloop._socket import Socket
from coloop.testing import MockClock, wait_until_idle

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]

BIG = 8 << 20


@contextmanager
def serving(**options: Any) -> Iterator[tuple[Server, Connection, Socket]]:
    options = {"on_receive": lambda *_: None, "framing": "line", **options}
    with serve(":0", name="s", **options) as server, connect(server.address) as client:
        wait_until_idle()
        yield server, server.clients[0], client


def test_it_has_a_number_of_its_own_that_is_never_used_again_and_no_descriptor_s() -> None:
    with serving() as (server, first, _):
        for number in range(2, 5):
            with connect(server.address):
                wait_until_idle()
                assert server.clients[-1].id == number
            wait_until_idle()
            assert server.client(number) is None
        assert (first.id, str(first), server.client(1)) == (1, "s/c1", first)


def test_it_knows_its_peer_its_server_and_its_age(mock_clock: MockClock) -> None:
    with serving() as (server, one, client):
        coloop.sleep(3)
        assert (one.peer, one.server, one.age_s) == (client.local, server, pytest.approx(3))
        assert (one.closed, one.closed_by, one.paused, one.queued) == (False, None, False, 0)
        assert repr(one) == f"<Connection s/c1 {client.local} open>"
        one.close()
        assert repr(one).endswith("closed by server>")


def test_its_data_is_the_user_s_own() -> None:
    def count(connection: Connection, _: bytes) -> None:
        connection.data = (connection.data or 0) + 1
        connection.send(b"%d" % connection.data)

    with serving(on_receive=count) as (_, one, client):
        client.sendall(b"a\nb\nc\n")
        assert client.recv_exactly(6) == b"1\n2\n3\n"
        assert one.data == 3
        assert (one.received, one.sent) == (6, 6)


def close_it(connection: Connection) -> None:
    connection.close()


def test_who_sends_after_its_end_is_told_who_closed_it_when_where_and_why(mock_clock: MockClock) -> None:
    with serving() as (_, one, _client):
        coloop.go(close_it, one, name="closer").join()
        coloop.sleep(2)
        with pytest.raises(coloop.Closed) as caught:
            one.send(b"x")
        text = str(caught.value)
        assert text.startswith("s/c1 is closed: closed by co#")
        assert "'closer' at test_connection.py:" in text
        assert text.endswith(" in close_it, 2s ago")


def test_who_sends_after_the_peer_has_left_is_told_so() -> None:
    with serving() as (_, one, client):
        client.close()
        wait_until_idle()
        with pytest.raises(coloop.Closed, match=r"its peer 127.0.0.1:\d+ has ended it, .* ago"):
            one.send(b"x")


def test_a_close_ends_the_wait_of_those_who_send_and_sends_what_is_queued() -> None:
    with serving(high_water=1000, low_water=10, framing=None) as (_, one, client):
        one.send(bytes(BIG))
        waiting = coloop.go(one.send, b"late")
        one.close()
        with pytest.raises(coloop.Closed, match="s/c1 is closed: closed by co#1"):
            waiting.result()
        assert client.recv_exactly(BIG) == bytes(BIG)
        assert client.recv() == b""


def test_a_reset_drops_what_is_queued_at_once() -> None:
    with serving(framing=None) as (server, one, client):
        one.send(bytes(BIG))
        assert one.queued
        one.reset()
        assert (one.queued, one.closed_by.who if one.closed_by else "") == (0, "reset")
        with pytest.raises(ConnectionResetError):
            client.recv_exactly(BIG)
        assert server.connections == ()


def test_a_reset_drops_also_what_a_close_has_left_to_be_sent() -> None:
    with serving(framing=None) as (_, one, client):
        one.send(bytes(BIG))
        one.close()
        wait_until_idle()
        one.reset()
        with pytest.raises(ConnectionResetError):
            client.recv_exactly(BIG)
        assert one.closed_by is not None
        assert one.closed_by.who == "server"


def test_messages_of_many_senders_come_whole_and_in_order_of_their_calls() -> None:
    with serving(high_water=1000, low_water=10) as (_, one, client):
        senders = [coloop.go(one.send, b"%d" % number + b"x" * 20_000) for number in range(400)]
        lines = [client.recv_until(b"\n").rstrip(b"x\n") for _ in senders]
        assert [int(line) for line in lines] == list(range(400))


def test_a_wrong_thread_is_told_so() -> None:
    with serving() as (server, one, _):
        calls = [
            lambda: one.send(b"x"),
            one.close,
            one.reset,
            one.pause,
            one.resume,
            lambda: server.broadcast(b"x"),
            server.pause,
            server.resume,
            lambda: server.on("receive", None),
            lambda: server.set("idle", 5),
        ]
        for call in calls:
            with pytest.raises(coloop.WrongThread):
                coloop.to_thread(call)
        assert (one.closed, one.paused, server.state) == (False, False, "accepting")
        assert server.settings.idle is None


@pytest.mark.parametrize("message", ["text", 5, None])
def test_only_bytes_can_be_sent(message: Any) -> None:
    with serving() as (_, one, client):
        with pytest.raises(TypeError, match="a message is bytes, not"):
            one.send(message)
        one.send(memoryview(b"ok"))
        assert client.recv() == b"ok\n"


def test_with_tls_it_is_the_same() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    ends: list[coloop.ClosedBy | None] = []

    def answer(connection: Connection, message: bytes) -> None:
        connection.send(bytes(BIG) if message == b"big" else message.upper())
        if message == b"bye":
            connection.close()

    callbacks: dict[str, Any] = {"on_receive": answer, "on_close": lambda one: ends.append(one.closed_by)}
    with serve("localhost:0", tls=context, framing=coloop.Lines(2 * BIG), **callbacks) as server:
        with connect(server.address, tls=trusting, server_hostname="localhost") as client:
            client.sendall(b"one\n")
            assert client.recv_exactly(4) == b"ONE\n"
            client.sendall(b"big\n")
            wait_until_idle()
            assert server.clients[0].queued > 0
            assert client.recv_exactly(BIG + 1) == bytes(BIG) + b"\n"
            client.sendall(b"bye\n")
            assert client.recv_exactly(4) == b"BYE\n"
            assert client.recv() == b""
        wait_until_idle()
        assert [end.who for end in ends if end] == ["server"]
