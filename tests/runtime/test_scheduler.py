"""Cancelling, the end of a scheduler, and calls from other threads."""

import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import coloop
from coloop import (
    Cancelled,
    Channel,
    Coroutine,
    Event,
    Group,
    Inbox,
    Scheduler,
    current,
    current_scheduler,
    defer,
    go,
    run,
    sleep,
    suspend,
    to_thread,
    yield_now,
)
from coloop import _scheduler as scheduler_module
from coloop.testing import MockClock, wait_until_idle


class Oops(Exception):
    pass


class Thing:
    """Something that a weak reference can point to."""


def fail(text: str = "") -> None:
    raise Oops(text)


# -- cancelling ----------------------------------------------------------------------------------


def in_group() -> None:
    with Group() as group:
        group.go(suspend)


def in_inbox() -> None:
    Inbox[int]().get()


def in_full_channel() -> None:
    channel: Channel[int] = Channel(1)
    channel.send(1)
    channel.send(2)


WAITS: list[Callable[[], object]] = [
    lambda: sleep(10),
    suspend,
    lambda: Channel[int]().receive(),
    lambda: Channel[int]().send(1),
    in_full_channel,
    lambda: Event().wait(),
    lambda: go(suspend_until_cancelled).join(),
    lambda: go(suspend_until_cancelled).result(),
    in_group,
    in_inbox,
    lambda: defer(suspend),
]


def suspend_until_cancelled() -> None:
    orphans.append(current())
    suspend()


orphans: list[Any] = []


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("how", ["cancel", "throw"])
def test_every_wait_can_be_ended_and_its_finally_runs(wait: Callable[[], object], how: str) -> None:
    log: list[Any] = []

    def child() -> None:
        defer(log.append, "deferred")
        try:
            wait()
        finally:
            log.append("finally")

    waiting = go(child)
    assert waiting.state == "waiting"
    if how == "cancel":
        assert waiting.cancel()
    else:
        waiting.throw(Oops())
    waiting.join()
    assert waiting.state == ("cancelled" if how == "cancel" else "failed")
    assert sorted(log) == ["deferred", "finally"]
    assert coloop.snapshot().timers == 0
    while orphans:
        orphans.pop().cancel()


@pytest.mark.coroutine
def test_a_call_on_a_thread_can_be_left_alone() -> None:
    release, finished = threading.Event(), threading.Event()
    child = go(to_thread, lambda: (release.wait(), finished.set()))
    child.cancel()
    child.join()
    assert child.state == "cancelled"
    release.set()
    finished.wait()
    while coloop.snapshot().threads:
        yield_now()


@pytest.mark.coroutine
def test_one_that_is_not_waiting_is_cancelled_at_its_next_wait() -> None:
    log: list[str] = []

    def child() -> None:
        yield_now()
        log.append("still here")
        suspend()
        log.append("never")

    ready = go(child)
    assert ready.state == "ready"
    ready.cancel()
    ready.join()
    assert (log, ready.state) == (["still here"], "cancelled")


@pytest.mark.coroutine
def test_one_can_cancel_itself() -> None:
    log: list[str] = []

    def child() -> None:
        current().cancel()
        log.append("goes on")
        yield_now()
        log.append("never")

    assert go(child).join()
    assert log == ["goes on"]


@pytest.mark.coroutine
def test_a_spawner_is_cancelled_by_what_it_spawned_at_its_next_wait() -> None:
    def parent() -> str:
        me = current()
        go(lambda: me.cancel())
        return "no wait, no cancel"

    assert go(parent).result() == "no wait, no cancel"


@pytest.mark.coroutine
def test_a_cancel_says_by_whom() -> None:
    def child() -> str:
        try:
            suspend()
        except Cancelled as error:
            return str(error)
        return ""

    waiting = go(child)
    waiting.cancel()
    assert waiting.result() == "cancelled by co#1"


@pytest.mark.coroutine
def test_the_dead_cannot_be_cancelled_and_nothing_is_thrown_into_them() -> None:
    child = go(lambda: "result")
    assert not child.cancel()
    child.throw(Oops())
    assert child.result() == "result"


@pytest.mark.coroutine
def test_throw_takes_an_exception_that_exists() -> None:
    child = go(suspend)
    with pytest.raises(TypeError, match="throw takes an exception, not <class 'ValueError'>"):
        child.throw(ValueError)  # type: ignore[arg-type]
    child.resume()


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
def test_what_cleans_up_may_wait_and_a_second_cancel_cuts_it_short() -> None:
    log: list[str] = []

    def child() -> None:
        try:
            suspend()
        finally:
            sleep(5)
            log.append("cleaned up")

    patient, pressed = go(child), go(child)
    patient.cancel()
    pressed.cancel()
    sleep(1)
    pressed.cancel()
    pressed.join()
    assert (pressed.age_s, log) == (1.0, [])
    patient.join()
    assert (patient.age_s, log) == (5.0, ["cleaned up"])


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
def test_a_cancel_that_is_swallowed_is_over() -> None:
    def child() -> str:
        try:
            suspend()
        except Cancelled:
            sleep(1)
        return "survived"

    waiting = go(child)
    waiting.cancel()
    assert waiting.result() == "survived"


@pytest.mark.coroutine
def test_two_cancels_strike_at_two_waits() -> None:
    log: list[int] = []

    def child() -> None:
        for i in range(3):
            try:
                suspend()
            except Cancelled:
                log.append(i)

    waiting = go(child)
    waiting.cancel()
    waiting.cancel()
    wait_until_idle()
    assert log == [0, 1]
    waiting.resume()
    waiting.join()


# -- the end of a scheduler ----------------------------------------------------------------------


def test_those_left_are_cancelled_and_clean_up_even_if_that_takes_time() -> None:
    log: list[Any] = []

    def child() -> None:
        defer(lambda: (sleep(1), log.append("deferred")))
        try:
            suspend()
        finally:
            sleep(1)
            log.append("finally")

    with pytest.raises(coloop.Deadlock):
        run(go, child, clock=MockClock())
    assert log == ["finally", "deferred"]


def test_who_swallows_a_cancel_at_the_end_is_killed_and_then_abandoned() -> None:
    caught: list[str] = []
    thing = Thing()
    held = weakref.ref(thing)

    def stubborn(_: Thing) -> None:
        while True:
            try:
                suspend()
            except BaseException as error:
                caught.append(type(error).__name__)

    children = []

    def main(thing: Thing) -> None:
        children.append(go(stubborn, thing))

    with pytest.raises(coloop.Deadlock):
        run(main, thing)
    assert caught[:3] == ["Cancelled", "Killed", "Killed"]
    assert children[0].ended
    assert held() is thing


def test_handles_outlive_their_scheduler() -> None:
    def main() -> tuple[Coroutine, Coroutine]:
        return go(lambda: "result"), go(suspend)

    with pytest.raises(coloop.Deadlock):
        run(main)
    kept: list[Coroutine] = []
    run(lambda: kept.extend((go(lambda: "result"), go(fail))), observer=Silent())
    done, failed = kept
    assert (done.join(), done.result(), done.state) == (True, "result", "done")
    with pytest.raises(Oops):
        failed.result()
    assert not done.cancel()


class Silent(coloop.Observer):
    def failed(self, failure: coloop.Failure) -> None:
        pass


# -- calls from other threads --------------------------------------------------------------------


def test_calls_from_many_threads_all_arrive_in_the_order_of_each_thread() -> None:
    arrived: list[tuple[int, int]] = []
    senders, each = 4, 2500

    def main() -> None:
        scheduler = current_scheduler()
        done = Event()

        def send(i: int) -> None:
            for k in range(each):
                scheduler.call_soon_threadsafe(arrived.append, (i, k))
            scheduler.call_soon_threadsafe(finished.append, i)
            scheduler.call_soon_threadsafe(lambda: done.set() if len(finished) == senders else None)

        finished: list[int] = []
        threads = [threading.Thread(target=send, args=(i,)) for i in range(senders)]
        busy = go(lambda: [yield_now() for _ in range(2000)])
        for thread in threads:
            thread.start()
        go(done.wait, timeout=50)
        assert done.wait(timeout=50)
        busy.join()
        for thread in threads:
            thread.join()

    run(main)
    assert len(arrived) == senders * each
    for i in range(senders):
        assert [k for sender, k in arrived if sender == i] == list(range(each))


@pytest.mark.coroutine
def test_a_call_may_start_a_coroutine() -> None:
    inbox: Inbox[str] = Inbox()
    thread = threading.Thread(
        target=current_scheduler().call_soon_threadsafe, args=(go, inbox.put, "from a coroutine")
    )
    thread.start()
    assert inbox.get() == "from a coroutine"
    thread.join()


def test_a_scheduler_that_has_ended_takes_no_calls() -> None:
    scheduler = run(current_scheduler)
    with pytest.raises(coloop.NotRunning, match="the scheduler has ended"):
        scheduler.call_soon_threadsafe(fail)


@pytest.mark.coroutine
def test_what_touches_a_scheduler_from_another_thread_is_refused() -> None:
    scheduler, child = current_scheduler(), go(suspend)

    def touch() -> list[str]:
        refused = []
        for call in (
            lambda: scheduler.go(fail),
            child.cancel,
            child.resume,
            lambda: child.throw(Oops()),
            child.join,
            child.result,
            child.stack,
        ):
            with pytest.raises(coloop.WrongThread, match=r"use scheduler\.call_soon_threadsafe"):
                call()
            refused.append("refused")
        return refused

    assert len(to_thread(touch)) == 7
    assert child.state == "waiting"
    child.resume()


@pytest.mark.coroutine
def test_a_failure_is_told_of_only_after_all_that_were_ready_had_a_turn(observer: Any) -> None:
    scheduler = current_scheduler()
    child = go(fail, "alone")
    go(yield_now)
    assert scheduler.ready_count == 1  # as after a slice that was cut short
    for _ in range(3):  # nobody has had a turn in between
        scheduler._report_unclaimed()
    assert observer.failures == []
    go(lambda: [yield_now() for _ in range(9)])  # somebody is always ready
    for _ in range(3):
        yield_now()
        scheduler._report_unclaimed()
    assert [failure.id for failure in observer.failures] == [child.id]
    observer.failures.clear()


@pytest.mark.coroutine
def test_at_the_end_a_failure_is_told_of_whoever_was_ready(
    observer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = current_scheduler()
    child = go(fail, "alone")
    go(yield_now)
    assert scheduler.ready_count == 1
    with monkeypatch.context() as ending:
        ending.setattr(scheduler, "over", True)
        scheduler._report_unclaimed()
    assert [failure.id for failure in observer.failures] == [child.id]
    observer.failures.clear()


@pytest.mark.coroutine
def test_who_is_joined_after_a_slice_was_cut_short_is_not_told_of(observer: Any) -> None:
    scheduler = current_scheduler()
    child = go(fail, "joined")
    go(yield_now)
    scheduler._report_unclaimed()
    assert child.join()
    scheduler._report_unclaimed()
    assert observer.failures == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_before_the_loop_runs_is_raised_where_the_coroutine_was_started(
    error: type[BaseException],
) -> None:
    def struck() -> None:
        raise error

    scheduler = Scheduler()
    with pytest.raises(error):
        scheduler.go_early(struck, (), name="struck", spawned_at="here")
    assert scheduler_module.scheduler_or_none() is None
    assert not scheduler.living
    scheduler._shut_down()
