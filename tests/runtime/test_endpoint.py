"""Who may use a socket, and what closing it does; the same for connections and listeners."""

import io
import itertools
import socket
import threading
from typing import Any

import pytest

import coloop
from coloop._socket import adopt_socket
from coloop.testing import socket_pair

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]


def test_a_second_reader_is_refused_by_name_and_the_first_is_undisturbed() -> None:
    ours, theirs = socket_pair()
    first = coloop.go(ours.recv, name="first")
    with pytest.raises(coloop.Busy) as caught:
        ours.recv()
    message = str(caught.value)
    assert message.startswith(f"{ours} is being read by {first} 'first' (")
    assert "co#1 " in message
    assert "test_endpoint.py:" in message
    assert "in test_a_second_reader" in message
    theirs.sendall(b"for the first")
    assert first.result() == b"for the first"
    ours.close()
    theirs.close()


def test_every_call_of_a_direction_is_in_the_same_lane() -> None:
    ours, theirs = socket_pair()
    reader = coloop.go(ours.peek)
    for read in (ours.recv, ours.recvfrom, ours.peek, lambda: ours.recv_into(bytearray(1))):
        with pytest.raises(coloop.Busy, match=rf"^{ours} is being read by {reader} "):
            read()
    writer = coloop.go(ours.sendfile, io.BytesIO(bytes(4 << 20)))
    for write in (lambda: ours.send(b"x"), lambda: ours.sendfile(io.BytesIO(b"x"))):
        with pytest.raises(coloop.Busy, match=rf"^{ours} is being written to by {writer} "):
            write()
    reader.cancel()
    writer.cancel()
    assert reader.join()
    assert writer.join()
    ours.close()
    theirs.close()


def test_a_second_writer_is_refused_but_a_reader_is_not() -> None:
    ours, theirs = socket_pair()
    payload = bytes(4 << 20)
    writer = coloop.go(ours.sendall, payload, name="writer")
    with pytest.raises(coloop.Busy, match="is being written to by co#2 'writer'"):
        ours.send(b"x")
    reader = coloop.go(ours.recv)
    assert theirs.recv_exactly(len(payload)) == payload
    assert writer.join()
    theirs.sendall(b"answer")
    assert reader.result() == b"answer"
    ours.close()
    theirs.close()


def test_a_second_acceptor_is_refused(fails: Any) -> None:
    with coloop.listen(":0") as listener:
        acceptor = fails(listener.accept)
        with pytest.raises(coloop.Busy, match="is being accepted from by co#2"):
            listener.accept()
    assert "closed by co#1" in str(acceptor.result())


def test_whoever_was_interrupted_leaves_the_lane_free() -> None:
    ours, theirs = socket_pair()
    reader = coloop.go(ours.recv)
    reader.cancel()
    reader.join()
    theirs.sendall(b"x")
    assert ours.recv() == b"x"
    ours.close()
    theirs.close()


def test_closing_wakes_those_who_wait_and_says_who_did_it(fails: Any) -> None:
    ours, theirs = socket_pair()
    reader = fails(ours.recv)
    writer = fails(ours.sendall, bytes(4 << 20))
    assert reader.waiting_on == f"recv {ours}"
    assert writer.waiting_on == f"send {ours}"
    closer = coloop.go(ours.close)
    for waiter in (reader, writer):
        assert isinstance(waiter.result(), coloop.Closed)
        assert str(waiter.result()) == f"{ours} was closed by {closer}"
    theirs.close()


def test_who_was_woken_by_data_in_the_same_moment_finds_it_closed(fails: Any) -> None:
    """Both have been told of data when the first closes the socket of the second."""
    gate, gate_peer = socket_pair()
    ours, theirs = socket_pair()
    coloop.go(lambda: (gate.recv(), ours.close()))
    reader = fails(ours.recv)
    gate_peer.sendall(b"x")
    theirs.sendall(b"x")
    assert isinstance(reader.result(), coloop.Closed)
    for sock in (gate, gate_peer, theirs):
        sock.close()


def test_a_deadline_and_a_close_in_the_same_moment_leave_nothing_for_the_next_wait() -> None:
    ours, theirs = socket_pair()
    caught = []

    def read() -> None:
        try:
            ours.recv(timeout=0)
        except (coloop.Timeout, coloop.Closed) as error:
            caught.append(error)
        coloop.sleep(0.001)

    reader = coloop.go(read)
    reader.throw(coloop.Timeout("thrown"))
    ours.close()
    reader.result()
    assert len(caught) == 1
    theirs.close()


def test_closing_twice_is_closing_once() -> None:
    ours, theirs = socket_pair()
    ours.close()
    coloop.go(ours.close)
    ours.abandon()
    with pytest.raises(coloop.Closed, match="was closed by co#1"):
        ours.recv()
    theirs.close()


def test_a_reused_number_brings_no_stranger_s_data(fails: Any) -> None:
    ours, theirs = socket_pair()
    number = ours.fileno()
    reader = fails(ours.recv)
    ours.close()
    pairs = [socket_pair()]
    while all(number not in {left.fileno(), right.fileno()} for left, right in pairs):
        pairs.append(socket_pair())
    new, peer = pairs[-1] if pairs[-1][0].fileno() == number else pairs[-1][::-1]
    assert new.fileno() == number
    peer.sendall(b"for the new one")
    assert isinstance(reader.result(), coloop.Closed)
    with pytest.raises(coloop.Closed):
        ours.recv()
    assert new.recv() == b"for the new one"
    for sock in itertools.chain(*pairs, [theirs]):
        sock.close()


def test_handles_are_serial_numbers() -> None:
    first, second = socket_pair()
    first.close()
    second.close()
    third, fourth = socket_pair()
    assert third.id == second.id + 1 == first.id + 2
    assert str(third) == f"socket#{third.id}"
    third.close()
    fourth.close()


def test_an_open_socket_is_on_the_account_of_who_made_it() -> None:
    made = coloop.go(lambda: (*socket_pair(), coloop.suspend()))
    with coloop.listen(":0") as listener:
        assert made.account.sockets == 2
        assert listener.owner == 1
        ids = {picture.id: picture.owner for picture in coloop.snapshot().sockets}
        assert len(ids) == 3
        assert ids[listener.id] == 1
    made.resume()
    left, right, _ = made.result()
    assert left.owner == made.id
    left.close()
    right.close()
    assert coloop.snapshot().sockets == ()


def test_what_is_left_open_is_closed_at_the_scheduler_s_end() -> None:
    def main() -> list[object]:
        return [*socket_pair(), coloop.listen(":0")]

    left = []
    thread = threading.Thread(target=lambda: left.extend(coloop.run(main)))
    thread.start()
    coloop.to_thread(thread.join)
    assert [item.closed for item in left] == [True, True, True]
    assert [item.fileno() for item in left] == [-1, -1, -1]


def test_a_foreign_thread_is_sent_away() -> None:
    ours, theirs = socket_pair()
    with pytest.raises(coloop.WrongThread, match=r"belongs to thread .* this is thread"):
        coloop.to_thread(ours.recv)
    ours.close()
    theirs.close()


def test_what_is_in_no_coroutine_cannot_wait(observer: Any) -> None:
    ours, theirs = socket_pair()
    coloop.call_soon_threadsafe(ours.recv)
    coloop.testing.wait_until_idle()
    assert observer.failures.pop().message.startswith(f"only a coroutine can use {ours}")
    ours.close()
    theirs.close()


def test_without_a_scheduler_a_socket_is_not_kept() -> None:
    left, right = socket.socketpair()

    def adopt() -> None:
        with pytest.raises(coloop.NotRunning):
            adopt_socket(left)

    coloop.to_thread(adopt)
    assert left.fileno() == -1
    right.close()


def test_a_limit_around_a_call_is_not_mistaken_for_the_call_s_own() -> None:
    ours, theirs = socket_pair()
    with pytest.raises(coloop.Timeout, match=rf"^recv {ours}: timed out after 0.001s$"):
        ours.recv(timeout=0.001)
    with pytest.raises(coloop.Timeout, match=r"^timed out after 0.001s$"), coloop.timeout(0.001):
        ours.recv(timeout=60)
    with pytest.raises(ValueError, match="nan"):
        ours.recv(timeout=float("nan"))
    ours.close()
    theirs.close()
