"""What tests wait with: a clock that is wound, a rest that is awaited, sockets without an address."""

import math

import pytest

import coloop
from coloop import current, go, run, sleep, suspend, timeout, to_thread, yield_now
from coloop.testing import AUTOJUMP_PATIENCE_S, MockClock, socket_pair, wait_until_idle

coroutine = pytest.mark.coroutine


# -- the clock -----------------------------------------------------------------------------------


def test_a_clock_begins_at_0_and_goes_on_when_it_is_wound() -> None:
    clock = MockClock()
    assert clock.now() == 0
    clock.advance(1.5)
    clock.advance(0)
    assert clock.now() == 1.5


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf])
def test_it_cannot_be_wound_back_or_out_of_the_world(seconds: float) -> None:
    clock = MockClock()
    with pytest.raises(ValueError, match="advance must be finite and not negative"):
        clock.advance(seconds)
    assert clock.now() == 0


def test_it_skips_forward_only() -> None:
    clock = MockClock()
    clock.skip_to(5)
    clock.skip_to(3)
    assert clock.now() == 5


def test_time_does_not_pass_by_itself() -> None:
    clock = MockClock()
    clock.advance(5)
    assert (clock.real_seconds_until(5), clock.real_seconds_until(4)) == (0, 0)
    assert clock.real_seconds_until(5.1) == math.inf


def test_its_patience_is_that_of_a_clock_that_jumps() -> None:
    assert MockClock().patience_s == AUTOJUMP_PATIENCE_S
    assert MockClock(autojump=False).patience_s is None


def test_with_autojump_a_day_passes_when_all_are_parked() -> None:
    clock, log = MockClock(), []

    def child(hours: float) -> None:
        sleep(hours * 3600)
        log.append((hours, clock.now()))

    def main() -> None:
        for hours in (24, 1, 12):
            go(child, hours)

    run(main, clock=clock)
    assert log == [(1, 3600), (12, 43200), (24, 86400)]


def test_it_does_not_jump_while_somebody_could_run() -> None:
    clock = MockClock()

    def main() -> float:
        go(sleep, 10)
        for _ in range(1000):
            yield_now()
        return clock.now()

    assert run(main, clock=clock) == 0


def test_it_does_not_jump_while_a_thread_is_at_work() -> None:
    clock = MockClock()

    def main() -> float:
        go(sleep, 10)
        to_thread(len, "")
        return clock.now()

    assert run(main, clock=clock) == 0


def test_without_autojump_it_goes_on_only_when_it_is_told() -> None:
    clock, log = MockClock(autojump=False), []

    def child() -> None:
        sleep(10)
        log.append(clock.now())

    def main() -> None:
        go(child)
        wait_until_idle()
        clock.advance(9)
        wait_until_idle()
        assert log == []
        clock.advance(1)
        wait_until_idle()
        assert log == [10]

    run(main, clock=clock)


# -- rest ----------------------------------------------------------------------------------------


@coroutine
def test_idle_is_when_all_others_are_parked(mock_clock: MockClock) -> None:
    log = []

    def child() -> None:
        for i in range(10):
            yield_now()
            log.append(i)
        suspend()

    waiting = go(child)
    assert wait_until_idle() is True
    assert (log, waiting.waiting_on) == (list(range(10)), "suspend")
    assert mock_clock.now() == 0
    waiting.cancel()


@coroutine
def test_nobody_is_idle_while_bytes_wait_to_be_read() -> None:
    left, right = socket_pair()
    reader = go(right.recv)
    left.send(b"x")
    assert wait_until_idle() is True
    assert reader.result() == b"x"
    left.close()
    right.close()


@coroutine
def test_who_waits_for_rest_too_long_hears_that_there_is_none(mock_clock: MockClock) -> None:
    def restless() -> None:
        while True:
            mock_clock.advance(0.01)
            yield_now()

    spinning = go(restless)
    assert wait_until_idle(timeout=1) is False
    spinning.cancel()


@coroutine
def test_a_limit_of_the_block_is_not_taken_for_its_own(mock_clock: MockClock) -> None:
    def restless() -> None:
        while True:
            mock_clock.advance(0.01)
            yield_now()

    spinning = go(restless)
    with pytest.raises(coloop.Timeout, match="timed out after 1s"), timeout(1):
        wait_until_idle(timeout=5)
    spinning.cancel()


@coroutine
def test_several_may_wait_for_rest() -> None:
    children = [go(wait_until_idle) for _ in range(3)]
    assert wait_until_idle() is True
    assert [child.result() for child in children] == [True, True, True]


# -- sockets -------------------------------------------------------------------------------------


@coroutine
def test_a_socket_pair_is_connected_both_ways_and_its_makers() -> None:
    left, right = socket_pair()
    left.sendall(b"to the right")
    right.sendall(b"to the left")
    assert (right.recv(), left.recv()) == (b"to the right", b"to the left")
    assert left.owner == right.owner == current().id
    left.close()
    assert right.recv() == b""
    right.close()
