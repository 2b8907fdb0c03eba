import os
import signal
import threading

import pytest

from coshell.deadline import Deadline
from tests.patience import PATIENCE_S, wait_for


def test_what_ends_in_time_is_left_alone():
    pushed = []
    with Deadline(
        60, lambda: pushed.append("expired"), lambda: bool(pushed.append("interrupted"))
    ) as deadline:
        pass
    assert not deadline.expired
    assert pushed == []


def test_what_does_not_end_in_time_is_told_first_and_interrupted_then():
    happened, interrupted = [], threading.Event()

    def interrupt():
        happened.append("interrupted")
        interrupted.set()
        return True

    with Deadline(0.01, lambda: happened.append("expired"), interrupt) as deadline:
        wait_for(interrupted)
    assert deadline.expired
    assert happened == ["expired", "interrupted"]


def test_a_push_that_comes_before_it_has_begun_is_the_last(monkeypatch):
    """Its time may be over before the thread that starts it has its next turn."""
    start, deadline = threading.Thread.start, Deadline(0, lambda: None, lambda: True, push_s=0.001)

    def interrupted(thread):
        start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), deadline:
        raise AssertionError("it did not begin")
    deadline._watcher.join(PATIENCE_S)
    assert not deadline._watcher.is_alive()


def test_what_waits_for_no_coroutine_hears_a_signal():
    reading, writing = os.pipe()
    begun, answers = threading.Event(), iter([False])

    def interrupt():
        """Nothing is waited for; asked again it says otherwise, because another signal would hit whatever comes next."""
        wait_for(begun)
        return next(answers, True)

    with pytest.raises(KeyboardInterrupt), Deadline(0.01, lambda: None, interrupt, push_s=0.01):
        begun.set()
        os.read(reading, 1)
    os.close(reading)
    os.close(writing)


def test_nobody_is_signalled_who_would_not_hear_it():
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pushes = threading.Semaphore(0)
        with Deadline(0.01, lambda: None, lambda: bool(pushes.release()), push_s=0.01):
            assert pushes.acquire(timeout=PATIENCE_S)
            assert pushes.acquire(timeout=PATIENCE_S)
    finally:
        signal.signal(signal.SIGINT, previous)


def test_no_thread_is_left_behind():
    with Deadline(60, lambda: None, lambda: True):
        pass
    assert "coshell deadline" not in [thread.name for thread in threading.enumerate()]
