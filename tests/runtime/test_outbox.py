from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import coloop
from coloop._callbacks import Settings
from coloop._outbox import WRITE_BYTES, Outbox
from coloop._socket import Socket
from coloop.testing import socket_pair, wait_until_idle

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]

BIG = 4 << 20  # more than the kernel takes


class Broken(list[BaseException]):
    """Why nothing can be sent any more."""


@contextmanager
def outbox(**options: object) -> Iterator[tuple[Outbox, Socket, Broken]]:
    ours, theirs = socket_pair()
    broken = Broken()
    settings = Settings(**{"high_water": 1000, "low_water": 100, **options})  # type: ignore[arg-type]
    with ours, theirs:
        box = Outbox(ours, "s/c1", settings, broken.append)
        yield box, theirs, broken
        box.refuse(lambda: coloop.Cancelled("the test is over"))
        ours.close(linger=0)


def fill(box: Outbox) -> int:
    """Send until something is queued; returns how many bytes were sent."""
    size = 0
    while not box.queued:
        box.put(b"f" * 8192)
        size += 8192
    return size


def read(peer: Socket, size: int) -> bytes:
    return peer.recv_exactly(size)


def writers() -> list[str]:
    return [one.name for one in coloop.snapshot().coroutines if one.name.endswith("/out")]


def test_what_the_kernel_takes_costs_no_coroutine() -> None:
    with outbox() as (box, peer, _):
        before = coloop.go(lambda: None).id
        box.put(b"hello")
        assert coloop.go(lambda: None).id == before + 1
        assert (box.queued, box.full, peer.recv()) == (0, False, b"hello")


def test_what_it_does_not_take_is_queued_and_written_by_one_coroutine_until_nothing_is_left() -> None:
    with outbox(high_water=1 << 30) as (box, peer, _):
        size = fill(box)
        for number in range(5000):
            box.put(b"%8d" % number)
        wait_until_idle()
        assert writers() == ["s/c1/out"]
        assert box.queued >= 5000 * 8
        assert peer.recv_exactly(size) == b"f" * size
        assert peer.recv_exactly(5000 * 8) == b"".join(b"%8d" % number for number in range(5000))
        wait_until_idle()
        assert (box.queued, writers()) == (0, [])
        box.put(b"later")
        assert peer.recv() == b"later"


def test_one_message_may_be_longer_than_all_that_may_be_queued() -> None:
    with outbox() as (box, peer, _):
        box.put(b"x" * BIG)
        assert box.full
        assert peer.recv_exactly(BIG) == b"x" * BIG
        wait_until_idle()
        assert not box.full


def test_small_messages_are_put_together_and_long_ones_are_not_copied() -> None:
    with outbox(high_water=1 << 30) as (box, _, _):
        fill(box)
        for _ in range(100_000 // 10):
            box.put(b"0123456789")
        box.put(b"x" * BIG)
        head = box._next()
        box._messages.popleft()
        assert len(box._next()) <= WRITE_BYTES
        assert head
        assert box._messages[-1] is not box._next()


# -- watermarks ------------------------------------------------------------------------------------


def test_above_the_high_mark_who_sends_waits_until_it_is_down_to_the_low_one() -> None:
    with outbox() as (box, peer, _):
        box.put(b"x" * BIG)
        sender = coloop.go(box.put, b"late")
        assert (sender.state, sender.waiting_on) == ("waiting", "send to s/c1")
        held = box.queued
        read(peer, BIG // 2)
        wait_until_idle()
        assert 100 < box.queued < held
        assert sender.state == "waiting"
        assert read(peer, BIG - BIG // 2 + 4).endswith(b"xlate")
        assert sender.state == "done"


def test_between_the_marks_who_waits_goes_on_waiting() -> None:
    with outbox(high_water=3 << 20, low_water=1 << 20) as (box, peer, _):
        box.put(b"x" * BIG)
        sender = coloop.go(box.put, b"late")
        read(peer, BIG - (2 << 20))
        wait_until_idle()
        assert 1 << 20 < box.queued < 3 << 20
        assert sender.state == "waiting"
        read(peer, 3 << 19)
        wait_until_idle()
        assert sender.state == "done"


def test_what_is_sent_while_something_is_queued_waits_behind_it_though_the_kernel_has_room_again() -> None:
    with outbox(high_water=1 << 30) as (box, peer, _):
        size = fill(box)  # and its writer has not begun
        early = 0
        while early < size - box.queued:
            early += len(peer._raw.recv(1 << 20))
        box._socket._writable = True
        box.put(b"last")
        assert read(peer, size - early + 4).endswith(b"flast")


def test_those_who_wait_are_served_in_order_and_newcomers_do_not_overtake() -> None:
    with outbox() as (box, peer, _):
        box.put(b"x" * BIG)
        for number in range(9):
            coloop.go(box.put, b"%d" % number + b"." * 400)
        sent = read(peer, BIG)
        coloop.go(box.put, b"9")
        sent = read(peer, 9 * 401 + 1)
        assert bytes(each for each in sent if each != ord(".")) == b"0123456789"


def test_of_those_who_wait_no_more_are_let_in_than_there_is_room_for() -> None:
    with outbox() as (box, peer, _):
        box.put(b"x" * BIG)
        senders = [coloop.go(box.put, b"y" * BIG) for _ in range(3)]
        read(peer, BIG)
        wait_until_idle()
        assert [sender.state for sender in senders] == ["done", "waiting", "waiting"]
        read(peer, 3 * BIG)
        wait_until_idle()
        assert [sender.state for sender in senders] == ["done"] * 3


def test_one_who_is_cancelled_while_he_waits_has_sent_nothing() -> None:
    with outbox() as (box, peer, _):
        box.put(b"x" * BIG)
        first, second = coloop.go(box.put, b"first"), coloop.go(box.put, b"second")
        first.cancel()
        assert read(peer, BIG + 6).endswith(b"xsecond")
        assert (first.state, second.state) == ("cancelled", "done")


def test_one_who_was_woken_has_sent_though_he_is_cancelled_in_the_same_moment() -> None:
    with outbox() as (box, peer, _):
        box.put(b"x" * BIG)

        def send_and_wait() -> None:
            box.put(b"given")
            coloop.sleep(60)

        sender = coloop.go(send_and_wait)
        box.review(Settings(high_water=1 << 30, low_water=1 << 29))
        assert sender.state == "ready"
        sender.cancel()
        sender.join()
        assert sender.state == "cancelled"
        assert read(peer, BIG + 5).endswith(b"xgiven")


def test_a_wait_to_send_may_be_given_a_limit() -> None:
    with outbox() as (box, _, _):
        box.put(b"x" * BIG)
        with pytest.raises(coloop.Timeout), coloop.timeout(0.01):
            box.put(b"late")
        assert b"late" not in box._messages
        assert not box._line


def test_by_choice_who_sends_above_the_high_mark_is_refused() -> None:
    with outbox(overflow="fail") as (box, peer, broken):
        box.put(b"x" * BIG)
        queued = box.queued
        with pytest.raises(coloop.OutputFull, match=r"s/c1: \d+ bytes are queued \(high_water 1000\)"):
            box.put(b"refused")
        assert (box.queued, broken) == (queued, [])
        read(peer, BIG)
        wait_until_idle()
        box.put(b"taken")
        assert peer.recv() == b"taken"


def test_an_offer_never_waits() -> None:
    with outbox() as (box, peer, _):
        assert box.offer(b"x" * BIG)
        assert not box.offer(b"refused")
        read(peer, BIG)
        wait_until_idle()
        assert box.offer(b"taken")
        assert peer.recv() == b"taken"


def test_an_offer_does_not_overtake_those_who_wait() -> None:
    with outbox() as (box, _, _):
        box.put(b"x" * BIG)
        coloop.go(box.put, b"waits")
        box._full = False
        assert not box.offer(b"overtakes")


def test_other_watermarks_hold_at_once() -> None:
    with outbox() as (box, peer, _):
        box.put(b"x" * BIG)
        sender = coloop.go(box.put, b"waits")
        box.review(Settings(high_water=1 << 30, low_water=1 << 29))
        wait_until_idle()
        assert sender.state == "done"
        assert read(peer, BIG + 5).endswith(b"xwaits")


# -- the end ---------------------------------------------------------------------------------------


def test_it_is_waited_for_until_all_is_the_kernel_s() -> None:
    with outbox() as (box, peer, _):
        assert box.empty(60)
        box.put(b"x" * BIG)
        waiting = coloop.go(box.empty, 60)
        read(peer, BIG)
        assert waiting.result() is True


def test_a_peer_that_goes_on_reading_slowly_is_waited_for_longer_than_one_that_does_not(
    mock_clock: coloop.testing.MockClock,
) -> None:
    with outbox() as (box, peer, _):
        box.put(b"x" * BIG)
        waiting = coloop.go(box.empty, 10)
        for _ in range(5):
            coloop.sleep(9)
            read(peer, BIG // 16)
        assert waiting.state == "waiting"
        assert waiting.result() is False
        assert 50 <= mock_clock.now() <= 70


def test_a_peer_that_tears_it_down_breaks_it_and_nothing_is_left() -> None:
    with outbox() as (box, peer, broken):
        box.put(b"x" * BIG)
        peer.close(linger=0)
        wait_until_idle()
        (error,) = broken
        assert isinstance(error, ConnectionError)
        assert writers() == []


def test_who_sends_to_a_peer_that_has_gone_hears_of_it_and_so_does_the_connection() -> None:
    with outbox() as (box, peer, broken):
        peer.close(linger=0)
        with pytest.raises(ConnectionError):
            box.put(b"x")
        assert len(broken) == 1


def test_a_writer_that_is_cancelled_breaks_it() -> None:
    with outbox() as (box, _, broken):
        box.put(b"x" * BIG)
        wait_until_idle()
        scheduler = coloop.current_scheduler()
        (writer,) = [one for one in scheduler.living.values() if one.name.endswith("/out")]
        writer.cancel()
        writer.join()
        (error,) = broken
        assert isinstance(error, coloop.Cancelled)
        assert box.empty(1) is False


def test_a_writer_that_is_cancelled_before_it_begins_breaks_it_too() -> None:
    with outbox() as (box, _, broken):
        box.put(b"x" * BIG)
        states: list[str] = []

        def cancel_it() -> None:
            assert box._writer is not None
            states.append(box._writer.state)
            box._writer.cancel()

        coloop.current_scheduler().call_later(0.0, cancel_it)  # in the same turn of the root
        wait_until_idle()
        assert (states, len(broken)) == (["ready"], 1)
        assert box.empty(1) is False


def test_what_is_dropped_is_not_sent() -> None:
    with outbox() as (box, peer, _):
        box.put(b"x" * BIG)
        waits = coloop.go(box.put, b"waits")
        box.refuse(lambda: coloop.Closed("it is over"))
        box.drop()
        assert box.queued == 0
        with pytest.raises(coloop.Closed, match="it is over"):
            waits.result()
        wait_until_idle()
        assert writers() == []
        assert len(peer.recv(BIG)) < BIG


def test_without_room_for_a_writer_it_is_tried_again(mock_clock: coloop.testing.MockClock) -> None:
    with outbox() as (box, peer, broken):
        coloop.current_scheduler().max_coroutines = 1
        box.put(b"x" * BIG)
        coloop.sleep(1)
        assert (writers(), box.full) == ([], True)
        coloop.current_scheduler().max_coroutines = None
        assert read(peer, BIG) == b"x" * BIG
        wait_until_idle()
        assert (box.queued, broken) == (0, [])


def test_what_is_dropped_before_it_is_written_leaves_nothing_to_come() -> None:
    with outbox() as (box, _, broken):
        box.put(b"x" * BIG)
        box.drop()
        assert len(coloop.current_scheduler().timers) == 0
        wait_until_idle()
        assert (writers(), broken, box.empty(1)) == ([], [], False)


@pytest.mark.parametrize("how_full", ["empty", "queued"])
def test_wherever_a_sender_is_killed_his_message_is_sent_or_not_and_the_next_one_comes_whole(
    kill_inside: Callable[[Callable[[], object], int], bool], how_full: str
) -> None:
    place, struck = 0, True
    while struck:
        with outbox(high_water=1 << 30) as (box, peer, broken):
            size = fill(box) if how_full == "queued" else 0
            struck = kill_inside(lambda: box.put(b"killed"), place)
            box.put(b"next")
            read(peer, size)
            got = peer.recv_exactly(4)
            if got != b"next":
                got += peer.recv_exactly(6)
            assert got in {b"next", b"killednext"}
            wait_until_idle()
            assert (box.queued, broken) == (0, [])
        place += 1
    assert place > 3
