"""Datagrams come back one by one, and nobody's loss is anybody else's trouble."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import coloop
from coloop import DatagramSocket, bind, connect, current_scheduler, run
from coloop.testing import MockClock, wait_until_idle
from coshell import datagram_echo
from coshell.datagram_echo import MAX_LATE, DatagramEcho
from coshell.echoing import Faults


def with_echo(
    test: Callable[[DatagramEcho, DatagramSocket], object], address: str = "udp:127.0.0.1:0", **faults: float
) -> None:
    """Run a test in a coroutine, with an echo that has these faults and a client of it."""

    def main() -> None:
        echo = DatagramEcho(bind(address), Faults(**faults), "echo#1")  # type: ignore[arg-type]
        try:
            with connect(echo.address) as client:
                assert isinstance(client, DatagramSocket)
                test(echo, client)
        finally:
            echo.stop()

    run(main, clock=MockClock())


def asked(client: DatagramSocket, *datagrams: bytes) -> list[bytes | None]:
    """What comes back for each; None for one that gets no answer."""
    answers: list[bytes | None] = []
    for datagram in datagrams:
        client.send(datagram)
        try:
            answers.append(client.recv(timeout=1))
        except coloop.Timeout:
            answers.append(None)
    return answers


def test_each_comes_back_whole_also_an_empty_one() -> None:
    def test(echo: DatagramEcho, client: DatagramSocket) -> None:
        largest = bytes(65_507)
        assert asked(client, b"one", b"", b"two", largest) == [b"one", b"", b"two", largest]
        assert (echo.answered, echo.lost) == (4, 0)

    with_echo(test)


def test_each_so_manieth_gets_no_answer() -> None:
    def test(_: DatagramEcho, client: DatagramSocket) -> None:
        assert asked(client, b"1", b"2", b"3", b"4") == [b"1", None, b"3", None]

    with_echo(test, drop=2)


def test_each_so_manieth_comes_back_with_a_bit_turned_over_if_it_has_one() -> None:
    def test(_: DatagramEcho, client: DatagramSocket) -> None:
        assert asked(client, b"abc", b"", b"abc", b"abc") == [b"abc", b"", b"abc", b"`bc"]

    with_echo(test, corrupt=2)


def test_answers_are_late_each_by_itself() -> None:
    def test(_: DatagramEcho, client: DatagramSocket) -> None:
        now = current_scheduler().clock.now
        begin = now()
        for number in range(5):
            client.send(b"%d" % number)
        assert sorted(client.recv() for _ in range(5)) == [b"0", b"1", b"2", b"3", b"4"]
        assert now() - begin == pytest.approx(0.5)

    with_echo(test, delay_s=0.5)


def test_it_reads_as_slowly_as_it_is_told() -> None:
    def test(_: DatagramEcho, client: DatagramSocket) -> None:
        now = current_scheduler().clock.now
        begin = now()
        client.send(bytes(100))
        client.send(b"1")
        assert [client.recv(), client.recv()] == [bytes(100), b"1"]
        assert now() - begin == pytest.approx(1.0)

    with_echo(test, slow_read=100)


def test_faults_may_be_replaced_while_it_runs() -> None:
    def test(echo: DatagramEcho, client: DatagramSocket) -> None:
        assert asked(client, b"a") == [b"a"]
        echo.faults = Faults(drop=1)
        assert asked(client, b"a") == [None]

    with_echo(test)


def test_late_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagram_echo, "MAX_LATE", 3)

    def test(echo: DatagramEcho, client: DatagramSocket) -> None:
        for number in range(5):
            client.send(b"%d" % number)
        assert [client.recv() for _ in range(3)] == [b"0", b"1", b"2"]
        assert (echo.answered, echo.lost) == (3, 2)
        client.send(b"x")
        assert client.recv() == b"x"

    assert MAX_LATE == 1000
    with_echo(test, delay_s=60)


def test_who_is_gone_before_the_answer_costs_nobody_else_his(tmp_path: Path) -> None:
    def test(echo: DatagramEcho, client: DatagramSocket) -> None:
        with bind("udp:127.0.0.1:0") as other:
            other.sendto(b"?", echo.address)
        wait_until_idle()
        for _ in range(3):  # an ICMP error, if there is one, comes with one of these
            assert asked(client, b"a") == [b"a"]

    with_echo(test, delay_s=0.1)


def test_a_unix_peer_that_is_gone_has_no_name_or_does_not_read_is_a_loss(tmp_path: Path) -> None:
    address = f"unixgram:{tmp_path}/echo"

    def test(echo: DatagramEcho, client: DatagramSocket) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
            nameless.sendto(b"?", f"{tmp_path}/echo")
        wait_until_idle()
        assert (echo.answered, echo.lost) == (0, 1)
        with bind(f"unixgram:{tmp_path}/gone") as gone:
            gone.sendto(b"?", echo.address)
        wait_until_idle()
        assert (echo.answered, echo.lost) == (0, 2)
        with bind(f"unixgram:{tmp_path}/deaf") as deaf:
            while echo.lost == 2:
                deaf.sendto(b"?", echo.address)
                coloop.sleep(1)
            assert echo.answered > 0
        with bind(f"unixgram:{tmp_path}/well") as well:
            well.sendto(b"!", echo.address)
            assert well.recv(timeout=1) == b"!"

    with_echo(test, address)


def test_a_datagram_that_is_longer_than_it_reads_is_a_loss(tmp_path: Path) -> None:
    def test(echo: DatagramEcho, _: DatagramSocket) -> None:
        with bind(f"unixgram:{tmp_path}/long") as long:
            long.sendto(bytes(100_000), echo.address)
            long.sendto(b"short", echo.address)
            assert long.recv(timeout=1) == b"short"
        assert (echo.answered, echo.lost) == (1, 1)

    with_echo(test, f"unixgram:{tmp_path}/echo")


def test_stopping_sends_what_is_still_to_come_if_there_is_time_for_that() -> None:
    def test(echo: DatagramEcho, client: DatagramSocket) -> None:
        client.send(b"1")
        wait_until_idle()
        assert echo.state == "receiving"
        assert echo.stop(drain=1)
        assert (client.recv(timeout=1), echo.state) == (b"1", "stopped")

    with_echo(test, delay_s=0.5)


def test_stopping_waits_no_longer_than_that() -> None:
    def test(echo: DatagramEcho, client: DatagramSocket) -> None:
        client.send(b"1")
        wait_until_idle()
        now = current_scheduler().clock.now
        begin = now()
        assert not echo.stop(drain=1)
        assert now() - begin == pytest.approx(1.0)
        assert echo.stop() is False
        coloop.sleep(10)
        assert (echo.answered, echo.lost, echo.stop()) == (0, 1, True)

    with_echo(test, delay_s=5)


def test_an_answer_that_came_back_is_a_loss_and_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    receive, refusals = DatagramSocket.recvfrom, [ConnectionRefusedError("refused")]

    def refused_once(socket: DatagramSocket, *more: Any) -> object:
        if refusals and socket.owner != 1:
            raise refusals.pop()
        return receive(socket, *more)

    monkeypatch.setattr(DatagramSocket, "recvfrom", refused_once)

    def test(echo: DatagramEcho, client: DatagramSocket) -> None:
        assert asked(client, b"a") == [b"a"]
        assert (echo.answered, echo.lost) == (1, 1)

    with_echo(test)
