"""All go on together or, if one does not come or does not stay, nobody does and each hears why."""

from collections.abc import Callable
from typing import Any

import pytest

import coloop
from coloop import (
    Barrier,
    BrokenBarrier,
    Coroutine,
    Timeout,
    call_soon_threadsafe,
    go,
    run,
    sleep,
    to_thread,
    yield_now,
)
from coloop.testing import MockClock, wait_until_idle

coroutine = pytest.mark.coroutine
Fails = Callable[..., Coroutine]
KillInside = Callable[[Callable[[], object], int], bool]


# -- meeting -------------------------------------------------------------------------------------


@coroutine
def test_all_go_on_when_the_last_has_come_and_know_their_places() -> None:
    barrier = Barrier(3)
    others = [go(barrier.wait) for _ in range(2)]
    assert (barrier.n_waiting, [other.state for other in others]) == (2, ["waiting"] * 2)
    assert barrier.wait() == 2
    assert [other.result() for other in others] == [0, 1]
    assert barrier.n_waiting == 0


@coroutine
def test_round_follows_round_although_the_others_have_not_run_since() -> None:
    barrier = Barrier(2)
    first = go(barrier.wait)
    assert barrier.wait() == 1
    second = go(barrier.wait)
    assert (first.state, second.state, barrier.n_waiting) == ("ready", "waiting", 1)
    assert barrier.wait() == 1
    assert (first.result(), second.result()) == (0, 0)


@coroutine
@pytest.mark.parametrize("parties", [1, 2, 5])
def test_nobody_is_a_round_ahead(parties: int) -> None:
    barrier, rounds = Barrier(parties), [0] * parties

    def child(i: int) -> None:
        for _ in range(10):
            rounds[i] += 1
            barrier.wait()
            assert max(rounds) - min(rounds) <= 1

    for each in [go(child, i) for i in range(parties)]:
        each.result()
    assert rounds == [10] * parties


# -- breaking ------------------------------------------------------------------------------------


@coroutine
def test_one_whose_time_is_over_breaks_it_for_the_others(fails: Fails, mock_clock: MockClock) -> None:
    barrier = Barrier(3)
    other = fails(barrier.wait)
    hasty = fails(barrier.wait, 2)
    error = hasty.result()
    assert isinstance(error, Timeout)
    assert str(error) == f"wait at barrier#{barrier.id}: timed out after 2s"
    assert mock_clock.now() == 2.0
    error = other.result()
    assert isinstance(error, BrokenBarrier)
    assert str(error) == f"barrier#{barrier.id} was broken: {hasty} 'attempt' left it (Timeout)"
    assert barrier.broken
    with pytest.raises(BrokenBarrier, match=f"{hasty} 'attempt' left it"):
        barrier.wait()


@coroutine
@pytest.mark.parametrize("place", [0, 1])
def test_one_that_is_cancelled_breaks_it_for_the_others(fails: Fails, place: int) -> None:
    barrier = Barrier(3)
    crowd = [fails(barrier.wait) for _ in range(2)]
    crowd[place].cancel()
    crowd[place].join()
    assert crowd[place].state == "cancelled"
    assert isinstance(crowd[1 - place].result(), BrokenBarrier)
    assert (barrier.broken, barrier.n_waiting) == (True, 0)


@coroutine
def test_one_that_was_cancelled_and_has_not_run_since_is_not_counted(fails: Fails) -> None:
    barrier = Barrier(2)
    cancelled = fails(barrier.wait)
    cancelled.cancel()
    last = fails(barrier.wait)
    one_more = fails(barrier.wait)
    for each in (last, one_more):
        assert isinstance(each.result(), BrokenBarrier)
    assert cancelled.join()


@coroutine
def test_one_that_has_met_the_others_and_is_cancelled_at_the_same_moment_breaks_nothing() -> None:
    barrier, log = Barrier(2), list[int]()

    def child() -> None:
        log.append(barrier.wait())
        yield_now()
        log.append(-1)

    first = go(child)
    assert barrier.wait() == 1
    first.cancel()
    first.join()
    assert (log, first.state, barrier.broken) == ([0], "cancelled", False)


@coroutine
def test_an_abort_is_heard_by_those_who_wait_and_those_who_come(fails: Fails) -> None:
    barrier = Barrier(3)
    waiting = [fails(barrier.wait) for _ in range(2)]
    barrier.abort()
    errors = [each.result() for each in waiting]
    errors.append(fails(barrier.wait).result())
    assert len({id(error) for error in errors}) == 3
    for error in errors:
        assert isinstance(error, BrokenBarrier)
        assert "aborted it" in str(error)
    assert "co#1 " in str(errors[0])
    assert barrier.broken


@coroutine
def test_a_reset_begins_a_new_round_and_those_who_waited_hear_of_it(fails: Fails) -> None:
    barrier = Barrier(2)
    waiting = fails(barrier.wait)
    barrier.reset()
    error = waiting.result()
    assert isinstance(error, BrokenBarrier)
    assert "was reset by co#1 " in str(error)
    assert not barrier.broken
    barrier.abort()
    barrier.reset()
    other = go(barrier.wait)
    assert (barrier.wait(), other.result()) == (1, 0)


@coroutine
def test_one_that_left_an_earlier_round_does_not_break_the_next(fails: Fails) -> None:
    barrier = Barrier(2)
    cancelled = fails(barrier.wait)
    cancelled.cancel()
    barrier.reset()
    other = go(barrier.wait)
    cancelled.join()
    assert not barrier.broken
    assert (barrier.wait(), other.result()) == (1, 0)


@coroutine
def test_wherever_a_kill_strikes_the_last_one_nobody_is_left_behind(kill_inside: KillInside) -> None:
    """The last one either wakes all or, being killed on its way, has not come."""
    seen = set()
    for place in range(100):
        barrier = Barrier(3)
        waiting = [go(barrier.wait), go(barrier.wait)]
        struck = kill_inside(barrier.wait, place)
        wait_until_idle()
        seen.add((barrier.n_waiting, barrier.broken, *(each.ended for each in waiting)))
        if not waiting[0].ended:
            assert barrier.wait() == 2
        assert [each.result() for each in waiting] == [0, 1]
        assert (barrier._arrived, barrier.n_waiting, barrier._round) == (0, 0, 1)
        if not struck:
            break
    assert not struck
    assert seen == {(2, False, False, False), (0, False, True, True)}


@coroutine
def test_wherever_a_kill_strikes_one_that_aborts_all_hear_of_it_or_nobody(
    fails: Fails, kill_inside: KillInside
) -> None:
    seen = set()
    for place in range(100):
        barrier = Barrier(4)
        waiting = [fails(barrier.wait) for _ in range(3)]
        struck = kill_inside(barrier.abort, place)
        seen.add((barrier.n_waiting, barrier.broken))
        barrier.abort()
        assert {type(each.result()) for each in waiting} == {BrokenBarrier}
        if not struck:
            break
    assert not struck
    assert seen == {(3, False), (0, True)}


@coroutine
def test_one_that_is_killed_on_its_way_into_the_wait_has_not_come_or_breaks_it(
    fails: Fails, kill_inside: KillInside
) -> None:
    seen = set()
    for place in range(100):
        barrier = Barrier(3)
        first = fails(barrier.wait)
        resetter = go(lambda barrier=barrier: (yield_now(), yield_now(), barrier.reset()))
        struck = kill_inside(barrier.wait, place)
        resetter.join()
        seen.add("left it" if "left it" in str(first.result()) else "reset")
        assert (barrier._arrived, barrier.n_waiting) == (0, 0)
        if not struck:
            break
    assert not struck
    assert seen == (
        {"reset"} if coloop.FORM == "native" else {"left it", "reset"}
    )  # there the way in is one step


# -- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parties", [0, -1, 1.5, True, "2", None])
def test_at_least_one_must_come(parties: Any) -> None:
    with pytest.raises(ValueError, match="parties must be an integer >= 1, not"):
        Barrier(parties)


@pytest.mark.parametrize("parties", [1, 2])
def test_outside_of_run_nobody_comes(parties: int) -> None:
    barrier = Barrier(parties)
    with pytest.raises(coloop.NotRunning):
        barrier.wait()
    assert not barrier.broken


@coroutine
def test_a_callback_may_break_it_but_cannot_come(observer: Any, fails: Fails) -> None:
    barrier = Barrier(2)
    waiting = fails(barrier.wait)
    call_soon_threadsafe(barrier.wait)
    wait_until_idle()
    assert observer.failures.pop().exception_type == "NotRunning"
    assert not barrier.broken
    call_soon_threadsafe(barrier.abort)
    assert "a callback aborted it" in str(waiting.result())


@coroutine
def test_it_belongs_to_one_scheduler() -> None:
    barrier = Barrier(2)
    waiting = go(barrier.wait)

    def elsewhere() -> None:
        with pytest.raises(coloop.WrongThread):
            run(barrier.wait)

    to_thread(elsewhere)
    assert (waiting.state, barrier.n_waiting) == ("waiting", 1)
    assert (barrier.wait(), waiting.result()) == (1, 0)


@coroutine
def test_it_tells_how_many_have_come() -> None:
    barrier = Barrier(3)
    waiting = go(barrier.wait)
    assert (str(barrier), repr(barrier)) == (f"barrier#{barrier.id}", f"<Barrier#{barrier.id} 1/3>")
    assert waiting.waiting_on == f"wait at barrier#{barrier.id}"
    waiting.cancel()
    sleep(0)
    assert repr(barrier) == f"<Barrier#{barrier.id} 0/3 broken>"
