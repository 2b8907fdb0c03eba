"""First come, first served; and whose wait is over, for whatever reason, is not in line any more."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import coloop
from coloop import Cancelled, Closed, Timeout, current, current_scheduler, go, run, sleep, to_thread
from coloop._line import NOBODY, JointWait, WaitQueue
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


def test_what_the_others_brought_can_be_asked_for() -> None:
    line, scheduler = WaitQueue(), current_scheduler()
    children = [go(line.wait, "wait in", "line", brings=i) for i in range(3)]
    assert [line.brought_by(child) for child in children] == [0, 1, 2]
    children[0].cancel()
    assert line.brought_by(line.first(scheduler)) == 1
    with pytest.raises(KeyError):
        line.brought_by(current())
    line.wake_all()


def test_it_is_empty_when_also_those_whose_wait_is_over_have_left() -> None:
    line = WaitQueue()
    assert line.is_empty()
    children = [go(line.wait, "wait in", "line") for _ in range(2)]
    for child in children:
        child.cancel()
    assert (len(line), line.is_empty()) == (0, False)
    for child in children:
        child.join()
    assert line.is_empty()


def test_whom_an_exception_meets_before_he_waits_has_not_come_in_line() -> None:
    line = WaitQueue()

    def child() -> None:
        current().cancel()
        line.wait("wait in", "line")

    assert go(child).join()
    assert line.is_empty()


def test_a_newcomer_stands_behind_one_who_came_back() -> None:
    line, log = WaitQueue(), []

    def child(name: str, times: int) -> None:
        log.extend((name, line.wait("wait in", "line")) for _ in range(times))

    children = [go(child, "a", 2), go(child, "b", 1)]
    line.serve(current_scheduler(), 0)
    wait_until_idle()
    children.append(go(child, "c", 1))
    for i in (1, 2, 3):
        line.serve(current_scheduler(), i)
    for one in children:
        one.join()
    assert log == [("a", 0), ("b", 1), ("a", 2), ("c", 3)]


def test_a_line_and_those_in_it_are_seen_by_the_garbage_collector() -> None:
    """That is how one finds out who can never be woken again."""
    line, brought = WaitQueue(), object()
    plain = go(line.wait, "wait in", "line", brings=brought)
    joint = stand_in(line)
    seen, front = list[object](), list[object]([line])
    for _ in range(3):
        front = gc.get_referents(*front)
        seen += front
    assert any(found is plain for found in seen)
    assert any(found is brought for found in seen)
    assert any(found is joint for found in seen)
    line.wake_all()
    plain.join()
    joint.join()


def test_a_line_that_nobody_else_knows_is_freed_with_all_that_was_brought() -> None:
    class Thing:
        pass

    def child() -> None:
        line, thing = WaitQueue(), Thing()
        things.append(weakref.ref(thing))
        line.wait("wait in", line, brings=[thing, line])

    things: list[weakref.ref[Thing]] = []
    waiting = go(child)
    waiting.cancel()
    waiting.join()
    gc.collect()
    assert things[0]() is None


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
    assert all(line.is_empty() for line in lines)


def test_named_twice_a_line_counts_once_in_the_place_that_was_named_first() -> None:
    line, other = WaitQueue(), WaitQueue()
    child = stand_in(line, other, line)
    assert (len(line), len(other)) == (1, 1)
    assert line.serve(current_scheduler(), "served") == "brought to 0"
    assert child.result() == (0, "served", None)
    assert (line.is_empty(), other.is_empty()) == (True, True)


@pytest.mark.parametrize("first", [0, 1])
def test_the_limit_ends_all_or_nothing(first: int, mock_clock: MockClock) -> None:
    lines = [WaitQueue() for _ in range(2)]
    with pytest.raises(Timeout, match="wait for this or that: timed out after 1s"):
        JointWait(["this", "that"]).wait("wait for", [(i, line, None) for i, line in enumerate(lines)], 1)
    assert all(line.is_empty() for line in lines)
    current_scheduler().call_later(1, lambda: lines[first].wake_all("in time"))
    served = JointWait(["this"]).wait("wait for", [(i, line, None) for i, line in enumerate(lines)], 1)
    assert served == (first, "in time", None)
    assert coloop.snapshot().timers == 0


# -- misuse --------------------------------------------------------------------------------------


def test_a_line_belongs_to_one_scheduler() -> None:
    """Whoever looks from another thread is refused, and nobody has lost his place."""
    line, log = WaitQueue(), []
    child = go(line.wait, "wait in", "line")
    looks: list[Callable[[], object]] = [
        line.wake_all,
        lambda: line.interrupt_all(lambda: Closed("x")),
        lambda: line.first(current_scheduler()),
        lambda: line.serve(current_scheduler()),
    ]

    def elsewhere(look: Callable[[], object]) -> None:
        with pytest.raises(coloop.WrongThread, match=r"co#\d+ waits here for somebody on its own thread"):
            run(look)
        log.append(look)

    for look in looks:
        to_thread(elsewhere, look)
    assert (log, child.state, len(line)) == (looks, "waiting", 1)
    line.wake_all("on its own thread")
    assert child.result() == "on its own thread"


def test_who_stands_in_several_lines_is_not_served_from_another_thread_either() -> None:
    lines = [WaitQueue() for _ in range(2)]
    child = stand_in(*lines)

    def elsewhere() -> None:
        with pytest.raises(coloop.WrongThread, match=r"co#\d+ waits here for somebody on its own thread"):
            run(lines[1].wake_all)

    to_thread(elsewhere)
    assert (child.state, [len(line) for line in lines]) == ("waiting", [1, 1])
    lines[1].wake_all()
    assert child.result() == (1, None, None)


def test_outside_of_run_nobody_waits_and_nobody_is_woken() -> None:
    def elsewhere() -> None:
        line = WaitQueue()
        for call in (
            lambda: line.wait("wait in", "line"),
            line.wake_all,
            lambda: line.interrupt_all(KeyError),
            lambda: JointWait([]),
        ):
            with pytest.raises(coloop.NotRunning, match="no scheduler runs on this thread"):
                call()
        assert line.is_empty()

    to_thread(elsewhere)


def test_a_callback_cannot_wait_and_leaves_nothing_behind(observer: Any) -> None:
    line = WaitQueue()
    coloop.call_soon_threadsafe(line.wait, "wait in", "line")
    coloop.call_soon_threadsafe(lambda: JointWait(["x"]).wait("wait for", [(0, line, None)], None))
    wait_until_idle()
    assert [failure.exception_type for failure in observer.failures] == ["NotRunning"] * 2
    observer.failures.clear()
    assert line.is_empty()


@pytest.mark.parametrize("limit", [float("nan"), "soon"])
def test_a_bad_limit_leaves_nobody_in_line(limit: Any) -> None:
    line = WaitQueue()
    with pytest.raises((ValueError, TypeError)):
        line.wait("wait in", "line", limit)
    with pytest.raises((ValueError, TypeError)):
        JointWait(["x"]).wait("wait for", [(0, line, None)], limit)
    assert line.is_empty()
