"""An nc session without a typist waits for facts and is done within a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import coloop
from coloop.testing import MockClock, socket_pair
from coshell.nc_script import KEPT_BYTES, Exchange, Script, Unexpected, play, quoted

Talk = Callable[[coloop.Socket], object]


def echo(peer: coloop.Socket) -> None:
    while data := peer.recv():
        peer.sendall(data)
    peer.close()


def exchange(peer_does: Talk, **script: object) -> Exchange:
    """What comes of a session with a peer that runs in a coroutine of its own; nothing may be left running."""

    def main() -> Exchange:
        ours, theirs = socket_pair()
        peer = coloop.go(peer_does, theirs)
        try:
            return play(ours, Script(**script), coloop.current_scheduler().clock.now)
        finally:
            ours.close()
            peer.cancel()
            peer.join()
            theirs.close()

    return coloop.run(main, clock=MockClock())


def test_a_text_is_sent_and_the_answer_waited_for() -> None:
    done = exchange(echo, send=(b"hi\n",), expect=(b"hi",))
    assert (done.sent, done.received, done.data) == (3, 3, b"hi\n")


def test_texts_and_patterns_take_turns() -> None:
    def greeter(peer: coloop.Socket) -> None:
        peer.sendall(b"220 ready\n")
        assert peer.recv() == b"EHLO me\n"
        peer.sendall(b"250 ok\n")

    done = exchange(greeter, send=(b"", b"EHLO me\n"), expect=(b"220", b"250 ok"))
    assert done.data == b"220 ready\n250 ok\n"


def test_each_pattern_is_looked_for_behind_the_one_before() -> None:
    assert exchange(echo, send=(b"aXa",), expect=(b"a", b"a")).received == 3
    with pytest.raises(Unexpected, match='no "a" within 5s, got "X"'):
        exchange(echo, send=(b"aX",), expect=(b"a", b"a"))


def test_a_pattern_may_arrive_in_pieces() -> None:
    def slowly(peer: coloop.Socket) -> None:
        for byte in (b"h", b"e", b"y"):
            peer.sendall(byte)
            coloop.sleep(0.1)

    assert exchange(slowly, expect=(b"hey",)).took == pytest.approx(0.2, abs=0.01)


def test_without_a_pattern_our_half_is_closed_and_everything_read() -> None:
    done = exchange(echo, send=(b"one ", b"two"))
    assert done.data == b"one two"


def test_more_than_both_directions_hold_can_be_echoed() -> None:
    size_bytes = 8 << 20
    done = exchange(echo, send=(b"x" * size_bytes, b"end"), expect=(b"x" * 100, b"end"))
    assert done.received == size_bytes + 3
    assert len(done.data) == KEPT_BYTES


def test_what_does_not_come_in_time_is_named_with_what_came_instead() -> None:
    with pytest.raises(Unexpected, match=r'^no "hi" within 2s, got "ho\\n"$'):
        exchange(lambda peer: (peer.sendall(b"ho\n"), peer.recv()), expect=(b"hi",), timeout_s=2.0)
    with pytest.raises(Unexpected, match=r'^no "hi" within 2s, nothing came$'):
        exchange(lambda peer: peer.recv(), expect=(b"hi",), timeout_s=2.0)


def test_a_peer_that_closes_too_early_is_told_of_at_once() -> None:
    with pytest.raises(Unexpected, match=r'^no "hi" before the peer closed, got "ho"$'):
        exchange(lambda peer: (peer.sendall(b"ho"), peer.close()), expect=(b"hi",))


def test_a_peer_that_never_closes_is_given_up() -> None:
    with pytest.raises(Unexpected, match=r"^the peer did not close within 5s, nothing came$"):
        exchange(lambda peer: coloop.sleep(3600), send=(b"x",))


def test_silence_has_a_limit_of_its_own() -> None:
    def tick(peer: coloop.Socket) -> None:
        for _ in range(3):
            peer.sendall(b".")
            coloop.sleep(0.9)
        coloop.sleep(3600)

    with pytest.raises(Unexpected, match=r'^no "end": the peer was silent for 1s, got "..."$'):
        exchange(tick, expect=(b"end",), timeout_s=60.0, silence_s=1.0)


def test_a_broken_connection_is_an_os_error() -> None:
    def slam(peer: coloop.Socket) -> None:
        coloop.sleep(1.0)  # what was sent to it is unread, so closing resets the connection
        peer.close(linger=0)

    with pytest.raises(OSError, match="reset"):
        exchange(slam, send=(b"hi",), expect=(b"hi",))


def test_a_pattern_is_not_looked_for_without_end() -> None:
    def flood(peer: coloop.Socket) -> None:
        while True:
            peer.sendall(b"x" * 65536)

    with pytest.raises(Unexpected, match=r'^no "y" in 16.\dM, got "xxx'):
        exchange(flood, expect=(b"y",))


def test_bytes_in_a_message_are_printable_and_short() -> None:
    assert quoted(b"\x1b[2J\xff") == r'"\x1b[2J\xff"'
    assert quoted(b"x" * 61) == f'"{"x" * 60}" and 1 more byte'
