"""A block ends in time or raises `Timeout` at its wait, and leaves nothing of its limit behind."""

import math
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

import coloop
from coloop import (
    Channel,
    CoroutineError,
    Event,
    Group,
    Timeout,
    current,
    current_scheduler,
    go,
    sleep,
    suspend,
    timeout,
    yield_now,
)
from coloop.testing import MockClock, wait_until_idle

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("mock_clock")]


def nothing_is_left() -> bool:
    return coloop.snapshot().timers == 0 and not current()._interrupts


def test_it_is_raised_at_the_wait_when_the_time_is_over(mock_clock: MockClock) -> None:
    with pytest.raises(Timeout, match=r"timed out after 2\.5s"):
        with timeout(2.5) as limit:
            suspend()
    assert limit.expired
    assert mock_clock.now() == 2.5
    assert nothing_is_left()


def test_one_that_is_in_use_is_refused_and_goes_on_counting() -> None:
    limit = timeout(2.5)
    with pytest.raises(Timeout):
        with limit:
            with pytest.raises(
                CoroutineError, match=r"timeout\(2\.5\) is in use by co#1: make one for each block"
            ):
                with limit:
                    pass
            suspend()
    assert limit.expired
    assert nothing_is_left()


def test_one_that_has_expired_can_be_used_again_and_tells_of_the_last_block(mock_clock: MockClock) -> None:
    limit = timeout(2.5)
    with pytest.raises(Timeout):
        with limit:
            suspend()
    with limit:
        sleep(1)
    assert not limit.expired
    with pytest.raises(Timeout):
        with limit:
            suspend()
    assert limit.expired
    assert mock_clock.now() == 6.0
    assert nothing_is_left()


def test_it_is_a_timeout_error() -> None:
    with pytest.raises(TimeoutError):
        with timeout(1):
            suspend()


def test_a_block_that_ends_in_time_leaves_no_timer(mock_clock: MockClock) -> None:
    with timeout(10) as limit:
        sleep(1)
    assert not limit.expired
    assert nothing_is_left()
    sleep(100)
    assert mock_clock.now() == 101.0


def test_a_block_that_fails_leaves_no_timer() -> None:
    with pytest.raises(ZeroDivisionError):
        with timeout(10):
            1 / 0
    assert nothing_is_left()


def test_all_waits_of_the_block_count_together(mock_clock: MockClock) -> None:
    log: list[int] = []
    with pytest.raises(Timeout):
        with timeout(3.5):
            for i in range(10):
                sleep(1)
                log.append(i)
    assert (log, mock_clock.now()) == ([0, 1, 2], 3.5)


@pytest.mark.parametrize(("outer_s", "inner_s", "who"), [(1, 5, "outer"), (5, 1, "inner"), (3, 3, "outer")])
def test_blocks_nest_and_each_raises_its_own(outer_s: float, inner_s: float, who: str) -> None:
    caught = []
    try:
        with timeout(outer_s) as outer:
            try:
                with timeout(inner_s) as inner:
                    suspend()
            except Timeout:
                caught.append("inner" if inner.expired else "not inner")
                raise
    except Timeout:
        caught.append("outer" if outer.expired else "not outer")
    assert caught == (["inner", "not outer"] if who == "inner" else ["not inner", "outer"])
    assert nothing_is_left()


def test_of_two_limits_that_are_reached_in_the_same_instant_the_outer_one_is_raised(
    mock_clock: MockClock,
) -> None:
    """It was set first. The inner one has nothing left to say, at this wait or at the next."""
    with pytest.raises(Timeout) as caught:
        with timeout(2) as outer:
            with timeout(2) as inner:
                suspend()
    assert (outer.expired, inner.expired, str(caught.value)) == (True, False, "timed out after 2s")
    sleep(1)
    assert mock_clock.now() == 3.0
    assert nothing_is_left()


@pytest.mark.parametrize("first", ["cancel", "limit"])
def test_a_cancel_and_a_limit_of_the_same_instant_are_both_heard_in_order(
    first: str, mock_clock: MockClock
) -> None:
    heard: list[str] = []

    def child() -> None:
        try:
            with timeout(1):
                try:
                    suspend()
                except BaseException as error:
                    heard.append(type(error).__name__)
                    yield_now()  # where the other one is raised
        except BaseException as error:
            heard.append(type(error).__name__)

    def cancel() -> None:
        waiting[0].cancel()

    waiting: list[coloop.Coroutine] = []
    if first == "cancel":
        current_scheduler().call_later(1, cancel)
    waiting.append(go(child))
    if first == "limit":
        current_scheduler().call_later(1, cancel)
    waiting[0].join()
    assert heard == (["Cancelled", "Timeout"] if first == "cancel" else ["Timeout", "Cancelled"])
    assert mock_clock.now() == 1.0


def test_what_handles_the_inner_one_still_has_the_rest_of_the_outer(mock_clock: MockClock) -> None:
    handled = 0
    with pytest.raises(Timeout, match="after 3s"):
        with timeout(3):
            while True:
                try:
                    with timeout(1.25) as inner:
                        suspend()
                except Timeout:
                    if not inner.expired:
                        raise
                    handled += 1
    assert (handled, mock_clock.now()) == (2, 3.0)
    assert nothing_is_left()


CALLS: list[Callable[[], Any]] = [
    lambda: go(sleep, 3).join(timeout=10),
    lambda: go(sleep, 3).join(),
    lambda: go(sleep, 3).result(),
    lambda: Event().wait(timeout=10),
    lambda: Event().wait(),
    lambda: Channel[int]().receive(timeout=10),
    lambda: Channel[int]().send(1, timeout=10),
]


@pytest.mark.parametrize("call", CALLS)
def test_no_call_takes_the_limit_of_a_block_for_its_own(call: Callable[[], Any]) -> None:
    with pytest.raises(Timeout, match=r"^timed out after 1s$"):
        with timeout(1) as limit:
            call()
    assert limit.expired


def test_wait_until_idle_does_not_take_the_limit_of_a_block_for_its_own() -> None:
    over: list[bool] = []

    def busy() -> None:
        while not over:
            yield_now()

    go(busy)
    clock = current_scheduler().clock
    assert isinstance(clock, MockClock)
    go(lambda: [yield_now() for _ in range(200)] and clock.advance(1))
    with pytest.raises(Timeout, match=r"^timed out after 1s$"):
        with timeout(1):
            wait_until_idle(timeout=10)
    over.append(True)


def test_who_never_waits_is_not_interrupted_and_owes_nothing(mock_clock: MockClock) -> None:
    with timeout(1) as limit:
        mock_clock.advance(5)
    assert not limit.expired
    yield_now()
    assert nothing_is_left()


def test_who_was_woken_before_the_limit_ends_normally_though_it_runs_after(mock_clock: MockClock) -> None:
    def child() -> str:
        with timeout(1):
            return str(suspend())

    waiting = go(child)
    waiting.resume("in time")
    mock_clock.advance(5)
    assert waiting.result() == "in time"


def test_the_limit_is_raised_at_the_next_wait_if_there_is_one_in_the_block(mock_clock: MockClock) -> None:
    def child() -> None:
        with timeout(1):
            suspend()
            suspend()

    waiting = go(child)
    waiting.resume()
    mock_clock.advance(5)
    with pytest.raises(Timeout):
        waiting.result()


def test_a_limit_that_is_pending_when_the_block_is_left_is_not_raised_later(mock_clock: MockClock) -> None:
    def child() -> None:
        with timeout(1):
            suspend()
        suspend()

    waiting = go(child)
    waiting.resume()
    mock_clock.advance(5)
    wait_until_idle()
    assert waiting.waiting_on == "suspend"
    waiting.resume()
    waiting.join()


def test_a_cancel_inside_is_no_timeout() -> None:
    def child() -> None:
        with timeout(5):
            suspend()

    waiting = go(child)
    waiting.cancel()
    waiting.join()
    assert waiting.state == "cancelled"
    assert nothing_is_left()


def test_a_limit_around_a_group_ends_its_children() -> None:
    children = []
    with pytest.raises(Timeout):
        with timeout(1), Group() as group:
            children.extend(group.go(suspend) for _ in range(3))
    assert [child.state for child in children] == ["cancelled"] * 3


def test_no_time_at_all_is_over_at_the_first_wait() -> None:
    log: list[str] = []
    with pytest.raises(Timeout):
        with timeout(0):
            log.append("begun")
            suspend()
    assert log == ["begun"]


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1])
def test_a_limit_is_a_time(seconds: float) -> None:
    with pytest.raises(ValueError, match="timeout must be finite and not negative"):
        timeout(seconds)


def test_cleaning_up_after_a_timeout_may_take_its_time(mock_clock: MockClock) -> None:
    with pytest.raises(Timeout):
        with timeout(1):
            try:
                suspend()
            finally:
                sleep(5)
    assert mock_clock.now() == 6.0


def test_who_is_killed_on_the_way_into_a_block_leaves_no_timer(
    kill_inside: Callable[[Callable[[], object], int], bool],
) -> None:
    def attempt() -> None:
        limit.__enter__()
        entered.append(True)

    for place in count():
        limit, entered = timeout(1), list[bool]()
        kill_inside(attempt, place)
        if entered:
            break
        assert nothing_is_left(), f"place {place}"
    limit.__exit__(None, None, None)


def test_a_limit_that_is_not_reached_makes_no_exception() -> None:
    with timeout(1) as limit:
        sleep(0.5)
    assert limit._error is None
