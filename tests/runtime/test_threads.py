"""Blocking work goes on elsewhere while the loop goes on here."""

import gc
import subprocess
import sys
import threading
import time
import weakref
from typing import Any

import pytest

import coloop
from coloop import Event, current_scheduler, go, run, to_thread, yield_now
from coloop import _threads as threads_module
from coloop.testing import MockClock
from tests.patience import PATIENCE_S

coroutine = pytest.mark.coroutine


class Oops(Exception):
    pass


def freed(held: Any) -> bool:
    """Whether what it points to is gone; the thread that made the call lets go of it behind its answer, in its own time."""
    end_s = time.monotonic() + PATIENCE_S
    while held() is not None and time.monotonic() < end_s:
        time.sleep(0.001)
    return held() is None


@coroutine
def test_it_runs_on_another_thread_and_returns_what_the_function_returns() -> None:
    assert to_thread(lambda a, b: (a, b, threading.get_ident() != here), 1, 2) == (1, 2, True)


here = threading.get_ident()


@coroutine
@pytest.mark.parametrize("error", [Oops("why"), SystemExit(3), KeyboardInterrupt()])
def test_what_the_function_raises_is_raised_here(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        to_thread(fail)
    assert caught.value is error


@coroutine
def test_the_others_run_meanwhile() -> None:
    release = threading.Event()
    child = go(to_thread, release.wait)
    assert child.waiting_on == "thread wait"
    assert coloop.snapshot().threads == 1
    for _ in range(100):
        yield_now()
    release.set()
    assert child.result() is True
    assert coloop.snapshot().threads == 0


@coroutine
def test_calls_run_side_by_side() -> None:
    barrier = threading.Barrier(5)
    children = [go(to_thread, barrier.wait) for _ in range(5)]
    assert sorted(child.result() for child in children) == [0, 1, 2, 3, 4]


@coroutine
def test_more_calls_than_threads_wait_in_line() -> None:
    running, most, lock = 0, 0, threading.Lock()
    full, release = threading.Event(), threading.Event()

    def work(i: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == threads_module.MAX_THREADS:
                full.set()
        release.wait()
        with lock:
            running -= 1
        return i

    children = [go(to_thread, work, i) for i in range(2 * threads_module.MAX_THREADS)]
    to_release = threading.Thread(target=lambda: (full.wait(), release.set()))
    to_release.start()
    assert [child.result() for child in children] == list(range(2 * threads_module.MAX_THREADS))
    to_release.join()
    assert most == threads_module.MAX_THREADS


@coroutine
def test_threads_are_used_again() -> None:
    to_thread(len, "")
    before = threading.active_count()
    threads = {to_thread(threading.get_ident) for _ in range(100)}
    assert threading.active_count() <= before + 1
    assert len(threads) <= before + 1


@coroutine
def test_one_that_was_cancelled_before_begins_no_work() -> None:
    log: list[str] = []

    def child() -> None:
        current_scheduler().cancel(coloop.current())
        to_thread(log.append, "begun")

    cancelled = go(child)
    assert cancelled.state == "cancelled"
    to_thread(len, "")  # were it in line for a thread, it would have come before this
    assert log == []
    assert coloop.snapshot().threads == 0


@coroutine
def test_the_outcome_of_a_call_that_was_left_alone_is_dropped() -> None:
    release, held = threading.Event(), []

    class Thing:
        pass

    def work() -> Thing:
        release.wait()
        thing = Thing()
        held.append(weakref.ref(thing))
        return thing

    child = go(to_thread, work)
    child.cancel()
    child.join()
    assert child.state == "cancelled"
    release.set()
    while coloop.snapshot().threads:
        yield_now()
    gc.collect()
    assert freed(held[0])


@coroutine
def test_one_that_was_left_alone_does_not_disturb_the_next_wait_of_its_coroutine() -> None:
    release = threading.Event()

    def child() -> Any:
        try:
            to_thread(release.wait)
        except coloop.Cancelled:
            return coloop.suspend()
        return "not cancelled"

    waiting = go(child)
    waiting.cancel()
    yield_now()
    assert waiting.waiting_on == "suspend"
    release.set()
    while coloop.snapshot().threads:
        yield_now()
    assert waiting.waiting_on == "suspend"
    waiting.resume("resumed")
    assert waiting.result() == "resumed"


def test_a_call_that_is_under_way_does_not_keep_run_from_ending() -> None:
    release, finished = threading.Event(), threading.Event()

    def work() -> None:
        release.wait()
        finished.set()

    def main() -> None:
        child = go(to_thread, work)
        child.cancel()

    run(main)
    release.set()
    finished.wait()


def test_time_does_not_jump_while_a_call_is_under_way() -> None:
    clock = MockClock()

    def main() -> None:
        release, event = threading.Event(), Event()
        go(event.wait, timeout=1000)
        call = go(to_thread, release.wait)
        scheduler = current_scheduler()
        threading.Thread(target=lambda: (to_look.wait(), times.append(clock.now()), release.set())).start()
        scheduler.call_soon_threadsafe(to_look.set)
        call.join()
        event.set()

    to_look, times = threading.Event(), list[float]()
    run(main, clock=clock)
    assert times == [0.0]


@coroutine
def test_a_call_keeps_nothing_of_its_arguments() -> None:
    class Thing:
        pass

    thing = Thing()
    held = weakref.ref(thing)
    to_thread(lambda _: None, thing)
    del thing
    to_thread(gc.collect)
    assert freed(held)


SCRIPT = """
import coloop, threading
def main():
    child = coloop.go(coloop.to_thread, threading.Event().wait)
    child.cancel()
coloop.run(main)
print("ended")
"""


def test_a_call_that_never_returns_does_not_keep_the_process_from_ending() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")
