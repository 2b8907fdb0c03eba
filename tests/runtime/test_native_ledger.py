"""Every block is on somebody's account, to the byte, whoever frees it: `native/ledger*.c` and `_native_ledger.py`."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import coloop
from coloop import (
    Channel,
    CoroutineError,
    Event,
    current,
    go,
    memory,
    run,
    sleep,
    suspend,
    timeout,
    to_thread,
    yield_now,
)
from coloop._form import native
from coloop._heap_pictures import Held
from tests.runtime.conftest import codes_in, prepare
from tests.thorough import EVERY_ONE, sample

pytestmark = pytest.mark.skipif(native is None, reason="there is no native core")

coroutine = pytest.mark.coroutine
core: Any = native

HEADER_BYTES = sys.getsizeof(b"")


@pytest.fixture(autouse=True)
def heap(quiet_collector: None) -> Iterator[None]:
    memory.set_level("heap")
    yield
    gc.enable()
    memory.set_level("counts")


def block(size: int) -> int:
    """What an allocation of `size` bytes is counted as."""
    return max(size, 1)


def held() -> Held:
    found = memory.held()
    assert found is not None
    return found


def audit() -> None:
    wrong, _, _ = core.ledger_audit()
    assert wrong == 0


def heap_of(coroutine: coloop.Coroutine) -> int:
    return coroutine._heap[0]


# -- to the byte ---------------------------------------------------------------------------------


BYTE = b"."


def hold_three(size: int) -> None:
    """No tuple is made: it would come from a free list, and stay on the account of whoever put it there."""
    a = BYTE * size
    yield_now()
    b = BYTE * (size + 1000)
    yield_now()
    c = BYTE * (size + 2000)
    suspend()
    del b
    suspend()
    del a, c
    suspend()


@coroutine
@pytest.mark.parametrize("count", [1, 10, 1000])
def test_what_each_allocates_is_on_its_account_to_the_byte_however_they_interleave(count: int) -> None:
    gc.disable()  # what is called at a collection, as Hypothesis does, would make objects on whoever's account
    children = [go(hold_three, 17 + 17 * i) for i in range(count)]
    while any(child.waiting_on != "suspend" for child in children):
        yield_now()

    def expected(i: int, *more: int) -> int:
        return sum(block(HEADER_BYTES + 17 + 17 * i + extra) for extra in more)

    def heaps() -> list[int]:
        return [heap_of(child) for child in children]

    assert heaps() == [expected(i, 0, 1000, 2000) for i in range(count)]
    assert all(child._heap[1] == 3 for child in children)
    for child in reversed(children):
        child.resume()
    yield_now()
    assert heaps() == [expected(i, 0, 2000) for i in range(count)]
    for child in children:
        child.resume()
    yield_now()
    assert heaps() == [0] * count
    for i, child in enumerate(children):
        _, blocks, peak, allocated = child._heap
        assert blocks == 0
        assert 0 <= peak - expected(i, 0, 1000, 2000) <= 32  # the number in the brackets
        assert 0 <= allocated - expected(i, 0, 1000, 2000) < 500
    audit()
    for child in children:
        child.cancel()


@coroutine
def test_the_peak_is_exact_also_between_two_switches() -> None:
    def burst() -> None:
        bytes(100_000 - HEADER_BYTES)
        suspend()

    child = go(burst)
    gc.collect()
    heap_bytes, blocks, peak, allocated = child._heap
    assert (heap_bytes, blocks) == (0, 0)
    assert 100_000 <= peak < 100_200
    assert 100_000 <= allocated < 100_200
    child.cancel()


@coroutine
def test_an_account_tells_blocks() -> None:
    child = go(hold_three, 5)
    assert child.account.heap_blocks == 1
    assert child.account.heap_bytes == block(HEADER_BYTES + 5)
    child.cancel()


def settled(figure: Callable[[], int]) -> int:
    """What it is three times in a row: a thread that an earlier test has left may end in the midst of one."""
    seen = [figure() for _ in range(3)]
    while len(set(seen[-3:])) > 1 and len(seen) < 100:
        seen.append(figure())
    return seen[-1]


@coroutine
def test_the_blocks_that_are_counted_are_those_that_python_counts() -> None:
    """The interpreter counts the same blocks, without knowing of us."""

    def difference() -> int:
        gc.collect()
        before = sys.getallocatedblocks()
        _, _, blocks = core.ledger_audit()
        _, _, _, freed, resized, unmapped = core.ledger_bookkeeping()
        assert unmapped == 0
        return before - (blocks - freed - resized)

    if sys.getallocatedblocks() == 0:
        pytest.skip("this allocator does not count")
    first = settled(difference)  # the first calls make what is made once
    kept: list[Any] = [bytes(i) for i in range(3000)]
    children = [go(hold_three, i * 10) for i in range(200)]
    yield_now()
    for child in children[::2]:
        child.cancel()
    yield_now()
    del kept[::3]
    assert settled(difference) == first
    audit()
    for child in children:
        child.cancel()


# -- whose it is ---------------------------------------------------------------------------------


@coroutine
def test_what_another_frees_is_credited_to_its_owner() -> None:
    channel: Channel[bytes] = Channel(1)

    def give() -> None:
        channel.send(bytes(50_000))
        suspend()

    giver = go(give)
    before = heap_of(giver)
    mine = heap_of(current())
    got = channel.receive()
    assert len(got) == 50_000
    assert heap_of(giver) == before
    del got
    assert heap_of(giver) == before - block(50_000 + HEADER_BYTES)
    assert abs(heap_of(current()) - mine) < 500
    giver.cancel()


@coroutine
def test_who_resizes_a_block_has_it() -> None:
    shared: list[int] = [0] * 1000

    def fill() -> None:
        shared.extend([0] * 100_000)
        suspend()

    mine = heap_of(current())
    filler = go(fill)
    assert heap_of(filler) >= 800_000
    assert heap_of(current()) <= mine - 8_000 + 500
    filler.cancel()


@coroutine
def test_what_another_thread_frees_is_credited_too() -> None:
    box: list[bytes] = []

    def make() -> None:
        box.append(bytes(70_000))
        suspend()

    maker = go(make)
    assert heap_of(maker) >= 70_000
    to_thread(box.clear)
    assert heap_of(maker) < 1_000
    audit()
    maker.cancel()


@coroutine
def test_other_threads_have_an_account_of_their_own() -> None:
    kept: list[bytes] = []
    before = held().outside.threads
    to_thread(lambda: kept.append(bytes(90_000)))
    assert 0 <= held().outside.threads - before - 90_000 < 5_000


def test_a_thread_that_does_nothing_for_the_program_is_counted_apart() -> None:
    kept: list[bytes] = []

    def shell() -> None:
        memory.own_thread()
        kept.append(bytes(90_000))
        memory.own_thread(own=False)
        kept.append(bytes(30_000))

    before = held().outside
    thread = threading.Thread(target=shell)
    thread.start()
    thread.join()
    after = held().outside
    assert 0 <= after.own - before.own - 90_000 < 1_000
    assert 0 <= after.threads - before.threads - 30_000 < 5_000


@coroutine
def test_what_timers_call_is_outside_and_not_on_the_account_of_whoever_ran_last() -> None:
    kept: list[bytes] = []
    before = held().outside.outside
    coloop.call_soon_threadsafe(lambda: kept.append(bytes(60_000)))
    sleep(0.001)
    assert 0 <= held().outside.outside - before - 60_000 < 2_000


@coroutine
def test_the_scheduler_s_own_work_is_on_nobody_s_account() -> None:
    """Ten thousand timers, waits and entries in its tables leave nothing with who had set them."""
    event = Event()

    def busy() -> None:
        for _ in range(1000):
            with timeout(1000):
                yield_now()
        event.wait(1000)

    child = go(busy)
    while child.waiting_on is None:
        yield_now()
    assert heap_of(child) < 1_500
    crowd = [go(event.wait, 1000) for _ in range(3000)]
    assert heap_of(child) < 1_500
    assert max(heap_of(each) for each in crowd) < 1_500
    stacks = held().outside.stacks
    assert stacks >= 3000 * 500
    event.set()
    yield_now()
    assert held().outside.stacks < stacks // 10
    del crowd, child
    gc.collect()
    assert held().dead == 0


@coroutine
def test_a_server_s_tables_are_on_nobody_s_account() -> None:
    def chat(connection: coloop.Socket) -> None:
        while connection.recv():
            pass

    server = coloop.serve("127.0.0.1:0", chat)
    coloop.connect(server.address).close()  # what is made once
    clients = [coloop.connect(server.address) for _ in range(300)]
    sleep(0.01)
    conversing = [co for co in coloop.current_scheduler().living.values() if "/" in co.name]
    assert len(conversing) == 300
    assert max(heap_of(each) for each in conversing) < 2_000
    for client in clients:
        client.close()
    server.stop()


@coroutine
def test_the_handle_is_the_spawner_s() -> None:
    before = heap_of(current())
    children = [go(suspend) for _ in range(100)]
    assert heap_of(current()) - before > 100 * 200
    assert all(heap_of(child) == 0 for child in children)
    for child in children:
        child.cancel()
    yield_now()
    del children, child
    gc.collect()
    assert heap_of(current()) - before < 4_000


@coroutine
def test_a_worker_that_goes_from_one_to_the_next_charges_each() -> None:
    sizes = []

    def job(size: int) -> None:
        kept = bytes(size)
        gc.collect()
        sizes.append(heap_of(current()))
        del kept

    for size in (100, 1000, 20_000, 1000):
        go(job, size).join()
    empty = sizes[0] - block(100 + HEADER_BYTES)  # what a collection takes to tell others of itself
    assert sizes[1:] == [empty + block(size + HEADER_BYTES) for size in (1000, 20_000, 1000)]


@coroutine
def test_a_greenlet_of_its_own_is_its_own_business() -> None:
    """Somebody may switch greenlets without the scheduler: whoever runs it pays."""
    from greenlet import getcurrent, greenlet

    def inner() -> None:
        kept = bytes(40_000)
        getcurrent().parent.switch()
        del kept

    def outer() -> None:
        mine = greenlet(inner)
        mine.switch()
        suspend()
        mine.switch()

    child = go(outer)
    assert heap_of(child) >= 40_000
    child.resume()
    child.join()
    audit()


# -- the dead ------------------------------------------------------------------------------------


def residue_of(function: Callable[..., object]) -> Any:
    return next(found for found in memory.residues() if found.site.endswith(f" in {function.__name__}"))


class Knot:
    def __init__(self) -> None:
        self.me = self


def no_free_lists(i: int) -> None:
    kept = {Knot(), Knot(), str(i) * 100, BYTE * i}
    yield_now()
    kept.add(Knot())


def all_kinds(i: int) -> None:
    kept: list[Any] = [{"n": i}, [str(i)] * i, (i, i), bytes(i), i / 7]
    kept.append(kept)
    sleep(0.000_001)
    with timeout(5):
        yield_now()
    try:
        raise KeyError(i)
    except KeyError:
        yield_now()


@coroutine
@pytest.mark.parametrize(("what", "noise"), [(no_free_lists, 0), (all_kinds, 2_000)])
def test_every_account_is_empty_after_death_and_a_collection(what: Callable[[int], None], noise: int) -> None:
    """What is in CPython's free lists, and is used again, stays with whoever had it first: a little."""

    def one_round() -> None:
        children = [go(what, i) for i in range(100)]
        for child in children:
            child.join()

    one_round()  # what is made once: caches, interned names
    gc.collect()
    memory.set_level("counts")
    memory.set_level("heap")
    go(one_round).join()
    gc.collect()
    bookkeeping = memory.bookkeeping()
    assert bookkeeping is not None
    assert bookkeeping.open_accounts == 1
    assert 0 <= held().dead <= noise
    audit()


@coroutine
def test_what_the_dead_left_shrinks_when_it_is_freed_later() -> None:
    store: list[bytes] = []

    def spawn_leaky() -> None:
        for _ in range(10):
            go(lambda: store.append(bytes(10_000)))

    spawn_leaky()
    left = residue_of(spawn_leaky)
    assert left.coroutines == 10
    assert left.heap_blocks >= 10
    assert 10 * block(10_000 + HEADER_BYTES) <= left.heap_bytes < 10 * 10_200
    assert held().dead == left.heap_bytes
    del store[5:]
    assert residue_of(spawn_leaky).heap_bytes <= left.heap_bytes - 5 * 10_000
    store.clear()
    assert residue_of(spawn_leaky).heap_bytes < 500
    assert residue_of(spawn_leaky).coroutines == 10


@coroutine
def test_accounts_are_kept_for_the_living_and_for_blocks_that_are_left_and_used_again() -> None:
    for _ in range(20_000):
        go(len, "")
    bookkeeping = memory.bookkeeping()
    assert bookkeeping is not None
    assert bookkeeping.open_accounts == 1
    assert bookkeeping.closed_accounts == 0
    store = [go(bytes, 5000) for _ in range(50)]  # its value is what it has left
    assert memory.bookkeeping().closed_accounts == 50  # type: ignore[union-attr]
    assert [heap_of(each) for each in store] == [block(5000 + HEADER_BYTES)] * 50
    store.clear()
    assert memory.bookkeeping().closed_accounts == 0  # type: ignore[union-attr]


@coroutine
def test_who_has_ended_does_not_know_the_next_one_s_account() -> None:
    dead = go(len, "")
    assert dead._heap[:2] == (0, 0)
    peak = dead._heap[2]
    alive = go(hold_three, 90_000)
    assert heap_of(alive) >= 90_000
    assert dead._heap[:3] == (0, 0, peak)
    alive.cancel()


@coroutine
def test_places_of_birth_are_not_kept_without_end() -> None:
    store: list[Any] = []
    for i in range(1500):
        names: dict[str, Any] = {"go": go, "store": store}
        code = compile(f"def place{i}():\n go(lambda: None)\nplace{i}()", "<typed>", "exec")
        prepare(codes_in(code))
        exec(code, names)
    exec(compile("def kept():\n go(lambda: store.append(bytes(500_000)))\nkept()", "<typed>", "exec"), names)
    gc.collect()
    residues = memory.residues()
    assert len(residues) <= 1002
    assert residues[0].site.endswith("in kept")
    assert residues[0].heap_bytes >= 500_000
    audit()


@coroutine
def test_places_for_which_there_is_no_room_are_told_together() -> None:
    store: list[Any] = []
    for i in range(1100):
        names: dict[str, Any] = {"go": go, "store": store}
        text = f"def place{i}():\n go(lambda: store.append(bytes(600)))\nplace{i}()"
        exec(compile(text, "<typed>", "exec"), names)
    together = next(found for found in memory.residues() if found.site == "(other places)")
    assert together.coroutines >= 99
    assert together.heap_bytes >= 99 * 600
    audit()


@coroutine
def test_one_that_is_abandoned_leaves_what_it_holds() -> None:
    def stubborn() -> None:
        kept = bytes(30_000)
        while True:
            try:
                suspend()
            except BaseException:
                kept = kept[:]

    child = go(stubborn)
    coloop.current_scheduler().abandon(child)
    assert held().dead >= 30_000
    audit()


# -- coming and going ----------------------------------------------------------------------------


@coroutine
def test_blocks_from_before_pass_through() -> None:
    memory.set_level("counts")
    old = [bytes(i * 10) for i in range(1000)]
    grown = [0] * 1000
    child = go(hold_three, 10_000)
    memory.set_level("heap")
    freed = core.ledger_bookkeeping()[3]
    before = held().total
    old.clear()
    assert core.ledger_bookkeeping()[3] >= freed + 998
    assert abs(held().total - before) < 1_000
    mine = heap_of(current())
    grown.extend(range(5000))
    assert heap_of(current()) - mine >= 48_000
    child.cancel()
    yield_now()
    audit()


@coroutine
def test_the_level_may_change_while_others_wait_at_any_place() -> None:
    children = [go(hold_three, 1000 * i) for i in range(5)]
    for level in ("counts", "heap", "off", "sites", "heap", "counts", "heap"):
        memory.set_level(level)
        fresh = go(hold_three, 500)
        yield_now()
        if memory.traces_heap():
            audit()
            assert heap_of(fresh) == block(HEADER_BYTES + 500) + block(HEADER_BYTES + 1500)
        fresh.cancel()
        yield_now()
    assert all(0 <= heap_of(child) < 4_000 for child in children)
    for child in children:
        child.cancel()


def test_the_hooks_are_gone_when_nothing_is_counted() -> None:
    assert core.ledger_stop() is True
    memory.set_level("counts")
    memory.set_level("heap")
    assert memory.traces_heap()


def test_a_level_that_another_thread_sets_counts_for_the_scheduler_of_this_one() -> None:
    memory.set_level("counts")

    def main() -> None:
        to_thread(memory.set_level, "heap")
        kept = bytes(80_000)
        assert heap_of(current()) >= 80_000
        del kept
        assert heap_of(current()) < 10_000

    run(main)
    audit()


def test_tracemalloc_may_come_and_go_above() -> None:
    tracemalloc.start()
    try:
        kept = bytes(100_000)
        assert memory.traces_heap()
        audit()
    finally:
        tracemalloc.stop()
    before = held().total
    del kept
    assert held().total <= before - 99_000  # looking takes a little
    audit()


def test_with_another_above_the_hooks_stay_and_count_nothing() -> None:
    tracemalloc.start()
    try:
        memory.set_level("counts")
        assert core.ledger_stop() is False
        kept = [bytes(1000) for _ in range(100)]
        memory.set_level("heap")  # they are there already: a second time would be a circle
        assert held().total < 10_000
        kept.append(bytes(100_000))
        assert held().total > 100_000
        audit()
        del kept
        memory.set_level("counts")
    finally:
        tracemalloc.stop()
    assert core.ledger_stop() is True
    memory.set_level("heap")
    audit()


@coroutine
def test_if_another_takes_the_hooks_away_the_figures_are_void_and_that_is_said() -> None:
    memory.set_level("counts")
    tracemalloc.start()
    try:
        memory.set_level("heap")
        assert memory.traces_heap()
    finally:
        tracemalloc.stop()  # it puts back what was there before it came
    assert not memory.traces_heap()
    assert memory.held() is None
    assert memory.cost() == (
        "counting has ended, its figures are void: another tool has taken the allocator hooks away"
    )
    assert current().account.heap_bytes is None
    assert coloop.snapshot().traced_bytes is None
    for ask in (memory.types, memory.objects):
        with pytest.raises(CoroutineError, match="counting has ended, its figures are void: another tool"):
            ask(1)
    memory.set_level("heap")
    assert memory.traces_heap()
    audit()


def test_several_interpreters_are_refused() -> None:
    if sys.version_info >= (3, 13):
        import _interpreters as interpreters
    else:
        import _xxsubinterpreters as interpreters
    memory.set_level("counts")
    other = interpreters.create()
    try:
        with pytest.raises(CoroutineError, match="heap cannot be counted: another interpreter runs in this"):
            memory.set_level("heap")
        assert (memory.level(), memory.cost()) == ("counts", "")
    finally:
        interpreters.destroy(other)
    memory.set_level("heap")


GUEST = """
def main():
    try:
        coloop.memory.set_level("heap")
    except coloop.CoroutineError as error:
        print(error, flush=True)

import coloop
coloop.run(main)
"""

HOST = f"""
try:
    import _interpreters as interpreters
    guest = interpreters.create("legacy")
except ImportError:
    import _xxsubinterpreters as interpreters
    guest = interpreters.create(isolated=False)
interpreters.run_string(guest, {GUEST!r})
"""


def test_a_guest_is_refused_too() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", HOST], env=environment, capture_output=True, text=True)
    told = "heap cannot be counted: another interpreter runs in this process\n"
    assert (done.returncode, done.stdout) == (0, told), done.stderr


def test_memory_that_cannot_be_had_is_on_nobody_s_account() -> None:
    before = held().total
    with pytest.raises(MemoryError):
        bytearray(sys.maxsize - 100)
    small = bytearray(100)
    with pytest.raises(MemoryError):
        small *= sys.maxsize // 1000
    assert abs(held().total - before) < 2_000
    audit()


def test_large_and_small_blocks_and_all_ways_to_ask_for_them() -> None:
    """Sizes on both sides of every border, resized from each to each."""
    api = ctypes.pythonapi
    for name in ("PyMem_Malloc", "PyMem_Realloc", "PyMem_Calloc", "PyObject_Malloc", "PyObject_Realloc"):
        getattr(api, name).restype = ctypes.c_void_p
    sizes = [0, 1, 15, 16, 17, 511, 512, 513, 1 << 20, (1 << 20) + 1, 5 << 20]
    for first in sizes:
        for second in sizes:
            before = held().total
            found = api.PyMem_Malloc(ctypes.c_size_t(first))
            found = api.PyMem_Realloc(ctypes.c_void_p(found), ctypes.c_size_t(second))
            assert abs(held().total - before - block(second)) < 500
            api.PyMem_Free(ctypes.c_void_p(found))
            found = api.PyMem_Calloc(ctypes.c_size_t(first), ctypes.c_size_t(1))
            assert ctypes.string_at(found, min(first, 64)) == bytes(min(first, 64))
            api.PyMem_Free(ctypes.c_void_p(found))
            assert abs(held().total - before) < 1_500
    audit()


# -- the sums ------------------------------------------------------------------------------------

ACTIONS = ["bytes", "list", "dict", "cycle", "hand over", "free a stranger's", "grow a stranger's", "error"]


@settings(max_examples=200 if EVERY_ONE else 10)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(ACTIONS), st.integers(0, 3000)), max_size=40))
def test_all_accounts_together_are_the_total_whatever_is_done(steps: list[tuple[int, str, int]]) -> None:
    def main() -> None:
        shelf: list[Any] = [bytearray(10)]
        inboxes = [Channel[Any](50) for _ in range(6)]
        children = [go(worker, inbox, shelf) for inbox in inboxes]
        for who, action, size in steps:
            inboxes[who].send((action, size))
            yield_now()
            audit()
            check_held()
        for inbox in inboxes:
            inbox.close()
        for child in children:
            child.join()
        del children, child, inboxes, inbox
        shelf.clear()
        gc.collect()
        audit()
        check_held()

    memory.set_level("heap")  # the fixture is not run anew for each example
    run(main)


def check_held() -> None:
    now = held()
    assert now.living + now.dead + sum(now.outside) == now.total
    assert min(now.living, now.dead, *now.outside) >= 0


def worker(inbox: Channel[Any], shelf: list[Any]) -> None:
    own: list[Any] = []
    try:
        while True:
            action, size = inbox.receive()
            if action == "bytes":
                own.append(bytes(size))
            elif action == "list":
                own.append([None] * size)
            elif action == "dict":
                own.append({i: str(i) for i in range(size % 100)})
            elif action == "cycle":
                knot: list[Any] = [bytes(size)]
                knot.append(knot)
            elif action == "hand over":
                shelf.append(bytearray(size))
            elif action == "free a stranger's" and shelf:
                shelf.pop(size % len(shelf))
            elif action == "grow a stranger's" and shelf:
                shelf[-1].extend(bytes(size))
            elif action == "error":
                try:
                    raise KeyError(bytes(size))
                except KeyError as error:
                    own.append(error)
    except coloop.Closed:
        return


def test_threads_that_allocate_all_the_time_disturb_no_account() -> None:
    over = threading.Event()

    def noise() -> None:
        mine: list[bytes] = []
        while not over.is_set():
            mine.append(bytes(1000))
            if len(mine) > 100:
                mine.clear()

    def main() -> None:
        quiet = go(hold_three, 50_000)
        yield_now()
        yield_now()
        before = heap_of(quiet)
        for _ in range(300):
            go(yield_now)
            yield_now()
            assert heap_of(quiet) == before
        audit()
        quiet.cancel()

    threads = [threading.Thread(target=noise) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        run(main)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    audit()


# -- the process ---------------------------------------------------------------------------------

PROGRAM = """
import gc, os, sys, threading, coloop
from coloop import _form, go, memory, yield_now

class Late:
    def __del__(self):
        kept.append(bytes(100))

kept = []

def main():
    memory.set_level(sys.argv[1])
    children = [go(lambda: [kept.append(bytes(i)) or yield_now() for i in range(50)]) for _ in range(50)]
    for child in children:
        child.join()
    tiny = [[i] for i in range(20_000)]  # eight bytes each: some allocators put two into a granule
    large = [bytes(560) for _ in range(100_000)]  # some begin at the very end of a table of the map
    assert _form.native.ledger_audit()[0] == 0
    del tiny, large
    late = Late()
    late.me = late
    thread = threading.Thread(target=lambda: kept.extend(range(1000)))
    thread.start()
    thread.join()
    while len(os.listdir("/proc/self/task")) > 1:  # joined is not gone: it may hold tracemalloc's lock yet,
        os.sched_yield()  # and a child that is forked in that moment never gets it, in any CPython
    child = os.fork()
    if child == 0:
        kept.clear()
        wrong = _form.native.ledger_audit()[0]
        os._exit(min(wrong, 100))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert _form.native.ledger_audit()[0] == 0

coloop.run(main)
assert _form.native.ledger_audit()[0] == 0
print("well")
"""


@pytest.mark.parametrize("level", ["heap", "sites"])
@pytest.mark.parametrize(
    "allocator", sample(["", "debug", "tracing", "malloc_debug", "mimalloc", "malloc"], 2)
)
def test_a_process_ends_well_with_the_hooks_in_place_whatever_its_allocator(
    allocator: str, level: str
) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "ignore"}
    if allocator == "mimalloc" and sys.version_info < (3, 13):
        pytest.skip("this Python has no mimalloc")
    if allocator == "tracing":
        environment["PYTHONTRACEMALLOC"] = "3"
    elif allocator:
        environment["PYTHONMALLOC"] = allocator
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, level], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "well\n", "")
