"""Whoever sleeps wakes in time, what is due is called once, and no timer outlives the wait it was set for."""

import math
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from coloop import (
    Cancelled,
    NotRunning,
    Timeout,
    current,
    current_scheduler,
    go,
    run,
    sleep,
    suspend,
    yield_now,
)
from coloop.testing import MockClock, wait_until_idle

KillInside = Callable[[Callable[[], object], int], bool]


def timers_left() -> int:
    return len(current_scheduler().timers)


def fail(message: str) -> None:
    raise RuntimeError(message)


# -- sleep ---------------------------------------------------------------------------------------


@pytest.mark.coroutine
def test_sleepers_wake_in_time_and_in_order(mock_clock: MockClock) -> None:
    log: list[tuple[float, float]] = []
    for seconds in (3, 1.5, 2, 1.5):
        go(lambda seconds=seconds: [sleep(seconds), log.append((seconds, mock_clock.now()))])
    sleep(seconds=4)
    assert log == [(1.5, 1.5), (1.5, 1.5), (2, 2.0), (3, 3.0)]
    assert timers_left() == 0


@pytest.mark.coroutine
@pytest.mark.parametrize("nothing", [0, 0.0, -0.0])
def test_no_time_at_all_only_yields(mock_clock: MockClock, nothing: float) -> None:
    log: list[str] = []
    go(lambda: [sleep(nothing), log.append("other")])
    log.append("me")
    sleep(nothing)
    assert (log, timers_left(), mock_clock.now()) == (["me", "other"], 0, 0.0)


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
def test_a_sleeper_is_shown_with_the_time_that_is_left() -> None:
    sleeper = go(sleep, 2)
    sleep(0.5)
    assert (sleeper.waiting_on, sleeper.account.timers) == ("sleep 1.5s", 1)


@pytest.mark.coroutine
@pytest.mark.parametrize(
    ("seconds", "kind", "words"),
    [
        (-1, ValueError, "sleep must be finite and not negative, not -1.0"),
        (math.nan, ValueError, "sleep must be finite and not negative, not nan"),
        (math.inf, ValueError, "sleep must be finite and not negative, not inf"),
        (10**400, ValueError, "sleep is too large a number of seconds"),
        (True, TypeError, "sleep must be a number of seconds, not True"),
        ("1", TypeError, "sleep must be a number of seconds, not '1'"),
    ],
)
def test_what_is_no_time_is_refused_by_name(seconds: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as refused:
        sleep(seconds)
    assert str(refused.value) == words
    assert timers_left() == 0


@pytest.mark.coroutine
@pytest.mark.parametrize("given", [((), {}), ((1, 2), {}), ((), {"second": 1}), ((1,), {"seconds": 1})])
def test_sleep_takes_one_number(given: Any) -> None:
    with pytest.raises(TypeError, match="sleep"):
        sleep(*given[0], **given[1])


@pytest.mark.coroutine
def test_only_a_coroutine_sleeps_and_a_refused_one_leaves_no_timer(observer: Any) -> None:
    go(wait_until_idle).join()
    current_scheduler().call_soon_threadsafe(sleep, 1)
    wait_until_idle()
    assert observer.failures.pop().exception_type == "NotRunning"
    assert timers_left() == 0


def test_without_a_scheduler_nobody_sleeps() -> None:
    with pytest.raises(NotRunning, match="no scheduler runs on this thread"):
        sleep(1)


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
@pytest.mark.parametrize("how", ["cancel", "throw"])
def test_who_is_interrupted_in_his_sleep_leaves_no_timer_for_the_next_wait(how: str) -> None:
    def child() -> None:
        try:
            sleep(1)
        except (Cancelled, KeyError):
            assert sleeper.account.timers == 0
        assert suspend() == "resumed"

    sleeper = go(child)
    assert sleeper.account.timers == 1
    sleeper.cancel() if how == "cancel" else sleeper.throw(KeyError())
    sleep(5)
    assert sleeper.waiting_on == "suspend"
    sleeper.resume("resumed")
    sleeper.result()


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
@pytest.mark.parametrize("wait", [lambda: sleep(1), lambda: current_scheduler().park("wait", None, 1)])
def test_wherever_a_kill_strikes_no_timer_is_left(
    kill_inside: KillInside, wait: Callable[[], object]
) -> None:
    def attempt() -> None:
        try:
            wait()
        except Timeout:
            return

    for place in count():
        struck = kill_inside(attempt, place)
        assert timers_left() == 0, f"place {place}"
        if not struck:
            break


def test_a_clock_that_fails_fails_the_one_who_asks_and_nobody_else() -> None:
    class Moody(MockClock):
        fails = False

        def now(self) -> float:
            if self.fails:
                self.fails = False
                raise OSError("no time")
            return super().now()

    def main() -> None:
        for wait in (lambda: sleep(1), lambda: current_scheduler().park("wait", None, 1)):
            clock.fails = True
            with pytest.raises(OSError, match="no time"):
                wait()
            assert (timers_left(), current()) == (0, me)
        sleep(1)

    def first() -> None:
        nonlocal me
        me = current()
        main()

    me = None
    clock = Moody()
    run(first, clock=clock)
    assert clock.now() == 1.0


@pytest.mark.coroutine
def test_a_time_beyond_all_numbers_is_refused(mock_clock: MockClock) -> None:
    mock_clock.advance(1.7e308)
    for wait in (lambda: sleep(1e308), lambda: current_scheduler().call_later(1e308, suspend)):
        with pytest.raises(AssertionError):
            wait()
    assert timers_left() == 0


# -- calls that are due --------------------------------------------------------------------------


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
def test_one_that_is_cancelled_by_another_of_the_same_instant_is_not_called() -> None:
    scheduler, log = current_scheduler(), []
    first = scheduler.call_later(1, lambda: second.cancel())
    second = scheduler.call_later(1, log.append, "second")
    scheduler.call_later(1, log.append, "third")
    sleep(2)
    assert log == ["third"]
    assert not (first.active)
    assert not (second.active)


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
def test_a_call_that_fails_is_told_and_the_others_are_made(observer: Any) -> None:
    scheduler, log = current_scheduler(), []
    scheduler.call_later(1, fail, "first")
    scheduler.call_later(1, int, "second")
    scheduler.call_later(1, log.append, "third")
    sleep(1)
    assert log == ["third"]
    told = [(failure.name, failure.message) for failure in observer.failures]
    assert told == [("fail", "first"), ("int", "invalid literal for int() with base 10: 'second'")]
    assert "in fail" in observer.failures[0].traceback
    observer.failures.clear()


def test_what_is_no_failure_but_an_end_passes_through() -> None:
    def main() -> None:
        def interrupt() -> None:
            raise KeyboardInterrupt

        current_scheduler().call_later(1, interrupt)
        current_scheduler().call_later(1, log.append, "never")
        sleep(5)

    log: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run(main, clock=MockClock(autojump=True))
    assert log in ([], ["never"])


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
def test_a_call_may_start_coroutines_and_set_calls() -> None:
    scheduler, log = current_scheduler(), []

    def due(left: int) -> None:
        go(lambda: [log.append(left), yield_now(), log.append(-left)])
        if left:
            scheduler.call_later(0, due, left - 1)

    scheduler.call_later(1, due, 3)
    sleep(2)
    assert sorted(log) == [-3, -2, -1, 0, 0, 1, 2, 3]


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
def test_what_a_call_held_is_let_go_of_when_it_was_made() -> None:
    timer = current_scheduler().call_later(1, lambda *_: None, "held")
    assert (timer.owner, timer.args, timer.active) == (current(), ("held",), True)
    sleep(1)
    assert (timer.owner, timer.fn, timer.args, timer.active) == (None, None, (), False)
