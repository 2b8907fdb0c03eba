"""The room that pymalloc holds and nobody uses is told, traced or not; where it is hidden nothing breaks."""

import ctypes
import ctypes.util
import gc
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from coloop import _spare_room as module
from coloop import memory
from coloop._spare_room import SpareRoom, parse, spare_room

OBJECTS = 200_000
KEPT_OF = 20  # fewer than the blocks of this size in a pool, so that some live on in each
NOISE = 20_000  # objects made of the report's text, and what pytest does meanwhile

REPORT = """
# arenas allocated current         =                    2
2 arenas * 1048576 bytes/arena     =            2,097,152

# bytes in allocated blocks        =              986,496
# bytes in available blocks        =              379,488
"""

pymalloc_only = pytest.mark.skipif(
    bool(os.environ.get("PYTHONMALLOC")) or tracemalloc.is_tracing(), reason="pymalloc is hidden"
)


@pytest.fixture(autouse=True)
def default_level() -> Iterator[None]:
    yield
    memory.set_level("counts")


def usage(*, real: bool) -> int:
    bytes_used = memory.usage(real=real)
    assert bytes_used is not None
    return bytes_used


def allocator() -> list[Any]:
    words = (ctypes.c_void_p * 5)()
    ctypes.pythonapi.PyMem_GetAllocator(ctypes.c_int(2), words)
    return list(words)


# -- what is told ----------------------------------------------------------------------------------


@pymalloc_only
@pytest.mark.parametrize("level", ["off", "counts", "heap", "sites"])
def test_usage_with_the_spare_room_is_never_less_and_told_at_the_same_levels(level: str) -> None:
    memory.set_level(level)
    used, real = memory.usage(), memory.usage(real=True)
    if level in {"off", "counts"}:
        assert (used, real) == (None, None)
    else:
        assert used is not None
        assert real is not None
        assert used < real


@pymalloc_only
@pytest.mark.parametrize("level", ["heap", "sites"])
def test_what_is_freed_stays_in_the_real_usage_while_one_block_in_each_pool_lives(level: str) -> None:
    memory.set_level(level)
    objects = [bytes(100) for _ in range(OBJECTS)]
    size = OBJECTS * sys.getsizeof(objects[0])
    full, full_real = usage(real=False), usage(real=True)

    kept = objects[::KEPT_OF]
    objects.clear()
    thinned, thinned_real = usage(real=False), usage(real=True)
    assert full - thinned > 0.9 * size
    assert full_real - thinned_real < 0.15 * size

    kept.clear()
    assert usage(real=True) < thinned_real - 0.7 * size


@pymalloc_only
@pytest.mark.parametrize("level", ["counts", "heap"])
def test_the_spare_room_grows_by_what_is_freed_within_living_pools(level: str) -> None:
    memory.set_level(level)
    objects = [bytes(100) for _ in range(OBJECTS)]
    before = spare_room.measure()
    kept = objects[::KEPT_OF]
    objects.clear()
    after = spare_room.measure()
    assert before is not None
    assert after is not None
    assert after - before > 0.9 * OBJECTS * sys.getsizeof(kept[0])


# -- tracing is not disturbed ----------------------------------------------------------------------


@pymalloc_only
def test_a_look_leaves_the_hook_in_its_place() -> None:
    memory.set_level("heap")
    hooks = allocator()
    assert memory.usage(real=True) is not None
    assert allocator() == hooks
    before = usage(real=False)
    kept = bytearray(1_234_567)
    assert abs(usage(real=False) - before - len(kept)) < NOISE


@pymalloc_only
def test_many_looks_leave_no_trace() -> None:
    memory.set_level("heap")
    memory.usage(real=True)
    gc.collect()
    before = usage(real=False)
    for _ in range(1000):
        memory.usage(real=True)
    gc.collect()
    assert abs(usage(real=False) - before) < NOISE


@pymalloc_only
def test_what_is_freed_during_a_look_leaves_no_trace_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """As what another thread's turn, or the call's own arguments, may free."""
    memory.set_level("heap")
    before = usage(real=False)
    objects = [bytes(100) for _ in range(OBJECTS)]
    at_one_go = module._at_one_go

    def freeing(steps: list[partial[Any]]) -> None:
        if len(steps) == 1:  # refused, because of the hook
            at_one_go(steps)
        else:
            at_one_go([*steps[:-1], partial(objects.clear), steps[-1]])

    monkeypatch.setattr(module, "_at_one_go", freeing)
    assert spare_room.measure() is not None
    assert not objects
    assert usage(real=False) - before < NOISE


def test_no_other_thread_comes_between_the_steps() -> None:
    """The other one wants the lock all the time, and may ask for it at the shortest interval."""
    over = threading.Event()
    turns: list[None] = []

    def intrude() -> None:
        while not over.is_set():
            turns.append(None)

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=intrude)
    thread.start()
    try:
        while not turns:
            pass
        long_step = partial(sum, range(1000))
        for _ in range(20):
            lengths: list[int] = []
            look = map(lengths.append, iter(turns.__len__, -1)).__next__
            module._at_one_go([partial(look), *[long_step] * 1000, partial(look)])
            assert lengths[0] == lengths[1]
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval_s)


def test_the_collector_is_left_as_it_was() -> None:
    during: list[bool] = []

    def look() -> None:
        during.append(gc.isenabled())

    module._at_one_go([partial(look)])
    assert (during, gc.isenabled()) == ([False], True)
    gc.disable()
    try:
        module._at_one_go([partial(look)])
        assert not gc.isenabled()
    finally:
        gc.enable()


# -- where it is not to be had ---------------------------------------------------------------------


def test_a_report_is_read_by_its_words() -> None:
    assert parse(REPORT) == 2_097_152 - 986_496
    assert parse(REPORT.replace("allocated blocks", "living blocks")) is None
    assert parse(REPORT.replace("bytes/arena", "octets")) is None
    assert parse("") is None


def test_without_ctypes_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    room = SpareRoom()
    room.learn()
    assert room.measure() is None


def test_without_the_functions_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "pythonapi", ctypes.PyDLL(ctypes.util.find_library("m") or "libm.so.6"))
    assert SpareRoom().measure() is None


def test_without_a_stream_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    room = SpareRoom()
    room.learn()
    if room._report is None:
        pytest.skip("there is no report")
    monkeypatch.setattr(room._report, "_open", lambda *_: None)
    assert room.measure() is None


def test_usage_is_not_told_with_half_of_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    memory.set_level("heap")
    monkeypatch.setattr(SpareRoom, "measure", lambda self: None)
    assert memory.usage() is not None
    assert memory.usage(real=True) is None


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("PYTHONMALLOC=malloc", {"True None\n"}),
        ("PYTHONMALLOC=malloc_debug", {"True None\n"}),
        ("PYTHONTRACEMALLOC=1", {"True None\n"}),
        ("PYTHONMALLOC=debug", {"True None\n", "True True\n"}),  # CPython 3.13 reports in spite of the hook
    ],
)
def test_where_pymalloc_is_hidden_nothing_is_told_and_nothing_breaks(
    setting: str, expected: set[str]
) -> None:
    name, _, value = setting.partition("=")
    hiding = {"PYTHONMALLOC", "PYTHONTRACEMALLOC"}
    environment = {key: text for key, text in os.environ.items() if key not in hiding}
    environment |= {name: value, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = (
        "from coloop import memory\n"
        "memory.set_level('heap')\n"
        "kept = [bytes(100) for _ in range(1000)]\n"
        "used, real = memory.usage(), memory.usage(real=True)\n"
        "print(used > 100_000, real and real > used)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout in expected
    assert (done.stderr, done.returncode) == ("", 0)
