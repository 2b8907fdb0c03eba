"""What the allocator keeps for later counts as real, and goes with its arenas: `runtime/native/spare.c`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

import coloop
from coloop import memory
from coloop._spare_room import with_spare_room

MIB = 1024 * 1024
native = pytest.mark.skipif(
    coloop.FORM != "native" or with_spare_room(0) is None, reason="the allocator is not ours to ask"
)


@pytest.fixture
def traced() -> Iterator[None]:
    memory.set_level("heap")
    yield
    memory.set_level("counts")


def used_and_real() -> tuple[int, int]:
    used, real = memory.usage(), memory.usage(real=True)
    assert used is not None
    assert real is not None
    return used, real


@native
def test_real_is_what_is_used_and_the_spare_room(traced: None) -> None:
    for count in (0, 1_000, 100_000):
        kept = [bytes(100) for _ in range(count)]
        used, real = used_and_real()
        assert real >= used
        del kept


@native
def test_small_objects_that_go_leave_their_room_until_whole_arenas_are_free(traced: None) -> None:
    made = [bytes(67) for _ in range(200_000)]  # 20 MiB, in pools of 16 KiB
    used, real = used_and_real()
    scattered = made[::100]  # one in every pool
    made.clear()
    used_by_few, real_by_few = used_and_real()
    assert used - used_by_few > 16 * MIB
    assert real - real_by_few < 4 * MIB  # the list itself was a large block, of 1.6 MB
    assert real_by_few - used_by_few > 12 * MIB
    scattered.clear()
    used_by_none, real_by_none = used_and_real()
    assert used_by_few - used_by_none < MIB
    assert real_by_few - real_by_none > 5 * MIB  # how many arenas are whole is chance


@native
def test_a_large_block_goes_from_both_at_once(traced: None) -> None:
    large = bytearray(20 * MIB)
    used, real = used_and_real()
    del large
    used_after, real_after = used_and_real()
    assert used - used_after > 19 * MIB
    assert real - real_after > 19 * MIB


@pytest.mark.parametrize("level", ["off", "counts"])
def test_below_heap_neither_is_told(level: str) -> None:
    memory.set_level(level)
    try:
        assert memory.usage(real=True) is None
    finally:
        memory.set_level("counts")


@pytest.mark.skipif(coloop.FORM == "native", reason="the native core can tell")
def test_the_pure_form_does_not_tell_it(traced: None) -> None:
    assert memory.usage() is not None
    assert memory.usage(real=True) is None


@pytest.mark.skipif(coloop.FORM != "native", reason="the pure form never tells it")
@pytest.mark.parametrize(
    ("variable", "value", "tells"),
    [
        ("PYTHONMALLOC", "pymalloc", True),
        ("PYTHONMALLOC", "debug", True),
        ("PYTHONMALLOC", "malloc", False),
        ("PYTHONTRACEMALLOC", "1", False),
    ],
)
def test_it_is_told_where_the_allocator_can_be_asked(variable: str, value: str, tells: bool) -> None:
    asking = """
from coloop import memory
memory.set_level("heap")
print(memory.usage() is not None, memory.usage(real=True) is not None)
"""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), variable: value}
    asked = subprocess.run([sys.executable, "-c", asking], env=environment, capture_output=True, check=True)
    assert asked.stdout.split() == [b"True", str(tells).encode()]
