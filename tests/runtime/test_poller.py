"""Both backends keep the same promises; only the price differs."""

import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coloop._form import native
from coloop._poller import READ, WRITE, EpollPoller, Poller, SelectorsPoller, Wire, _bounded, open_poller

Pair = tuple[socket.socket, socket.socket]

EPOLLS = [EpollPoller, *([] if native is None else [native.EpollPoller])] if hasattr(select, "epoll") else []


@pytest.fixture(
    params=[*EPOLLS, SelectorsPoller], ids=lambda backend: f"{backend.__module__}.{backend.__name__}"
)
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    poller: Poller = request.param()
    yield poller
    poller.close()


@pytest.fixture(params=EPOLLS, ids=lambda backend: backend.__module__)
def epoll(request: pytest.FixtureRequest) -> Iterator[Poller]:
    poller: Poller = request.param()
    yield poller
    poller.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def tcp_pair() -> Iterator[Pair]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def watched(poller: Poller, sock: socket.socket) -> Wire:
    wire = Wire(sock.fileno())
    poller.register(wire)
    return wire


def drained(poller: Poller, sock: socket.socket) -> Wire:
    """A wire whose first edges are used up, as after a read that would have blocked."""
    wire = watched(poller, sock)
    poller.poll(0)
    wire._readable = wire._writable = False
    return wire


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def ringing(poller: Any) -> bool:
    """Whether a wait would end at once."""
    return bool(select.select([poller._bell.fd], [], [], 0)[0])


def fill(sock: socket.socket) -> int:
    """Send until the kernel takes no more; how many bytes that were."""
    total = 0
    try:
        while True:
            total += sock.send(bytes(65536))
    except BlockingIOError:
        return total


def test_a_new_descriptor_is_worth_a_try(poller: Poller, pair: Pair) -> None:
    wire = watched(poller, pair[0])
    assert wire._readable
    assert wire._writable


def test_who_expects_data_is_told_when_it_comes(poller: Poller, pair: Pair) -> None:
    wire = drained(poller, pair[0])
    poller.expect(wire, READ, "reader")
    assert poller.poll(0) == []
    assert poller.waiting == 1
    pair[1].send(b"x")
    assert poller.poll(1) == ["reader"]
    assert wire._readable
    assert wire._read_waiter is None
    assert poller.waiting == 0


def test_who_reads_is_not_told_of_what_is_held_until_it_is_released(poller: Poller, pair: Pair) -> None:
    wire = watched(poller, pair[0])
    poller.hold(wire)
    assert not wire._readable
    poller.expect(wire, READ, "reader")
    pair[1].send(b"x")
    assert poller.poll(0) == []
    assert (wire._readable, wire._writable) == (False, True)
    assert poller.release(wire) == "reader"
    assert wire._readable
    assert (wire._read_waiter, poller.waiting) == (None, 0)
    assert poller.release(wire) is None
    poller.expect(wire, READ, "reader")
    pair[1].send(b"x")
    assert poller.poll(1) == ["reader"]


def test_a_wait_ends_once(poller: Poller, pair: Pair) -> None:
    wire = drained(poller, pair[0])
    poller.expect(wire, READ, "reader")
    pair[1].send(b"x")
    assert poller.poll(1) == ["reader"]
    pair[1].send(b"y")
    assert poller.poll(0) == []


def test_more_data_ends_the_next_wait_too(poller: Poller, pair: Pair) -> None:
    wire = drained(poller, pair[0])
    for _ in range(3):
        poller.expect(wire, READ, "reader")
        pair[1].send(b"x")
        assert poller.poll(1) == ["reader"]
        assert pair[0].recv(10) == b"x"


def test_reader_and_writer_of_one_descriptor_wait_apart(poller: Poller, pair: Pair) -> None:
    wire = drained(poller, pair[0])
    sent = fill(pair[0])
    poller.poll(0)
    poller.expect(wire, READ, "reader")
    poller.expect(wire, WRITE, "writer")
    assert poller.waiting == 2
    pair[1].send(b"x")
    assert poller.poll(1) == ["reader"]
    while sent:
        sent -= len(pair[1].recv(1 << 20))
    assert poller.poll(1) == ["writer"]
    assert wire._writable
    assert poller.waiting == 0


def test_who_has_withdrawn_is_not_told(poller: Poller, pair: Pair) -> None:
    wire = drained(poller, pair[0])
    poller.expect(wire, READ, "reader")
    poller.withdraw(wire, READ)
    poller.withdraw(wire, WRITE)
    pair[1].send(b"x")
    assert poller.poll(0) == []
    assert poller.waiting == 0


def test_the_end_of_a_stream_ends_a_wait_to_read(poller: Poller, pair: Pair) -> None:
    wire = drained(poller, pair[0])
    poller.expect(wire, READ, "reader")
    pair[1].shutdown(socket.SHUT_WR)
    assert poller.poll(1) == ["reader"]


def test_a_reset_ends_both_waits(poller: Poller, tcp_pair: Pair) -> None:
    ours, theirs = tcp_pair
    wire = drained(poller, ours)
    fill(ours)
    poller.poll(0)
    poller.expect(wire, READ, "reader")
    poller.expect(wire, WRITE, "writer")
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    assert set(poller.poll(1)) == {"reader", "writer"}


def test_after_a_hang_up_a_short_read_proves_nothing(epoll: Poller, pair: Pair) -> None:
    wire = drained(epoll, pair[0])
    pair[1].send(b"last words")
    epoll.poll(0)
    assert wire._short_is_drained
    pair[1].shutdown(socket.SHUT_WR)
    epoll.poll(0)
    assert not wire._short_is_drained


def test_after_an_urgent_byte_a_short_read_proves_nothing(epoll: Poller, tcp_pair: Pair) -> None:
    wire = drained(epoll, tcp_pair[0])
    tcp_pair[1].send(b"!", socket.MSG_OOB)
    epoll.poll(1)
    assert not wire._short_is_drained


def test_forgetting_gives_back_those_who_still_wait(poller: Poller, pair: Pair) -> None:
    wire = drained(poller, pair[0])
    poller.expect(wire, READ, "reader")
    poller.expect(wire, WRITE, "writer")
    assert poller.forget(wire) == ("reader", "writer")
    assert poller.waiting == 0
    assert poller.forget(wire) == ()
    pair[1].send(b"x")
    assert poller.poll(0) == []


def test_a_reused_number_gets_nothing_of_its_former_owner(poller: Poller) -> None:
    old_ours, old_theirs = socket.socketpair()
    old = drained(poller, old_ours)
    poller.expect(old, READ, "old reader")
    old_theirs.send(b"for the old one")
    assert poller.forget(old) == ("old reader",)
    number = old_ours.fileno()
    old_ours.close()
    new_ours, new_theirs = socket.socketpair()
    assert number in {new_ours.fileno(), new_theirs.fileno()}
    if new_theirs.fileno() == number:
        new_ours, new_theirs = new_theirs, new_ours
    new = drained(poller, new_ours)
    poller.expect(new, READ, "new reader")
    assert poller.poll(0) == []
    poller.forget(old)
    new_theirs.send(b"for the new one")
    assert poller.poll(1) == ["new reader"]
    for sock in (old_theirs, new_ours, new_theirs):
        sock.close()


def test_a_copy_that_is_open_elsewhere_speaks_to_nobody(poller: Poller) -> None:
    """A forked process keeps the old file alive, and with it what an epoll set knows of it."""
    old_ours, old_theirs = socket.socketpair()
    number = old_ours.fileno()
    copy = old_ours.dup()
    poller.forget(drained(poller, old_ours))
    old_ours.close()
    new_ours, new_theirs = socket.socketpair()
    if new_theirs.fileno() == number:
        new_ours, new_theirs = new_theirs, new_ours
    assert new_ours.fileno() == number
    poller.expect(drained(poller, new_ours), READ, "new reader")
    old_theirs.send(b"for the copy")
    assert poller.poll(0) == []
    for sock in (copy, old_theirs, new_ours, new_theirs):
        sock.close()


def test_one_closed_before_it_was_forgotten_is_forgotten_all_the_same(poller: Poller, pair: Pair) -> None:
    wire = drained(poller, pair[0])
    poller.expect(wire, READ, "reader")
    pair[0].close()
    assert poller.forget(wire) == ("reader",)


def test_a_number_is_watched_once(poller: Poller, pair: Pair) -> None:
    watched(poller, pair[0])
    with pytest.raises(ValueError, match="is watched already"):
        watched(poller, pair[0])


def test_what_cannot_be_watched_leaves_no_trace(epoll: Poller) -> None:
    with open(os.devnull) as regular:  # noqa: PTH123 - any descriptor that epoll refuses
        for _ in range(2):
            with pytest.raises(PermissionError):
                epoll.register(Wire(regular.fileno()))


def test_a_ring_from_another_thread_ends_the_wait(poller: Poller) -> None:
    thread = threading.Thread(target=poller.wake)
    thread.start()
    assert poller.poll(None) == []
    thread.join()


def test_a_ring_is_not_lost_before_the_wait_nor_heard_twice(poller: Poller) -> None:
    poller.wake()
    poller.wake()
    assert ringing(poller)
    assert poller.poll(None) == []
    assert not ringing(poller)


def test_a_ring_after_the_end_touches_nobody(poller: Poller) -> None:
    poller.close()
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    poller.wake()
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    os.close(reader)
    os.close(writer)


def test_a_signal_may_ring_and_does_not_disturb(poller: Poller) -> None:
    def on_alarm(number: int, frame: object) -> None:
        poller.wake()

    previous = signal.signal(signal.SIGALRM, on_alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert poller.poll(30) == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize(
    ("given", "meant"),
    [(None, 3600), (0, 0), (0.5, 0.5), (-1, 0), (1e300, 3600), (float("inf"), 3600), (float("nan"), 0)],
)
def test_no_time_is_mistaken_for_ever(given: float | None, meant: float) -> None:
    assert _bounded(given) == meant


def test_closing_gives_every_descriptor_back(poller: Poller) -> None:
    before = open_descriptors()
    for _ in range(10):
        type(poller)().close()
    assert open_descriptors() == before


def test_without_eventfd_a_pipe_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "eventfd", raising=False)
    poller = SelectorsPoller()
    for _ in range(20_000):  # more than a pipe holds
        poller.wake()
    assert poller.poll(None) == []
    poller.close()


def test_the_environment_chooses_the_portable_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLOOP_POLLER", "selectors")
    poller = open_poller()
    assert isinstance(poller, SelectorsPoller)
    poller.close()
    monkeypatch.delenv("COLOOP_POLLER")
    poller = open_poller()
    assert type(poller) is (EPOLLS or [SelectorsPoller])[-1]
    poller.close()
