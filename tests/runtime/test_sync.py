"""First come, first served; and whose wait is over, for whatever reason, is not in line any more."""

from typing import Any

import pytest

import coloop
from coloop import Cancelled, Closed, Event, Timeout, current_scheduler, go, run, sleep, to_thread, yield_now
from coloop._sync import NOBODY, JointWait, WaitQueue
from coloop.testing import MockClock, wait_until_idle

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("mock_clock")]


# -- the line ------------------------------------------------------------------------------------


def test_the_line_is_served_in_order_and_hands_over_what_each_brought() -> None:
    line, scheduler, log = WaitQueue(), current_scheduler(), []

    def child(i: int) -> None:
        log.append((i, line.wait("wait in", "line", brings=i * 10)))

    children = [go(child, i) for i in range(3)]
    assert len(line) == 3
    for i in range(3):
        first = line.first(scheduler)
        assert first is children[i]
        assert line.brought_by(first) == i * 10
        scheduler.wake(first, "served")
    assert (len(line), line.first(scheduler)) == (0, None)
    wait_until_idle()
    assert log == [(0, "served"), (1, "served"), (2, "served")]


@pytest.mark.parametrize("leave", ["cancel", "throw", "timeout"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_who_leaves_early_is_out_of_the_line_at_once(leave: str, place: int, mock_clock: MockClock) -> None:
    line, scheduler = WaitQueue(), current_scheduler()
    children = [
        go(line.wait, "wait in", "line", 1.0 if leave == "timeout" and i == place else None) for i in range(3)
    ]
    leaver = children.pop(place)
    if leave == "cancel":
        leaver.cancel()
    elif leave == "throw":
        leaver.throw(Closed("x"))
    else:
        mock_clock.advance(1)
        go(lambda: None)
        leaver.join(timeout=0)
    assert len(line) == 2
    for child in children:
        assert line.first(scheduler) is child
        scheduler.wake(child)
    assert line.first(scheduler) is None
    leaver.join()


def test_all_are_woken_or_interrupted_in_order() -> None:
    line, log = WaitQueue(), []

    def child(i: int) -> None:
        try:
            log.append((i, line.wait("wait in", "line")))
        except Closed as error:
            log.append((i, error))

    for end in (lambda: line.wake_all("woken"), lambda: line.interrupt_all(lambda: Closed("x"))):
        for i in range(3):
            go(child, i)
        end()
        wait_until_idle()
    assert log[:3] == [(i, "woken") for i in range(3)]
    assert [(i, str(error)) for i, error in log[3:]] == [(i, "x") for i in range(3)]
    assert len({id(error) for _, error in log[3:]}) == 3


def test_one_that_was_interrupted_already_is_not_interrupted_again() -> None:
    line, log = WaitQueue(), []

    def child() -> None:
        try:
            line.wait("wait in", "line")
        except Cancelled:
            sleep(1)
            log.append("cleaned up undisturbed")

    waiting = go(child)
    waiting.cancel()
    line.interrupt_all(lambda: Closed("x"))
    waiting.join()
    assert log == ["cleaned up undisturbed"]


def test_serving_hands_over_both_ways() -> None:
    line, scheduler = WaitQueue(), current_scheduler()
    assert line.serve(scheduler, "to nobody") is NOBODY
    children = [go(line.wait, "wait in", "line", brings=brings) for brings in (None, "b")]
    assert [line.serve(scheduler, i) for i in range(2)] == [None, "b"]
    assert line.serve(scheduler) is NOBODY
    assert [child.result() for child in children] == [0, 1]


# -- in several lines ----------------------------------------------------------------------------


def stand_in(*lines: WaitQueue) -> Any:
    places = [(number, line, f"brought to {number}") for number, line in enumerate(lines)]
    return go(JointWait(["this", "that"]).wait, "wait for", places, None)


def test_who_is_served_in_one_line_is_out_of_all() -> None:
    lines, scheduler = [WaitQueue() for _ in range(3)], current_scheduler()
    child = stand_in(*lines)
    assert child.waiting_on == "wait for this or that"
    assert [len(line) for line in lines] == [1, 1, 1]
    assert lines[1].serve(scheduler, "served") == "brought to 1"
    assert [len(line) for line in lines] == [0, 0, 0]
    assert [line.serve(scheduler) for line in lines] == [NOBODY] * 3
    assert child.result() == (1, "served", None)


def test_in_each_line_it_has_the_place_in_which_it_came() -> None:
    line, other, scheduler = WaitQueue(), WaitQueue(), current_scheduler()
    before, joint, after = (
        go(line.wait, "wait in", "line"),
        stand_in(other, line),
        go(line.wait, "wait in", "line"),
    )
    for i in range(3):
        line.serve(scheduler, i)
    assert (before.result(), joint.result(), after.result()) == (0, (1, 1, None), 2)


def test_all_are_woken_or_interrupted_whether_in_one_line_or_in_several() -> None:
    line, other = WaitQueue(), WaitQueue()
    children = [stand_in(line, other), go(line.wait, "wait in", "line")]
    line.wake_all("woken")
    assert [child.result() for child in children] == [(0, "woken", None), "woken"]
    children = [stand_in(line, other), go(line.wait, "wait in", "line")]
    line.interrupt_all(lambda: Closed("x"))
    number, value, error = children[0].result()
    assert (number, value, str(error)) == (0, None, "x")
    with pytest.raises(Closed, match="x"):
        children[1].result()


@pytest.mark.parametrize("leave", ["cancel", "throw"])
def test_who_leaves_early_is_out_of_all_lines_at_once(leave: str) -> None:
    lines = [WaitQueue() for _ in range(2)]
    child = stand_in(*lines)
    child.cancel() if leave == "cancel" else child.throw(Closed("x"))
    assert [line.serve(current_scheduler()) for line in lines] == [NOBODY] * 2
    child.join()
    assert [list(line._line) for line in lines] == [[], []]


# -- misuse --------------------------------------------------------------------------------------


def test_a_line_belongs_to_one_scheduler() -> None:
    line = WaitQueue()
    child = go(line.wait, "wait in", "line")

    def elsewhere() -> None:
        with pytest.raises(coloop.WrongThread, match="waits here for somebody on its own thread"):
            run(line.wake_all)

    to_thread(elsewhere)
    assert child.state == "waiting"
    line.wake_all()
    child.join()


# -- events --------------------------------------------------------------------------------------


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


def test_a_bad_limit_leaves_nobody_in_line() -> None:
    event: Any = Event()
    with pytest.raises(ValueError, match="delay must be finite"):
        event.wait(timeout=float("nan"))
    assert repr(event).endswith("0 waiting>")
    with pytest.raises(Timeout):
        coloop.Channel().receive(timeout=0)
