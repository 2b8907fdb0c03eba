"""So many at a time, in order of arrival; no permit is lost, and none is made."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import coloop
from coloop import (
    Coroutine,
    Semaphore,
    call_soon_threadsafe,
    current_scheduler,
    go,
    run,
    sleep,
    suspend,
    to_thread,
    yield_now,
)
from coloop.testing import MockClock, wait_until_idle

coroutine = pytest.mark.coroutine
KillInside = Callable[[Callable[[], object], int], bool]


# -- permits -------------------------------------------------------------------------------------


@coroutine
@pytest.mark.parametrize("permits", [1, 2, 4])
def test_so_many_at_a_time(permits: int) -> None:
    semaphore, inside, most = Semaphore(permits), 0, 0

    def child() -> None:
        nonlocal inside, most
        with semaphore:
            inside += 1
            most = max(most, inside)
            yield_now()
            inside -= 1

    children = [go(child) for _ in range(6)]
    for each in children:
        each.result()
    assert (most, semaphore.value) == (permits, permits)


@coroutine
def test_those_who_wait_are_served_in_order() -> None:
    semaphore, log = Semaphore(0), list[int]()
    for i in range(4):
        go(lambda i=i: (semaphore.acquire(), log.append(i)))
    semaphore.release()
    wait_until_idle()
    assert log == [0]
    semaphore.release(3)
    wait_until_idle()
    assert (log, semaphore.value) == ([0, 1, 2, 3], 0)


@coroutine
def test_a_newcomer_does_not_overtake_one_that_was_given_a_permit_and_has_not_run() -> None:
    semaphore = Semaphore(0)
    first = go(semaphore.acquire)
    semaphore.release()
    assert (first.state, semaphore.value) == ("ready", 0)
    newcomer = go(semaphore.acquire)
    assert newcomer.state == "waiting"
    assert first.result() is True
    newcomer.cancel()


@coroutine
def test_permits_nobody_waits_for_are_kept() -> None:
    semaphore = Semaphore(0)
    go(semaphore.acquire)
    semaphore.release(3)
    assert semaphore.value == 2
    assert semaphore.acquire()
    assert semaphore.acquire()
    assert semaphore.value == 0


@coroutine
def test_a_callback_may_give_back() -> None:
    semaphore = Semaphore(0)
    call_soon_threadsafe(semaphore.release)
    assert semaphore.acquire()


# -- leaving early -------------------------------------------------------------------------------


@coroutine
def test_the_time_to_wait_can_be_limited(mock_clock: MockClock) -> None:
    semaphore = Semaphore(0)
    assert semaphore.acquire(timeout=2) is False
    assert mock_clock.now() == 2.0
    current_scheduler().call_later(1, semaphore.release)
    assert semaphore.acquire(timeout=2) is True
    assert coloop.snapshot().timers == 0
    assert repr(semaphore).endswith("0 free, 0 waiting>")


@coroutine
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_is_cancelled_in_line_is_passed_over(place: int) -> None:
    semaphore, log = Semaphore(0), list[int]()
    children = [go(lambda i=i: (semaphore.acquire(), log.append(i))) for i in range(3)]
    children[place].cancel()
    semaphore.release(2)
    wait_until_idle()
    assert (log, semaphore.value) == ([i for i in range(3) if i != place], 0)


@coroutine
@pytest.mark.parametrize("end", ["cancel", "kill"])
def test_one_that_is_given_a_permit_and_ended_at_the_same_moment_passes_it_on(end: str) -> None:
    """It has the permit; what ends it comes at its next wait, inside the block."""
    semaphore, log = Semaphore(0), list[str]()

    def child() -> None:
        with semaphore:
            log.append("inside")
            suspend()

    first, second = go(child), go(semaphore.acquire)
    semaphore.release()
    if end == "cancel":
        first.cancel()
    else:
        current_scheduler().kill(first)
    assert second.result() is True
    assert (log, first.ended, semaphore.value) == (["inside"], True, 0)


@coroutine
def test_wherever_a_kill_strikes_permits_are_given_back_all_or_none(kill_inside: KillInside) -> None:
    outcomes = set()
    for place in range(100):
        semaphore = Semaphore(0)
        waiters = [go(semaphore.acquire) for _ in range(2)]
        struck = kill_inside(lambda semaphore=semaphore: semaphore.release(3), place)
        wait_until_idle()
        outcomes.add((*(waiter.ended for waiter in waiters), semaphore.value))
        for waiter in waiters:
            waiter.cancel()
        if not struck:
            break
    assert not struck
    assert outcomes == {(False, False, 0), (True, True, 1)}


@coroutine
@pytest.mark.usefixtures("mock_clock")
def test_from_the_wake_up_to_the_block_a_kill_does_not_strike(kill_inside: KillInside) -> None:
    for place in range(100):
        semaphore, log = Semaphore(0), list[str]()

        def victim(semaphore: Semaphore = semaphore, log: list[str] = log) -> None:
            semaphore.acquire()
            log.append("had")

        current_scheduler().call_later(1, semaphore.release)
        struck = kill_inside(victim, place)
        sleep(2)
        assert (semaphore.value, log) in ((0, ["had"]), (1, []))
        if not struck:
            break
    assert not struck
    assert place > 1


# -- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1, 1.5, True, "1", None])
def test_its_value_is_a_number_of_permits(value: Any) -> None:
    with pytest.raises(ValueError, match="value must be an integer >= 0, not"):
        Semaphore(value)


@pytest.mark.parametrize("limit", [1, -1, 2.5, "3"])
def test_there_may_be_no_fewer_than_there_are(limit: Any) -> None:
    with pytest.raises(ValueError, match=r"max_value must be an integer >= value \(2\), not"):
        Semaphore(2, max_value=limit)


@coroutine
def test_more_than_there_may_be_are_refused_as_a_whole() -> None:
    semaphore = Semaphore(2, max_value=2)
    with pytest.raises(ValueError, match=r"semaphore#\d+ was released too often: it has 2 permits at most"):
        semaphore.release()
    for _ in range(2):
        semaphore.acquire()
    waiter = go(semaphore.acquire)
    with pytest.raises(ValueError, match="too often"):
        semaphore.release(4)
    assert (waiter.state, semaphore.value) == ("waiting", 0)
    semaphore.release(3)
    assert waiter.result() is True
    assert semaphore.value == 2


@coroutine
@pytest.mark.parametrize("n", [0, -1, 1.0, True])
def test_at_least_one_permit_is_given_back(n: Any) -> None:
    semaphore = Semaphore(0)
    with pytest.raises(ValueError, match="n must be an integer >= 1, not"):
        semaphore.release(n)
    assert semaphore.value == 0


def test_outside_of_run_nothing_is_taken() -> None:
    semaphore = Semaphore(1)
    with pytest.raises(coloop.NotRunning):
        semaphore.acquire()
    assert semaphore.value == 1


@coroutine
def test_a_line_belongs_to_one_scheduler() -> None:
    semaphore = Semaphore(0)
    waiter = go(semaphore.acquire)

    def elsewhere() -> None:
        with pytest.raises(coloop.WrongThread):
            run(semaphore.release)

    to_thread(elsewhere)
    assert (waiter.state, semaphore.value) == ("waiting", 0)
    semaphore.release()
    waiter.join()


@coroutine
def test_it_tells_how_many_are_free_and_who_waits() -> None:
    semaphore = Semaphore(1, max_value=3)
    semaphore.acquire()
    waiter = go(semaphore.acquire)
    assert str(semaphore) == f"semaphore#{semaphore.id}"
    assert repr(semaphore) == f"<Semaphore#{semaphore.id} 0/3 free, 1 waiting>"
    assert waiter.waiting_on == f"acquire semaphore#{semaphore.id}"
    waiter.cancel()
    assert repr(Semaphore(2)).endswith("2 free, 0 waiting>")


# -- against a model -----------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.just(("acquire", 0)),
        st.tuples(st.just("release"), st.integers(1, 3)),
        st.tuples(st.just("cancel"), st.integers(0, 1000)),
        st.just(("idle", 0)),
    ),
    max_size=60,
)


@settings(max_examples=150)
@given(steps=STEPS, permits=st.integers(0, 3), seed=st.one_of(st.none(), st.integers(0, 5)))
def test_it_does_what_a_number_and_a_line_do(
    steps: list[tuple[str, int]], permits: int, seed: int | None
) -> None:
    """Every step is decided at once, whether or not those whom it concerns have run meanwhile."""

    def main() -> None:
        semaphore, free = Semaphore(permits), permits
        line: list[Coroutine] = []
        served: list[Coroutine] = []
        for step, amount in steps:
            current_scheduler()._turn_left = 64  # `go` takes no turns away here
            if step == "acquire":
                child = go(semaphore.acquire)
                (line if free == 0 else served).append(child)
                free = max(0, free - 1)
            elif step == "release":
                semaphore.release(amount)
                served += line[:amount]
                free += max(0, amount - len(line))
                line = line[amount:]
            elif step == "cancel" and line:
                line.pop(amount % len(line)).cancel()
            elif step == "cancel" and served:
                served[amount % len(served)].cancel()  # has its permit, or has ended
            elif step == "idle":
                wait_until_idle()
                assert {child.state for child in served} <= {"done"}
            assert semaphore.value == free
            assert list(semaphore._waiters) == line
        for child in line:
            child.cancel()
        wait_until_idle()
        assert all(child.result() is True for child in served)

    run(main, seed=seed, clock=MockClock())


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), permits=st.integers(1, 3))
def test_in_a_crowd_that_comes_and_goes_no_permit_is_lost(seed: int, permits: int) -> None:
    dice = random.Random(seed)

    def main() -> None:
        semaphore, inside = Semaphore(permits, max_value=permits), 0

        def child(limit_s: int | None) -> None:
            nonlocal inside
            if not semaphore.acquire(timeout=limit_s):
                return
            try:
                inside += 1
                assert inside <= permits
                sleep(dice.choice([0, 1]))
            finally:
                inside -= 1
                semaphore.release()

        crowd = []
        for _ in range(60):
            crowd.append(go(child, dice.choice([None, 0, 1, 2])))
            if dice.random() < 0.2:
                dice.choice(crowd).cancel()
            if dice.random() < 0.3:
                sleep(dice.choice([0, 1]))
        for each in crowd:
            each.join()
        assert {each.state for each in crowd} <= {"done", "cancelled"}
        assert semaphore.value == permits

    run(main, seed=seed, clock=MockClock())
