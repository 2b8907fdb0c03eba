"""An observer is told of what cannot wait, in text that holds nothing, and whatever it does the loop goes on."""

import gc
import threading
import weakref
from typing import Any

import pytest

import coloop
from coloop import Failure, Inbox, Observer, current_scheduler, go, run, sleep, suspend, to_thread, yield_now
from coloop._observer import describe_failure
from coloop.testing import MockClock
from tests.secretive import SecretError


class Oops(Exception):
    pass


class Mute(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


# -- the text of a failure -----------------------------------------------------------------------


def test_a_failure_says_who_what_and_where() -> None:
    def main() -> Failure:
        child = go(suspend, name="child")
        sleep(2)
        failure = describe_failure(child, child.name, raised(Oops("why")))
        child.cancel()
        return failure

    failure = run(main, clock=MockClock())
    assert failure[:5] == (2, "child", 2.0, "Oops", "why")
    assert failure.traceback.startswith("Traceback (most recent call last):\n")
    assert ", in raised\n" in failure.traceback
    assert failure.traceback.endswith(".Oops: why\n")


def test_a_call_that_belongs_to_no_coroutine_has_the_id_0() -> None:
    assert describe_failure(None, "call", Oops("why"))[:5] == (0, "call", 0.0, "Oops", "why")


def test_what_an_error_came_from_is_told_too() -> None:
    error = Oops("outer")
    error.__cause__ = raised(KeyError("inner"))
    assert "KeyError: 'inner'" in describe_failure(None, "call", error).traceback


def test_an_error_that_cannot_say_what_it_is() -> None:
    failure = describe_failure(None, "call", Mute())
    assert (failure.exception_type, failure.message) == ("Mute", "<its __str__ raised ZeroDivisionError>")


def test_an_error_whose_class_cannot_be_asked() -> None:
    failure = describe_failure(None, "timer", raised(SecretError("why")))
    assert (failure.exception_type, failure.message) == ("SecretError", "why")
    assert failure.traceback == "SecretError: <its class raised Asked>\n"


def test_a_failure_holds_neither_the_error_nor_its_frames() -> None:
    class Thing:
        pass

    def fail() -> None:
        thing = Thing()
        seen.append(weakref.ref(thing))
        raise Oops(thing)

    seen: list[Any] = []
    try:
        fail()
    except Oops as error:
        failure = describe_failure(None, "call", error)
    gc.collect()
    assert seen[0]() is None
    assert failure.exception_type == "Oops"


# -- what is told, and when ------------------------------------------------------------------------


def test_by_default_failures_and_warnings_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Observer().failed(Failure(7, "child", 1.23456, "Oops", "why", "Traceback ...\nOops: why\n"))
    Observer().warned("be careful")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "child (co#7) died after 1.23s:\nTraceback ...\nOops: why\nbe careful\n")


def test_by_default_nothing_is_said_of_beginnings_and_standstills(capsys: pytest.CaptureFixture[str]) -> None:
    Observer().stalled(())
    run(lambda: Observer().started(current_scheduler()))
    assert capsys.readouterr() == ("", "")


def test_the_beginning_is_told_before_main_runs() -> None:
    log: list[Any] = []

    class Notes(Observer):
        def started(self, scheduler: coloop.Scheduler) -> None:
            log.append((scheduler is current_scheduler(), scheduler.spawned))

    run(lambda: log.append("main"), observer=Notes())
    assert log == [(True, 0), "main"]


def test_a_standstill_is_told_once_and_again_when_it_is_another() -> None:
    told: list[list[str]] = []

    class Notes(Observer):
        def stalled(self, coroutines: tuple[coloop.CoroutinePicture, ...]) -> None:
            told.append([picture.name for picture in coroutines])
            at_rest.set()

    at_rest = threading.Event()

    def main() -> None:
        inbox: Inbox[str] = Inbox()
        scheduler = current_scheduler()

        def outside() -> None:
            for name in ("first", "second"):
                at_rest.wait()
                at_rest.clear()
                for _ in range(2):  # turns of the loop in which nothing changes
                    turned = threading.Event()
                    scheduler.call_soon_threadsafe(turned.set)
                    turned.wait()
                scheduler.call_soon_threadsafe(inbox.put, name)

        thread = threading.Thread(target=outside)
        thread.start()
        children = [go(suspend, name="a")]
        inbox.get()
        children.append(go(suspend, name="b"))
        inbox.get()
        thread.join()
        for child in children:
            child.cancel()

    run(main, observer=Notes())
    assert told == [["a"], ["a", "b"]]


def test_an_observer_that_fails_does_not_end_the_loop() -> None:
    class Clumsy(Observer):
        def failed(self, failure: Failure) -> None:
            raise Oops

    def fail() -> None:
        raise KeyError

    def main() -> str:
        go(fail)
        to_thread(len, "")
        yield_now()
        return "well"

    assert run(main, observer=Clumsy()) == "well"
