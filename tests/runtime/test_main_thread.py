"""While a scheduler runs on the main thread, every signal wakes it, and afterwards nothing is left of that."""

import errno
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from coloop import Event, current_scheduler, go, run, sleep, suspend, yield_now
from coloop.study import Sco, Sgo

from .conftest import open_descriptors


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    assert signal.set_wakeup_fd(-1) == -1
    yield
    assert signal.set_wakeup_fd(-1) == -1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def give_to_another_thread(number: signal.Signals) -> None:
    """The kernel may: the main thread, asleep, hears nothing of it."""
    giver = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), number))
    giver.start()
    giver.join()


def once_the_poller_sleeps(do: Any) -> None:
    """Call `do` on another thread as soon as this scheduler's poller is about to sleep."""
    poller, asleep = current_scheduler().poller, threading.Event()
    poll = poller.poll

    def told(timeout_s: float | None) -> Any:
        if timeout_s is None or timeout_s > 0:
            asleep.set()
        return poll(timeout_s)

    poller.poll = told
    threading.Thread(target=lambda: (asleep.wait(), do()), daemon=True).start()


def test_ctrl_c_that_another_thread_was_given_reaches_a_main_that_sleeps(backend: str) -> None:
    def main() -> None:
        once_the_poller_sleeps(lambda: give_to_another_thread(signal.SIGINT))
        sleep(3600)

    with pytest.raises(KeyboardInterrupt):
        run(main)


def test_a_script_of_the_tutorial_is_woken_by_signals_too() -> None:
    ropes = []

    def look() -> None:
        yield_now()  # what runs before the loop does is not in it
        ropes.append(signal.set_wakeup_fd(-1))
        signal.set_wakeup_fd(ropes[0])

    Sgo(look)
    Sco.scheduler()
    assert ropes != [-1]


def test_a_handler_of_the_program_s_own_is_called_while_all_sleep(backend: str) -> None:
    """A coroutine that it wakes by the call for that goes on."""

    def main() -> str:
        scheduler, me = current_scheduler(), go(suspend)
        signal.signal(signal.SIGUSR1, lambda *_: scheduler.call_soon_threadsafe(me.resume, "woken"))
        go(sleep, 3600, name="sleeper")
        once_the_poller_sleeps(lambda: give_to_another_thread(signal.SIGUSR1))
        try:
            return str(me.result())
        finally:
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
            for other in scheduler.snapshot().coroutines:
                if other.name == "sleeper":
                    scheduler.coroutine(other.id).cancel()

    assert run(main) == "woken"


def test_a_descriptor_of_somebody_else_is_there_again_afterwards() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    run(lambda: None)
    assert signal.set_wakeup_fd(-1) == writing
    os.close(reading)
    os.close(writing)


def test_a_descriptor_that_somebody_else_has_set_meanwhile_is_left_in_place() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    run(lambda: signal.set_wakeup_fd(writing))
    assert signal.set_wakeup_fd(-1) == writing
    os.close(reading)
    os.close(writing)


def test_a_handler_of_ctrl_c_that_the_program_has_set_meanwhile_stays() -> None:
    def mine(number: int, frame: object) -> None:
        pass

    run(lambda: signal.signal(signal.SIGINT, mine))
    assert signal.getsignal(signal.SIGINT) is mine
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_program_that_puts_back_what_it_found_in_a_run_that_has_ended_gets_what_it_had() -> None:
    found = run(signal.getsignal, signal.SIGINT)
    signal.signal(signal.SIGINT, found)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert run(signal.getsignal, signal.SIGINT) is found


def test_when_no_descriptor_is_left_nothing_runs_and_nothing_is_taken(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    before = open_descriptors()
    monkeypatch.setattr(os, "dup", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        run(print, "never")
    monkeypatch.undo()
    assert open_descriptors() == before
    event = Event()
    thread = threading.Thread(target=event.set)  # refused while a scheduler runs
    thread.start()
    thread.join()
    assert event.is_set()


def test_a_scheduler_on_another_thread_takes_nothing_over() -> None:
    found = []

    def look() -> None:
        found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run, args=(look,))
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


def test_a_signal_to_a_child_that_was_forked_does_not_ring_the_parent_s_bell() -> None:
    def main() -> int:
        child = os.fork()
        if not child:
            os._exit(0 if signal.set_wakeup_fd(-1) == -1 else 1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert run(main) == 0
