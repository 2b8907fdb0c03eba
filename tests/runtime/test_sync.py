"""An event wakes all who wait for it, and stays set until it is cleared."""

from typing import Any

import pytest

import coloop
from coloop import Event, Timeout, current_scheduler, go, run, sleep, to_thread, yield_now
from coloop.testing import MockClock, wait_until_idle

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("mock_clock")]


def test_setting_an_event_wakes_all_who_wait_in_order() -> None:
    event, log = Event(), []
    for i in range(3):
        go(lambda i=i: log.append((i, event.wait())))
    assert (event.is_set(), log) == (False, [])
    event.set()
    wait_until_idle()
    assert (event.is_set(), log) == (True, [(0, True), (1, True), (2, True)])


def test_a_set_event_keeps_nobody_waiting_until_it_is_cleared() -> None:
    event = Event()
    event.set()
    event.set()
    assert event.wait()
    event.clear()
    assert not event.is_set()
    child = go(event.wait)
    assert child.state == "waiting"
    event.set()
    child.join()


def test_one_that_asks_a_set_event_again_and_again_lets_others_run_now_and_then() -> None:
    event, log = Event(), list[str]()
    event.set()
    other = go(lambda: (yield_now(), log.append("ran")))
    for _ in range(100_000):
        assert event.wait()
        if log:
            break
    assert log
    other.join()


def test_an_event_that_is_cleared_while_others_run_is_waited_for() -> None:
    event = Event()
    event.set()
    clearing = go(lambda: (yield_now(), event.clear()))
    waiting = go(lambda: [event.wait() for _ in range(100_000)])
    clearing.join()
    assert waiting.waiting_on == f"wait for {event}"
    waiting.cancel()


def test_who_was_woken_sees_the_event_even_if_it_was_cleared_since() -> None:
    event = Event()
    child = go(event.wait)
    event.set()
    event.clear()
    assert child.result() is True


def test_waiting_can_be_limited(mock_clock: MockClock) -> None:
    event = Event()
    assert event.wait(timeout=2) is False
    assert mock_clock.now() == 2.0
    go(lambda: (sleep(1), event.set()))
    assert event.wait(timeout=2) is True
    assert coloop.snapshot().timers == 0


def test_an_event_that_is_set_in_the_instant_of_the_deadline_counts() -> None:
    event = Event()
    current_scheduler().call_later(1, event.set)
    assert event.wait(timeout=1) is True
    other = Event()
    late = go(other.wait, timeout=1)
    current_scheduler().call_later(1, other.set)
    assert late.result() is True


def test_a_cancelled_waiter_is_gone() -> None:
    event = Event()
    child = go(event.wait)
    child.cancel()
    child.join()
    assert repr(event).endswith("clear, 0 waiting>")
    event.set()


def test_its_repr_tells_state_and_waiters() -> None:
    event = Event()
    child = go(event.wait)
    assert str(event) == f"event#{event.id}"
    assert repr(event) == f"<Event#{event.id} clear, 1 waiting>"
    assert child.waiting_on == f"wait for event#{event.id}"
    event.set()
    child.join()
    assert repr(event) == f"<Event#{event.id} set, 0 waiting>"


def test_an_event_belongs_to_one_scheduler() -> None:
    event = Event()
    child = go(event.wait)

    def elsewhere() -> None:
        with pytest.raises(coloop.WrongThread, match=rf"{event}\.set: its scheduler runs on another thread"):
            run(event.set)

    to_thread(elsewhere)
    assert (child.state, event.is_set()) == ("waiting", False)
    event.set()
    child.join()


def test_a_bad_limit_leaves_nobody_in_line() -> None:
    event: Any = Event()
    with pytest.raises(ValueError, match="timeout must be finite"):
        event.wait(timeout=float("nan"))
    assert repr(event).endswith("0 waiting>")
    with pytest.raises(Timeout):
        coloop.Channel().receive(timeout=0)
