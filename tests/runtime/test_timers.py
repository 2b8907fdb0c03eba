"""The soonest first, those of one instant in the order in which they were set, and no memory for the cancelled."""

import math
import weakref
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coloop._timers import MIN_REBUILD, Timers, check_seconds


def nothing() -> None:
    pass


def due(timers: Timers, now: float) -> list[Any]:
    """The arguments of all that are due, in order."""
    found = []
    while (call := timers.pop_expired(now)) is not None:
        found.append(call[1][0])
    return found


def test_they_come_soonest_first_and_not_before_their_time() -> None:
    timers = Timers()
    for deadline in (3.0, 1.0, 2.0):
        timers.add(deadline, nothing, deadline)
    assert timers.next_deadline() == 1.0
    assert due(timers, 0.999) == []
    assert due(timers, 2.0) == [1.0, 2.0]
    assert timers.next_deadline() == 3.0
    assert due(timers, math.inf) == [3.0]
    assert timers.next_deadline() is None


def test_those_of_one_instant_come_in_the_order_in_which_they_were_set() -> None:
    timers = Timers()
    for i in range(200):
        timers.add(1.0, nothing, i)
    assert due(timers, 1.0) == list(range(200))


def test_a_cancelled_one_never_comes_and_holds_nothing() -> None:
    class Thing:
        pass

    timers, thing = Timers(), Thing()
    timer = timers.add(1.0, nothing, thing, owner=thing)
    held = weakref.ref(thing)
    del thing
    assert timer.active
    timer.cancel()
    assert held() is None
    assert not timer.active
    assert (len(timers), timers.next_deadline(), due(timers, 5.0)) == (0, None, [])


def test_cancelling_twice_or_after_it_fired_changes_nothing() -> None:
    timers = Timers()
    fired, cancelled, kept = (timers.add(i, nothing, i) for i in (1.0, 2.0, 3.0))
    assert due(timers, 1.0) == [1.0]
    for _ in range(2):
        fired.cancel()
        cancelled.cancel()
    assert len(timers) == 1
    assert list(timers) == [kept]
    assert due(timers, 5.0) == [3.0]


def test_cancelled_ones_do_not_pile_up() -> None:
    timers = Timers()
    kept = [timers.add(i, nothing, i) for i in range(100)]
    for i in range(100_000):
        timers.add(1e6 + i, nothing, i).cancel()
        assert len(timers._heap) <= 2 * len(kept) + 1
    assert len(timers) == 100


def test_a_few_cancelled_ones_are_not_worth_a_rebuild() -> None:
    timers = Timers()
    for each in [timers.add(i, nothing) for i in range(MIN_REBUILD)]:
        each.cancel()
    assert len(timers._heap) == MIN_REBUILD
    assert timers.next_deadline() is None
    assert timers._heap == []


def test_its_repr_tells_when_and_whether_it_is_over() -> None:
    timer = Timers().add(1.5, nothing)
    assert repr(timer) == "<Timer at 1.500000>"
    timer.cancel()
    assert repr(timer) == "<Timer at 1.500000 (over)>"


@settings(derandomize=True, deadline=None, database=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 20)),
            st.tuples(st.just("cancel"), st.integers(0, 500)),
            st.tuples(st.just("advance"), st.integers(0, 5)),
        ),
        max_size=400,
    )
)
def test_it_is_a_sorted_list_that_forgets(steps: list[tuple[str, int]]) -> None:
    timers, now = Timers(), 0
    handles: list[Any] = []
    model: list[tuple[int, int]] = []  # deadline and number of those that are going to fire
    for what, amount in steps:
        if what == "add":
            model.append((now + amount, len(handles)))
            handles.append(timers.add(float(now + amount), nothing, len(handles)))
        elif what == "cancel" and handles:
            number = amount % len(handles)
            handles[number].cancel()
            model = [entry for entry in model if entry[1] != number]
        else:
            now += amount
            assert due(timers, now) == [number for deadline, number in sorted(model) if deadline <= now]
            model = [entry for entry in model if entry[0] > now]
        assert len(timers) == len(model)
        assert timers.next_deadline() == min((deadline for deadline, _ in model), default=None)
        assert {timer.args[0] for timer in timers} == {number for _, number in model}


@pytest.mark.parametrize("value", [0, 0.0, 1, 2.5, 86400, 1e300])
def test_a_time_is_a_finite_number_that_is_not_negative(value: float) -> None:
    assert check_seconds(value, "pause") == value
    assert type(check_seconds(value, "pause")) is float


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1, -1e-9, 10**400, -(10**400)])
def test_other_numbers_are_refused_by_name(value: float) -> None:
    with pytest.raises(ValueError, match=r"pause (must be finite and not negative, not|is too large)"):
        check_seconds(value, "pause")


@pytest.mark.parametrize("value", ["1", None, True, 1j, [1]])
def test_other_things_are_refused_by_name(value: object) -> None:
    with pytest.raises(TypeError, match="pause must be a number of seconds, not"):
        check_seconds(value, "pause")
