"""A call that is due later is made once, or to a beat that does not drift; `run` waits for the first only."""

import contextvars
import gc
import math
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import coloop
from coloop import (
    Channel,
    Deadlock,
    Event,
    NotRunning,
    WrongThread,
    after,
    current,
    current_scheduler,
    every,
    go,
    run,
    sleep,
    suspend,
    to_thread,
    yield_now,
)
from coloop.testing import MockClock, wait_until_idle

coroutine = [pytest.mark.coroutine, pytest.mark.usefixtures("mock_clock")]


def in_a_coroutine(test: Any) -> Any:
    for mark in coroutine:
        test = mark(test)
    return test


class Oops(Exception):
    pass


def fail(text: str) -> None:
    raise Oops(text)


# -- after ---------------------------------------------------------------------------------------


@in_a_coroutine
def test_after_calls_once_at_its_time_in_a_coroutine_that_may_park(mock_clock: MockClock) -> None:
    log: list[Any] = []

    def call(*args: Any) -> None:
        log.append((mock_clock.now(), current().name, args))
        sleep(1)
        log.append(mock_clock.now())

    handle = after(2.5, call, 1, "b")
    assert (handle.active, handle.coroutine, log) == (True, None, [])
    sleep(2.75)
    assert (handle.active, handle.calls) == (False, 1)
    assert handle.coroutine.waiting_on.startswith("sleep")
    sleep(100)
    assert log == [(2.5, "call", (1, "b")), 3.5]
    assert handle.coroutine is None


@in_a_coroutine
def test_its_coroutine_has_the_name_and_the_place_of_the_one_who_asked() -> None:
    handles = [after(1, suspend, name="nap"), every(1, suspend, name="tick")]
    sleep(1.5)
    assert [handle.coroutine.name for handle in handles] == ["nap", "tick"]
    assert {handle.coroutine.parent_id for handle in handles} == {None}
    for handle in handles:
        assert handle.coroutine.spawned_at.startswith("test_after.py:")
        handle.cancel()
        handle.coroutine.cancel()


@in_a_coroutine
def test_after_no_time_at_all_it_is_called_at_the_next_turn() -> None:
    log: list[str] = []
    after(0, log.append, "called")
    assert log == []
    wait_until_idle()
    assert log == ["called"]


@in_a_coroutine
def test_calls_of_the_same_instant_are_made_in_the_order_in_which_they_were_asked_for() -> None:
    log: list[int] = []
    for i in range(5):
        after(1, log.append, i)
    sleep(2)
    assert log == list(range(5))


@in_a_coroutine
def test_a_cancelled_one_is_never_called_and_holds_nothing() -> None:
    class Thing:
        pass

    thing = Thing()
    handles = [after(1, fail, thing), every(1, fail, thing)]
    assert [handle.cancel() for handle in handles] == [True, True]
    assert [handle.cancel() for handle in handles] == [False, False]
    seen = weakref.ref(thing)
    del thing
    gc.collect()
    assert seen() is None
    assert coloop.snapshot().timers == 0
    sleep(5)


@in_a_coroutine
def test_one_that_was_called_holds_nothing_either() -> None:
    class Thing:
        pass

    thing = Thing()
    seen = weakref.ref(thing)
    handle = after(1, lambda found: None, thing)
    del thing
    sleep(2)
    gc.collect()
    assert seen() is None
    assert handle.cancel() is False


@in_a_coroutine
def test_to_cancel_leaves_a_call_that_is_under_way_alone() -> None:
    done = Event()
    handle = every(1, lambda: (sleep(5), done.set()))
    sleep(1.5)
    assert handle.cancel() is True
    assert done.wait(10)
    sleep(10)
    assert handle.calls == 1


@in_a_coroutine
def test_who_set_it_and_has_ended_is_not_held() -> None:
    setter = go(lambda: after(1, len, "").id)
    seen = weakref.ref(setter)
    del setter
    gc.collect()
    assert seen() is None


@in_a_coroutine
def test_a_failure_is_reported_as_that_of_any_coroutine(observer: Any) -> None:
    after(1, fail, "why", name="late")
    sleep(2)
    failure = observer.failures.pop()
    assert (failure.name, failure.exception_type, failure.message) == ("late", "Oops", "why")
    assert failure.id > 0


@in_a_coroutine
def test_it_sees_the_context_as_it_was_when_it_was_asked_for() -> None:
    seen: list[str] = []

    def call() -> None:
        seen.append(variable.get())
        variable.set("of the call")

    variable.set("then")
    after(1, call)
    beat = every(1, call)
    variable.set("now")
    sleep(2.5)
    beat.cancel()
    assert seen == ["then", "then", "then"]
    assert variable.get() == "now"


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@in_a_coroutine
def test_a_pending_one_is_among_the_timers_of_the_snapshot_and_on_nobodys_account() -> None:
    handles = [after(5, len, ""), every(5, len, "")]
    picture = coloop.snapshot()
    assert (picture.timers, picture.coroutines[0].timers) == (2, 0)
    for handle in handles:
        handle.cancel()


@in_a_coroutine
def test_one_that_waits_in_vain_is_not_saved_by_a_timer_that_it_set_for_something_else() -> None:
    def child() -> None:
        after(100, len, "")
        Channel().receive()

    stuck = go(child)
    assert [picture.id for picture in coloop.snapshot(stuck=True).coroutines if picture.stuck] == [stuck.id]
    stuck.cancel()


@in_a_coroutine
def test_one_that_waits_for_what_the_call_holds_is_not_stuck() -> None:
    channel: Channel[str] = Channel()
    child = go(channel.receive)
    after(1, channel.send, "late")
    del channel
    assert not any(picture.stuck for picture in coloop.snapshot(stuck=True).coroutines)
    assert child.result() == "late"


# -- every ---------------------------------------------------------------------------------------


@in_a_coroutine
def test_the_beat_does_not_drift(mock_clock: MockClock) -> None:
    beats: list[float] = []
    handle = every(0.1, lambda: beats.append(mock_clock.now()))
    sleep(100.05)
    handle.cancel()
    assert beats == [k * 0.1 for k in range(1, 1001)]
    assert (handle.calls, handle.skipped) == (1000, 0)


@in_a_coroutine
def test_lateness_of_one_beat_is_not_carried_to_the_next(mock_clock: MockClock) -> None:
    beats: list[float] = []
    handle = every(1, lambda: beats.append(mock_clock.now()))
    mock_clock.advance(1.7)
    sleep(1.5)
    handle.cancel()
    assert beats == [1.7, 2.0, 3.0]
    assert handle.skipped == 0


@in_a_coroutine
@pytest.mark.parametrize(
    ("held_up_s", "beats", "skipped"), [(3.5, [3.5, 4.0], 2), (3.0, [3.0, 4.0], 2), (0.9, [1.0, 2.0], 0)]
)
def test_beats_that_a_hold_up_swallowed_are_one_call_and_counted(
    mock_clock: MockClock, held_up_s: float, beats: list[float], skipped: int
) -> None:
    seen: list[float] = []
    handle = every(1, lambda: seen.append(mock_clock.now()))
    mock_clock.advance(held_up_s)
    while handle.calls < 2:
        sleep(0.01)
    handle.cancel()
    assert (seen, handle.skipped) == (beats, skipped)


@in_a_coroutine
@pytest.mark.parametrize(
    ("start", "period_s", "beat", "early"),
    [(7.7, 0.3, 38, True), (1000.1, 1 / 3, 32, False)],  # the division rounds up; it rounds down
)
def test_a_beat_is_due_at_its_time_however_the_division_rounds(
    mock_clock: MockClock, start: float, period_s: float, beat: int, early: bool
) -> None:
    mock_clock.skip_to(start)
    mock_clock.autojump = False
    handle = every(period_s, len, "")
    deadline = start + beat * period_s
    mock_clock.skip_to(math.nextafter(deadline, 0) if early else deadline)
    wait_until_idle()
    assert (handle.calls, handle.skipped) == (1, beat - 1 - early)
    mock_clock.skip_to(deadline)
    wait_until_idle()
    assert (handle.calls, handle.skipped) == (1 + early, beat - 1 - early)
    handle.cancel()


@in_a_coroutine
def test_calls_never_overlap_and_what_was_left_out_is_counted(mock_clock: MockClock) -> None:
    log: list[tuple[str, float]] = []

    def slow() -> None:
        log.append(("begins", mock_clock.now()))
        sleep(2.5)
        log.append(("ends", mock_clock.now()))

    handle = every(1, slow)
    sleep(6)
    handle.cancel()
    sleep(10)
    assert log == [("begins", 1), ("ends", 3.5), ("begins", 4), ("ends", 6.5)]
    assert (handle.calls, handle.skipped) == (2, 4)


@in_a_coroutine
def test_the_beat_goes_on_after_failures_and_cancelled_calls(observer: Any) -> None:
    def call() -> None:
        if handle.calls == 0:
            fail("first")
        if handle.calls == 1:
            current().cancel()
            yield_now()

    handle = every(1, call)
    sleep(3.5)
    handle.cancel()
    assert handle.calls == 3
    assert [failure.message for failure in observer.failures] == ["first"]
    observer.failures.clear()


@in_a_coroutine
def test_a_call_may_cancel_its_own_beat() -> None:
    log: list[int] = []

    def call() -> None:
        log.append(len(log))
        if len(log) == 3:
            handle.cancel()

    handle = every(1, call)
    sleep(10)
    assert (log, handle.active) == ([0, 1, 2], False)


def test_a_beat_for_which_there_is_no_room_is_reported_and_the_next_may_fare_better(observer: Any) -> None:
    def main() -> int:
        other = go(sleep, 1.5)
        handle = every(1, len, "", name="tick")
        other.join()
        sleep(1)
        handle.cancel()
        return handle.calls

    assert run(main, max_coroutines=2, clock=MockClock(), observer=observer) == 1
    (failure,) = observer.failures
    assert (failure.name, failure.exception_type) == ("tick", "TooManyCoroutines")


# -- what run waits for --------------------------------------------------------------------------


def test_run_waits_for_a_call_that_is_still_to_come_although_main_has_ended() -> None:
    clock, log = MockClock(), []

    def call() -> None:
        sleep(1)
        log.append(clock.now())

    run(lambda: after(5, call) and None, clock=clock)
    assert log == [6.0]


def test_run_does_not_wait_for_a_beat() -> None:
    clock, log = MockClock(), []

    def main() -> str:
        every(1, log.append, "beat")
        sleep(3.5)
        return "well"

    assert run(main, clock=clock) == "well"
    assert (log, clock.now()) == (["beat"] * 3, 3.5)


def test_a_beat_lives_on_as_long_as_any_coroutine_or_call_to_come() -> None:
    clock, log = MockClock(), []

    def main() -> None:
        every(1, lambda: log.append(clock.now()))
        go(sleep, 2.5)
        after(4.5, len, "")

    run(main, clock=clock)
    assert log == [1, 2, 3, 4]


def test_run_waits_for_the_call_of_a_beat_that_is_under_way() -> None:
    clock, log = MockClock(), []

    def main() -> None:
        every(1, lambda: (sleep(10), log.append(clock.now())))
        sleep(1.5)

    run(main, clock=clock)
    assert log == [11.0]


def test_a_cancelled_one_is_not_waited_for() -> None:
    clock = MockClock()
    run(lambda: after(5, len, "").cancel(), clock=clock)
    assert clock.now() == 0


def test_mains_failure_is_told_at_once_when_a_call_is_still_to_come(observer: Any) -> None:
    told: list[int] = []

    def main() -> None:
        after(5, lambda: told.append(len(observer.failures)))
        fail("main")

    with pytest.raises(Oops, match="main"):
        run(main, clock=MockClock(), observer=observer)
    assert told == [1]


@pytest.mark.parametrize("timer", [after, every])
def test_a_pending_call_is_hope(timer: Callable[..., Any]) -> None:
    def main() -> str:
        event = Event()
        timer(5, event.set)
        event.wait()
        return "woken"

    assert run(main, clock=MockClock()) == "woken"


def test_when_the_last_call_was_made_or_cancelled_there_is_no_hope_left() -> None:
    def main() -> None:
        after(5, len, "")
        every(1, len, "").cancel()
        suspend()

    with pytest.raises(Deadlock):
        run(main, clock=MockClock())


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_nothing_begins_any_more_when_the_scheduler_ends(error: BaseException) -> None:
    log: list[str] = []

    def cleans_up() -> None:
        try:
            suspend()
        finally:
            sleep(10)
            after(0, log.append, "after the end")
            every(1, log.append, "after the end")
            sleep(10)

    def main() -> None:
        go(cleans_up)
        after(5, log.append, "after")
        every(1, log.append, "every")
        raise error

    with pytest.raises(type(error)):
        run(main, clock=MockClock())
    assert log == []


# -- misuse --------------------------------------------------------------------------------------


@in_a_coroutine
@pytest.mark.parametrize("timer", [after, every])
@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf])
def test_seconds_are_finite_and_not_negative(timer: Callable[..., Any], seconds: float) -> None:
    with pytest.raises(ValueError, match=f"{timer.__name__} must be finite and not negative"):
        timer(seconds, len, "")
    with pytest.raises(TypeError, match=f"{timer.__name__} must be a number of seconds, not '1'"):
        timer("1", len, "")
    with pytest.raises(
        TypeError, match=f"{timer.__name__} takes seconds, a function and its arguments, not 3"
    ):
        timer(1, 3)


@in_a_coroutine
@pytest.mark.parametrize("seconds", [0, 1e-7])
def test_a_beat_is_a_microsecond_at_least(seconds: float) -> None:
    with pytest.raises(ValueError, match="every must be at least 1e-06 seconds"):
        every(seconds, len, "")
    assert coloop.snapshot().timers == 0


@pytest.mark.parametrize("timer", [after, every])
def test_without_a_scheduler_there_is_no_time(timer: Callable[..., Any]) -> None:
    with pytest.raises(NotRunning, match="no scheduler runs on this thread"):
        timer(1, len, "")


@in_a_coroutine
@pytest.mark.parametrize("timer", [after, every])
def test_a_handle_belongs_to_its_own_thread(timer: Callable[..., Any]) -> None:
    handle = timer(1, len, "")
    with pytest.raises(WrongThread, match=r"use scheduler\.call_soon_threadsafe"):
        to_thread(handle.cancel)
    current_scheduler().call_soon_threadsafe(handle.cancel)
    wait_until_idle()
    assert not handle.active


@in_a_coroutine
def test_a_handle_says_what_it_is() -> None:
    once, beat = after(1, len, ""), every(1, len, "")
    assert (str(once), str(beat)) == (f"after#{once.id}", f"every#{beat.id}")
    assert repr(beat) == f"<every#{beat.id} len pending, 0 calls, 0 skipped>"
    sleep(1.5)
    assert repr(once) == f"<after#{once.id} len over, 1 calls, 0 skipped>"
    beat.cancel()
