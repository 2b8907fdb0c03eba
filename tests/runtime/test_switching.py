"""Order, waking once, isolation, and that nothing is held of the dead."""

import contextvars
import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from greenlet import getcurrent, greenlet

import coloop
from coloop import (
    Channel,
    Coroutine,
    Event,
    Group,
    NotRunning,
    Timeout,
    current,
    current_scheduler,
    defer,
    go,
    run,
    sleep,
    suspend,
    yield_now,
)
from coloop import _scheduler as scheduler_module
from coloop import _switching as switching
from coloop._poller import READ, Wire
from coloop.testing import MockClock, wait_until_idle


class Oops(Exception):
    pass


class Thing:
    """Something that a weak reference can point to."""


def fail(text: str = "") -> None:
    raise Oops(text)


# -- order ---------------------------------------------------------------------------------------


@pytest.mark.coroutine
def test_go_runs_the_new_one_until_it_parks_and_then_returns() -> None:
    log: list[Any] = []

    def child(name: str, *more: str) -> None:
        log.append(name)
        if more:
            go(child, *more)
            log.append(f"{name} again")
        yield_now()
        log.append(f"{name} ends")

    go(child, "a", "b", "c")
    log.append("main")
    wait_until_idle()
    assert log == ["a", "b", "c", "b again", "a again", "main", "c ends", "b ends", "a ends"]


@pytest.mark.coroutine
def test_one_that_ends_at_once_has_ended_when_go_returns() -> None:
    child = go(lambda: 5)
    assert (child.state, child.result()) == ("done", 5)


@pytest.mark.coroutine
def test_the_ready_run_first_come_first_served() -> None:
    log: list[int] = []

    def child(i: int) -> None:
        for _ in range(3):
            yield_now()
            log.append(i)

    for i in range(4):
        go(child, i)
    wait_until_idle()
    assert log == [0, 1, 2, 3] * 3


@pytest.mark.coroutine
def test_they_run_in_the_order_in_which_they_were_woken() -> None:
    log: list[Any] = []
    sleepers = [go(lambda: log.append(suspend())) for _ in range(5)]
    for i in (3, 0, 4, 1, 2):
        sleepers[i].resume(i)
    wait_until_idle()
    assert log == [3, 0, 4, 1, 2]


def order_with(seed: int | None) -> list[int]:
    log: list[int] = []

    def child(i: int) -> None:
        for _ in range(5):
            yield_now()
            log.append(i)

    def main() -> None:
        for i in range(6):
            go(child, i)

    run(main, seed=seed, clock=MockClock())
    return log


def test_a_seed_gives_another_order_and_always_the_same_one() -> None:
    orders = [order_with(seed) for seed in range(10)]
    assert orders == [order_with(seed) for seed in range(10)]
    assert len({tuple(order) for order in orders}) == 10
    assert all(sorted(order) == sorted(order_with(None)) for order in orders)


@pytest.mark.parametrize("seed", range(20))
def test_no_order_loses_or_doubles_a_wake(seed: int) -> None:
    """A program of everything that parks comes to the same end under each seed."""

    def worker(i: int, channel: Channel[int], done: list[int]) -> None:
        channel.send(i)
        sleep(i % 3)
        with Group() as group:
            group.go(yield_now)
            group.go(sleep, 1)
        done.append(go(lambda: (yield_now(), i)[1]).result())

    def main() -> list[int]:
        channel: Channel[int] = Channel()
        done: list[int] = []
        workers = [go(worker, i, channel, done) for i in range(10)]
        received = [channel.receive() for _ in workers]
        for each in workers:
            each.join()
        assert sorted(received) == sorted(done) == list(range(10))
        return done

    run(main, seed=seed, clock=MockClock())


# -- waking once ---------------------------------------------------------------------------------


@pytest.mark.coroutine
def test_a_wait_ends_once_and_who_comes_second_is_told() -> None:
    scheduler = current_scheduler()
    log: list[Any] = []
    child = go(lambda: (log.append(suspend()), log.append(suspend())))
    assert scheduler.wake(child, "first")
    assert not scheduler.wake(child, "second")
    wait_until_idle()
    assert log == ["first"]
    assert child.waiting_on == "suspend"
    child.resume("third")
    child.join()
    assert log == ["first", "third"]
    assert not scheduler.wake(child)


@pytest.mark.coroutine
def test_an_interrupt_behind_a_wake_is_kept_for_the_next_wait() -> None:
    log: list[Any] = []

    def child() -> None:
        log.append(suspend())
        try:
            suspend()
        except Oops:
            log.append("interrupted")

    waiting = go(child)
    waiting.resume("woken")
    waiting.throw(Oops())
    waiting.join()
    assert log == ["woken", "interrupted"]


@pytest.mark.coroutine
def test_many_are_woken_in_order_and_who_waits_no_more_is_passed_over() -> None:
    told: list[int] = []
    waiting = [go(lambda n=n: (suspend(), told.append(n))) for n in range(4)]
    waiting[1].resume()
    current_scheduler().wake_each([waiting[3], waiting[1], waiting[0], waiting[0]])
    waiting[2].resume()
    yield_now()
    assert told == [1, 3, 0, 2]


@pytest.mark.coroutine
def test_a_wake_behind_an_interrupt_is_refused() -> None:
    child = go(suspend)
    child.throw(Oops())
    assert not current_scheduler().wake(child)
    with pytest.raises(Oops):
        child.result()


@pytest.mark.coroutine
def test_a_value_that_was_not_taken_does_not_turn_up_at_the_next_wait() -> None:
    """Woken with a value, it sleeps: the sleep returns None."""
    child = go(lambda: (suspend(), current_scheduler().park("suspend")))
    child.resume(1)
    yield_now()
    child.resume()
    assert child.result() == (1, None)


@pytest.mark.parametrize("backend", ["epoll", "selectors"], indirect=True)
@pytest.mark.usefixtures("backend")
def test_data_that_is_there_beats_a_deadline_that_has_just_passed() -> None:
    clock = MockClock(autojump=False)

    def main() -> None:
        scheduler = current_scheduler()
        readable, writable = os.pipe()
        wire = Wire(readable)
        scheduler.poller.register(wire)
        scheduler.poller.poll(0)

        def reader() -> str:
            scheduler.poller.expect(wire, READ, current())
            try:
                scheduler.park("recv", timeout_s=1)
            finally:
                scheduler.poller.withdraw(wire, READ)
            return "data"

        waiting = go(reader)
        os.write(writable, b"x")
        clock.advance(5)
        assert waiting.result() == "data"
        scheduler.poller.forget(wire)
        os.close(readable)
        os.close(writable)

    run(main, clock=clock)


@pytest.mark.coroutine
def test_a_value_that_was_sent_beats_a_deadline_that_passes_before_it_is_looked_at(
    mock_clock: MockClock,
) -> None:
    channel: Channel[str] = Channel()
    child = go(channel.receive, timeout=1)
    channel.send("data")
    mock_clock.advance(5)
    assert child.result() == "data"
    assert coloop.snapshot().timers == 0


@pytest.mark.coroutine
def test_many_timers_of_one_instant_fire_in_the_order_in_which_they_were_set(mock_clock: MockClock) -> None:
    log: list[int] = []
    for i in range(100):
        current_scheduler().call_later(1, log.append, i)
    sleep(1)
    assert log == list(range(100))


# -- fairness ------------------------------------------------------------------------------------


def ping_pong(flag: list[bool]) -> int:
    laps = 0
    while not flag and laps < 1_000_000:
        yield_now()
        laps += 1
    return laps


def test_a_ping_pong_pair_does_not_starve_a_timer() -> None:
    def main() -> None:
        flag: list[bool] = []
        pair = [go(ping_pong, flag) for _ in range(2)]
        sleep(0.002)
        flag.append(True)
        assert all(each.result() < 1_000_000 for each in pair)

    run(main)


@pytest.mark.parametrize(
    "spin",
    [
        yield_now,
        lambda: go(lambda: None),
        lambda: go(yield_now),
        lambda: sleep(0),
        lambda: channel_round(Channel(1)),
    ],
)
def test_who_never_waits_for_long_does_not_starve_descriptors(spin: Callable[[], object]) -> None:
    def main() -> None:
        scheduler = current_scheduler()
        readable, writable = os.pipe()
        wire = Wire(readable)
        scheduler.poller.register(wire)
        scheduler.poller.poll(0)
        woken: list[bool] = []

        def reader() -> None:
            scheduler.poller.expect(wire, READ, current())
            scheduler.park("recv")
            woken.append(True)

        go(reader)
        os.write(writable, b"x")
        for _ in range(2 * switching.SLICE_SWITCHES * switching.TURN_OPERATIONS):
            spin()
            if woken:
                break
        assert woken
        scheduler.poller.forget(wire)
        os.close(readable)
        os.close(writable)

    run(main)


def channel_round(channel: Channel[int]) -> None:
    channel.send(1)
    channel.receive()


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
def test_timers_without_end_do_not_starve_the_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "MAX_TIMERS_PER_TURN", 100)
    scheduler = current_scheduler()
    fired = [0]

    def again() -> None:
        fired[0] += 1
        if not over:
            scheduler.call_later(0, again)

    over: list[bool] = []
    again()
    for _ in range(3 * switching.SLICE_SWITCHES):
        yield_now()
    assert fired[0] >= 200
    over.append(True)


# -- isolation -----------------------------------------------------------------------------------


@pytest.mark.coroutine
def test_an_exception_ends_its_own_coroutine_and_is_told_once(observer: Any) -> None:
    go(suspend, name="bystander").resume()
    child = go(fail, "why")
    assert child.state == "failed"
    wait_until_idle()
    wait_until_idle()
    (failure,) = observer.failures
    assert (failure.id, failure.name, failure.exception_type, failure.message) == (3, "fail", "Oops", "why")
    assert "in fail" in failure.traceback
    assert "coloop/" not in failure.traceback
    observer.failures.clear()


@pytest.mark.coroutine
def test_who_joins_at_once_hears_of_it_and_nobody_else() -> None:
    assert go(fail).join()
    with pytest.raises(Oops):
        go(fail).result()
    wait_until_idle()


@pytest.mark.coroutine
def test_who_waits_in_join_hears_of_it_and_nobody_else() -> None:
    assert go(lambda: (yield_now(), fail())).join()
    wait_until_idle()


@pytest.mark.coroutine
def test_who_has_given_up_joining_does_not_hear_of_it(observer: Any, mock_clock: MockClock) -> None:
    child = go(lambda: (sleep(2), fail()))
    assert not child.join(timeout=1)
    sleep(2)
    assert [failure.name for failure in observer.failures] == ["<lambda>"]
    observer.failures.clear()


@pytest.mark.coroutine
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration()])
def test_what_ends_programs_elsewhere_ends_a_coroutine_here(error: BaseException, observer: Any) -> None:
    def child() -> None:
        raise error

    with pytest.raises(type(error)):
        go(child).result()
    go(child)
    wait_until_idle()
    assert [failure.exception_type for failure in observer.failures] == [type(error).__name__]
    observer.failures.clear()


@pytest.mark.coroutine
def test_a_failing_callback_is_told_and_the_loop_goes_on(observer: Any, mock_clock: MockClock) -> None:
    coloop.call_soon_threadsafe(fail, "call")
    current_scheduler().call_later(1, fail, "timer")
    sleep(2)
    assert [(failure.id, failure.message) for failure in observer.failures] == [(0, "call"), (0, "timer")]
    observer.failures.clear()


def test_an_observer_that_fails_does_not_end_the_loop() -> None:
    class Broken(coloop.Observer):
        def failed(self, failure: coloop.Failure) -> None:
            raise ValueError("closed")

    def main() -> str:
        go(fail)
        yield_now()
        wait_until_idle()
        return "well"

    assert run(main, observer=Broken()) == "well"


@pytest.mark.coroutine
def test_exception_state_stays_with_its_coroutine() -> None:
    seen: list[Any] = []

    def child() -> None:
        seen.append(sys.exc_info()[0])
        try:
            fail()
        except Oops:
            yield_now()
            seen.append(sys.exc_info()[0])
        seen.append(sys.exc_info()[0])

    try:
        raise ValueError
    except ValueError:
        waiting = go(child)
        seen.append(sys.exc_info()[0])
        waiting.join()
        seen.append(sys.exc_info()[0])
    assert seen == [None, ValueError, Oops, None, ValueError]


@pytest.mark.coroutine
def test_an_error_in_a_coroutine_knows_nothing_of_what_its_spawner_handles() -> None:
    try:
        raise ValueError
    except ValueError:
        child = go(fail)
    with pytest.raises(Oops) as caught:
        child.result()
    assert caught.value.__context__ is None


@pytest.mark.coroutine
def test_a_greenlet_that_is_used_again_has_forgotten_the_exception_of_its_last_job() -> None:
    def handling() -> None:
        try:
            fail()
        except Oops:
            suspend()

    def look() -> tuple[int, Any]:
        return id(current()._greenlet), sys.exc_info()

    cancelled = go(handling)
    greenlet = id(cancelled._greenlet)
    cancelled.cancel()
    cancelled.join()
    assert go(look).result() == (greenlet, (None, None, None))


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.mark.coroutine
def test_context_is_inherited_and_flows_back_to_nobody() -> None:
    def child(value: str) -> list[str]:
        seen = [variable.get()]
        variable.set(value)
        yield_now()
        return [*seen, variable.get()]

    variable.set("main")
    children = [go(child, value) for value in "ab"]
    assert [each.result() for each in children] == [["main", "a"], ["main", "b"]]
    assert variable.get() == "main"
    assert go(child, "c").result() == ["main", "c"]


@pytest.mark.coroutine
def test_a_context_can_be_read_from_outside_and_is_gone_after_the_end() -> None:
    child = go(lambda: (variable.set("inside"), suspend()))
    assert child.context[variable] == "inside"
    assert variable.get() == "unset"
    child.resume()
    child.join()
    assert child.context is None


@pytest.mark.coroutine
def test_callbacks_see_no_coroutines_context() -> None:
    seen: list[str] = []
    variable.set("main")
    current_scheduler().call_later(0, lambda: seen.append(variable.get()))
    coloop.call_soon_threadsafe(lambda: go(lambda: seen.append(variable.get())))
    go(lambda: (variable.set("child"), sleep(0.001))).join()
    assert seen == ["unset", "unset"]


# -- depth of the stack --------------------------------------------------------------------------


def deep(frames: int, at_the_bottom: Callable[[], Any]) -> Any:
    return at_the_bottom() if frames == 0 else deep(frames - 1, at_the_bottom)


@pytest.mark.coroutine
def test_a_coroutine_has_the_whole_depth_of_recursion_wherever_it_was_started() -> None:
    def main_line() -> list[int]:
        fresh = [go(lambda: (suspend(), deep(850, lambda: 1))[1]) for _ in range(3)]  # no worker is idle
        used = go(deep, 850, lambda: 2)
        for each in fresh:
            each.resume()
        return [each.result() for each in [*fresh, used]]

    assert deep(850, main_line) == [1, 1, 1, 2]


@pytest.fixture
def shallow() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.coroutine
@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("level", ["counts", "heap"])
@pytest.mark.parametrize(
    "verb",
    [
        yield_now,
        lambda: go(lambda: None),
        lambda: go(yield_now),
        lambda: sleep(0.000_001),
        lambda: channel_round(Channel(1)),
        lambda: go(Event().wait, timeout=0).join(timeout=0.1),
    ],
)
def test_endless_recursion_ends_nobody_else(verb: Callable[[], object], level: str, ledger: None) -> None:
    """Wherever in a switch the limit is met, whatever the depth of the frame that meets it."""
    coloop.memory.set_level(level)
    laps = [0, 0]
    over: list[bool] = []

    def bystander(i: int) -> None:
        while not over:
            yield_now()
            laps[i] += 1

    def recur() -> None:
        verb()
        recur()

    bystanders = [go(bystander, i) for i in range(2)]
    for extra in range(6):
        child = go(deep, extra, recur)
        with pytest.raises(RecursionError):
            child.result()
    over.append(True)
    assert all(each.join() for each in bystanders)
    assert abs(laps[0] - laps[1]) <= 1


@pytest.fixture
def ledger() -> Iterator[None]:
    yield
    coloop.memory.set_level("counts")


# -- workers -------------------------------------------------------------------------------------


@pytest.mark.coroutine
def test_a_greenlet_runs_one_coroutine_after_the_other() -> None:
    assert len({go(lambda: id(current()._greenlet)).result() for _ in range(1000)}) == 1


@pytest.mark.coroutine
def test_idle_greenlets_are_few() -> None:
    children = [go(suspend) for _ in range(scheduler_module.MAX_IDLE_WORKERS + 100)]
    for child in children:
        child.resume()
    for child in children:
        child.join()
    wait_until_idle()
    assert current_scheduler().idle_workers <= scheduler_module.MAX_IDLE_WORKERS


@pytest.mark.coroutine
def test_a_tree_of_spawns_that_each_need_a_new_greenlet_comes_back_in_order() -> None:
    log: list[int] = []

    def node(depth: int) -> None:
        if depth:
            for _ in range(3):
                go(node, depth - 1)
                log.append(depth)
        suspend()

    root = go(node, 3)
    assert log == [*[*[1, 1, 1, 2] * 3, 3] * 3]
    for co in list(current_scheduler().living.values()):
        if co is not current():
            co.resume()
    root.join()


# -- nothing is held after death -----------------------------------------------------------------


@pytest.fixture
def no_gc() -> Iterator[None]:
    """References alone must do: a collector that comes by hides who forgot to let go."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.coroutine
@pytest.mark.usefixtures("no_gc")
def test_the_dead_hold_nothing_while_others_are_parked() -> None:
    held: list[weakref.ref[Thing]] = []
    thing_variable: contextvars.ContextVar[Thing] = contextvars.ContextVar("thing")

    def new() -> Thing:
        thing = Thing()
        held.append(weakref.ref(thing))
        return thing

    def child(argument: Thing, *, option: Thing) -> Thing:
        local = new()
        thing_variable.set(new())
        defer(lambda _: None, new())
        yield_now()
        assert local is not argument
        return new()

    parked = [go(lambda: (yield_now(), suspend())) for _ in range(3)]
    for _ in range(3):
        go(child, new(), option=new())
        parked.append(go(lambda: (yield_now(), suspend())))
        wait_until_idle()
    assert len(held) == 18
    assert [kind for kind in held if kind() is not None] == []
    for each in parked:
        each.resume()


@pytest.mark.coroutine
@pytest.mark.usefixtures("no_gc")
def test_a_result_lives_as_long_as_its_handle() -> None:
    held: list[weakref.ref[Thing]] = []

    def child() -> Thing:
        thing = Thing()
        held.append(weakref.ref(thing))
        return thing

    handle = go(child)
    assert held[0]() is handle.result()
    del handle
    assert held[0]() is None


@pytest.mark.coroutine
@pytest.mark.usefixtures("no_gc")
def test_a_failure_nobody_asks_for_is_freed_with_its_frames(observer: Any) -> None:
    held: list[weakref.ref[Thing]] = []

    def child(argument: Thing) -> None:
        held.append(weakref.ref(argument))
        yield_now()
        fail()

    go(child, Thing())
    wait_until_idle()
    observer.failures.clear()
    assert held[0]() is None


@pytest.mark.coroutine
@pytest.mark.usefixtures("no_gc")
def test_a_cancelled_one_holds_nothing_though_its_handle_is_kept() -> None:
    held: list[weakref.ref[Thing]] = []

    def child(argument: Thing) -> None:
        held.append(weakref.ref(argument))
        suspend()

    handle = go(child, Thing())
    handle.cancel()
    handle.join()
    assert held[0]() is None
    assert handle._greenlet is None


def test_a_finalizer_that_runs_when_its_coroutine_has_ended_can_only_have_another_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody is there any more to whom `go` could return."""
    log: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: log.append(str(told.exc_value)))

    class Last:
        def __del__(self) -> None:
            current_scheduler().call_soon_threadsafe(go, log.append, "started later")
            go(log.append, "never")

    def child() -> None:
        contextvars.ContextVar[Any]("kept").set(Last())

    def main() -> None:
        go(child)
        refusal = log.pop()
        assert refusal.startswith(
            "a coroutine that has ended, or a finalizer at its end, cannot start another"
        )
        assert refusal.endswith("use scheduler.call_soon_threadsafe(go, ...)")
        assert log == []

    run(main)
    assert log == ["started later"]


YIELDS = (
    [yield_now, lambda: sleep(0)] if coloop.FORM == "native" else []
)  # the pure form would pay for asking


@pytest.mark.coroutine
@pytest.mark.parametrize("depth", [1, 100])
@pytest.mark.parametrize(
    "wait", [suspend, lambda: sleep(1), lambda: Channel[int]().receive(), lambda: go(int), *YIELDS]
)
def test_a_greenlet_that_is_not_the_scheduler_s_can_neither_wait_nor_start_a_coroutine(
    wait: Callable[[], object], depth: int
) -> None:
    """Who waits would be continued where it was switched to; however deep, and also in C alone."""

    def dive(depth: int) -> str:
        if depth:
            return dive(depth - 1)
        yield_now()
        with pytest.raises(
            NotRunning, match=r"^this greenlet is none of the scheduler's: start what waits with go"
        ):
            greenlet(wait).switch()
        with pytest.raises(NotRunning, match=r"^this greenlet is none of the scheduler's"):
            greenlet(lambda: wait()).switch()
        go(yield_now).join()
        return "whole"

    assert dive(depth) == go(dive, depth).result() == "whole"


@pytest.mark.coroutine
def test_such_a_greenlet_may_wake_others_and_is_continued_by_who_has_made_it() -> None:
    waiting = go(suspend)

    def count() -> None:
        getcurrent().parent.switch(1)
        waiting.resume("woken")
        getcurrent().parent.switch(2)

    counting, numbers = greenlet(count), []
    for _ in range(2):
        numbers.append(counting.switch())
        yield_now()
    assert numbers == [1, 2]
    assert waiting.result() == "woken"


@pytest.mark.coroutine
@pytest.mark.usefixtures("no_gc", "mock_clock")
def test_a_wait_that_is_over_holds_nothing() -> None:
    things = [Thing() for _ in range(4)]
    held = [weakref.ref(thing) for thing in things]
    channel: Channel[Thing] = Channel(1)
    channel.send(things.pop())
    channel.receive()
    receiver = go(channel.receive)
    channel.send(things.pop())
    receiver.join()
    channel.send(things.pop())
    with pytest.raises(Timeout):
        channel.send(things.pop(), timeout=1)
    channel.receive()
    child = go(suspend)
    child.resume(Thing())
    child.join()
    del receiver, child
    assert [thing() for thing in held] == [None] * 4


@pytest.mark.coroutine
def test_none_is_collected_while_it_is_parked_even_if_nobody_knows_it() -> None:
    log: list[str] = []
    before = len(current_scheduler().living)
    for _ in range(1000):
        go(lambda: (suspend(), log.append("never")))
    gc.collect()
    left = [co for co in current_scheduler().living.values() if co is not current()]
    assert len(left) == 1000
    held = [weakref.ref(co) for co in left]
    for co in left:
        co.cancel()
    wait_until_idle()
    del left, co
    gc.collect()
    assert [co for co in held if co() is not None] == []
    assert (log, len(current_scheduler().living)) == ([], before)


def test_a_scheduler_whose_run_is_over_holds_no_greenlet() -> None:
    """Greenlet frees a thread's root once too often if somebody holds it whom the collector does not see."""
    scheduler = run(lambda: go(yield_now) and current_scheduler())
    held = [*gc.get_referents(scheduler), *vars(scheduler).values()]
    assert not [one for one in held if isinstance(one, greenlet)]
    assert not [one for each in held if isinstance(each, list) for one in each]


@pytest.mark.coroutine
def test_the_dead_are_remembered_in_numbers_and_names_and_not_without_end() -> None:
    for _ in range(switching.KEPT_DEAD + 50):
        go(lambda: Thing())
    graves = current_scheduler().graves
    assert len(graves) == switching.KEPT_DEAD
    assert not any(isinstance(field, (Thing, Coroutine)) for grave in graves for field in grave)


SOAK = """
import coloop, gc, os

def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def main():
    nothing = lambda: None
    for _ in range(50_000):
        coloop.go(nothing)
    gc.collect()
    before = rss()
    for _ in range(200_000):  # of 16 bytes, which is the least, that would be 3 MiB
        last = coloop.go(nothing)
    assert last.id == 250_001, last.id
    print(rss() - before)

coloop.run(main)
"""


@pytest.mark.timeout(900)  # in pure Python, on a machine that has other things to do, it takes minutes
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here")
def test_very_many_coroutines_leave_less_than_a_mebibyte() -> None:
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", SOAK], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) < 1 << 20
