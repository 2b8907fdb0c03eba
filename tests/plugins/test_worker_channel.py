"""Messages arrive whole and in their order, and what is none is refused before anybody believes it."""

import os
import socket
import struct

import pytest

import coloop
from coshell_plugins.worker.channel import (
    MAX_BYTES,
    MAX_UNDER_WAY,
    Channel,
    ChannelError,
    is_from_parent,
    packed,
    receive_blocking,
)


def run(main: object) -> object:
    return coloop.run(main)  # type: ignore[arg-type]


def pair() -> tuple[Channel, Channel]:
    left, right = socket.socketpair()
    return Channel(left), Channel(right)


def test_messages_arrive_whole_and_in_their_order() -> None:
    def main() -> None:
        here, there = pair()
        messages = [{"n": n, "text": "ü" * n * 100} for n in range(100)]

        def post_all() -> None:
            for message in messages:
                here.post(message)
            here.flush()
            here.close()

        coloop.go(post_all)
        received = []
        while (message := there.receive()) is not None:
            received.append(message)
        assert received == messages

    run(main)


def test_who_posts_does_not_wait_for_one_that_does_not_read() -> None:
    def main() -> None:
        here, _there = pair()
        with pytest.raises(ChannelError, match="bytes wait already, and nobody takes them"):
            for _ in range(2 * MAX_UNDER_WAY // MAX_BYTES):
                here.post({"text": "x" * (MAX_BYTES - 100)})
        raise SystemExit(0)

    with pytest.raises(SystemExit):
        run(main)


def test_what_has_been_taken_makes_room_again() -> None:
    def main() -> None:
        here, there = pair()

        def take(count: int) -> None:
            for _ in range(count):
                assert there.receive() is not None

        for _ in range(3):
            for _ in range(7):
                here.post({"text": "x" * (MAX_BYTES - 100)})
            take(7)

    run(main)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"text": "x" * MAX_BYTES}, "is too long, 1,048,576 are allowed"),
        ({"data": b"bytes"}, "it cannot be sent as JSON"),
        ({"data": float("inf")}, "it cannot be sent as JSON"),
    ],
)
def test_what_is_no_message_is_an_error_of_the_sender(message: dict[str, object], why: str) -> None:
    with pytest.raises(ChannelError, match=why):
        packed(message)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (struct.pack("!I", 2**30), "a message of 1,073,741,824 bytes, 1,048,576 are allowed"),
        (struct.pack("!I", 3) + b"{a}", "no message"),
        (struct.pack("!I", 2) + b"[]", "no message but a list"),
        (struct.pack("!I", 0), "no message"),
        (struct.pack("!I", 200_000) + b"[" * 200_000, "no message"),
        (struct.pack("!I", 2) + b"\xff\xfe", "no message"),
        (struct.pack("!I", 9) + b'{"a":NaN}', "no message: NaN is no JSON"),
    ],
)
def test_garbage_is_refused_by_the_receiver(data: bytes, why: str) -> None:
    def main() -> None:
        left, right = socket.socketpair()
        there = Channel(right)
        coloop.go(coloop.adopt(left).sendall, data)
        with pytest.raises(ChannelError, match=why):
            there.receive()
        there.close()

    run(main)


@pytest.mark.parametrize("cut", [0, 2, 4, 10])
def test_half_a_message_is_an_end(cut: int) -> None:
    def main() -> None:
        left, right = socket.socketpair()
        left.sendall(packed({"event": "status"})[:cut])
        left.close()
        assert Channel(right).receive() is None

    run(main)


def test_a_channel_may_take_less_than_others_send() -> None:
    def main() -> None:
        left, right = socket.socketpair()
        here, there = Channel(left), Channel(right, 100)
        here.post({"text": "x" * 50})
        here.post({"text": "x" * 100})
        assert there.receive() == {"text": "x" * 50}
        with pytest.raises(ChannelError, match="100 are allowed"):
            there.receive()
        here.close()
        there.close()

    run(main)


def test_a_thread_without_a_scheduler_reads_the_same_messages() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(packed({"n": 1}) + packed({"n": 2}) + packed({"n": 3})[:6])
        left.shutdown(socket.SHUT_WR)
        assert [receive_blocking(right) for _ in range(4)] == [{"n": 1}, {"n": 2}, None, None]
        right.sendall(struct.pack("!I", 2**30))
        with pytest.raises(ChannelError, match="a message of"):
            receive_blocking(left)


def test_a_pickle_is_no_message() -> None:
    import pickle

    def main() -> None:
        left, right = socket.socketpair()
        data = pickle.dumps({"event": "ready"})
        left.sendall(struct.pack("!I", len(data)) + data)
        with pytest.raises(ChannelError, match="no message"):
            Channel(right).receive()
        left.close()

    run(main)


def test_who_has_made_the_pair_is_known() -> None:
    def main() -> None:
        here, there = pair()
        assert here.peer_pid == there.peer_pid == os.getpid()
        here.close()
        there.close()

    run(main)
    assert is_from_parent(os.getppid())
    assert not is_from_parent(os.getpid())


def test_one_that_is_killed_in_the_midst_of_a_message_leaves_no_half_of_it_behind() -> None:
    def main() -> None:
        here, there = pair()
        here.post({"text": "x" * (MAX_BYTES - 100)})
        (sender,) = [one for one in coloop.snapshot().coroutines if one.name == "channel"]
        found = coloop.current_scheduler().coroutine(sender.id)
        assert found is not None
        found.cancel()
        assert there.receive() is None
        there.close()

    run(main)
