"""A limit strikes the coroutine that crosses it, with room to handle that, and nobody else."""

import gc
import json
import operator
import re
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import coloop
from coloop import (
    Cancelled,
    Channel,
    CoroutineError,
    MemoryLimitExceeded,
    Semaphore,
    WrongThread,
    current,
    current_scheduler,
    go,
    memory,
    run,
    suspend,
    yield_now,
)
from coloop._form import native
from coloop._limits import HEADROOM_BYTES, Limit
from tests.runtime.conftest import Recorder

coroutine = pytest.mark.coroutine
native_only = pytest.mark.skipif(native is None, reason="without the native core it is told at a wait")

UNMISTAKABLE = 1_234_567
NOISE = 2_000
LIMIT_MESSAGE = (
    r"memory limit of (\d+) bytes exhausted \(tried to allocate (\d+) bytes\) at test_limits\.py:\d+"
)


@pytest.fixture(autouse=True)
def heap_level() -> Iterator[None]:
    memory.set_level("heap")
    yield
    memory.set_level("counts")


def fill() -> None:
    """Take more and more, and never more than a little at a time."""
    kept = []
    while True:
        kept.append(bytearray(1000))
        if len(kept) % 100 == 0:
            yield_now()


# -- who is told, and of what --------------------------------------------------------------------


@coroutine
def test_who_crosses_its_limit_is_told_at_its_next_wait_at_the_latest_and_nobody_else() -> None:
    log: list[Any] = []

    def greedy() -> None:
        try:
            kept = bytearray(UNMISTAKABLE)
            yield_now()
            del kept
        except MemoryLimitExceeded as error:
            log.append(error)

    bystander = go(lambda: [yield_now() for _ in range(20)])
    assert go(greedy, memory_limit=UNMISTAKABLE // 2).join()
    bystander.result()
    found = re.fullmatch(LIMIT_MESSAGE, str(log[0]))
    assert found is not None
    assert int(found[1]) == log[0].limit_bytes == UNMISTAKABLE // 2
    assert UNMISTAKABLE <= int(found[2]) < UNMISTAKABLE + NOISE
    assert UNMISTAKABLE <= log[0].used_bytes < UNMISTAKABLE + NOISE


@coroutine
def test_it_is_a_memory_error_that_ends_its_coroutine(observer: Any) -> None:
    child = go(fill, memory_limit=100_000)
    with pytest.raises(MemoryError):
        child.result()
    assert child.state == "failed"


@coroutine
def test_a_limit_is_not_crossed_by_coming_near_it() -> None:
    def modest() -> str:
        for _ in range(20):
            kept = bytearray(90_000)
            yield_now()
            del kept
        return "well"

    assert go(modest, memory_limit=100_000).result() == "well"


@coroutine
@pytest.mark.parametrize("how", ["channel", "go"])
def test_operations_that_need_not_wait_tell_it_too(how: str) -> None:
    def greedy() -> None:
        kept = []
        channel: Channel[int] = Channel(10)
        for _ in range(1000):
            kept.append(bytearray(10_000))
            if how == "go":
                go(lambda: None)
            else:
                channel.send(1)
                channel.receive()

    with pytest.raises(MemoryLimitExceeded):
        go(greedy, memory_limit=500_000).result()


# -- room to handle it, and what comes after that ------------------------------------------------


@coroutine
def test_who_swallows_it_and_goes_on_is_cancelled() -> None:
    log: list[str] = []

    def greedy() -> None:
        kept = []
        while True:
            try:
                kept.append(bytearray(10_000))
                yield_now()
            except Exception as error:
                log.append(type(error).__name__)

    child = go(greedy, memory_limit=100_000)
    child.join()
    assert (child.state, log) == ("cancelled", ["MemoryLimitExceeded"])


@coroutine
def test_the_cancel_says_why() -> None:
    def greedy() -> str:
        kept = []
        while True:
            try:
                kept.append(bytearray(10_000))
                yield_now()
            except MemoryLimitExceeded:
                pass
            except Cancelled as error:
                return str(error)

    child = go(greedy, memory_limit=100_000)
    expected = f"{child} went on above its limit: memory limit of 100000 bytes exhausted"
    assert child.result().startswith(expected)


@coroutine
def test_who_lets_go_has_room_to_and_is_told_again_the_next_time() -> None:
    told = 0

    def careful() -> str:
        nonlocal told
        kept = []
        for _ in range(5):
            try:
                kept.append(bytearray(200_000))
                yield_now()
            except MemoryLimitExceeded:
                told += 1
                small = bytearray(20_000)  # what handling it takes
                yield_now()
                del small
            kept.clear()
            yield_now()
        return "well"

    assert go(careful, memory_limit=100_000).result() == "well"
    assert told == 5


def test_there_is_room_above_a_limit_that_was_told_and_then_it_is_told_again() -> None:
    limit = Limit(1000)
    assert limit.crossing(1000, 0) is None
    assert limit.crossing(1001, 7)[:4] == (1000, 1001, 7, None)
    assert limit.crossing(1001 + HEADROOM_BYTES, 0) is None
    assert limit.crossing(1002 + HEADROOM_BYTES, 0).times == 2
    assert limit.crossing(1000, 0) is None
    assert limit.crossing(1001, 0).times == 1


# -- all together --------------------------------------------------------------------------------


def test_a_limit_for_all_counts_the_coroutines_and_not_the_rest_of_the_process() -> None:
    rest_of_the_process = bytearray(10 * UNMISTAKABLE)

    def main() -> list[str]:
        log: list[str] = []

        def child(name: str, size: int) -> None:
            try:
                kept = bytearray(size)
                yield_now()
                log.append(name)
                suspend()
                del kept
            except MemoryLimitExceeded as error:
                log.append(f"{name} is told of {error.limit_bytes}")

        small = [go(child, name, UNMISTAKABLE) for name in "ab"]
        go(child, "large", 2 * UNMISTAKABLE)
        for _ in range(5):
            yield_now()
        for each in small:
            each.resume()
        return sorted(log)

    limit = 3 * UNMISTAKABLE
    assert run(main, memory_limit=limit) == ["a", "b", f"large is told of {limit}"]
    assert len(rest_of_the_process) == 10 * UNMISTAKABLE


@coroutine
def test_the_limit_for_all_can_be_set_and_taken_away_while_they_run() -> None:
    scheduler = current_scheduler()
    scheduler.limit_memory(200_000)
    assert scheduler.memory_limit == 200_000
    with pytest.raises(MemoryLimitExceeded, match="memory limit of 200000 bytes"):
        go(fill).result()
    scheduler.limit_memory(None)
    assert scheduler.memory_limit is None
    assert go(lambda: len(bytearray(300_000))).result() == 300_000


# -- limits that are set later -------------------------------------------------------------------


@coroutine
def test_a_limit_can_be_given_to_one_that_runs_and_taken_away() -> None:
    child = go(fill)
    child.limit_memory(100_000)
    assert child.account.limit == 100_000
    other = go(suspend, memory_limit=1000)
    other.limit_memory(None)
    assert other.account.limit is None
    other.resume()
    with pytest.raises(MemoryLimitExceeded):
        child.result()


@coroutine
def test_a_limit_below_what_is_held_is_told_at_once() -> None:
    def holder() -> str:
        kept = bytearray(UNMISTAKABLE)
        try:
            suspend()
            yield_now()
        except MemoryLimitExceeded as error:
            return f"told of {error.limit_bytes}, {len(kept)}"
        return "not told"

    child = go(holder)
    child.limit_memory(1000)
    child.resume()
    assert child.result() == f"told of 1000, {UNMISTAKABLE}"


@coroutine
def test_a_warning_is_said_once_and_nothing_else_happens(observer: Recorder) -> None:
    def holder() -> str:
        kept = [bytearray(100_000) for _ in range(10)]
        yield_now()
        kept += [bytearray(100_000) for _ in range(10)]
        yield_now()
        return "well"

    child = go(suspend_then, holder)
    child.limit_memory(200_000, "warn")
    child.resume()
    assert child.result() == "well"
    assert len(observer.warnings) == 1
    assert observer.warnings[0].startswith(f"{child} holds ")
    assert "memory limit of 200000 bytes exhausted" in observer.warnings[0]


def suspend_then(call: Callable[[], Any]) -> Any:
    suspend()
    return call()


@coroutine
def test_a_limit_may_cancel_instead_of_raise() -> None:
    child = go(suspend_then, fill)
    child.limit_memory(100_000, "cancel")
    child.resume()
    child.join()
    assert child.state == "cancelled"


# -- with the native core, wherever it computes --------------------------------------------------


@native_only
@coroutine
def test_a_loop_that_never_waits_is_told_where_it_stands() -> None:
    def endless() -> None:
        kept = []
        while True:
            kept.append(bytearray(1000))

    child = go(endless, memory_limit=500_000)
    with pytest.raises(MemoryLimitExceeded, match=LIMIT_MESSAGE):
        child.result()
    assert child.account.heap_peak is not None
    assert child.account.heap_peak < 500_000 + NOISE


@native_only
@coroutine
def test_one_that_swallows_it_in_a_loop_that_never_waits_is_cancelled() -> None:
    def endless() -> None:
        kept = []
        while True:
            try:
                kept.append(bytearray(1000))
            except Exception:
                kept.append(bytearray(1000))

    child = go(endless, memory_limit=500_000)
    assert child.state == "cancelled"


@native_only
@coroutine
def test_a_loop_in_c_ends_with_what_it_was_called_for() -> None:
    text = json.dumps([{"a": n} for n in range(20_000)])

    def parse() -> None:
        json.loads(text)

    with pytest.raises(MemoryLimitExceeded):
        go(parse, memory_limit=100_000).result()


@native_only
@coroutine
def test_a_collection_between_the_crossing_and_the_error_does_not_swallow_it() -> None:
    """A callback that the collector runs is no place for an error: nobody would hear of it."""

    class Thing:
        pass

    def throw_away(kept: list[Any]) -> None:
        for _ in range(50):
            thing = Thing()
            thing.me = thing  # type: ignore[attr-defined]
            kept.append(weakref.ref(thing, lambda _: None))

    def greedy() -> None:
        kept: list[Any] = []
        throw_away(kept)
        list(map(operator.call, [partial(bytearray, 200_000), gc.collect]))  # no code of ours in between

    with pytest.raises(MemoryLimitExceeded):
        go(greedy, memory_limit=100_000).result()


@native_only
@coroutine
def test_a_request_that_could_harm_the_machine_is_refused_and_named_at_the_end() -> None:
    def huge() -> bytearray:
        return bytearray(10**12)

    child = go(huge, memory_limit=100_000)
    with pytest.raises(MemoryLimitExceeded, match=r"tried to allocate 100000000000\d bytes") as caught:
        child.result()
    assert caught.value.limit_bytes == 100_000
    assert child.account.heap_peak is not None
    assert child.account.heap_peak < NOISE


@native_only
@coroutine
def test_a_block_that_grows_is_not_refused_for_what_it_has_already() -> None:
    """It is resized to some more than 64 MiB, and both sizes together would be above the limit."""

    def grow() -> int:
        kept = bytearray(70 << 20)
        kept += b"more"
        yield_now()
        return len(kept)

    assert go(grow, memory_limit=100 << 20).result() == (70 << 20) + 4


@native_only
@coroutine
def test_a_block_that_grows_by_too_much_is_refused() -> None:
    def grow() -> None:
        kept = bytearray(1000)
        kept *= 10**9

    child = go(grow, memory_limit=100_000)
    with pytest.raises(MemoryLimitExceeded, match=r"tried to allocate \d{12} bytes"):
        child.result()
    assert child.account.heap_peak is not None
    assert child.account.heap_peak < 1000 + NOISE


@native_only
@coroutine
def test_who_takes_a_refusal_well_goes_on() -> None:
    def careful() -> str:
        try:
            return str(len(bytearray(10**12)))
        except MemoryError:
            yield_now()
            return "well"

    assert go(careful, memory_limit=100_000).result() == "well"


@native_only
@coroutine
def test_what_waits_at_the_door_of_the_runtime_loses_no_permit() -> None:
    """The error strikes in the coroutine's own code, or at its wait: never in a lock that is being given back."""
    permit = Semaphore(1)

    def greedy() -> None:
        kept = []
        while True:
            with permit:
                kept.append(bytearray(997))

    for limit in range(20_000, 40_000, 1000):
        child = go(greedy, memory_limit=limit)
        with pytest.raises(MemoryLimitExceeded):
            child.result()
        assert permit.acquire(timeout=0)
        permit.release()


@native_only
@coroutine
@pytest.mark.parametrize("how", ["collector", "del"])
def test_a_finalizer_of_another_that_runs_meanwhile_is_not_struck(how: str) -> None:
    made: list[int] = []

    class Other:
        def __init__(self) -> None:
            self.me = self if how == "collector" else None

        def __del__(self) -> None:
            made.append(len(bytearray(50_000)))

    def greedy() -> None:
        Other()
        kept = bytearray(90_000)
        gc.collect()
        kept += bytearray(20_000)
        yield_now()

    with pytest.raises(MemoryLimitExceeded):
        go(greedy, memory_limit=100_000).result()
    gc.collect()
    assert made == [50_000]


# -- what is refused -----------------------------------------------------------------------------


@coroutine
@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "1M"])
def test_a_limit_is_a_positive_number_of_bytes(limit: Any) -> None:
    with pytest.raises(ValueError, match="memory_limit must be a positive number of bytes"):
        go(suspend, memory_limit=limit)
    with pytest.raises(ValueError, match="memory_limit must be a positive number of bytes"):
        coloop.current().limit_memory(limit)  # type: ignore[union-attr]


@coroutine
def test_there_are_three_actions() -> None:
    me = current()
    assert me is not None
    with pytest.raises(ValueError, match=r"no such action: 'shout' \(one of raise, warn, cancel\)"):
        me.limit_memory(1000, "shout")


@coroutine
def test_a_limit_that_no_level_can_tell_is_refused() -> None:
    memory.set_level("counts")
    with pytest.raises(ValueError, match="memory_limit needs level heap, not counts"):
        go(suspend, memory_limit=1000)


@coroutine
def test_a_limit_sleeps_while_the_level_does_not_tell() -> None:
    def greedy() -> None:
        suspend()
        kept = bytearray(UNMISTAKABLE)
        yield_now()
        del kept

    child = go(greedy, memory_limit=1000)
    memory.set_level("counts")
    child.resume()
    assert child.result() is None


@coroutine
def test_a_limit_is_set_on_the_scheduler_s_own_thread() -> None:
    me, caught = current(), []
    assert me is not None

    def elsewhere() -> None:
        try:
            me.limit_memory(1000)
        except CoroutineError as error:
            caught.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert [type(error) for error in caught] == [WrongThread]
