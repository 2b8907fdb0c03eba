"""What the garbage collector runs, in the midst of anything, starts no coroutine and does not wait."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from coloop import (
    Channel,
    Coroutine,
    Event,
    call_soon_threadsafe,
    current_scheduler,
    go,
    run,
    sleep,
    suspend,
    to_thread,
    yield_now,
)

coroutine = pytest.mark.coroutine
REFUSED = (
    "NotRunning: a finalizer that the garbage collector runs can neither start a coroutine nor wait: "
    "use scheduler.call_soon_threadsafe(go, ...)"
)


class Final:
    """Makes its call when it is freed."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call
        self.itself: Final | None = None

    def __del__(self) -> None:
        self.call()


def leave_to_the_collector(call: Callable[[], object]) -> None:
    final = Final(call)
    final.itself = final


def attempt(call: Callable[[], object]) -> object:
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def in_a_collection(call: Callable[[], object]) -> object:
    """What `call` returns or raises in a finalizer that the collector runs."""
    said: list[object] = []
    leave_to_the_collector(lambda: said.append(attempt(call)))
    gc.collect()
    (answer,) = said
    return answer


@pytest.fixture
def callbacks() -> Iterator[list[object]]:
    heard: list[object] = gc.callbacks[:]
    yield gc.callbacks
    gc.callbacks[:] = heard


@coroutine
@pytest.mark.parametrize(
    "call",
    [
        lambda: go(int),
        lambda: current_scheduler().go(int),
        yield_now,
        lambda: sleep(0),
        lambda: sleep(1),
        suspend,
        lambda: Channel[int]().receive(),
        lambda: Event().wait(timeout=1),
        lambda: to_thread(int),
    ],
)
def test_it_is_told_what_to_do_instead(call: Callable[[], object]) -> None:
    assert in_a_collection(call) == REFUSED
    assert go(lambda: (yield_now(), "as ever")[1]).result() == "as ever"


@coroutine
def test_what_it_hands_to_the_scheduler_is_done_soon() -> None:
    started: list[Coroutine] = []
    in_a_collection(lambda: call_soon_threadsafe(lambda: started.append(go(suspend, name="late"))))
    while not started:
        yield_now()
    started[0].resume("done")
    assert started[0].result() == "done"


@coroutine
def test_it_may_wake_others_and_lets_nobody_run_meanwhile() -> None:
    channel, ran = Channel[int](1000), []
    taker = go(channel.receive)
    go(lambda: (yield_now(), ran.append("too early")))

    def fill() -> list[str]:
        for number in range(500):  # more than one may do in a row before the others have a turn
            channel.send(number)
        return ran[:]

    assert in_a_collection(fill) == []
    assert taker.result() == 0


@coroutine
def test_so_it_is_with_a_weak_reference_s_callback_and_a_generator_s_end() -> None:
    said: list[object] = []

    def generate() -> Iterator[object]:
        mine = held
        try:
            yield mine
        finally:
            said.append(attempt(yield_now))

    held: list[Iterator[object]] = []
    held.append(generate())
    next(held[0])
    held = []
    final = Final(int)
    final.itself = final
    heard = weakref.ref(final, lambda _: said.append(attempt(yield_now)))
    del final
    gc.collect()
    assert heard() is None
    assert said == [REFUSED, REFUSED]


@coroutine
def test_a_finalizer_that_runs_at_once_starts_and_waits_as_ever() -> None:
    said: list[object] = []
    Final(lambda: said.append(go(lambda: "started").result()))
    Final(lambda: said.append(sleep(0)))
    assert said == ["started", None]


@coroutine
def test_a_collection_on_another_thread_refuses_nothing_here() -> None:
    begun, done = threading.Event(), threading.Event()
    leave_to_the_collector(lambda: (begun.set(), done.wait(10)))
    collecting = go(to_thread, gc.collect)
    assert begun.wait(10)
    assert go(lambda: (yield_now(), "as ever")[1]).result() == "as ever"
    done.set()
    collecting.join()


def test_others_whom_the_collector_tells_are_refused_too(callbacks: list[object]) -> None:
    said: list[object] = []

    def hear(phase: str, _: object) -> None:
        said.append(attempt(lambda: go(int)))

    def main() -> str:
        gc.collect()
        callbacks.remove(hear)
        return str(go(lambda: "as ever").result())

    gc.collect()
    gc.disable()
    callbacks.append(hear)
    assert run(main) == "as ever"
    gc.enable()
    assert said == [REFUSED, REFUSED]


@coroutine
def test_when_the_end_of_a_collection_was_not_heard_nothing_is_refused_for_that(
    callbacks: list[object],
) -> None:
    in_a_collection(callbacks.clear)
    assert go(lambda: (yield_now(), "as ever")[1]).result() == "as ever"


@coroutine
@pytest.mark.parametrize("threshold", range(1, 16))
def test_no_wake_up_is_lost_wherever_the_collector_begins(threshold: int) -> None:
    """Between the question whether one has ended and the wait for its end, too."""
    usual = gc.get_threshold()
    gc.set_threshold(0)
    ending = go(yield_now)
    gc.collect()
    leave_to_the_collector(lambda: attempt(lambda: sleep(0)))
    gc.set_threshold(threshold, 1000, 1000)
    ending.join()
    gc.set_threshold(*usual)


class Named:
    """Starts a coroutine when it is asked for its name."""

    def __init__(self, started: list[Coroutine]) -> None:
        self.started = started

    @property
    def __name__(self) -> str:
        self.started.append(go(int))
        return "named"

    def __call__(self) -> None:
        pass


@coroutine
def test_no_id_is_used_twice_when_one_is_started_in_the_midst_of_a_start() -> None:
    started: list[Coroutine] = []
    started.extend([go(Named(started)), go(Named(started))])
    assert len({each.id for each in started}) == 4
    assert current_scheduler().spawned == 5
