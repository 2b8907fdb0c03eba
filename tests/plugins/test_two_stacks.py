"""A spawner keeps what it is told to keep: on the managed heap, outside of it, both, or neither."""

import ctypes
import gc
import mmap
import tracemalloc
from collections.abc import Iterator

import pytest

import coloop
from coshell_plugins.labs.two_stacks import VM_STACK_BYTES, CStacks, Spawner

COUNT = 1000


def spawned(spawner: Spawner) -> Spawner:
    coloop.run(spawner.spawn_many, COUNT)
    return spawner


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def managed_growth(spawner: Spawner) -> int:
    """Python's bytes for `COUNT` coroutines, after as many that have made what is made once."""
    spawned(spawner)
    gc.collect()  # what a scheduler leaves in cycles may go at any moment
    before = tracemalloc.get_traced_memory()[0]
    spawned(spawner)
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


@pytest.mark.parametrize("free_c_stacks", [False, True])
def test_kept_vm_stacks_are_on_the_managed_heap(traced: None, free_c_stacks: bool) -> None:
    growth = managed_growth(Spawner(free_c_stacks=free_c_stacks, free_vm_stacks=False))
    assert COUNT * VM_STACK_BYTES <= growth < COUNT * (VM_STACK_BYTES + 200)


@pytest.mark.parametrize("free_c_stacks", [False, True])
def test_c_stacks_are_not(traced: None, free_c_stacks: bool) -> None:
    growth = managed_growth(Spawner(free_c_stacks=free_c_stacks, free_vm_stacks=True))
    assert growth < COUNT * VM_STACK_BYTES / 10


def test_kept_c_stacks_are_in_the_process() -> None:
    spawner = Spawner(free_c_stacks=False, free_vm_stacks=True)
    assert resident(spawner._c_stacks._region) == 0
    assert resident(spawned(spawner)._c_stacks._region) == COUNT * mmap.PAGESIZE
    assert spawner.spawned == COUNT


def resident(region: mmap.mmap) -> int:
    """How many bytes of it the system holds: the process as a whole may give back something else meanwhile."""
    pages = (ctypes.c_ubyte * (len(region) // mmap.PAGESIZE))()
    start = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(region)))
    assert ctypes.CDLL(None).mincore(start, ctypes.c_size_t(len(region)), pages) == 0
    return mmap.PAGESIZE * sum(page & 1 for page in pages)


def test_a_c_stack_that_was_given_back_is_used_again() -> None:
    stacks = CStacks()
    first, second = stacks.take(), stacks.take()
    stacks.give_back(first)
    assert stacks.take() == first
    assert len({first, second, stacks.take()}) == 3


def test_it_spawns_nothing_before_the_start_and_goes_on_after_it() -> None:
    spawner = Spawner(free_c_stacks=True, free_vm_stacks=True)

    def main() -> int:
        start = coloop.Event()
        spawning = coloop.go(spawner.spawn_without_end, start)
        before = spawner.spawned
        start.set()
        while spawner.spawned < COUNT:
            coloop.yield_now()
        spawning.cancel()
        spawning.join()
        return before

    assert coloop.run(main) == 0
    assert spawner.spawned >= COUNT
