"""Who catches what: the exceptions of the runtime stand where code that never heard of them expects them."""

import inspect
import pickle
import signal
import sys
import traceback
from collections.abc import Callable

import cloudpickle
import pytest

import coloop
from coloop import (
    Cancelled,
    CoroutineError,
    Deadlock,
    Killed,
    MemoryLimitExceeded,
    Timeout,
    current,
    go,
    run,
    sleep,
    suspend,
    timeout,
)
from coloop import _errors as errors
from coloop.testing import MockClock

ALL = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, BaseException) and found.__module__.partition(".")[0] == "coloop"
]
PUBLIC = [kind for kind in vars(coloop).values() if inspect.isclass(kind) and issubclass(kind, BaseException)]
CLASSES = [kind for kind in vars(coloop).values() if inspect.isclass(kind) and kind not in PUBLIC]
OTHERS_BASES = {Cancelled: BaseException, MemoryLimitExceeded: MemoryError, Timeout: TimeoutError}


@pytest.mark.parametrize("kind", ALL)
def test_each_derives_from_the_common_base_or_from_what_python_has_for_it(kind: type[BaseException]) -> None:
    bases = [base for own, base in OTHERS_BASES.items() if issubclass(kind, own)]
    assert issubclass(kind, bases[0] if bases else CoroutineError)
    assert bool(bases) != issubclass(kind, CoroutineError)


@pytest.mark.parametrize("kind", ALL)
def test_each_says_what_its_catcher_should_do(kind: type[BaseException]) -> None:
    assert kind.__doc__


@pytest.mark.parametrize("kind", PUBLIC)
def test_each_is_called_in_a_traceback_and_a_pickle_as_it_is_caught(kind: type[BaseException]) -> None:
    name = f"coloop.{kind.__name__}"
    assert repr(kind) == f"<class '{name}'>"
    assert "".join(traceback.format_exception_only(kind.__new__(kind))) == f"{name}\n"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(kind, protocol)) is kind
    assert cloudpickle.loads(cloudpickle.dumps(kind)) is kind
    assert len(cloudpickle.dumps(kind)) < 100


@pytest.mark.coroutine
@pytest.mark.parametrize(
    "wait",
    [
        lambda: coloop.Channel[int]().receive(timeout=1),
        lambda: coloop.select(coloop.Channel[int](), timeout=1),
        lambda: coloop.wait_signal(signal.SIGUSR1, timeout=1),
        lambda: go(sleep, 9).result(timeout=1),
    ],
    ids=["channel", "select", "signal", "result"],
)
def test_every_timeout_is_called_as_it_is_caught(wait: Callable[[], object], mock_clock: MockClock) -> None:
    with pytest.raises(Timeout) as caught:
        wait()
    assert repr(type(caught.value)) == "<class 'coloop.Timeout'>"
    assert traceback.format_exception_only(caught.value) == [f"coloop.Timeout: {caught.value}\n"]
    carried = pickle.loads(pickle.dumps(caught.value))
    assert (type(carried), carried.args) == (Timeout, caught.value.args)


def test_one_goes_through_a_pickle_with_what_it_says() -> None:
    error = pickle.loads(pickle.dumps(coloop.Closed("why")))
    assert (type(error), error.args) == (coloop.Closed, ("why",))
    assert pickle.loads(b"ccoloop._errors\nClosed\n.") is coloop.Closed  # as it was called before


@pytest.mark.parametrize("kind", CLASSES)
def test_other_classes_are_called_after_their_module_where_their_source_and_annotations_are_found(
    kind: type,
) -> None:
    assert vars(sys.modules[kind.__module__])[kind.__name__] is kind
    assert f"class {kind.__name__}" in inspect.getsource(kind)


@pytest.mark.parametrize("kind", [Cancelled, Killed])
def test_to_be_cancelled_passes_through_code_that_catches_every_exception(kind: type[Cancelled]) -> None:
    assert not issubclass(kind, Exception)
    swallowed = []

    def child() -> None:
        try:
            suspend()
        except Exception as error:
            swallowed.append(error)

    def main() -> str:
        victim = go(child)
        victim.throw(kind("x"))
        victim.join()
        return victim.state

    assert (run(main), swallowed) == ("cancelled", [])


def test_a_timeout_is_caught_by_code_that_never_heard_of_coloop() -> None:
    def main() -> None:
        with pytest.raises(TimeoutError):
            go(suspend).result(timeout=1)
        with pytest.raises(TimeoutError), timeout(1):
            sleep(2)
        coloop.current_scheduler().living[2].cancel()

    run(main, clock=MockClock())


def test_a_wait_that_timed_out_is_not_taken_for_the_end_of_its_block() -> None:
    def main() -> bool:
        child = go(suspend)
        with timeout(10) as block:
            assert child.join(timeout=1) is False
        child.cancel()
        return block.expired

    assert run(main, clock=MockClock()) is False


@pytest.mark.parametrize("kind", [errors.NotRunning, errors.AlreadyRunning, errors.WrongThread])
def test_a_call_in_the_wrong_place_is_a_runtime_error_too(kind: type[BaseException]) -> None:
    assert issubclass(kind, RuntimeError)


def test_a_deadlock_has_the_pictures_of_those_who_wait() -> None:
    with pytest.raises(Deadlock, match="co#1 suspend waits on suspend") as caught:
        run(suspend)
    (picture,) = caught.value.coroutines
    assert (picture.id, picture.name, picture.waiting_on) == (1, "suspend", "suspend")


def test_a_crossed_limit_says_how_far_and_where() -> None:
    error = MemoryLimitExceeded(100, 120, 30, "file.py:7")
    assert str(error) == "memory limit of 100 bytes exhausted (tried to allocate 30 bytes) at file.py:7"
    assert (error.limit_bytes, error.used_bytes) == (100, 120)


def test_one_that_was_cancelled_has_no_result_and_that_is_an_ordinary_error() -> None:
    def main() -> None:
        child = go(suspend)
        child.cancel()
        with pytest.raises(coloop.WasCancelled, match=f"{child} was cancelled and has no result"):
            child.result()
        assert current().state == "running"

    run(main)
