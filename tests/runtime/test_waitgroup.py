"""Those who wait go on when everything is done, and not before."""

from collections.abc import Callable
from typing import Any

import pytest

import coloop
from coloop import WaitGroup, call_soon_threadsafe, current_scheduler, defer, go, run, sleep, to_thread
from coloop.testing import MockClock, wait_until_idle

coroutine = pytest.mark.coroutine
KillInside = Callable[[Callable[[], object], int], bool]


@coroutine
def test_all_who_wait_go_on_in_order_when_the_last_thing_is_done() -> None:
    group, log = WaitGroup(), list[int]()
    group.add(2)
    for i in range(3):
        go(lambda i=i: (group.wait(), log.append(i)))
    group.done()
    wait_until_idle()
    assert (group.pending, log) == (1, [])
    group.done()
    wait_until_idle()
    assert (group.pending, log) == (0, [0, 1, 2])


@coroutine
def test_with_nothing_to_be_done_nobody_waits() -> None:
    group = WaitGroup()
    assert group.wait()
    group.add()
    group.done()
    assert group.wait()


@coroutine
@pytest.mark.usefixtures("mock_clock")
def test_it_waits_for_coroutines_that_say_so_at_their_end() -> None:
    group, log = WaitGroup(), list[float]()

    def child(seconds: float) -> None:
        defer(group.done)
        sleep(seconds)
        log.append(seconds)

    for seconds in (3, 1, 2):
        group.add()
        go(child, seconds)
    group.add()
    go(child, 60).cancel()
    assert group.wait()
    assert log == [1, 2, 3]


@coroutine
def test_one_that_was_woken_goes_on_although_there_is_more_to_be_done_since() -> None:
    group = WaitGroup()
    group.add()
    waiter = go(group.wait)
    group.done()
    group.add()
    later = go(group.wait)
    assert waiter.result() is True
    assert later.state == "waiting"
    group.done()
    assert later.result() is True


@coroutine
def test_the_time_to_wait_can_be_limited(mock_clock: MockClock) -> None:
    group = WaitGroup()
    group.add()
    assert group.wait(timeout=2) is False
    assert mock_clock.now() == 2.0
    current_scheduler().call_later(1, group.done)
    assert group.wait(timeout=2) is True
    assert coloop.snapshot().timers == 0
    assert repr(group).endswith("0 to be done, 0 waiting>")


@coroutine
def test_one_that_is_cancelled_is_gone_and_changes_nothing() -> None:
    group = WaitGroup()
    group.add()
    cancelled, waiter = go(group.wait), go(group.wait)
    cancelled.cancel()
    assert repr(group).endswith("1 to be done, 1 waiting>")
    cancelled.join()
    group.done()
    assert waiter.result() is True


@coroutine
def test_one_that_is_woken_and_cancelled_at_the_same_moment_has_waited_to_the_end() -> None:
    group, log = WaitGroup(), list[object]()

    def child() -> None:
        log.append(group.wait())
        sleep(0)
        log.append("never")

    group.add()
    waiter = go(child)
    group.done()
    waiter.cancel()
    waiter.join()
    assert (log, waiter.state) == ([True], "cancelled")


@coroutine
def test_wherever_a_kill_strikes_all_go_on_and_it_is_done_or_neither(kill_inside: KillInside) -> None:
    seen = set()
    for place in range(100):
        group = WaitGroup()
        group.add()
        waiters = [go(group.wait) for _ in range(3)]
        struck = kill_inside(group.done, place)
        wait_until_idle()
        seen.add((group.pending, *(waiter.ended for waiter in waiters)))
        for waiter in waiters:
            waiter.cancel()
        if not struck:
            break
    assert not struck
    assert seen == {(1, False, False, False), (0, True, True, True)}


@coroutine
def test_more_than_there_was_cannot_be_done() -> None:
    group = WaitGroup()
    with pytest.raises(ValueError, match=r"waitgroup#\d+ has only 0 to be done: 1 cannot be"):
        group.done()
    group.add(3)
    with pytest.raises(ValueError, match="has only 3 to be done: 4 cannot be"):
        group.add(-4)
    group.add(-2)
    assert group.pending == 1


@pytest.mark.parametrize("n", [1.0, True, "1", None])
def test_things_are_counted_in_integers(n: Any) -> None:
    with pytest.raises(ValueError, match="n must be an integer, not"):
        WaitGroup().add(n)


def test_outside_of_run_one_can_count_but_not_wait() -> None:
    group = WaitGroup()
    group.add()
    group.done()
    with pytest.raises(coloop.NotRunning):
        group.wait()


@coroutine
def test_a_callback_may_say_that_something_is_done() -> None:
    group = WaitGroup()
    group.add()
    call_soon_threadsafe(group.done)
    assert group.wait()


@coroutine
def test_it_belongs_to_one_scheduler() -> None:
    group = WaitGroup()
    group.add()
    waiter = go(group.wait)

    def elsewhere() -> None:
        with pytest.raises(coloop.WrongThread):
            run(group.done)

    to_thread(elsewhere)
    assert (group.pending, waiter.state) == (1, "waiting")
    group.done()
    waiter.join()


@coroutine
def test_a_bad_limit_leaves_nobody_in_line() -> None:
    group = WaitGroup()
    group.add()
    with pytest.raises(ValueError, match="timeout must be finite"):
        group.wait(timeout=float("nan"))
    assert repr(group).endswith("0 waiting>")


@coroutine
def test_it_tells_how_much_is_to_be_done_and_who_waits() -> None:
    group = WaitGroup()
    group.add(2)
    waiter = go(group.wait)
    assert str(group) == f"waitgroup#{group.id}"
    assert repr(group) == f"<WaitGroup#{group.id} 2 to be done, 1 waiting>"
    assert waiter.waiting_on == f"wait for waitgroup#{group.id}"
    group.add(-2)
    waiter.join()
