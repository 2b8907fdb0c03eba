"""Every coroutine of the tutorial has two stacks, in two memories, of which the limit sees only one.

The stack of the virtual machine (8 KiB) comes from the managed heap; the stack of the C code comes from the
system, and no limit of the language counts it. So when spawning without end hits the limit, freeing the C
stacks changes nothing about the number at which it does, however much of the process they were.

Here the managed heap is Python's. The other memory is a region that is mapped from the system and used one stack
after the other: of each, one page is touched, as by a C function that has little to do.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from contextlib import suppress
from typing import Final

from coloop import Event, go

VM_STACK_BYTES: Final = 8192
C_STACK_BYTES: Final = 64 * 1024  # the tutorial's 2 MiB, cut: only address space hangs on it
MAX_C_STACKS: Final = 32_000  # the limit of 128 MiB stops spawning long before
_FLAGS: Final = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)


class CStacks:
    """Memory outside of the managed heap, in pieces of `C_STACK_BYTES`."""

    def __init__(self) -> None:
        self._region = mmap.mmap(-1, MAX_C_STACKS * C_STACK_BYTES, flags=_FLAGS)
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            self._region.madvise(mmap.MADV_NOHUGEPAGE)  # else the first touch takes 2 MiB, not a page
        self._free: list[int] = []
        self._used = 0

    def take(self) -> int:
        """A stack, with its first page in use; returns where it lies in the region."""
        if self._free:
            return self._free.pop()
        start, self._used = self._used, self._used + C_STACK_BYTES
        self._region[start] = 1
        return start

    def give_back(self, start: int) -> None:
        """The next coroutine may have it."""
        self._free.append(start)


class Spawner:
    """Starts coroutines as the tutorial's extension does.

    Args:
        free_c_stacks: give the C stack of a coroutine back when it has ended.
        free_vm_stacks: likewise its other stack.

    Attributes:
        spawned: how many it has started.
    """

    def __init__(self, *, free_c_stacks: bool, free_vm_stacks: bool) -> None:
        self.spawned = 0
        self._free_c_stacks = free_c_stacks
        self._free_vm_stacks = free_vm_stacks
        self._c_stacks = CStacks()
        self._kept: list[bytearray] = []

    def spawn_many(self, count: int) -> None:
        """Start so many coroutines, one after the other, each of which ends at once."""
        for _ in range(
            count
        ):  # no function of its own for one: each caller that `go` notes becomes an object
            vm_stack = bytearray(VM_STACK_BYTES)
            c_stack = self._c_stacks.take()
            go(_nothing)
            self.spawned += 1
            if self._free_c_stacks:
                self._c_stacks.give_back(c_stack)
            if not self._free_vm_stacks:
                self._kept.append(vm_stack)

    def spawn_without_end(self, start: Event) -> None:
        """Wait for the start, then go on until something stops this."""
        start.wait()
        self.spawn_many(sys.maxsize)


def give_back_reserve() -> None:
    """Have the C library give the system back what it keeps of freed memory, where it can (glibc).

    Else a process that has freed 128 MiB takes them again, and does not grow by it.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _nothing() -> None:
    """What the coroutines do."""
