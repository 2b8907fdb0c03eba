"""What is done in a shelter is done to its end, and whoever was shot before hears of it before."""

from collections.abc import Callable

import pytest

import coloop
from coloop import Killed, current, current_scheduler, run
from coloop._shelter import shelter

pytestmark = pytest.mark.coroutine

KillInside = Callable[[Callable[[], object], int], bool]


def test_inside_nobody_is_exposed_and_outside_as_before() -> None:
    scheduler = current_scheduler()
    with shelter(scheduler):
        assert scheduler.exposed is None
        with shelter(scheduler):
            assert scheduler.exposed is None
        assert scheduler.exposed is None
    assert scheduler.exposed is current()


def test_an_error_inside_leads_outside() -> None:
    scheduler = current_scheduler()
    with pytest.raises(KeyError), shelter(scheduler):
        raise KeyError
    assert scheduler.exposed is current()


def test_a_shot_that_was_fired_before_strikes_at_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler, log = current_scheduler(), list[str]()

    def shot() -> float:
        raise Killed

    monkeypatch.setattr("coloop._shelter.perf_counter", shot)
    with pytest.raises(Killed), shelter(scheduler):
        log.append("inside")
    assert (log, scheduler.exposed) == ([], current())


def test_all_are_woken_or_none(kill_inside: KillInside) -> None:
    for place in range(100):
        event = coloop.Event()
        waiters = [coloop.go(event.wait) for _ in range(3)]
        struck = kill_inside(event.set, place)
        states = {waiter.state for waiter in waiters}
        assert states in ({"done"}, {"waiting"}, {"ready"})
        assert event.is_set() == (states != {"waiting"})
        if not struck:
            break
        event.set()
        for waiter in waiters:
            assert waiter.join()
    assert place > (0 if coloop.FORM == "native" else 3)  # there a line is one call into C
    assert states != {"waiting"}


def test_a_callback_can_use_it() -> None:
    event = coloop.Event()
    coloop.call_soon_threadsafe(event.set)
    assert event.wait()


def test_it_belongs_to_its_scheduler() -> None:
    def elsewhere() -> None:
        with shelter(current_scheduler()):
            assert current_scheduler().exposed is None

    coloop.to_thread(run, elsewhere)
