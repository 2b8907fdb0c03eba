"""Calls from one thread to the other, and the ways to stop waiting for them."""

import gc
import os
import signal
import threading
import time
import weakref
from contextlib import suppress

import pytest

import coloop
from coloop.testing import MockClock
from coshell.bridge import HOGGED_S, Bridge, Hogged
from tests.patience import wait_for


@pytest.fixture
def bridge():
    made = Bridge()
    made.start()
    yield made
    assert made.stop()


@pytest.fixture
def virtual():
    made = Bridge(clock=MockClock())
    made.start()
    yield made
    assert made.stop()


def spin(started=None):
    if started is not None:
        started.set()
    while True:
        pass


class AfterIt:
    """Runs something on another thread as soon as an event has come."""

    def __init__(self, event, action):
        self._thread = threading.Thread(target=lambda: (wait_for(event), action()))

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._thread.join()


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def interrupt_when_possible(bridge):
    while not bridge.interrupt():
        os.sched_yield()


def waiting(bridge):
    """An event that comes when the shell's coroutine has begun to wait for something else than a line."""
    waits = threading.Event()

    def wait(park=lambda: coloop.Event().wait()):
        coloop.current_scheduler().call_later(0, waits.set)
        park()

    return waits, wait


# -- calls -----------------------------------------------------------------------------------------


def test_a_call_returns_what_its_function_returns(bridge):
    assert bridge.call(lambda a, b: a + b, 1, 2) == 3


def test_a_call_raises_what_its_function_raises(bridge):
    with pytest.raises(ZeroDivisionError):
        bridge.call(lambda: 1 / 0)


def test_calls_are_made_by_coroutine_1_one_after_the_other(bridge):
    assert [bridge.call(lambda: (coloop.current().id, coloop.current().name)) for _ in range(2)] == [
        (1, "shell")
    ] * 2


def test_a_call_on_the_schedulers_own_thread_is_an_ordinary_one(bridge):
    assert bridge.call(lambda: bridge.call(lambda: coloop.current().id)) == 1


def test_a_call_by_another_name_gets_a_coroutine_of_its_own(bridge):
    assert bridge.call(lambda: (coloop.current().id, coloop.current().name), name="drain") == (2, "drain")


def test_a_call_that_comes_while_another_waits_is_made_at_once(bridge):
    event = bridge.call(coloop.Event)
    waits, wait = waiting(bridge)
    with AfterIt(waits, lambda: bridge.call(event.set)):
        bridge.call(wait, event.wait)


def test_a_waiting_call_stops_nobody(virtual):
    ticks = []
    virtual.call(lambda: coloop.go(lambda: [(ticks.append(1), coloop.sleep(0.001)) for _ in range(3)]))
    virtual.call(coloop.sleep, 0.05)
    assert len(ticks) == 3


def test_nothing_of_a_failed_call_is_held(bridge):
    class Local:
        pass

    seen = []

    def fail():
        held = Local()
        seen.append(weakref.ref(held))
        raise ValueError

    gc.disable()
    try:
        with suppress(ValueError):
            bridge.call(fail)
        assert seen[0]() is None
    finally:
        gc.enable()


def test_without_a_scheduler_there_are_no_calls():
    with pytest.raises(coloop.NotRunning):
        Bridge().call(int)


# -- Ctrl-C ----------------------------------------------------------------------------------------


def test_ctrl_c_ends_the_call_that_is_waited_for(bridge):
    waits, wait = waiting(bridge)
    with AfterIt(waits, press_ctrl_c), pytest.raises(KeyboardInterrupt):
        bridge.call(wait)


def test_ctrl_c_can_be_caught_where_it_is_raised(bridge):
    waits, wait = waiting(bridge)

    def patient():
        try:
            wait()
        except KeyboardInterrupt:
            return "cleaned up"

    with AfterIt(waits, press_ctrl_c):
        assert bridge.call(patient) == "cleaned up"


def test_ctrl_c_leaves_other_coroutines_alone(bridge):
    other = bridge.call(coloop.go, coloop.sleep, 3600)
    waits, wait = waiting(bridge)
    with AfterIt(waits, press_ctrl_c), pytest.raises(KeyboardInterrupt):
        bridge.call(wait)
    assert other.state == "waiting"


def test_ctrl_c_that_comes_too_late_is_dropped(bridge):
    caught = []

    def deaf():
        try:
            wait()
        except KeyboardInterrupt:
            caught.append(1)
            bridge.scheduler.interrupt(
                coloop.current(), KeyboardInterrupt()
            )  # the second, and it never waits again

    waits, wait = waiting(bridge)
    with AfterIt(waits, press_ctrl_c):
        bridge.call(deaf)
    assert caught == [1]
    bridge.call(coloop.sleep, 0)
    assert bridge.call(lambda: coloop.current().id) == 1


def test_after_a_call_ctrl_c_is_what_it_was_before(bridge):
    before = signal.getsignal(signal.SIGINT)
    bridge.call(int)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_kills_a_call_that_computes_without_end(bridge):
    started = threading.Event()
    with AfterIt(started, press_ctrl_c), pytest.raises(KeyboardInterrupt):
        bridge.call(spin, started)
    assert bridge.call(lambda: coloop.current().name) == "shell"


def test_a_second_ctrl_c_kills_a_call_that_swallows_the_first(bridge):
    waits, wait = waiting(bridge)
    swallowed = threading.Event()

    def stubborn():
        try:
            wait()
        except KeyboardInterrupt:
            coloop.current_scheduler().call_later(0, swallowed.set)
            coloop.Event().wait()

    with AfterIt(waits, press_ctrl_c), AfterIt(swallowed, press_ctrl_c), pytest.raises(KeyboardInterrupt):
        bridge.call(stubborn)


def test_a_call_that_swallows_everything_is_left_behind(bridge):
    def deaf():
        while True:
            with suppress(BaseException):
                wait()

    waits, wait = waiting(bridge)
    presses = threading.Thread(target=lambda: (wait_for(waits), bridge.interrupt(), bridge.interrupt()))
    presses.start()
    with pytest.raises(KeyboardInterrupt):
        bridge.call(deaf)
    presses.join()
    while not bridge._idle:  # the successor takes its place in a turn of its own
        time.sleep(0.001)
    assert [bridge.call(lambda: coloop.current().id) for _ in range(2)] == [2, 2]


def test_what_ctrl_c_does_can_be_done_from_another_thread(bridge):
    waits, wait = waiting(bridge)
    with AfterIt(waits, bridge.interrupt), pytest.raises(KeyboardInterrupt):
        bridge.call(wait)
    assert bridge.interrupt() is False


# -- hogs ------------------------------------------------------------------------------------------


def test_ctrl_c_gives_up_a_call_behind_somebody_who_lets_nobody_run(bridge):
    started = threading.Event()
    with AfterIt(started, press_ctrl_c), pytest.raises(Hogged) as raised:
        bridge.call(coloop.go, spin, started)
    assert raised.value.started
    assert raised.value.hog.name == "spin"
    assert raised.value.interrupted
    assert str(raised.value) == "goes on later: co#2 spin lets nobody else run (kill 2)"
    assert bridge.scheduler.kill(raised.value.hog) == "ended"
    assert bridge.call(lambda: 7) == 7


def test_ctrl_c_waits_for_somebody_who_only_computes_for_a_moment(bridge):
    started, looks = threading.Event(), []

    def compute():
        me = coloop.current()
        bridge.hog = lambda: looks.append(me) or (me, HOGGED_S - 0.1)
        started.set()
        while len(looks) < 3:
            pass

    with AfterIt(started, press_ctrl_c), pytest.raises(KeyboardInterrupt):
        bridge.call(lambda: (coloop.go(compute), coloop.sleep(3600)))


def test_a_call_that_never_came_to_its_turn_is_never_made(bridge):
    started, made = threading.Event(), []
    bridge.scheduler.call_soon_threadsafe(coloop.go, spin, started)
    wait_for(started)
    with AfterIt(started, lambda: interrupt_when_possible(bridge)), pytest.raises(Hogged) as raised:
        bridge.call(made.append, 1)
    assert not raised.value.started
    bridge.scheduler.kill(raised.value.hog)
    bridge.call(int)
    assert made == []


def test_a_prompt_does_not_wait_for_somebody_who_lets_nobody_run(bridge):
    bridge.hog_patience_s = 0.2
    with pytest.raises(Hogged) as raised:
        bridge.call(coloop.go, spin)
    assert not raised.value.interrupted
    with pytest.raises(Hogged):
        bridge.call(int)
    bridge.scheduler.kill(bridge.hog()[0])


def test_a_call_may_bear_less_than_others_do(bridge):
    assert bridge.hog_patience_s is None
    with pytest.raises(Hogged) as raised:
        bridge.call(coloop.go, spin, patience_s=0.2)
    assert not raised.value.interrupted
    bridge.scheduler.kill(raised.value.hog)


def test_a_call_that_was_given_up_is_told_when_it_ends(bridge):
    late = []
    bridge.on_late = lambda value, error: late.append((value, error))
    bridge.hog_patience_s = 0.2
    with pytest.raises(Hogged) as raised:
        bridge.call(lambda: (coloop.go(spin), "done")[1])
    bridge.scheduler.kill(raised.value.hog)
    bridge.call(int)
    assert late == [("done", None)]


def test_a_call_may_compute_for_as_long_as_it_likes(bridge):
    bridge.hog_patience_s = 0.05
    looks, look = [], bridge.hog
    bridge.hog = lambda: looks.append(look()) or looks[-1]

    def compute():
        while sum(found is not None for found in list(looks)) < 2:
            pass
        return 7

    assert bridge.call(compute) == 7


# -- standstill ------------------------------------------------------------------------------------


def test_in_a_script_a_call_that_nothing_can_wake_fails(bridge):
    bridge.deadlock_fails = True
    channel = bridge.call(coloop.Channel)
    bridge.call(lambda: coloop.go(channel.receive, name="reader"))
    with pytest.raises(coloop.Deadlock) as raised:
        bridge.call(channel.receive)
    report = str(raised.value).split("\n")
    assert report[0] == "deadlock: nothing can wake any of these"
    assert report[1].startswith("  co#1 shell waits on receive from channel#")
    assert report[2].startswith("  co#2 reader waits on receive from channel#")
    assert bridge.call(lambda: 7) == 7


def test_at_a_prompt_a_standstill_is_told_and_nothing_dies(bridge):
    told, waits = [], threading.Event()
    bridge.on_stall = lambda pictures: (told.append([p.id for p in pictures]), waits.set())
    channel = bridge.call(coloop.Channel)
    with AfterIt(waits, lambda: bridge.call(channel.send, 7)):
        assert bridge.call(channel.receive) == 7
    assert told == [[1]]


# -- time ------------------------------------------------------------------------------------------


def test_virtual_time_passes_while_a_call_waits(virtual):
    virtual.call(coloop.sleep, 3600)  # an hour that a test does not have
    assert virtual.call(lambda: coloop.current_scheduler().clock.now()) >= 3600
    assert virtual.clock_is_virtual


def test_virtual_time_stands_still_between_two_calls(virtual):
    ticks = []

    def tick():
        while True:
            coloop.sleep(1)
            ticks.append(1)

    virtual.call(coloop.go, tick)
    virtual.call(int)
    assert ticks == []
    virtual.call(coloop.sleep, 10.5)
    assert len(ticks) == 10


# -- the end ---------------------------------------------------------------------------------------


def test_the_end_runs_every_finally():
    bridge = Bridge()
    bridge.start()
    ended = []

    def worker():
        try:
            coloop.sleep(60)
        finally:
            coloop.sleep(0.001)
            ended.append(coloop.current().id)

    bridge.call(lambda: [coloop.go(worker) for _ in range(3)])
    assert bridge.stop()
    assert ended == [2, 3, 4]
    assert not bridge.running
    assert bridge.stop()


def test_the_end_stops_somebody_who_lets_nobody_run():
    bridge = Bridge()
    bridge.start()
    started = threading.Event()
    bridge.scheduler.call_soon_threadsafe(coloop.go, spin, started)
    wait_for(started)
    assert bridge.stop()


def test_a_coroutine_that_nobody_joins_is_told_of(bridge):
    told, heard = [], threading.Event()
    bridge.on_failure = lambda failure: (told.append(failure), heard.set())
    bridge.call(lambda: coloop.go(lambda: 1 / 0, name="divider"))
    wait_for(heard)
    assert [(failure.id, failure.name, failure.exception_type) for failure in told] == [
        (2, "divider", "ZeroDivisionError")
    ]


def test_the_shells_own_coroutine_cannot_be_cancelled_away(bridge):
    me = bridge.scheduler.coroutine(1)
    bridge.call(lambda: coloop.go(me.cancel))
    assert bridge.call(lambda: coloop.current().id) == 1


def test_a_killed_shell_coroutine_has_a_successor(bridge):
    assert bridge.scheduler.kill(bridge.scheduler.coroutine(1)) == "ended"
    assert bridge.call(lambda: coloop.current().name) == "shell"
