"""Who resets a connection over what was not confirmed yet has dropped that; who closes it in peace has not."""

from __future__ import annotations

import time

import pytest

import coloop
from coloop import CoroutinePicture
from coloop._connect import connect
from coloop._listener import listen
from coloop._losses import KEPT, Losses
from coloop._socket import Socket
from coloop.testing import MockClock, socket_pair

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]

MORE_THAN_FITS = 8 << 20


def tcp_pair() -> tuple[Socket, Socket]:
    with listen(":0") as listener:
        client = connect(listener.address)
        return client, listener.accept()


def picture_of(coroutine: coloop.Coroutine) -> CoroutinePicture:
    shown = coloop.snapshot()
    return next(one for one in (*shown.coroutines, *shown.dead) if one.id == coroutine.id)


def dropped_by(closing: coloop.Coroutine) -> int:
    closing.join()
    return picture_of(closing).dropped_bytes


def unconfirmed(sock: Socket) -> int | None:
    """What its peer has not confirmed and will not: the kernel takes some 40 ms, of real time, to confirm the last of it."""
    seen = -1
    while seen != (now := sock.info().unsent):
        seen = now
        time.sleep(0.25)
    return seen


def test_a_reset_over_what_was_not_confirmed_is_put_down_to_whoever_closed(mock_clock: MockClock) -> None:
    ours, theirs = tcp_pair()
    ours.send(bytes(MORE_THAN_FITS))
    unsent = unconfirmed(ours)
    closing = coloop.go(ours.close, linger=0)
    assert dropped_by(closing) == unsent > 0
    coloop.sleep(7)
    assert picture_of(closing).dropped_ago_s == pytest.approx(7)
    assert picture_of(coloop.current()).dropped_bytes == 0
    assert coloop.current().account.dropped_ago_s is None
    theirs.close()


def test_a_close_that_has_waited_in_vain_drops_the_rest_and_its_own_end_is_none_of_it(
    mock_clock: MockClock,
) -> None:
    ours, theirs = tcp_pair()
    ours.send(bytes(MORE_THAN_FITS))
    unsent = unconfirmed(ours)
    assert dropped_by(coloop.go(ours.close, linger=5)) == unsent
    theirs.close()


@pytest.mark.parametrize("linger", [None, 30])
def test_a_close_in_peace_drops_nothing(linger: float | None) -> None:
    ours, theirs = tcp_pair()
    count = ours.send(bytes(MORE_THAN_FITS))
    closing = coloop.go(ours.close, linger=linger)
    theirs.recv_exactly(count)
    assert dropped_by(closing) == 0
    assert picture_of(closing).dropped_ago_s is None
    theirs.close()


def test_a_reset_over_nothing_drops_nothing() -> None:
    ours, theirs = tcp_pair()
    assert dropped_by(coloop.go(ours.close, linger=0)) == 0
    theirs.close()


def test_what_the_peer_has_refused_was_not_dropped_by_us() -> None:
    ours, theirs = tcp_pair()
    ours.send(bytes(MORE_THAN_FITS))
    theirs.close(linger=0)
    assert dropped_by(coloop.go(ours.close, linger=0)) == 0


def test_what_was_sent_over_a_unix_socket_can_be_read_after_a_reset() -> None:
    ours, theirs = socket_pair()
    count = ours.send(bytes(100_000))
    assert dropped_by(coloop.go(ours.close, linger=0)) == 0
    assert len(theirs.recv_exactly(count)) == count
    theirs.close()


def test_what_a_coroutine_drops_adds_up() -> None:
    losses = Losses()
    losses.add(7, "a", 100, 1.0)
    losses.add(7, "a", 20, 3.0)
    assert losses.of(7) == ("a", 120, 3.0)


def test_so_many_are_remembered_and_the_one_that_dropped_something_longest_ago_is_forgotten_first() -> None:
    losses = Losses()
    for number in range(KEPT):
        losses.add(number, "a", 1, 0.0)
    losses.add(0, "a", 1, 1.0)
    losses.add(KEPT, "a", 1, 1.0)
    assert losses.of(1) is None
    assert losses.of(0) == ("a", 2, 1.0)
