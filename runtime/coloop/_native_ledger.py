"""The exact ledger: the native core counts every block as it comes and goes (`native/ledger*.c`).

A coroutine is charged for what it allocates while it runs, and credited when that is freed, whoever frees it. So
no figure is ever negative, and nothing has to be asked at a switch. What a block takes is counted: sizes are
rounded up to sixteen bytes. What C libraries take by themselves (OpenSSL, SQLite, zlib) is not seen.

* Who resizes a block has it from then on: a list that one makes and another fills is the other's.
* What CPython keeps for later, the free lists of tuples, lists and so on, stays with whoever allocated it first. A
  full collection empties them: what the dead have left is to be judged after one.
* What was there before counting began is nobody's.
"""

from __future__ import annotations

from typing import Any

from ._errors import CoroutineError
from ._form import native
from ._frames import Site
from ._heap_pictures import Bookkeeping, HeapSite, HeapStack, HeapType, Held, Outside, Residue

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
            if place is None:
                site = "(other places)"
            else:
                site = place if isinstance(place, str) else str(Site(place, instruction))
            had = sums.get(site, Residue(site, 0, 0, 0))
            blocks = (had.heap_blocks or 0) + heap_blocks
            sums[site] = Residue(site, had.coroutines + coroutines, had.heap_bytes + heap_bytes, blocks)
        return list(sums.values())

    def sites(self, coroutine: int | None, top: int) -> tuple[HeapSite, ...]:
        """The live heap by place of allocation."""
        raise CoroutineError(f"sites of {coroutine}, {top}")

    def stacks(self, coroutine: int | None) -> tuple[HeapStack, ...]:
        """The live heap by chain of calls."""
        raise CoroutineError(f"stacks of {coroutine}")

    def types(self, coroutine: int) -> tuple[HeapType, ...]:
        """The live objects of one coroutine."""
        raise CoroutineError(f"types of {coroutine}")

    def close(self) -> None:
        """Stop counting. The hooks go too, unless another tool sits on top of them: then they let everything pass."""
        core.ledger_stop()
