"""The exact ledger: the native core counts every block as it comes and goes (`native/ledger*.c`).

A coroutine is charged for what it allocates while it runs, and credited when that is freed, whoever frees
it. So no figure is ever negative, and nothing has to be asked at a switch. What is counted is what was asked
for, to the byte; the allocator rounds that up to sixteen. What C libraries take by themselves (OpenSSL, SQLite,
zlib) is not seen.

* Who resizes a block has it from then on: a list that one makes and another fills is the other's.
* What CPython keeps for later, the free lists of tuples, lists and so on, stays with whoever allocated it
  first. A full collection empties them: what the dead have left is to be judged after one.
* What was there before counting began is nobody's.
"""

from __future__ import annotations

import gc
from math import sqrt
from operator import add
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from ._errors import CoroutineError
from ._form import native
from ._frames import Site, is_ours
from ._heap_pictures import Bookkeeping, HeapSite, HeapStack, HeapType, Held, Outside, Residue
from ._type_names import type_name

if TYPE_CHECKING:
    from ._coroutine import Coroutine

Place = tuple[CodeType, int]

core: Any = native  # there is no such ledger where there is no native core


class NativeLedger:
    """What the allocator hooks have counted.

    Args:
        schedulers: who runs on them pays from now on.

    Raises:
        CoroutineError: it cannot count in this process.
    """

    exact = True

    def __init__(self, schedulers: list[Any]) -> None:
        core.ledger_start(schedulers)
        trouble = self.trouble()
        if trouble is not None:
            core.ledger_stop()
            raise CoroutineError(f"heap cannot be counted: {trouble}")
        self._mean_bytes = 0

    def note_sites(self, mean_bytes: int) -> None:
        """From now on note where blocks are allocated.

        Args:
            mean_bytes: of each so many bytes one block, on the average; 1: every block; 0: none.
        """
        self._mean_bytes = mean_bytes
        core.ledger_note_sites(mean_bytes)

    def note_all(self, coroutine: Coroutine, *, all_blocks: bool) -> None:
        """Note every block of this one, whatever is noted of the others."""
        core.ledger_note_all(coroutine, all_blocks)

    def trouble(self) -> str | None:
        """Why nothing is counted any more; None while all is well."""
        found: str | None = core.ledger_trouble()
        return found

    def held(self) -> Held | None:
        """The whole heap; None if it is not counted any more."""
        found = core.ledger_held()
        if found is None:
            return None
        total, living, dead, threads, outside, scheduler, stacks, own = found
        return Held(total, living, dead, Outside(outside, threads, scheduler, stacks, own))

    def bookkeeping(self) -> Bookkeeping:
        """What counting takes by itself."""
        return Bookkeeping._make(core.ledger_bookkeeping())

    def residues(self) -> list[Residue]:
        """What the dead have left, by spawn site."""
        sums: dict[str, Residue] = {}
        for place, instruction, coroutines, heap_bytes, heap_blocks in core.ledger_residues():
            site = _site(place, instruction)
            had = sums.get(site, Residue(site, 0, 0, 0))
            blocks = (had.heap_blocks or 0) + heap_blocks
            sums[site] = Residue(site, had.coroutines + coroutines, had.heap_bytes + heap_bytes, blocks)
        return list(sums.values())

    def sites(self, coroutine: int | None, top: int) -> tuple[HeapSite, ...]:
        """The live heap by place of allocation: the innermost line that is not the runtime's."""
        told = Told()
        sums: dict[str, tuple[float, ...]] = {}
        for owner, places, size, blocks, variance in core.ledger_stacks():
            if coroutine in {None, owner}:
                text = told.place(_innermost(places))
                sums[text] = tuple(map(add, sums.get(text, (0.0, 0.0, 0.0)), (size, blocks, variance)))
        found = (
            HeapSite(site, round(size), round(blocks), round(sqrt(variance)))
            for site, (size, blocks, variance) in sums.items()
        )
        return tuple(sorted(found, key=lambda site: -site.heap_bytes)[:top])

    def stacks(self, coroutine: int | None) -> tuple[HeapStack, ...]:
        """The live heap by the chain of calls through which it was allocated."""
        told = Told()
        found = (
            HeapStack(owner, tuple(map(told.place, places)), round(size), round(blocks))
            for owner, places, size, blocks, _ in core.ledger_stacks()
            if coroutine in {None, owner}
        )
        return tuple(sorted(found, key=lambda stack: -stack.heap_bytes))

    def types(self, coroutine: int) -> tuple[HeapType, ...]:
        """The live objects of one coroutine; what they keep elsewhere is told together."""
        found = (
            HeapType("(contents)" if kind is None else type_name(kind), count, size)
            for kind, count, size in core.ledger_types(all_types(), coroutine)
        )
        return tuple(sorted(found, key=lambda each: -each.heap_bytes))

    def objects(self, whose: int | str) -> list[Any]:
        """The live objects of one coroutine, or of the dead of one spawn site."""
        if isinstance(whose, int):
            return _owed(whose)
        born = [(place, at) for place, at, *_ in core.ledger_residues() if _site(place, at) == whose]
        return _owed(born)

    def close(self) -> None:
        """Stop counting. The hooks go too, unless another tool sits on top: then they let everything pass."""
        core.ledger_stop()


def _site(place: CodeType | str | None, instruction: int) -> str:
    if place is None:
        return "(other places)"
    return place if isinstance(place, str) else str(Site(place, instruction))


def _owed(whose: int | list[tuple[Any, int]]) -> list[Any]:
    """Of all objects that the collector knows, and what these hold."""
    # What C code of a module holds is not asked for: asyncio's held freed objects until CPython 3.12.6 (gh-122695).
    front = [one for one in gc.get_objects() if not issubclass(type(one), ModuleType)]
    found: list[Any] = core.ledger_objects(front, whose)
    met: set[int] = set()
    while front:
        # What it does not track is held by what it tracks, or by what it tracks no more.
        led_to = {id(one): one for one in gc.get_referents(*front) if not gc.is_tracked(one)}
        front = [one for number, one in led_to.items() if number not in met]
        met.update(led_to)
        found += core.ledger_objects(front, whose)
    return found


class Told:
    """Places as text, each decoded once."""

    def __init__(self) -> None:
        self._texts: dict[tuple[int, int], str] = {}

    def place(self, place: Place | None) -> str:
        """`file.py:12 in function`."""
        if place is None:
            return "(no Python code)"
        code, instruction = place
        key = id(code), instruction  # a code's own hash is computed anew each time
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = str(Site(code, instruction))
        return text


def _innermost(places: tuple[Place, ...]) -> Place | None:
    return next(
        (place for place in reversed(places) if not is_ours(place[0])), places[-1] if places else None
    )


def all_types() -> list[type]:
    """All types that there are, each once."""
    found: dict[int, type] = {}
    waiting: list[type] = [object]
    while waiting:
        kind = waiting.pop()
        if id(kind) not in found:
            found[id(kind)] = kind
            waiting += type.__subclasses__(kind)
    return list(found.values())
