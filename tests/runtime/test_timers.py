"""The soonest first, those of one instant in the order in which they were set, and no memory for the cancelled."""

import gc
import math
import random
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coloop._form import native
from coloop._timers import MIN_REBUILD, Timers, check_seconds

FORMS = {"python": Timers} if native is None else {"python": Timers, "native": native.Timers}
both_forms = pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)
Make = Callable[[], Timers]


def nothing() -> None:
    pass


def due(timers: Timers, now: float) -> list[Any]:
    """The arguments of all that are due, in order."""
    found = []
    while (call := timers.pop_expired(now)) is not None:
        found.append(call[1][0])
    return found


@both_forms
def test_they_come_soonest_first_and_not_before_their_time(make: Make) -> None:
    timers = make()
    for deadline in (3.0, 1.0, 2.0):
        timers.add(deadline, nothing, deadline)
    assert timers.next_deadline() == 1.0
    assert due(timers, 0.999) == []
    assert due(timers, 2.0) == [1.0, 2.0]
    assert timers.next_deadline() == 3.0
    assert due(timers, math.inf) == [3.0]
    assert timers.next_deadline() is None


@both_forms
def test_those_of_one_instant_come_in_the_order_in_which_they_were_set(make: Make) -> None:
    timers = make()
    for i in range(200):
        timers.add(1.0, nothing, i)
    assert due(timers, 1.0) == list(range(200))


@both_forms
def test_a_cancelled_one_never_comes_and_holds_nothing(make: Make) -> None:
    class Thing:
        pass

    timers, thing = make(), Thing()
    timer = timers.add(1.0, nothing, thing, owner=thing)
    held = weakref.ref(thing)
    del thing
    assert timer.active
    timer.cancel()
    assert held() is None
    assert not timer.active
    assert (len(timers), timers.next_deadline(), due(timers, 5.0)) == (0, None, [])


@both_forms
def test_cancelling_twice_or_after_it_fired_changes_nothing(make: Make) -> None:
    timers = make()
    fired, cancelled, kept = (timers.add(i, nothing, i) for i in (1.0, 2.0, 3.0))
    assert due(timers, 1.0) == [1.0]
    for _ in range(2):
        fired.cancel()
        cancelled.cancel()
    assert len(timers) == 1
    assert list(timers) == [kept]
    assert due(timers, 5.0) == [3.0]


@both_forms
def test_cancelled_ones_do_not_pile_up(make: Make) -> None:
    timers = make()
    kept = [timers.add(i, nothing, i) for i in range(100)]
    for i in range(100_000):
        timers.add(1e6 + i, nothing, i).cancel()
        assert timers.held <= 2 * len(kept) + 1
    assert len(timers) == 100


@both_forms
def test_a_few_cancelled_ones_are_not_worth_a_rebuild(make: Make) -> None:
    timers = make()
    for each in [timers.add(i, nothing) for i in range(MIN_REBUILD)]:
        each.cancel()
    assert timers.held == MIN_REBUILD
    assert timers.next_deadline() is None
    assert timers.held == 0


@both_forms
def test_of_thousands_those_that_are_left_come_in_order(make: Make) -> None:
    timers, dice = make(), random.Random(7)
    wanted = [(float(dice.randrange(500)), i) for i in range(5000)]
    handles = [timers.add(deadline, nothing, (deadline, i)) for deadline, i in wanted]
    gone = set(dice.sample(range(5000), 4000))
    for i in gone:
        handles[i].cancel()
    assert due(timers, 500) == sorted(entry for entry in wanted if entry[1] not in gone)


@both_forms
def test_what_it_is_to_call_can_be_seen_until_it_is_over(make: Make) -> None:
    timers = make()
    timer = timers.add(2, nothing, 1, "two", owner=timers)
    assert (timer.deadline, timer.fn, timer.args, timer.owner) == (2.0, nothing, (1, "two"), timers)
    assert timers.pop_expired(2.0) == (nothing, (1, "two"))
    assert (timer.deadline, timer.fn, timer.args, timer.owner) == (2.0, None, (), None)


@both_forms
def test_all_can_be_cancelled_on_the_way_through_them(make: Make) -> None:
    timers = make()
    for i in range(1000):
        timers.add(i, nothing)
    for timer in timers:
        timer.cancel()
    assert (len(timers), list(timers), timers.next_deadline()) == (0, [], None)


@both_forms
def test_what_is_let_go_of_may_set_and_cancel_others(make: Make) -> None:
    class Last:
        def __del__(self) -> None:
            for each in others:
                each.cancel()
            timers.add(5.0, nothing, "new")

    timers = make()
    timer = timers.add(1.0, nothing, Last())
    others = [timers.add(i, nothing, i) for i in range(2, 1000)]
    timer.cancel()
    assert due(timers, 1000) == ["new"]


@both_forms
def test_a_ring_through_a_timer_that_nobody_reaches_is_garbage(make: Make) -> None:
    class Holder:
        def __init__(self) -> None:
            self.timers = make()
            self.timer = self.timers.add(1.0, self.fire, self, owner=self)

        def fire(self) -> None:
            pass

    held = weakref.ref(Holder())
    gc.collect()
    assert held() is None


@both_forms
def test_what_a_timer_that_can_still_fire_holds_is_no_garbage(make: Make) -> None:
    class Thing:
        pass

    timers, thing = make(), Thing()
    held = weakref.ref(thing)
    timers.add(1.0, nothing, [thing])
    del thing
    gc.collect()
    assert held() is not None
    assert due(timers, 1.0) == [[held()]]


@both_forms
def test_one_whose_timers_are_gone_can_be_cancelled(make: Make) -> None:
    timer = make().add(1.0, nothing)
    gc.collect()
    timer.cancel()
    assert not timer.active


@both_forms
@pytest.mark.parametrize("deadline", [math.nan, math.inf, -math.inf])
def test_what_would_break_the_order_is_refused(make: Make, deadline: float) -> None:
    timers = make()
    with pytest.raises(AssertionError):
        timers.add(deadline, nothing)
    assert (len(timers), timers.held) == (0, 0)


@both_forms
def test_its_repr_tells_when_and_whether_it_is_over(make: Make) -> None:
    timers = make()
    timer = timers.add(1.5, nothing)
    assert repr(timer) == "<Timer at 1.500000>"
    timer.cancel()
    assert repr(timer) == "<Timer at 1.500000 (over)>"


@both_forms
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
def test_it_is_a_sorted_list_that_forgets(make: Make, steps: list[tuple[str, int]]) -> None:
    timers, now = make(), 0
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
