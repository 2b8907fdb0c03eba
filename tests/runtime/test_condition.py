"""Whoever waits has given the lock back, and whoever goes on holds it, whatever has happened."""

from collections.abc import Callable
from typing import Any

import pytest

import coloop
from coloop import (
    Cancelled,
    Condition,
    Coroutine,
    Killed,
    Lock,
    LockMisused,
    RLock,
    Timeout,
    current,
    current_scheduler,
    go,
    run,
    sleep,
    timeout,
    to_thread,
    yield_now,
)
from coloop.testing import MockClock, wait_until_idle

coroutine = pytest.mark.coroutine
both = pytest.mark.parametrize("kind", [Lock, RLock])
Kind = type[Lock]
KillInside = Callable[[Callable[[], object], int], bool]


class Log(list[Any]):
    """Notes what happens to those who wait on a condition, and that they hold its lock afterwards."""

    def __init__(self, condition: Condition) -> None:
        super().__init__()
        self.condition = condition

    def waiter(self, name: object, limit_s: float | None = None) -> Coroutine:
        return go(self._wait, name, limit_s)

    def _wait(self, name: object, limit_s: float | None) -> None:
        with self.condition:
            try:
                what: Any = self.condition.wait(limit_s)
            except BaseException as error:
                what = type(error)
            assert self.condition.lock.holder is current()
            self.append((name, what))


# -- notifying -----------------------------------------------------------------------------------


@coroutine
@both
def test_those_who_wait_are_notified_in_order_and_hold_the_lock(kind: Kind) -> None:
    condition = Condition(kind())
    log = Log(condition)
    waiters = [log.waiter(i) for i in range(4)]
    with condition:
        condition.notify()
        yield_now()
        assert log == []  # the lock is not free yet
    wait_until_idle()
    assert log == [(0, True)]
    with condition:
        condition.notify(2)
    wait_until_idle()
    assert log == [(0, True), (1, True), (2, True)]
    with condition:
        condition.notify_all()
        condition.notify_all()
    waiters[3].join()
    assert log[3:] == [(3, True)]
    assert not condition.lock.locked()


@coroutine
@both
def test_while_one_waits_others_hold_the_lock(kind: Kind) -> None:
    condition = Condition(kind())
    log = Log(condition)

    def other() -> None:
        with condition:
            log.append("other")
            condition.notify()

    first = log.waiter("first")
    assert first.state == "waiting"
    second = go(other)
    first.join()
    second.join()
    assert log == ["other", ("first", True)]


@coroutine
def test_a_notification_that_nobody_waits_for_is_not_kept(mock_clock: MockClock) -> None:
    condition = Condition()
    with condition:
        condition.notify_all()
        assert condition.wait(timeout=1) is False
    assert mock_clock.now() == 1.0


@coroutine
def test_a_lock_that_was_taken_several_times_is_given_back_and_taken_again_as_often() -> None:
    condition = Condition()
    log = list[str]()

    def child() -> None:
        with condition, condition, condition:
            condition.wait()
            log.append(repr(condition.lock))

    waiter = go(child)
    with condition:
        condition.notify()
    waiter.result()
    assert "held 3 times" in log[0]
    assert not condition.lock.locked()


@coroutine
def test_several_conditions_may_share_a_lock() -> None:
    lock = Lock()
    full, empty = Condition(lock), Condition(lock)
    log = Log(full)
    waiter = log.waiter("full")
    with lock:
        empty.notify()
        full.notify()
    waiter.join()
    assert log == [("full", True)]


# -- waiting for something -----------------------------------------------------------------------


@coroutine
def test_one_waits_until_the_question_is_answered() -> None:
    condition, items = Condition(), list[int]()

    def child() -> int:
        with condition:
            return condition.wait_for(lambda: len(items) if len(items) > 1 else 0)

    waiter = go(child)
    for i in range(2):
        assert waiter.state == "waiting"
        with condition:
            items.append(i)
            condition.notify()
        wait_until_idle()
    assert waiter.result() == 2
    with condition:
        assert condition.wait_for(lambda: "at once") == "at once"


@coroutine
def test_the_limit_holds_for_all_notifications_together(mock_clock: MockClock) -> None:
    condition = Condition()

    def remind() -> None:
        for _ in range(4):
            sleep(1)
            with condition:
                condition.notify()

    reminder = go(remind)
    with condition:
        assert condition.wait_for(lambda: 0, timeout=2.5) == 0
        assert mock_clock.now() == 2.5
        with pytest.raises(ValueError, match="timeout"):
            condition.wait_for(lambda: 0, timeout=float("nan"))
    reminder.join()


@coroutine
@pytest.mark.usefixtures("mock_clock")
def test_when_the_time_is_over_the_question_is_asked_once_more() -> None:
    condition, answers = Condition(), iter([0, 1])
    with condition:
        assert condition.wait_for(lambda: next(answers), timeout=1) == 1


# -- leaving early -------------------------------------------------------------------------------


@coroutine
@both
def test_the_time_to_wait_can_be_limited_but_the_lock_is_held_again(
    kind: Kind, mock_clock: MockClock
) -> None:
    condition = Condition(kind())
    log = Log(condition)
    waiter = log.waiter("late", 1)

    def hold() -> None:
        with condition:
            sleep(3)
            log.append("let go")

    go(hold)
    waiter.join()
    assert (log, mock_clock.now()) == (["let go", ("late", False)], 3.0)
    assert coloop.snapshot().timers == 0


@coroutine
@both
def test_one_that_is_cancelled_holds_the_lock_when_it_hears_of_it(kind: Kind) -> None:
    condition = Condition(kind())
    log = Log(condition)
    waiter = log.waiter("cancelled")
    with condition:
        waiter.cancel()
        yield_now()
        yield_now()
        assert log == []
    waiter.join()
    assert log == [("cancelled", Cancelled)]
    assert not condition.lock.locked()


@coroutine
@both
def test_a_notification_goes_past_one_that_was_cancelled_before(kind: Kind) -> None:
    condition = Condition(kind())
    log = Log(condition)
    cancelled, next_one = log.waiter("cancelled"), log.waiter("next")
    with condition:
        cancelled.cancel()
        condition.notify()
    next_one.join()
    cancelled.join()
    assert sorted(log, key=str) == [("cancelled", Cancelled), ("next", True)]


@coroutine
@both
@pytest.mark.parametrize("end", ["cancel", "throw", "kill"])
def test_one_that_is_notified_and_ended_at_the_same_moment_owns_the_notification(
    kind: Kind, end: str
) -> None:
    """While it takes the lock back nothing is raised; what was to be comes at its next wait."""
    condition = Condition(kind())
    log = list[object]()

    def child() -> None:
        with condition:
            log.append(condition.wait())
            assert condition.lock.holder is current()
            try:
                yield_now()
            except BaseException as error:
                log.append(type(error))

    waiter = go(child)
    other = Log(condition).waiter("not notified")
    with condition:
        condition.notify()
        if end == "kill":
            current_scheduler().interrupt(waiter, Killed())
        elif end == "throw":
            waiter.throw(KeyError())
        else:
            waiter.cancel()
        for _ in range(3):
            yield_now()
    waiter.join()
    assert log == [True, {"cancel": Cancelled, "throw": KeyError, "kill": Killed}[end]]
    assert other.state == "waiting"
    other.cancel()
    other.join()
    assert not condition.lock.locked()


@coroutine
def test_all_that_strikes_while_the_lock_is_taken_back_is_kept_in_order() -> None:
    condition = Condition()
    log = list[object]()

    def child() -> None:
        with condition:
            log.append(condition.wait())
            for _ in range(3):
                try:
                    yield_now()
                except Exception as error:
                    log.append(type(error))

    waiter = go(child)
    with condition:
        condition.notify()
        for error in (KeyError(), IndexError(), ValueError()):
            waiter.throw(error)
            yield_now()
            yield_now()
    waiter.join()
    assert log == [True, KeyError, IndexError, ValueError]


@coroutine
def test_what_strikes_while_the_lock_is_taken_back_comes_before_what_strikes_when_it_is_held() -> None:
    condition = Condition()
    log = list[object]()

    def child() -> None:
        with condition:
            log.append(condition.wait())
            for _ in range(2):
                try:
                    yield_now()
                except Exception as error:
                    log.append(type(error))

    waiter = go(child)
    with condition:
        condition.notify()
        yield_now()
        waiter.throw(KeyError())
        yield_now()
    assert condition.lock.holder is waiter
    waiter.throw(IndexError())
    waiter.join()
    assert log == [True, KeyError, IndexError]


@coroutine
def test_a_cancel_at_the_wait_and_another_while_the_lock_is_taken_back_are_both_heard() -> None:
    condition, log = Condition(), list[object]()

    def child() -> None:
        with condition:
            for call in (condition.wait, yield_now):
                try:
                    call()
                except BaseException as error:
                    assert condition.lock.holder is current()
                    log.append(str(error))

    waiter = go(child)
    with condition:
        for text in ("first", "second"):
            waiter.throw(KeyError(text))
            yield_now()
    waiter.join()
    assert log == ["'first'", "'second'"]


@coroutine
def test_the_limit_of_a_block_that_passes_while_the_lock_is_taken_back_is_not_heard(
    mock_clock: MockClock,
) -> None:
    """The wait was answered in time; a block whose last wait was answered ends normally."""
    condition, log = Condition(), list[object]()

    def child() -> None:
        with timeout(2) as limit, condition:
            log.append(condition.wait())
        log.append(limit.expired)
        sleep(1)

    waiter = go(child)
    sleep(1)
    with condition:
        condition.notify()
        sleep(5)
    waiter.result()
    assert log == [True, False]


@coroutine
def test_the_limit_of_a_block_that_passes_at_the_wait_is_heard_with_the_lock(mock_clock: MockClock) -> None:
    condition = Condition()
    with condition:
        with pytest.raises(Timeout), timeout(2):
            condition.wait()
        assert condition.lock.holder is current()
    assert mock_clock.now() == 2.0


@coroutine
@both
def test_a_bad_limit_leaves_the_lock_held_and_nobody_in_line(kind: Kind) -> None:
    condition = Condition(kind())
    with condition:
        with pytest.raises(ValueError, match="timeout must be finite"):
            condition.wait(timeout=float("nan"))
        assert condition.lock.holder is current()
    assert repr(condition).endswith("0 waiting>")


@coroutine
def test_wherever_a_kill_strikes_all_are_notified_or_none(kill_inside: KillInside) -> None:
    seen = set()
    for place in range(100):
        condition = Condition()
        log = Log(condition)
        waiters = [log.waiter(i) for i in range(3)]

        def victim(condition: Condition = condition) -> None:
            condition.acquire()
            condition.notify(2)

        struck = kill_inside(victim, place)
        if condition.lock.locked():
            condition.release()
        wait_until_idle()
        seen.add(tuple(log))
        for waiter in waiters:
            waiter.cancel()
        wait_until_idle()
        if not struck:
            break
    assert not struck
    assert seen == {(), ((0, True), (1, True))}


# -- mistakes ------------------------------------------------------------------------------------


@coroutine
@both
@pytest.mark.parametrize("call", ["wait", "wait_for", "notify", "notify_all"])
def test_without_the_lock_nothing_can_be_done(kind: Kind, call: str) -> None:
    condition = Condition(kind())
    args = (bool,) if call == "wait_for" else ()
    with pytest.raises(
        LockMisused, match=r"^co#1 '.*' must hold r?lock#\d+ to .* condition#\d+: it is free$"
    ):
        getattr(condition, call)(*args)
    holder = go(lambda: (condition.acquire(), coloop.suspend()), name="holder")
    with pytest.raises(LockMisused, match=f"it is held by {holder} 'holder'$"):
        getattr(condition, call)(*args)
    holder.cancel()


@coroutine
def test_a_callback_cannot_notify(observer: Any) -> None:
    condition = Condition()
    coloop.call_soon_threadsafe(condition.notify)
    wait_until_idle()
    assert "a callback must hold" in str(observer.failures.pop().message)


@coroutine
def test_a_lock_that_a_dead_one_kept_is_waited_for(mock_clock: MockClock) -> None:
    """There is no way to leave `wait` without it; whoever gives it back lets this one go on."""
    condition = Condition()
    log = Log(condition)
    waiter = log.waiter("patient", 1)
    go(condition.acquire, name="careless")
    sleep(2)
    assert waiter.waiting_on is not None
    assert waiter.waiting_on.endswith("which has ended")
    condition.release()
    waiter.join()
    assert log == [("patient", False)]


def test_outside_of_run_nobody_waits() -> None:
    with pytest.raises(coloop.NotRunning):
        Condition().wait()


@coroutine
def test_it_belongs_to_one_scheduler() -> None:
    condition = Condition()
    log = Log(condition)
    waiter = log.waiter(0)

    def elsewhere() -> None:
        def notify() -> None:
            with condition, pytest.raises(coloop.WrongThread):
                condition.notify()

        run(notify)

    to_thread(elsewhere)
    assert waiter.state == "waiting"
    with condition:
        condition.notify()
    waiter.join()


@coroutine
def test_it_tells_who_holds_its_lock_and_how_many_wait() -> None:
    condition = Condition(Lock())
    assert repr(condition) == f"<Condition#{condition.id} with {condition.lock}, 0 waiting>"
    waiter = Log(condition).waiter(0)
    assert str(condition) == f"condition#{condition.id}"
    assert repr(condition) == f"<Condition#{condition.id} with lock#{condition.lock.id}, 1 waiting>"
    assert waiter.waiting_on == f"wait for condition#{condition.id}"
    waiter.cancel()
