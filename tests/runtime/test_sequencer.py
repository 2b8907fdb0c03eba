"""Blocks run in the order of their numbers, and a sequence that cannot go on says so to everyone."""

import gc
import re
import weakref
from typing import Any

import pytest

import coloop
from coloop import (
    Cancelled,
    CoroutineError,
    Deadlock,
    current_scheduler,
    go,
    run,
    sleep,
    timeout,
    to_thread,
    yield_now,
)
from coloop.testing import MockClock, Sequencer, wait_until_idle

pytestmark = pytest.mark.usefixtures("mock_clock")
coroutine = pytest.mark.coroutine


class Oops(Exception):
    pass


@coroutine
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_blocks_run_in_the_order_of_their_numbers(order: tuple[int, ...]) -> None:
    seq, log = Sequencer(), []

    def child(position: int) -> None:
        with seq(position):
            log.append(f"{position} begins")
            yield_now()
            sleep(1)
            log.append(f"{position} ends")

    for position in order:
        go(child, position)
    sleep(10)
    assert log == [f"{position} {what}" for position in range(4) for what in ("begins", "ends")]


@coroutine
def test_one_coroutine_may_have_several_numbers() -> None:
    seq, log = Sequencer(), []

    def other() -> None:
        with seq(1):
            log.append(1)
        with seq(3):
            log.append(3)

    go(other)
    with seq(0):
        log.append(0)
    with seq(2):
        log.append(2)
    wait_until_idle()
    assert log == [0, 1, 2, 3]


@coroutine
def test_a_block_that_fails_passes_the_turn_on() -> None:
    seq = Sequencer()
    with pytest.raises(Oops):
        with seq(0):
            raise Oops
    with seq(1):
        pass


@coroutine
def test_a_number_is_used_once() -> None:
    seq = Sequencer()
    with seq(0):
        pass
    with pytest.raises(CoroutineError, match=f"^{seq}: position 0 was used already$"):
        with seq(0):
            pass
    with seq(1):
        pass


@coroutine
def test_who_waits_says_which_numbers_are_missing() -> None:
    seq = Sequencer()

    def child(position: int) -> None:
        with seq(position):
            pass

    waiting = go(child, 3)
    go(child, 1)
    assert waiting.waiting_on == f"wait for turn 3 of {seq} (0, 2 missing)"
    child(0)
    wait_until_idle()
    assert waiting.waiting_on == f"wait for turn 3 of {seq} (2 missing)"
    child(2)
    waiting.join()


def test_a_missing_number_is_a_deadlock_that_names_it() -> None:
    def main() -> None:
        with Sequencer()(1):
            pass

    with pytest.raises(Deadlock, match=r"wait for turn 1 of sequencer#\d+ \(0 missing\)"):
        run(main)


@coroutine
@pytest.mark.parametrize("end", ["cancel", "kill", "timeout"])
def test_when_one_leaves_before_its_turn_all_hear_that_the_sequence_is_broken(fails: Any, end: str) -> None:
    seq, log = Sequencer(), []

    def child(position: int, seconds: float = 100) -> None:
        with timeout(seconds):
            with seq(position):
                log.append(position)

    leaving = go(child, 2, 1 if end == "timeout" else 100)
    others = [fails(child, 1), fails(child, 3)]
    if end == "cancel":
        leaving.cancel()
    elif end == "kill":
        assert current_scheduler().kill(leaving) == "ended"
    else:
        with pytest.raises(coloop.Timeout):
            leaving.result()
    for other in others:
        assert str(other.result()) == f"{seq} is broken: {leaving} left before its turn 2"
        assert isinstance(other.result(), CoroutineError)
    with pytest.raises(CoroutineError, match=re.escape(f"{seq} is broken: {leaving} left before its turn 2")):
        child(0)
    leaving.join()
    assert log == []


@coroutine
def test_a_block_that_has_begun_ends_as_it_would_in_a_broken_sequence() -> None:
    seq, log = Sequencer(), []

    def child() -> None:
        with seq(1):
            log.append(1)

    waiting = go(child)
    with seq(0):
        waiting.cancel()
        waiting.join()
        log.append(0)
    assert (log, waiting.state) == ([0], "cancelled")


@coroutine
def test_one_whose_turn_has_come_and_who_is_cancelled_a_moment_later_has_its_turn() -> None:
    seq, log = Sequencer(), []

    def child() -> None:
        with seq(1):
            log.append("in")
            try:
                yield_now()
            except Cancelled:
                log.append("cancelled")
        with seq(2):
            log.append("next")

    waiting = go(child)
    with seq(0):
        pass
    waiting.cancel()
    waiting.join()
    assert log == ["in", "cancelled", "next"]


@coroutine
def test_who_can_never_have_a_turn_is_stuck_and_who_can_is_not() -> None:
    seq, forgotten = Sequencer(), Sequencer()

    def child(sequencer: Sequencer) -> None:
        with sequencer(1):
            pass

    held, lost = go(child, seq), go(child, forgotten)
    del forgotten
    stuck = {picture.id for picture in coloop.snapshot(stuck=True).coroutines if picture.stuck}
    assert stuck == {lost.id}
    with seq(0):
        pass
    lost.cancel()
    held.join()


@coroutine
def test_a_sequence_holds_nobody_who_has_ended() -> None:
    seq = Sequencer()

    def child() -> None:
        with seq(1):
            pass

    ended = weakref.ref(go(child))
    with seq(0):
        pass
    wait_until_idle()
    gc.collect()
    assert ended() is None


@coroutine
def test_misuse_is_told() -> None:
    seq = Sequencer()
    for wrong in (-1, 1.0, "0", True):
        with pytest.raises(ValueError, match="a position must be an integer >= 0, not"):
            seq(wrong).__enter__()
    with seq(0):
        pass
    with pytest.raises(coloop.NotRunning, match="no scheduler runs on this thread"):
        to_thread(seq(1).__enter__)
    with pytest.raises(coloop.WrongThread, match=f"{seq} belongs to another scheduler"):
        to_thread(run, seq(1).__enter__)
    assert repr(seq) == f"<Sequencer#{seq.id} at 1, 0 waiting>"


def test_only_coroutines_have_turns(observer: Any) -> None:
    def main() -> None:
        coloop.call_soon_threadsafe(Sequencer()(0).__enter__)
        yield_now()
        sleep(1)

    run(main, clock=MockClock(), observer=observer)
    assert observer.failures.pop().message == "a sequence orders coroutines: this is none"
