"""The ledger that reads `tracemalloc` at switches: what there is without the native core.

Its figures are honest about what they are:

* what a coroutine allocates is charged to it, what is freed while it runs is credited to *it*,
  whoever had allocated it: a figure can be negative;
* other threads' allocations fall on whoever runs meanwhile;
* the numbers that are kept here are objects too: a coroutine's figure is uncertain by some tens of
  bytes;
* the sum of all tallies, of the dead and of what ran outside of any coroutine is always the
  total that tracemalloc gives. Nothing is hidden in a remainder.

Its traces say where a block was allocated, and not by whom: sites and stacks are those of the whole process.
"""

from __future__ import annotations

import ast
import linecache
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from ._account import Tally
from ._errors import CoroutineError
from ._frames import OURS, short_path
from ._heap_pictures import HeapSite, HeapStack, HeapType

Place = tuple[str, int]  # a file and a line


class TracemallocLedger:
    """The differences of `tracemalloc.get_traced_memory()` from switch to switch."""

    def __init__(self, frames: int) -> None:
        self._was_tracing = tracemalloc.is_tracing()
        if not self._was_tracing:
            tracemalloc.start(frames)
        self._closed = False
        self._last_bytes = self.own_bytes = 0

    def settle(self, tally: Tally) -> None:
        """Charge the difference since the last settlement."""
        if self._closed:  # by another thread, in the midst of a switch
            return
        # No call comes between the use and the change of `_last_bytes`: another thread may settle too, and
        # no difference must be counted twice. And at both readings one number is alive, the last: else
        # each settlement would charge the next one for the numbers of this one, in the same direction.
        now = tracemalloc.get_traced_memory()[0]
        growth = now - self._last_bytes
        self._last_bytes = now
        tally.add(growth)
        now = tracemalloc.get_traced_memory()[0]
        self.own_bytes += now - self._last_bytes
        self._last_bytes = now

    def total(self) -> int:
        """What tracemalloc traces at this moment."""
        return tracemalloc.get_traced_memory()[0]

    def close(self) -> None:
        """Stop tracing, unless somebody else had started it."""
        self._closed = True
        if not self._was_tracing:
            tracemalloc.stop()

    def sites(self, coroutine: int | None, top: int) -> tuple[HeapSite, ...]:
        """The live heap by place of allocation: the innermost line that is not the runtime's."""
        refuse_one(coroutine)
        sizes: Counter[Place] = Counter()
        blocks: Counter[Place] = Counter()
        for places, size in _traces():
            place = next((place for place in places if not place[0].startswith(OURS)), places[0])
            sizes[place] += size
            blocks[place] += 1
        return tuple(HeapSite(_told(place), size, blocks[place], 0) for place, size in sizes.most_common(top))

    def stacks(self, coroutine: int | None) -> tuple[HeapStack, ...]:
        """The live heap by the chain of calls through which it was allocated, largest first."""
        refuse_one(coroutine)
        sizes: Counter[tuple[Place, ...]] = Counter()
        blocks: Counter[tuple[Place, ...]] = Counter()
        for places, size in _traces():
            sizes[places] += size
            blocks[places] += 1
        return tuple(
            HeapStack(0, tuple(map(_told, reversed(places))), size, blocks[places])
            for places, size in sizes.most_common()
        )

    def types(self, coroutine: int) -> tuple[HeapType, ...]:
        """It cannot tell whose an object is."""
        raise CoroutineError(
            f"heap of co#{coroutine} by type: this needs the native core, which is not there"
        )


def refuse_one(coroutine: int | None) -> None:
    """Say that a trace knows no coroutine, if one was asked for."""
    if coroutine is not None:
        raise CoroutineError(
            f"sites of co#{coroutine}: without the native core only those of the whole process are known"
        )


def _traces() -> Iterator[tuple[tuple[Place, ...], int]]:
    """Where each live block was allocated, innermost place first, and its size."""
    for trace in tracemalloc.take_snapshot().traces:
        frames = reversed(trace.traceback)
        places = tuple((frame.filename, frame.lineno) for frame in frames)
        if places[0][0] != tracemalloc.__file__:
            yield places, trace.size


def _told(place: Place) -> str:
    path, line = place
    name = next((name for name, first, last in _functions(path) if first <= line <= last), "<module>")
    return f"{short_path(path)}:{line} in {name}"


@lru_cache(maxsize=64)
def _functions(path: str) -> tuple[tuple[str, int, int], ...]:
    """The functions of a file with their first and last lines, the innermost first."""
    try:
        tree = ast.parse("".join(linecache.getlines(path)))
    except (SyntaxError, ValueError):
        return ()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = (node for node in ast.walk(tree) if isinstance(node, functions))
    spans = ((node.name, node.lineno, node.end_lineno or node.lineno) for node in found)
    return tuple(sorted(spans, key=lambda span: span[2] - span[1]))
