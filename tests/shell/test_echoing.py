"""An echo that fails on purpose does so at the same byte each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import coloop
from coloop import Socket, connect, current_scheduler, go, run, serve
from coloop.testing import MockClock, wait_until_idle
from coshell.echoing import Faults, echo_handler


def with_echo(test: Callable[[Socket], object], **faults: float) -> None:
    """Run a test in a coroutine, with a connection to a server that has these faults."""

    def main() -> None:
        server = serve("127.0.0.1:0", echo_handler(Faults(**faults)))  # type: ignore[arg-type]
        try:
            with connect(server.address) as client:
                test(client)
        finally:
            server.stop(drain=0)

    run(main, clock=MockClock())


def asked(client: Socket, *pieces: bytes) -> Iterator[bytes]:
    """What comes back for each piece; nothing for one that gets no answer."""
    for piece in pieces:
        client.sendall(piece)
        try:
            yield client.recv(timeout=1)
        except coloop.Timeout:
            yield b""


def test_without_a_fault_all_comes_back() -> None:
    def test(client: Socket) -> None:
        assert list(asked(client, b"one", b"two")) == [b"one", b"two"]

    with_echo(test)


def test_an_answer_can_be_late() -> None:
    def test(client: Socket) -> None:
        begin = current_scheduler().clock.now()
        assert list(asked(client, b"one")) == [b"one"]
        assert current_scheduler().clock.now() - begin == pytest.approx(0.5)

    with_echo(test, delay_s=0.5)


def test_an_answer_can_come_in_pieces() -> None:
    def test(client: Socket) -> None:
        client.sendall(b"abcde")
        parts = []
        while sum(map(len, parts)) < 5:
            wait_until_idle()
            parts.append(client.recv(2))
        assert parts == [b"ab", b"cd", b"e"]

    with_echo(test, chunk=2)


def test_each_so_manieth_piece_gets_no_answer() -> None:
    def test(client: Socket) -> None:
        assert list(asked(client, b"1", b"2", b"3", b"4")) == [b"1", b"", b"3", b""]

    with_echo(test, drop=2)


def test_each_so_manieth_piece_comes_back_with_a_bit_turned_over() -> None:
    def test(client: Socket) -> None:
        assert list(asked(client, b"abc", b"abc", b"abc")) == [b"abc", b"abc", b"`bc"]

    with_echo(test, corrupt=3)


def test_it_can_tear_the_connection_down_at_a_byte() -> None:
    def test(client: Socket) -> None:
        assert list(asked(client, b"abc")) == [b"abc"]
        client.sendall(b"defgh")
        with pytest.raises(ConnectionResetError):
            assert client.recv_exactly(2) == b"de"
            assert client.recv()

    with_echo(test, reset_after=5)


def test_it_can_send_its_end_at_a_byte_and_receive_on() -> None:
    def test(client: Socket) -> None:
        client.sendall(b"abcdef")
        assert client.recv_exactly(4) == b"abcd"
        assert client.recv() == b""
        client.sendall(bytes(32 << 20))  # more than the system keeps for one who does not read

    with_echo(test, half_close_after=4)


def test_the_nearer_of_two_ends_is_the_end() -> None:
    def test(client: Socket) -> None:
        client.sendall(b"abcdef")
        assert client.recv_exactly(2) == b"ab"
        assert client.recv() == b""

    with_echo(test, half_close_after=2, reset_after=4)


def test_it_can_read_slowly() -> None:
    def test(client: Socket) -> None:
        begin = current_scheduler().clock.now()
        sending = go(client.sendall, bytes(10_000))
        assert client.recv_exactly(10_000) == bytes(10_000)
        sending.join()
        assert current_scheduler().clock.now() - begin == pytest.approx(10)

    with_echo(test, slow_read=1000)


@pytest.mark.parametrize("faults", [Faults(), Faults(delay_s=1.0)])
def test_its_connections_are_born_in_it(faults: Faults) -> None:
    def main() -> str:
        with serve("127.0.0.1:0", echo_handler(faults), name="e") as server, connect(server.address):
            wait_until_idle()
            pictures = current_scheduler().snapshot().coroutines
            return next(picture.spawned_at for picture in pictures if picture.name == "e/c1")

    assert run(main).partition(":")[0] == "echoing.py"
