"""An event or a wait group may be made before any scheduler runs; foreign threads are refused, waiters or not."""

import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import coloop
from coloop import Event, WaitGroup, go, run, to_thread
from coloop.testing import wait_until_idle

FOREIGN = r"use scheduler\.call_soon_threadsafe\(\.\.\.\)"

CALLS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "Event.set": (Event, lambda event: event.set()),
    "Event.clear": (Event, lambda event: event.clear()),
    "Event.wait": (Event, lambda event: event.wait(0)),
    "WaitGroup.add": (WaitGroup, lambda group: group.add()),
    "WaitGroup.done": (WaitGroup, lambda group: group.done()),
    "WaitGroup.wait": (WaitGroup, lambda group: group.wait(0)),
}


def refused_elsewhere(call: Callable[[], object], *, its_own: bool) -> None:
    def elsewhere() -> None:
        with pytest.raises(coloop.WrongThread, match=FOREIGN):
            run(call) if its_own else call()

    to_thread(elsewhere)


@pytest.mark.parametrize("its_own", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_a_foreign_thread_is_refused_although_nobody_waits(name: str, its_own: bool) -> None:
    make, call = CALLS[name]
    before = make()  # no scheduler runs yet

    def main() -> None:
        for thing in (before, make()):
            shown = repr(thing)
            refused_elsewhere(partial(call, thing), its_own=its_own)
            assert repr(thing) == shown

    run(main)


def test_the_refusal_names_the_object_and_the_call() -> None:
    def main() -> None:
        event = Event()

        def elsewhere() -> None:
            with pytest.raises(coloop.WrongThread, match=f"^event#{event.id}.set: its scheduler runs on"):
                event.set()

        to_thread(elsewhere)

    run(main)


def test_what_was_set_before_any_scheduler_ran_is_set() -> None:
    event, group = Event(), WaitGroup()
    event.set()
    group.add(2)
    group.done()
    group.done()
    assert run(lambda: (event.wait(), group.wait())) == (True, True)


def test_one_that_was_made_where_no_scheduler_runs_goes_to_the_thread_that_uses_it() -> None:
    event, group = Event(), WaitGroup()
    group.add()

    def main() -> tuple[bool, bool]:
        waiting = go(event.wait), go(group.wait)
        wait_until_idle()
        event.set()
        group.done()
        return waiting[0].result(), waiting[1].result()

    assert in_a_thread(lambda: run(main)) == (True, True)
    run(event.clear)  # that scheduler has ended
    run(group.add)
    assert (event.is_set(), group.pending) == (False, 1)


def test_one_that_nobody_uses_any_more_may_be_set_from_anywhere() -> None:
    event = run(Event)
    assert in_a_thread(lambda: event.set() or True)
    assert event.is_set()


def test_a_thread_without_a_scheduler_may_not_take_what_another_one_runs() -> None:
    """It was made on a third thread, which is gone: nobody waits yet, but somebody may at any moment."""
    begin, errors = threading.Event(), list[str]()

    def elsewhere() -> None:
        begin.wait()
        try:
            event.set()
        except coloop.WrongThread as error:
            errors.append(str(error))

    foreign = threading.Thread(target=elsewhere)
    foreign.start()  # before the third: one that begins when that is gone may be given its number
    event = in_a_thread(Event)
    run(to_thread, lambda: (begin.set(), foreign.join()))
    assert re.search(FOREIGN, errors[0])
    assert not event.is_set()


def in_a_thread(call: Callable[[], Any]) -> Any:
    told: list[Any] = []
    thread = threading.Thread(target=lambda: told.append(call()))
    thread.start()
    thread.join()
    return told[0]
