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

import linecache
import tracemalloc
from collections import Counter
from collections.abc import Hashable, Iterator
from functools import lru_cache
from importlib.machinery import SourceFileLoader
from itertools import groupby
from operator import itemgetter
from types import CodeType
from typing import Any, Final

from ._account import Tally
from ._errors import CoroutineError
from ._frames import OURS, Site, short_path
from ._heap_pictures import Bookkeeping, HeapSite, HeapStack, HeapType, Held, Outside, Residue

MAX_RESIDUE_SITES: Final = 1000

Place = tuple[str, int]  # a file and a line
_SIZE, _STACK = itemgetter(1), itemgetter(2)  # of a block, as tracemalloc tells of it


class TracemallocLedger:
    """The differences of `tracemalloc.get_traced_memory()` from switch to switch.

    Attributes:
        outside: the tally of what ran in no coroutine.
        dead: that of all that have ended.
        own_bytes: what its own numbers take; no coroutine's.
    """

    exact = False

    def __init__(self, frames: int) -> None:
        self._was_tracing = tracemalloc.is_tracing()
        if not self._was_tracing:
            tracemalloc.start(frames)
        self._closed = False
        self._last_bytes = self.own_bytes = 0
        self.outside, self.dead = Tally(), Tally()
        self._residues: dict[Hashable, _Residue] = {}

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

    def trouble(self) -> str | None:
        """Somebody else has stopped the tracing; None while all is well, or it was started again unseen."""
        return None if tracemalloc.is_tracing() else "another tool has stopped tracemalloc"

    def held(self) -> Held | None:
        """All that tracemalloc traces at this moment; None if it traces no more."""
        if self.trouble() is not None:
            return None
        total = tracemalloc.get_traced_memory()[0]
        outside = self.outside.heap_bytes + self.own_bytes
        return Held(total, total - outside - self.dead.heap_bytes, self.dead.heap_bytes, Outside(outside))

    def bookkeeping(self) -> Bookkeeping:
        """What tracemalloc takes."""
        return Bookkeeping(tracemalloc.get_tracemalloc_memory(), 0, 0, 0, 0, 0)

    def residues(self) -> list[Residue]:
        """What the dead have left, by spawn site; at most `MAX_RESIDUE_SITES` sites are kept."""
        return [Residue(str(kept.site), kept.coroutines, kept.heap_bytes) for kept in self._residues.values()]

    def bury(self, tally: Tally, site: Site | str) -> None:
        """Close the tally of a coroutine that has ended; what is left on it becomes the site's residue."""
        self.dead.heap_bytes += tally.heap_bytes
        # A code object's own hash is computed anew each time, over all its constants.
        key = site if isinstance(site, str) else (site.code.co_filename, site.code.co_name, site.instruction)
        kept = self._residues.get(key)
        if kept is None:
            self._make_room()
            kept = self._residues[key] = _Residue(site)
        kept.coroutines += 1
        kept.heap_bytes += tally.heap_bytes

    def _make_room(self) -> None:
        if len(self._residues) >= MAX_RESIDUE_SITES:
            del self._residues[min(self._residues, key=lambda key: abs(self._residues[key].heap_bytes))]

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
        for places, size, count in _traces():
            place = next((place for place in places if not place[0].startswith(OURS)), places[0])
            sizes[place] += size
            blocks[place] += count
        return tuple(HeapSite(_told(place), size, blocks[place], 0) for place, size in sizes.most_common(top))

    def stacks(self, coroutine: int | None) -> tuple[HeapStack, ...]:
        """The live heap by the chain of calls through which it was allocated, largest first."""
        refuse_one(coroutine)
        sizes: Counter[tuple[Place, ...]] = Counter()
        blocks: Counter[tuple[Place, ...]] = Counter()
        for places, size, count in _traces():
            sizes[places] += size
            blocks[places] += count
        return tuple(
            HeapStack(0, tuple(map(_told, reversed(places))), size, blocks[places])
            for places, size in sizes.most_common()
        )

    def objects(self, whose: int | str) -> list[Any]:
        """It cannot tell whose an object is."""
        who = f"co#{whose}" if isinstance(whose, int) else f"those born at {whose}"
        raise CoroutineError(f"objects of {who}: this needs the native core, which is not there")

    def types(self, coroutine: int) -> tuple[HeapType, ...]:
        """It cannot tell whose an object is."""
        raise CoroutineError(
            f"heap of co#{coroutine} by type: this needs the native core, which is not there"
        )


class _Residue:
    __slots__ = ("coroutines", "heap_bytes", "site")

    def __init__(self, site: Site | str) -> None:
        self.site = site
        self.coroutines = 0
        self.heap_bytes = 0


def refuse_one(coroutine: int | None) -> None:
    """Say that a trace knows no coroutine, if one was asked for."""
    if coroutine is not None:
        raise CoroutineError(
            f"sites of co#{coroutine}: without the native core only those of the whole process are known"
        )


def _traces() -> Iterator[tuple[tuple[Place, ...], int, int]]:
    """Where live blocks were allocated, innermost place first, their size and how many; each stack once.

    There are thirty times as many blocks as stacks, and whatever is made here is traced in its turn, which takes
    microseconds each. So nothing is made for a block: neither the objects of a snapshot, nor a number of ours.
    """
    blocks = tracemalloc._get_traces()  # type: ignore[attr-defined]
    blocks.sort(key=_STACK)
    for places, group in groupby(blocks, _STACK):
        if places[0][0] != tracemalloc.__file__:
            alike = list(group)
            yield places, sum(map(_SIZE, alike)), len(alike)


def _told(place: Place) -> str:
    path, line = place
    name = next((name for name, first, last in _functions(path) if first <= line <= last), "<module>")
    return f"{short_path(path)}:{line} in {name}"


@lru_cache(maxsize=1024)
def _functions(path: str) -> tuple[tuple[str, int, int], ...]:
    """The functions of a file with their first and last lines, the innermost first."""
    try:
        module = _compiled(path)
    except (SyntaxError, ValueError):
        return ()
    spans = [(code.co_name, *_lines_of(code)) for code in _codes_in(module)]
    return tuple(sorted(spans, key=lambda span: span[2] - span[1]))


def _compiled(path: str) -> CodeType:
    """The code of a file: as Python has kept it, else compiled, which takes ten times as long while it is traced.

    And not parsed into a tree: that is made of objects, and takes seconds.
    """
    try:
        code = _KeptCode("", path).get_code("")
    except (OSError, ImportError):  # no file, as what is typed
        code = None
    return code or compile("".join(linecache.getlines(path)), path, "exec", dont_inherit=True)


class _KeptCode(SourceFileLoader):
    """Looks for what Python has compiled already, and keeps nothing itself."""

    def set_data(self, path: str, data: object, *, _mode: int = 0) -> None:
        """Leave the user's folder as it is."""


def _codes_in(outer: CodeType) -> Iterator[CodeType]:
    for inner in outer.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _codes_in(inner)


def _lines_of(code: CodeType) -> tuple[int, int]:
    lines = [line for _, _, line in code.co_lines() if line]
    return min(lines, default=code.co_firstlineno), max(lines, default=code.co_firstlineno)
