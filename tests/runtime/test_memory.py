"""What a coroutine allocates is charged to it, and the sums are exact."""

import gc
import re
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

import coloop
from coloop import _form as form
from coloop import _memory as memory_module
from coloop import (
    current,
    current_scheduler,
    go,
    memory,
    run,
    sleep,
    suspend,
    to_thread,
    yield_now,
)
from coloop._memory import stack_cost
from coloop.testing import MockClock, wait_until_idle

coroutine = pytest.mark.coroutine

UNMISTAKABLE = 1_234_567
NOISE = 2_000  # objects made of frames, and what pytest does meanwhile


@pytest.fixture(autouse=True)
def default_level(quiet_collector: None) -> Iterator[None]:
    yield
    memory.set_level("counts")
    assert not tracemalloc.is_tracing()


def check_sums() -> None:
    """All accounts together are the total, to the byte."""
    tracing = memory.tracing
    if tracing is None:
        wrong, audited_bytes, _ = form.native.ledger_audit()  # type: ignore[union-attr]
        assert wrong == 0
        assert audited_bytes > 0
    else:  # to be compared with what it has last read
        living = sum(co._tally.heap_bytes for co in current_scheduler().living.values())
        outside = tracing.outside.heap_bytes + tracing.own_bytes
        assert living + outside + tracing.dead.heap_bytes == tracing._last_bytes
    held = memory.held()
    assert held is not None
    assert held.living + held.dead + sum(held.outside) == held.total


def held_outside() -> int:
    held = memory.held()
    assert held is not None
    return sum(held.outside)


def hold(size: int) -> None:
    kept = bytearray(size)
    suspend()
    del kept
    suspend()


# -- levels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["off", "counts", "heap", "sites"])
def test_a_level_is_what_it_was_set_to(level: str) -> None:
    memory.set_level(level)
    assert memory.level() == level
    assert memory.traces_heap() is (level in {"heap", "sites"})
    assert (memory.usage() is None) is (level in {"off", "counts"})
    assert (memory.cost() == "") is (level in {"off", "counts"})
    memory.set_level(level)
    assert memory.level() == level


def test_other_levels_are_refused_and_change_nothing() -> None:
    with pytest.raises(ValueError, match=r"no such level: 'high' \(one of off, counts, heap, sites\)"):
        memory.set_level("high")
    assert memory.level() == "counts"


def test_the_cost_of_a_level_is_told() -> None:
    memory.set_level("heap")
    told = r"an allocation costs \d+\.\d x, a switch (\d+\.\dus more|nothing)"
    assert re.fullmatch(told, memory.cost())
    assert memory.cost().endswith("nothing") is memory.exact


def test_figures_are_exact_where_the_native_core_counts() -> None:
    assert memory.exact is (coloop.FORM == "native")
    memory.set_level("heap")
    assert memory.exact is (coloop.FORM == "native")


def test_tracing_that_somebody_else_began_is_left_on() -> None:
    tracemalloc.start()
    try:
        kept = bytearray(UNMISTAKABLE)
        memory.set_level("heap")
        assert (held_outside() >= UNMISTAKABLE) is not memory.exact
        memory.set_level("counts")
        assert tracemalloc.is_tracing()
        del kept
    finally:
        tracemalloc.stop()


@coroutine
def test_below_heap_an_account_tells_stack_and_counts_only() -> None:
    account = go(suspend).account
    assert (account.heap_bytes, account.heap_peak, account.allocated_total, account.heap_blocks) == (
        None,
    ) * 4
    assert account.stack_bytes > 0
    assert account.frames > 0
    for left in list(current_scheduler().living.values())[1:]:
        left.resume()


@coroutine
def test_the_level_changes_under_running_coroutines_and_counts_from_that_moment() -> None:
    early = go(hold, UNMISTAKABLE)
    memory.set_level("heap")
    late = go(hold, UNMISTAKABLE)
    assert abs(early.account.heap_bytes) < NOISE
    assert abs(late.account.heap_bytes - UNMISTAKABLE) < NOISE
    memory.set_level("sites")
    assert abs(late.account.heap_bytes - (UNMISTAKABLE if memory.exact else 0)) < NOISE
    memory.set_level("off")
    assert late.account.heap_bytes is None
    memory.set_level("heap")
    check_sums()
    for left in (early, late):
        left.cancel()


@coroutine
def test_the_level_may_change_at_every_switch() -> None:
    levels = ["heap", "counts", "sites", "off"]

    def child() -> None:
        for _ in range(20):
            yield_now()

    children = [go(child) for _ in range(5)]
    for i in range(20):
        memory.set_level(levels[i % 4])
        yield_now()
        if memory.traces_heap():
            check_sums()
    for each in children:
        each.join()


# -- whom it is charged to -----------------------------------------------------------------------


@coroutine
@pytest.mark.parametrize("level", ["heap", "sites"])
def test_each_pays_for_what_it_allocates(level: str) -> None:
    memory.set_level(level)
    sizes = [UNMISTAKABLE * (i + 1) for i in range(3)]
    children = [go(hold, size) for size in sizes]
    idle = go(suspend)
    for _ in range(2):
        for child, size in zip(children, sizes, strict=True):
            assert abs(child.account.heap_bytes - size) < NOISE
            assert abs(child.account.heap_peak - size) < NOISE
            assert child.account.allocated_total >= size
        assert abs(idle.account.heap_bytes) < NOISE
        gc.collect()
    children[1].resume()
    yield_now()
    assert abs(children[1].account.heap_bytes) < NOISE
    assert children[1].account.heap_peak >= sizes[1]
    for left in [*children, idle]:
        left.cancel()


@coroutine
def test_the_running_one_sees_its_own_figure_at_once() -> None:
    memory.set_level("heap")
    before = current().account.heap_bytes
    kept = bytearray(UNMISTAKABLE)
    assert abs(current().account.heap_bytes - before - UNMISTAKABLE) < NOISE
    del kept
    assert abs(current().account.heap_bytes - before) < NOISE


@coroutine
def test_what_one_allocates_before_it_parks_is_not_its_spawners() -> None:
    memory.set_level("heap")
    before = current().account.heap_bytes
    child = go(hold, UNMISTAKABLE)
    assert abs(current().account.heap_bytes - before) < NOISE
    child.cancel()


@coroutine
def test_what_is_handed_over_and_freed_elsewhere_is_credited_to_its_owner_or_where_it_is_freed() -> None:
    """The native ledger knows the owner, tracemalloc does not."""
    memory.set_level("heap")
    channel: coloop.Channel[bytearray] = coloop.Channel(1)
    sender = go(lambda: (channel.send(bytearray(UNMISTAKABLE)), suspend()))
    receiver = go(lambda: take_and_drop(channel))
    assert abs(sender.account.heap_peak - UNMISTAKABLE) < NOISE
    receiver.resume()
    receiver.join()
    held = memory.held()
    assert held is not None
    if memory.exact:
        assert 0 <= held.dead < NOISE
        assert 0 <= sender.account.heap_bytes < NOISE
    else:
        assert held.dead < NOISE - UNMISTAKABLE
    sender.cancel()


def take_and_drop(channel: coloop.Channel[bytearray]) -> None:
    channel.receive()
    suspend()


@coroutine
@pytest.mark.parametrize("look", [False, True])
def test_waiting_a_thousand_times_is_no_memory_given_back(look: bool) -> None:
    memory.set_level("heap")

    def child() -> None:
        for _ in range(1000):
            helper()
        suspend()

    def helper() -> None:
        yield_now()

    busy = go(child)
    for i in range(1001):
        if look and i % 10 == 0:
            coloop.snapshot()
        yield_now()
    assert busy.waiting_on == "suspend"
    # Half of what it would be, were the least object given back at each wait.
    assert abs(busy.account.heap_bytes) < 1000 * 16 / 2
    busy.cancel()


@coroutine
def test_spawning_a_thousand_times_costs_the_spawner_next_to_nothing() -> None:
    memory.set_level("heap")
    for _ in range(300):  # the dead that are remembered
        go(lambda: None)
    before = current().account.heap_bytes
    for _ in range(1000):
        go(lambda: None)
    assert abs(current().account.heap_bytes - before) < 8 * 1000
    (residue,) = [found for found in memory.residues() if found.coroutines == 1000]
    assert abs(residue.heap_bytes) < 8 * 1000


# -- the sums ------------------------------------------------------------------------------------


@coroutine
def test_all_accounts_together_are_the_total_to_the_byte(observer: Any) -> None:
    memory.set_level("heap")
    kept: list[Any] = []

    def child(i: int) -> None:
        local = [bytes(i * 100)]
        for _ in range(i):
            yield_now()
            local.append(bytearray(1000))
        if i % 3 == 0:
            kept.append(local)
        if i % 4 == 0:
            raise ValueError(local)
        suspend() if i % 2 else sleep(0.0001)

    children = [go(child, i) for i in range(40)]
    for _ in range(60):
        yield_now()
        check_sums()
        current_scheduler().settle()
        check_sums()
    for each in children:
        each.cancel()
        each.join()
    observer.failures.clear()
    current_scheduler().settle()
    check_sums()


@coroutine
def test_the_sum_is_exact_also_when_two_schedulers_settle_at_once() -> None:
    memory.set_level("heap")

    def busy() -> None:
        children = [go(lambda: [(yield_now(), bytes(1000)) for _ in range(100)]) for _ in range(3)]
        for child in children:
            child.join()

    elsewhere = go(to_thread, run, busy)
    busy()
    elsewhere.join()
    current_scheduler().settle()
    check_sums()


@coroutine
def test_a_snapshot_says_where_every_byte_is() -> None:
    memory.set_level("heap")
    child = go(hold, UNMISTAKABLE)
    taken = coloop.snapshot()
    assert taken.heap_bytes + taken.dead_bytes + taken.outside_bytes == taken.traced_bytes
    pictured = sum(co.heap_bytes for co in taken.coroutines)
    assert abs(pictured - taken.heap_bytes) < NOISE
    assert taken.traced_bytes >= UNMISTAKABLE
    child.cancel()


@coroutine
def test_what_runs_in_no_coroutine_is_outside() -> None:
    memory.set_level("heap")
    kept: list[bytearray] = []
    before = held_outside()
    coloop.call_soon_threadsafe(lambda: kept.append(bytearray(UNMISTAKABLE)))
    wait_until_idle()
    assert abs(held_outside() - before - UNMISTAKABLE) < NOISE


# -- what the dead left --------------------------------------------------------------------------


@coroutine
def test_what_the_dead_left_is_told_by_the_place_they_were_started_from() -> None:
    memory.set_level("heap")
    store: list[bytearray] = []

    def leaky() -> None:
        store.append(bytearray(UNMISTAKABLE))

    def clean() -> None:
        bytearray(UNMISTAKABLE)

    for _ in range(3):
        go(leaky)
        go(clean)
    largest = memory.residues()[0]
    assert largest.coroutines == 3
    assert abs(largest.heap_bytes - 3 * UNMISTAKABLE) < NOISE
    assert re.fullmatch(
        r"test_memory\.py:\d+ in test_what_the_dead_left_is_told_by_the_place_they_were_started_from",
        largest.site,
    )
    assert sum(found.coroutines for found in memory.residues()) == 6
    held = memory.held()
    assert held is not None
    assert abs(sum(found.heap_bytes for found in memory.residues()) - held.dead) < NOISE


# -- stacks and counts ---------------------------------------------------------------------------


def deep(frames: int) -> None:
    suspend() if frames == 0 else deep(frames - 1)


@coroutine
def test_a_deeper_stack_costs_more_and_the_dead_have_none() -> None:
    shallow, deeper = go(deep, 0), go(deep, 600)
    assert deeper.account.frames == shallow.account.frames + 600
    assert deeper.account.stack_bytes >= shallow.account.stack_bytes + memory_module.CHUNK_BYTES
    for child in (shallow, deeper):
        child.resume()
        child.join()
        assert (child.account.stack_bytes, child.account.frames) == (0, 0)


@coroutine
def test_a_call_through_c_costs_c_stack() -> None:
    plain, through_c = go(suspend), go(lambda: sorted([1], key=lambda _: suspend()))
    assert through_c.account.stack_bytes > plain.account.stack_bytes + 1000
    plain.resume()
    through_c.resume()


def test_no_frame_costs_nothing() -> None:
    assert stack_cost(None) == (0, 0)


@coroutine
def test_an_account_counts_timers_and_deferred_calls() -> None:
    def child() -> None:
        coloop.defer(len, "")
        coloop.defer(len, "")
        with coloop.timeout(10):
            sleep(5)

    waiting = go(child)
    assert (waiting.account.timers, waiting.account.defers, waiting.account.limit) == (2, 2, None)
    waiting.cancel()
    waiting.join()
    assert (waiting.account.timers, waiting.account.defers) == (0, 0)


# -- the process as a whole ----


def test_usage_is_what_tracemalloc_says() -> None:
    memory.set_level("heap")
    before = memory.usage()
    kept = bytearray(UNMISTAKABLE)
    after = memory.usage()
    assert before is not None
    assert after is not None
    assert abs(after - before - len(kept)) < NOISE
    assert abs((memory.total() or 0) - after) < NOISE


def test_other_threads_disturb_no_sum() -> None:
    """They allocate all the time; the sum is what it is."""
    memory.set_level("heap")
    over = threading.Event()

    def noise() -> None:
        while not over.is_set():
            bytes(1000)

    def main() -> None:
        for _ in range(100):
            go(yield_now)
            yield_now()
            current_scheduler().settle()
            check_sums()

    thread = threading.Thread(target=noise)
    thread.start()
    try:
        run(main, clock=MockClock())
    finally:
        over.set()
        thread.join()
