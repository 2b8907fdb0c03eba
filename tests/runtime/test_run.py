"""The verbs do what they say wherever they are called, and `run` gives back what main came to."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import coloop
from coloop import Cancelled, Channel, Deadlock, current, defer, go, run, sleep, suspend, to_thread, yield_now
from coloop.testing import MockClock


class Oops(Exception):
    pass


def fail(text: str = "") -> None:
    raise Oops(text)


# -- run -----------------------------------------------------------------------------------------


def test_run_gives_main_its_arguments_and_returns_its_result() -> None:
    assert run(lambda a, b: (a, b), 1, 2) == (1, 2)


def test_run_raises_what_ended_main_and_the_traceback_begins_in_main() -> None:
    error = Oops("as it is")

    def main() -> None:
        raise error

    with pytest.raises(Oops) as caught:
        run(main)
    assert caught.value is error
    assert caught.traceback[-1].name == "main"


def test_run_returns_only_when_every_coroutine_has_ended() -> None:
    ended = []

    def child() -> None:
        sleep(10)
        ended.append("child")

    run(go, child, clock=MockClock())
    assert ended == ["child"]


def test_mains_failure_is_told_while_others_live_on_and_raised_when_they_have_ended(observer: Any) -> None:
    log = []

    def child() -> None:
        sleep(10)
        log.append([failure.message for failure in observer.failures])

    def main() -> None:
        go(child)
        fail("main")

    with pytest.raises(Oops, match="main"):
        run(main, clock=MockClock(), observer=observer)
    assert log == [["main"]]


def test_mains_failure_is_not_told_when_run_raises_it_at_once(observer: Any) -> None:
    with pytest.raises(Oops):
        run(fail, observer=observer)
    assert observer.failures == []


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_main_that_ends_the_program_ends_the_others(error: BaseException, observer: Any) -> None:
    log = []

    def child() -> None:
        try:
            sleep(10)
        finally:
            sleep(1)
            log.append(current().age_s)

    def main() -> None:
        go(child)
        raise error

    with pytest.raises(type(error)):
        run(main, clock=MockClock(), observer=observer)
    assert log == [1.0]
    assert observer.failures == []


def test_run_can_be_called_again_and_ids_begin_anew() -> None:
    assert [run(lambda: current().id) for _ in range(3)] == [1, 1, 1]


def test_run_can_be_called_again_after_every_kind_of_end() -> None:
    with pytest.raises(Oops):
        run(fail)
    with pytest.raises(Deadlock):
        run(suspend)
    with pytest.raises(SystemExit):
        run(exit_with, 3)
    with pytest.raises(Cancelled):
        run(lambda: (current().cancel(), yield_now()))
    assert run(lambda: "well") == "well"


def exit_with(code: int) -> None:
    raise SystemExit(code)


def test_run_inside_run_is_refused_and_disturbs_nobody() -> None:
    def main() -> str:
        with pytest.raises(coloop.AlreadyRunning, match="start coroutines with go"):
            run(lambda: None)
        yield_now()
        return "well"

    assert run(main) == "well"


def test_two_threads_run_a_scheduler_each() -> None:
    def other() -> list[int]:
        return [run(lambda: go(lambda: current().id).result())]

    assert run(lambda: (current().id, to_thread(other), current().id)) == (1, [2], 1)


def test_a_limit_that_no_level_can_tell_is_refused_before_anything_begins() -> None:
    with pytest.raises(ValueError, match="memory_limit must be a positive number of bytes, not 0"):
        run(lambda: None, memory_limit=0)
    with pytest.raises(ValueError, match="memory_limit needs level heap, not counts"):
        run(lambda: None, memory_limit=1000)
    assert current() is None


def test_max_coroutines_counts_the_living() -> None:
    def main() -> None:
        for _ in range(10):
            go(lambda: None)
        waiting = go(suspend)
        with pytest.raises(coloop.TooManyCoroutines, match="2 coroutines live already"):
            go(suspend)
        waiting.resume()
        waiting.join()
        go(suspend).resume()

    run(main, max_coroutines=2)


# -- outside of a coroutine ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "verb",
    [
        lambda: go(fail),
        lambda: sleep(1),
        yield_now,
        suspend,
        lambda: defer(fail),
        lambda: to_thread(fail),
        coloop.snapshot,
        coloop.current_scheduler,
        coloop.Group,
        lambda: coloop.timeout(1).__enter__(),
        lambda: Channel(1).send(1),
        lambda: coloop.Event().wait(),
        coloop.testing.wait_until_idle,
        lambda: coloop.call_soon_threadsafe(fail),
    ],
)
def test_outside_of_run_the_error_says_what_is_missing(verb: Any) -> None:
    with pytest.raises(coloop.NotRunning, match=r"coloop\.run|inside a coroutine|only a coroutine"):
        verb()


@pytest.mark.parametrize(
    "verb", [lambda: sleep(1), yield_now, suspend, lambda: defer(fail), lambda: to_thread(fail)]
)
def test_a_callback_of_the_scheduler_is_no_coroutine(verb: Any) -> None:
    refused = []

    def callback() -> None:
        with pytest.raises(coloop.NotRunning):
            verb()
        refused.append(current())

    def main() -> None:
        coloop.call_soon_threadsafe(callback)
        sleep(1)

    run(main, clock=MockClock())
    assert refused == [None]


def test_current_is_none_outside_and_oneself_inside() -> None:
    assert current() is None

    def main() -> None:
        me = current()
        child = go(lambda: current())
        assert child.result() is child
        assert current() is me

    run(main)
    assert current() is None


# -- go ------------------------------------------------------------------------------------------


@pytest.mark.coroutine
def test_go_passes_arguments_and_names_after_the_function() -> None:
    def named(*args: int, **options: int) -> tuple[Any, Any]:
        return args, options

    child = go(named, 1, 2, key=3)
    assert child.result() == ((1, 2), {"key": 3})
    assert child.name == "named"
    assert go(named, name="other").name == "other"
    assert go(Caller()).name == "Caller"


class Caller:
    def __call__(self) -> None:
        pass


@pytest.mark.coroutine
def test_go_refuses_what_cannot_be_called_and_starts_nothing() -> None:
    before = coloop.snapshot().spawned
    with pytest.raises(TypeError, match="go takes a function and its arguments, not 3"):
        go(3)  # type: ignore[arg-type]
    assert coloop.snapshot().spawned == before


@pytest.mark.coroutine
def test_go_takes_its_function_by_place_and_says_so_as_python_does() -> None:
    for call in (lambda: go(), lambda: go(fn=print)):  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"^go\(\) missing 1 required positional argument: 'fn'$"):
            call()
    assert go(lambda fn: fn, fn="an argument").result() == "an argument"


# -- sleep, suspend ------------------------------------------------------------------------------


@pytest.mark.coroutine
def test_sleep_takes_its_time_and_zero_only_yields(mock_clock: MockClock) -> None:
    log = []
    go(lambda: (yield_now(), log.append("other")))
    sleep(0)
    assert (log, mock_clock.now()) == (["other"], 0.0)
    sleep(86400.0)
    assert mock_clock.now() == 86400.0


@pytest.mark.coroutine
@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1, -0.001, 10**400])
def test_sleep_refuses_times_that_are_none(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"sleep (must be finite and not negative|is too large)"):
        sleep(seconds)
    with pytest.raises(TypeError, match="must be a number of seconds, not 'x'"):
        sleep("x")  # type: ignore[arg-type]


@pytest.mark.coroutine
def test_suspend_returns_what_resume_gives() -> None:
    child = go(suspend)
    child.resume("given")
    assert child.result() == "given"
    other = go(suspend)
    other.resume()
    assert other.result() is None


# -- defer ---------------------------------------------------------------------------------------


@pytest.mark.coroutine
def test_deferred_calls_run_last_in_first_out() -> None:
    log: list[Any] = []

    def child() -> str:
        defer(log.append, 1)
        defer(lambda *, key: log.append(key), key=2)
        log.append("body")
        return "result"

    assert go(child).result() == "result"
    assert log == ["body", 2, 1]


@pytest.mark.coroutine
def test_deferred_calls_run_after_an_error_and_after_a_cancel() -> None:
    log: list[str] = []

    def failing() -> None:
        defer(log.append, "after error")
        fail()

    def waiting() -> None:
        defer(log.append, "after cancel")
        suspend()

    with pytest.raises(Oops):
        go(failing).result()
    cancelled = go(waiting)
    cancelled.cancel()
    cancelled.join()
    assert log == ["after error", "after cancel"]


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
def test_a_deferred_call_may_park_and_may_defer() -> None:
    log: list[str] = []

    def last() -> None:
        sleep(5)
        log.append("last")

    def cleanup() -> None:
        defer(last)
        sleep(10)
        log.append("cleanup")

    child = go(lambda: defer(cleanup))
    assert child.state == "waiting"
    child.join()
    assert (log, child.age_s) == (["cleanup", "last"], 15.0)


@pytest.mark.coroutine
def test_each_deferred_call_runs_though_others_fail_and_the_last_failure_tells_of_the_first() -> None:
    log: list[str] = []

    def child() -> None:
        defer(log.append, "ran")
        defer(fail, "deferred")
        fail("body")

    with pytest.raises(Oops, match="deferred") as caught:
        go(child).result()
    assert log == ["ran"]
    assert repr(caught.value.__context__) == repr(Oops("body"))


@pytest.mark.coroutine
def test_a_deferred_call_that_raises_the_same_error_again_makes_no_loop_of_it() -> None:
    error = Oops("one")

    def raise_it() -> None:
        raise error

    def child() -> None:
        defer(raise_it)
        raise_it()

    with pytest.raises(Oops):
        go(child).result()
    assert error.__context__ is None


@pytest.mark.coroutine
def test_cancelling_a_deferred_call_leaves_the_others_to_run() -> None:
    log: list[str] = []

    def child() -> None:
        defer(log.append, "outer")
        defer(suspend)

    waiting = go(child)
    waiting.cancel()
    waiting.join()
    assert log == ["outer"]
    assert waiting.state == "cancelled"


@pytest.mark.coroutine
def test_defer_refuses_what_cannot_be_called() -> None:
    with pytest.raises(TypeError, match="defer takes a function and its arguments, not None"):
        defer(None)  # type: ignore[arg-type]


# -- deadlock ------------------------------------------------------------------------------------


def test_a_deadlock_tells_who_waits_for_what_and_where() -> None:
    def waiter(channel: Channel[int]) -> None:
        channel.receive()

    def main() -> None:
        channel: Channel[int] = Channel()
        go(waiter, channel, name="first")
        go(suspend, name="second")
        channel.receive()

    with pytest.raises(Deadlock) as caught:
        run(main)
    assert [co.name for co in caught.value.coroutines] == ["main", "first", "second"]
    assert [co.state for co in caught.value.coroutines] == ["waiting"] * 3
    report = str(caught.value)
    assert report.startswith("deadlock: 3 coroutines parked, and nothing can wake any of them\n")
    for part in (
        "co#1 main waits on receive from channel#",
        "co#2 first waits on",
        "co#3 second waits on suspend",
    ):
        assert part in report
    assert "test_run.py:" in report
    assert " in waiter" in report


def test_a_deadlock_reports_some_and_counts_all() -> None:
    def main() -> None:
        for _ in range(99):
            go(suspend)
        suspend()

    with pytest.raises(Deadlock, match="100 coroutines parked") as caught:
        run(main)
    assert len(caught.value.coroutines) == 32
    assert str(caught.value).endswith("and 68 more")


def test_those_in_a_deadlock_are_cancelled_before_it_is_raised() -> None:
    log: list[str] = []

    def child() -> None:
        try:
            suspend()
        finally:
            sleep(1)
            log.append("cleaned up")

    with pytest.raises(Deadlock):
        run(go, child, clock=MockClock())
    assert log == ["cleaned up"]


def test_main_that_failed_is_the_cause_of_the_deadlock_it_leaves_behind() -> None:
    def main() -> None:
        go(suspend)
        fail("the reason")

    with pytest.raises(Deadlock) as caught:
        run(main)
    assert repr(caught.value.__cause__) == repr(Oops("the reason"))


def test_a_timer_a_thread_and_an_inbox_are_hope() -> None:
    def main() -> str:
        inbox: coloop.Inbox[str] = coloop.Inbox()
        sleep(0.001)
        to_thread(lambda: None)
        threading.Thread(target=inbox.put, args=("hope",)).start()
        return inbox.get()

    assert run(main) == "hope"


# -- Ctrl-C --------------------------------------------------------------------------------------


@pytest.fixture
def ctrl_c() -> Iterator[Any]:
    """Press Ctrl-C: the signal is delivered before the next line of Python runs."""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_is_raised_in_main_while_main_waits(ctrl_c: Any) -> None:
    log: list[str] = []

    def bystander() -> None:
        ctrl_c()
        log.append("pressed")
        yield_now()
        log.append("undisturbed")

    def main() -> None:
        with pytest.raises(KeyboardInterrupt):
            go(bystander)
            suspend()

    run(main)
    assert log == ["pressed", "undisturbed"]


def test_ctrl_c_is_raised_in_main_while_main_computes(ctrl_c: Any) -> None:
    def main() -> str:
        try:
            ctrl_c()
            while True:
                pass
        except KeyboardInterrupt:
            return "at once"

    assert run(main) == "at once"


def test_ctrl_c_that_main_does_not_catch_ends_run(ctrl_c: Any) -> None:
    log = []

    def bystander() -> None:
        try:
            suspend()
        finally:
            log.append("cleaned up")

    def main() -> None:
        go(bystander)
        ctrl_c()
        suspend()

    with pytest.raises(KeyboardInterrupt):
        run(main)
    assert log == ["cleaned up"]


def test_ctrl_c_ends_run_when_main_has_ended(ctrl_c: Any) -> None:
    cleaned_up = []

    def child() -> None:
        try:
            yield_now()
            ctrl_c()
            while True:
                yield_now()
        except Cancelled:
            cleaned_up.append(True)

    with pytest.raises(KeyboardInterrupt):
        run(go, child)
    assert cleaned_up == [True]


def test_a_second_ctrl_c_strikes_a_coroutine_that_does_not_yield(ctrl_c: Any) -> None:
    struck = []

    def hog() -> None:
        try:
            ctrl_c()
            ctrl_c()
            while True:
                pass
        except KeyboardInterrupt:
            struck.append("hog")

    def main() -> None:
        go(hog)

    run(main)
    assert struck == ["hog"]


def test_an_old_ctrl_c_does_not_make_the_next_one_strike_a_bystander(ctrl_c: Any) -> None:
    struck: list[str] = []

    def presser() -> None:
        try:
            ctrl_c()
            yield_now()
        except KeyboardInterrupt:
            struck.append("presser")

    def main() -> None:
        for _ in range(3):
            try:
                go(presser)
                suspend()
            except KeyboardInterrupt:
                struck.append("main")

    run(main)
    assert struck == ["main"] * 3


def test_someone_elses_handler_is_left_alone() -> None:
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        run(lambda: os.kill(os.getpid(), signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == [True]
