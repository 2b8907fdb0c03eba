"""The usual way through a socket and the unusual one are the same to whoever uses it, but for the price."""

import gc
import inspect
import socket
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import coloop
from coloop import DatagramSocket, Socket
from coloop._poller import Wire
from coloop._socket import adopt_socket
from coloop.testing import socket_pair, wait_until_idle

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]

LATE_BYTES = 4 << 20  # more than the kernel takes at once


def tcp_pair() -> tuple[Socket, Socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    return adopt_socket(ours), adopt_socket(theirs)


@pytest.fixture
def closing() -> Iterator[list[Any]]:
    """Nothing is left open by a test that fails."""
    opened: list[Any] = []
    yield opened
    for item in opened:
        item.abandon()


def test_a_read_that_got_less_than_it_asked_for_is_not_tried_again() -> None:
    ours, theirs = tcp_pair()
    theirs.sendall(b"x" * 64)
    assert ours.recv() == b"x" * 64
    assert not ours._readable
    theirs.sendall(b"y" * 64)
    wait_until_idle()
    assert ours.recv(32) == b"y" * 32  # that was all it asked for
    assert ours._readable
    assert ours.recv() == b"y" * 32
    ours.close()
    theirs.close()


def test_a_short_read_of_a_unix_socket_proves_nothing() -> None:
    ours, theirs = socket_pair()
    theirs.sendall(b"x")
    assert ours.recv() == b"x"
    assert ours._readable
    ours.close()
    theirs.close()


@pytest.mark.parametrize("backend", ["epoll"], indirect=True)
def test_once_the_peer_has_hung_up_the_end_is_still_to_be_read(backend: str) -> None:
    ours, theirs = tcp_pair()
    theirs.sendall(b"last words")
    theirs.close()
    wait_until_idle()
    assert ours.recv() == b"last words"
    assert ours.recv() == b""
    with pytest.raises(coloop.Closed, match="closed by peer"):
        ours.recv()
    ours.close()


def test_what_was_received_is_nobody_else_s() -> None:
    """There is one buffer for all of them."""
    pairs = [socket_pair() for _ in range(3)]
    readers = [coloop.go(ours.recv) for ours, _ in pairs]
    for number, (_, theirs) in enumerate(pairs):
        theirs.sendall(bytes([number]) * (10 + number))
    assert [reader.result() for reader in readers] == [bytes([n]) * (10 + n) for n in range(3)]
    for ours, theirs in pairs:
        ours.close()
        theirs.close()


def test_what_is_counted_is_counted_on_both_ways() -> None:
    ours, theirs = socket_pair()
    assert theirs.send(b"12345") == 5
    theirs.sendall(bytearray(b"678"))
    assert theirs.sent == 8
    assert ours.recv(2) + ours.recv(n=2) + ours.recv(2, None) + ours.recv(timeout=1) == b"12345678"
    assert ours.received == 8
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda sock: sock.recv(0), ValueError),
        (lambda sock: sock.recv(-1), ValueError),
        (lambda sock: sock.recv("1"), TypeError),
        (lambda sock: sock.recv(1, None, None), TypeError),
        (lambda sock: sock.recv(1.5), TypeError),
        (lambda sock: sock.recv(size=1), TypeError),
        (lambda sock: sock.send("text"), TypeError),
        (lambda sock: sock.send(), TypeError),
        (lambda sock: sock.sendall(None), TypeError),
        (lambda _: Socket.recv(), TypeError),
    ],
)
def test_what_is_no_argument_is_refused(call: Any, error: type[Exception]) -> None:
    ours, theirs = socket_pair()
    theirs.sendall(b"xyz")
    with pytest.raises(error):
        call(ours)
    assert ours.recv(True) == b"x"
    assert ours.recv() == b"yz"
    ours.close()
    theirs.close()


def test_more_may_be_asked_for_than_the_buffer_holds() -> None:
    ours, theirs = tcp_pair()
    writer = coloop.go(theirs.sendall, bytes(LATE_BYTES))
    got = most = 0
    while got < LATE_BYTES:
        data = ours.recv(1 << 20)
        got += len(data)
        most = max(most, len(data))
    assert writer.join()
    assert most > 65536
    ours.close()
    theirs.close()


def test_no_bytes_are_sent_by_a_call_all_the_same() -> None:
    ours, theirs = socket_pair()
    assert ours.send(b"") == 0
    assert ours.sendall(b"") is None
    ours.shutdown()
    with pytest.raises(coloop.Closed):
        ours.sendall(b"")
    ours.close()
    theirs.close()


def test_an_interrupted_writer_says_how_far_it_got() -> None:
    ours, theirs = tcp_pair()
    writer = coloop.go(ours.sendall, bytes(LATE_BYTES))
    wait_until_idle()
    assert coloop.current_scheduler().poller.waiting == 1
    assert ours.info().writer == writer.id
    writer.cancel()
    writer.join()
    assert coloop.current_scheduler().poller.waiting == 0
    assert ours.info().writer is None
    assert 0 < ours.sent < LATE_BYTES
    ours.shutdown()
    assert len(theirs.recv_exactly(ours.sent)) == ours.sent
    ours.close()
    theirs.close()


def test_a_shutdown_ends_those_who_wait_in_that_direction(fails: Any) -> None:
    ours, theirs = tcp_pair()
    reader = coloop.go(ours.recv)
    writer = fails(ours.sendall, bytes(LATE_BYTES))
    wait_until_idle()
    ours.shutdown("both")
    assert reader.result() == b""
    while theirs.recv():
        pass
    assert isinstance(writer.result(), (coloop.Closed, OSError))
    ours.close()
    theirs.close()


@pytest.mark.parametrize("backend", ["epoll"], indirect=True)
def test_who_reads_and_writes_without_waiting_lets_others_run(backend: str) -> None:
    ours, theirs = socket_pair()
    ran = []
    coloop.go(lambda: (coloop.yield_now(), ran.append(1)))
    for _ in range(64):
        ours.sendall(b"x")
        theirs.recv()
    assert ran
    ours.close()
    theirs.close()


def test_closed_while_others_run_at_the_beginning_of_a_call(fails: Any) -> None:
    """The checks that count come after the scheduling point."""
    for use in (lambda sock: sock.recv(), lambda sock: sock.send(b"x")):
        ours, theirs = socket_pair()
        theirs.sendall(b"x")
        wait_until_idle()

        def attempt(use: Any = use, ours: Socket = ours) -> None:
            coloop.current_scheduler()._turn_left = 0
            use(ours)

        user = fails(attempt)
        ours.close()
        assert isinstance(user.result(), coloop.Closed)
        theirs.close()


def test_a_failure_is_told_with_both_names() -> None:
    ours, theirs = tcp_pair()
    theirs.close(linger=0)
    wait_until_idle()
    try:
        raise KeyError
    except KeyError:
        with pytest.raises(ConnectionResetError, match=rf"{ours} was reset by peer 127") as caught:
            ours.recv()
    assert caught.value.__suppress_context__
    assert ours.state == "reset"
    ours.close()


def test_only_a_socket_itself_is_plain(closing: list[Any]) -> None:
    class Theirs(Socket):
        def _receive(self, n: int) -> bytes:
            return b"made up"

    left, right = socket.socketpair()
    theirs = Theirs(left, "client")
    closing += [theirs, *(pair := socket_pair()), datagram := coloop.bind("udp::0")]
    right.close()
    assert theirs.recv() == b"made up"
    assert isinstance(datagram, DatagramSocket)
    assert [item._plain for item in (pair[0], theirs, datagram)] == [True, False, False]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("recv", ["n", "timeout"]),
        ("send", ["data", "timeout"]),
        ("sendall", ["data", "timeout"]),
        ("close", ["linger"]),
    ],
)
def test_a_quick_method_looks_like_any_other(name: str, parameters: list[str]) -> None:
    method = getattr(Socket, name)
    assert method.__name__ == name
    assert method.__qualname__ == f"Socket.{name}"
    assert method.__module__ == "coloop._socket"
    assert "Returns:" in inspect.getdoc(method) or "Raises:" in inspect.getdoc(method)
    assert inspect.isroutine(method)
    assert [*inspect.signature(method).parameters] == ["self", *parameters]
    assert repr(method).startswith(f"<function Socket.{name} at ")
    ours, theirs = socket_pair()
    bound = getattr(ours, name)
    assert [*inspect.signature(bound).parameters] == parameters
    assert bound.__self__ is ours
    ours.close()
    theirs.close()


def test_a_wire_is_worth_a_try_and_nobody_s() -> None:
    wire = Wire(7)
    assert (wire._fd, wire._readable, wire._writable, wire._short_is_drained, wire._plain) == (7, 1, 1, 1, 0)
    assert (wire._reader, wire._writer, wire._read_waiter, wire._write_waiter) == (None,) * 4
    assert (wire._closed_by, wire._read_ended, wire._write_ended) == (None,) * 3
    assert (wire._ahead, wire.received, wire.sent) == (b"", 0, 0)
    assert (wire._seal, wire._incoming, wire._outgoing, wire._unsent, wire._quiet) == (None,) * 4 + (False,)
    with pytest.raises(AttributeError):
        wire._scheduler


def test_who_has_closed_it_is_said_to_whoever_comes_later() -> None:
    ours, theirs = tcp_pair()
    closer = coloop.go(ours.close)
    for use in (ours.recv, ours.peek):
        with pytest.raises(coloop.Closed, match=rf"^{ours} was closed by {closer}$"):
            use()
    theirs.close()


def test_the_end_of_a_stream_is_told_with_the_peer_s_name() -> None:
    ours, theirs = tcp_pair()
    theirs.close()
    assert ours.recv() == b""
    assert (ours.state, ours.peer_gone) == ("closed by peer", True)
    with pytest.raises(coloop.Closed, match=rf"{ours} was closed by peer {ours.peer}: there is nothing more"):
        ours.recv()
    ours.close()
    assert ours.peer_gone
    assert ours.state == "closed"


def test_a_closed_socket_is_held_by_nobody() -> None:
    ours, theirs = tcp_pair()
    reader = coloop.go(ours.recv)
    theirs.sendall(b"x")
    reader.join()
    seen = [weakref.ref(ours), weakref.ref(theirs)]
    ours.close()
    theirs.close()
    del ours, theirs, reader
    coloop.yield_now()
    gc.collect()
    assert [ref() for ref in seen] == [None, None]
