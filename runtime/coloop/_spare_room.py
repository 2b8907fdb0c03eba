"""The room that Python's small-object allocator holds and nobody uses.

Pymalloc takes memory from the system in arenas and gives an arena back only when its last block is free: one
object that lives on keeps a megabyte. That room shows in no sum of live blocks, yet the process pays for it.
CPython tells of it in one place only, a report for people (`sys._debugmallocstats`); it is read here.

That report is refused while a hook such as tracemalloc's stands before pymalloc, and just then it is wanted.
So for the one call pymalloc's own `malloc` is put in front, and what is freed meanwhile still goes by the
hook: no trace outlives its block. (A hook that can come at run time has to bear blocks that it has not seen.)
No other thread may come between: the steps are driven by a loop in C that keeps the interpreter lock.
"""

from __future__ import annotations

import gc
import operator
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

ARENAS: Final = re.compile(r"^\d+ arenas \* \d+ bytes/arena\s*=\s*([\d,]+)$", re.MULTILINE)
ALLOCATED: Final = re.compile(r"^# bytes in allocated blocks\s*=\s*([\d,]+)$", re.MULTILINE)
OBJECT_DOMAIN: Final = 2  # CPython, cpython/pymem.h: PYMEM_DOMAIN_OBJ
CONTEXT, MALLOC, ALLOCATOR_WORDS = 0, 1, 5  # ibidem, PyMemAllocatorEx: ctx, malloc, calloc, realloc, free


class SpareRoom:
    """Asks pymalloc how much of its arenas is in no live block."""

    def __init__(self) -> None:
        self._report: _Report | None = None
        self._pymalloc: int | None = None

    def learn(self) -> None:
        """Find pymalloc while nothing stands before it; without effect where it is hidden or not in use."""
        if self._pymalloc is not None:
            return
        try:
            self._report = self._report or _Report()
        except (
            ImportError,
            AttributeError,
        ):  # a Python without ctypes, a platform without one of the functions
            return
        self._pymalloc = self._report.pymalloc()

    def measure(self) -> int | None:
        """The bytes of pymalloc's arenas less those in allocated blocks.

        Every pool (16 KiB) is visited while the interpreter lock is held: not for every switch.

        Returns:
            Bytes; None where they are not to be had: another allocator or platform, a Python that words its
            report otherwise, a hook that was there before `learn`.
        """
        self.learn()
        return None if self._report is None else parse(self._report.read(self._pymalloc))


def parse(report: str) -> int | None:
    """The spare bytes that a report of pymalloc tells of; None when its words are not there."""
    arenas, allocated = ARENAS.search(report), ALLOCATED.search(report)
    if arenas is None or allocated is None:
        return None
    return _number(arenas[1]) - _number(allocated[1])


def _number(digits: str) -> int:
    return int(digits.replace(",", ""))


class _Report:
    """The report, and the C functions around it, which are called with the interpreter lock held.

    Raises:
        ImportError: there is no ctypes.
        AttributeError: one of the functions is not there.
    """

    def __init__(self) -> None:
        import ctypes

        def function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
            # A prototype of our own: what is set on the functions of `ctypes.pythonapi` is everybody's.
            return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))

        pointer = ctypes.c_void_p
        self._print = function("_PyObject_DebugMallocStats", ctypes.c_int, pointer)
        self._open = function("open_memstream", pointer, pointer, pointer)
        self._close = function("fclose", ctypes.c_int, pointer)
        self._free = function("free", None, pointer)
        self._get = function("PyMem_GetAllocator", None, ctypes.c_int, pointer)
        self._set = function("PyMem_SetAllocator", None, ctypes.c_int, pointer)
        self._new_allocator = pointer * ALLOCATOR_WORDS

    def pymalloc(self) -> int | None:
        """The address of pymalloc's `malloc`, if nothing stands before it at this moment."""
        allocator = self._new_allocator()
        text = self._print_between([partial(self._get, OBJECT_DOMAIN, allocator)], [])
        # The debug allocator reports too, but it has a context, and its blocks have another layout.
        bare = allocator[CONTEXT] is None and parse(text) is not None
        return allocator[MALLOC] if bare else None

    def read(self, pymalloc: int | None) -> str:
        """What pymalloc prints of itself; empty when it prints nothing."""
        text = self._print_between([], [])
        if text or pymalloc is None:
            return text
        hooked, opened = self._new_allocator(), self._new_allocator()
        open_it = [
            partial(self._get, OBJECT_DOMAIN, hooked),
            partial(self._get, OBJECT_DOMAIN, opened),
            partial(operator.setitem, opened, MALLOC, pymalloc),
            partial(self._set, OBJECT_DOMAIN, opened),
        ]
        return self._print_between(open_it, [partial(self._set, OBJECT_DOMAIN, hooked)])

    def _print_between(self, before: list[partial[Any]], after: list[partial[Any]]) -> str:
        import ctypes

        text, length = ctypes.c_void_p(), ctypes.c_size_t()
        stream = self._open(ctypes.addressof(text), ctypes.addressof(length))
        if not stream:
            return ""
        try:
            _at_one_go([*before, partial(self._print, stream), *after])
        finally:
            self._close(stream)
        try:
            return ctypes.string_at(text, length.value).decode("ascii", "replace")
        finally:
            self._free(text)


def _at_one_go(steps: list[partial[Any]]) -> None:
    """Take the steps with no bytecode between them: no thread, signal or finalizer can come between."""
    collects = gc.isenabled()
    gc.disable()  # CPython 3.11 collects within any allocation, and finalizers are bytecode
    try:
        list(map(operator.call, steps))
    finally:
        if collects:
            gc.enable()


spare_room: Final = SpareRoom()
