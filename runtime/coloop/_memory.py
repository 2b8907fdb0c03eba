"""What a coroutine costs: the ledger of its heap, and the two ledgers of the process.

A *tally* is what the scheduler counts for one coroutine; an *account* is the immutable picture of
it that others see. A *ledger* is told at every switch who has just run, and charges the
difference to that tally. This is the seam for exact accounting by allocator hooks; without them
`_tracemalloc_ledger.py` does what can be done.

All sizes are bytes. Levels: `off` counts switches and time only; `counts` adds the stacks (they
cost nothing until somebody looks); `heap` traces allocations; `sites` keeps where each was made.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Hashable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Protocol

from ._account import Tally
from ._errors import CoroutineError
from ._form import native
from ._frames import Site
from ._heap_pictures import HeapSite, HeapStack, HeapType, Residue
from ._process import Process, process_memory
from ._tracemalloc_ledger import TracemallocLedger

if TYPE_CHECKING:
    from ._spawn_sites import SpawnSite

LEVELS: Final = ("off", "counts", "heap", "sites")
FRAMES_AT_SITES: Final = 8  # tracemalloc's cost grows with every frame it keeps per block
WORD_BYTES: Final = 8
CHUNK_BYTES: Final = 16 * 1024  # CPython >= 3.11, pystate.c: DATA_STACK_CHUNK_SIZE
FIRST_CHUNK_BYTES: Final[int] = CHUNK_BYTES if native is None else native.FIRST_CHUNK_BYTES
FRAME_HEADER_WORDS: Final = 10  # CPython 3.11-3.13, pycore_frame.h: FRAME_SPECIALS_SIZE, rounded up
MAX_RESIDUE_SITES: Final = 1000


class Ledger(Protocol):
    """Whoever charges memory to coroutines.

    Attributes:
        own_bytes: what its own numbers take; no coroutine's.
    """

    own_bytes: int

    def settle(self, tally: Tally) -> None:
        """`tally`'s owner has just run: charge it with what has changed since the last call."""

    def total(self) -> int:
        """All the bytes that are accounted for, by the ledger's own sum."""

    def sites(self, coroutine: int | None, top: int) -> tuple[HeapSite, ...]:
        """The live heap by place of allocation, largest first."""

    def stacks(self, coroutine: int | None) -> tuple[HeapStack, ...]:
        """The live heap by the chain of calls through which it was allocated, largest first."""

    def types(self, coroutine: int) -> tuple[HeapType, ...]:
        """The live objects that a coroutine has allocated, by type, largest first."""

    def close(self) -> None:
        """Stop tracing."""


class Memory:
    """`coloop.memory`: the level of accounting, and what the two ledgers say."""

    def __init__(self) -> None:
        self._level = "counts"
        self._cost = ""
        self.ledger: Ledger | None = None
        self.schedulers: weakref.WeakSet[Any] = weakref.WeakSet()
        self.outside = Tally()
        self.dead = Tally()
        self._residues: dict[Hashable, _Residue] = {}

    def level(self) -> str:
        """The level that is on: `off`, `counts`, `heap` or `sites`."""
        return self._level

    def set_level(self, level: str) -> None:
        """Change what is counted, also while coroutines run; heap figures count from this moment.

        Raises:
            ValueError: no such level.
        """
        if level not in LEVELS:
            raise ValueError(f"no such level: {level!r} (one of {', '.join(LEVELS)})")
        if level == self._level:
            return
        if self.ledger is not None:
            self.ledger.close()
            self._install(None)
        untraced_ns = _nanoseconds_per_allocation()
        if level in {"heap", "sites"}:
            self._count_from_zero()
            ledger = TracemallocLedger(FRAMES_AT_SITES if level == "sites" else 1)
            ledger.settle(self.outside)  # what somebody else had traced before
            self._install(ledger)
        self._cost = self._measure_cost(untraced_ns)
        self._level = level

    def _install(self, ledger: Ledger | None) -> None:
        self.ledger = ledger
        if native is not None:
            native.set_ledger(ledger)

    def _count_from_zero(self) -> None:
        self.outside, self.dead = Tally(), Tally()
        self._residues.clear()
        for scheduler in list(self.schedulers):
            scheduler.reset_tallies()

    def cost(self) -> str:
        """What the level costs, as measured when it was set; empty when it costs nothing."""
        return self._cost

    @property
    def exact(self) -> bool:
        """Whether heap figures are exact: counted block by block, and not read from tracemalloc at switches."""
        return False

    def traces_heap(self) -> bool:
        """Whether heap figures are kept at this level."""
        return self.ledger is not None

    def usage(self) -> int | None:
        """Bytes that Python's allocators have handed out since tracing began; None below level `heap`."""
        return None if self.ledger is None else self.ledger.total()

    total = usage

    def held_by_coroutines(self) -> int:
        """The sum of the living accounts; 0 below level `heap`."""
        total = self.usage()
        if self.ledger is None or total is None:
            return 0
        return total - self.outside.heap_bytes - self.dead.heap_bytes - self.ledger.own_bytes

    def process(self) -> Process:
        """What the process holds: resident, unique and proportional set size."""
        return process_memory()

    def residues(self) -> tuple[Residue, ...]:
        """What the dead left, by spawn site, largest first; at most `MAX_RESIDUE_SITES` sites are kept.

        Cyclic garbage counts until the collector has run.
        """
        found = (
            Residue(str(kept.site), kept.coroutines, kept.heap_bytes) for kept in self._residues.values()
        )
        return tuple(sorted(found, key=lambda residue: -residue.heap_bytes))

    def spawn_sites(self) -> tuple[SpawnSite, ...]:
        """How many each place has brought forth, and what the living hold and the dead left; from any thread.

        Largest first. Cheap enough to be asked for again and again: about a microsecond a coroutine.
        """
        from ._spawn_sites import spawn_sites

        return spawn_sites(self)

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

    def sites(self, coroutine: int | None = None, top: int = 50) -> tuple[HeapSite, ...]:
        """The live heap by place of allocation, largest first, as allocated since level `sites` was set.

        Args:
            coroutine: only what is on the account of the coroutine with this id; that takes the native core.
            top: at most so many places.

        Raises:
            CoroutineError: below level `sites`, or nobody knows whose a block is.
        """
        return self._ledger_of_sites().sites(coroutine, top)

    def stacks(self, coroutine: int | None = None) -> tuple[HeapStack, ...]:
        """The live heap by the chain of calls through which it was allocated, largest first.

        Args:
            coroutine: only what is on the account of the coroutine with this id; that takes the native core.

        Raises:
            CoroutineError: below level `sites`, or nobody knows whose a block is.
        """
        return self._ledger_of_sites().stacks(coroutine)

    def types(self, coroutine: int) -> tuple[HeapType, ...]:
        """The live objects on the account of the coroutine with this id, by type, largest first.

        Raises:
            CoroutineError: below level `heap`, or nobody knows whose an object is.
        """
        if self.ledger is None:
            raise CoroutineError(f"types are not told at level {self._level}: call memory.set_level('heap')")
        return self.ledger.types(coroutine)

    def _ledger_of_sites(self) -> Ledger:
        if self.ledger is None or self._level != "sites":
            raise CoroutineError(f"sites are not told at level {self._level}: call memory.set_level('sites')")
        return self.ledger

    def _make_room(self) -> None:
        if len(self._residues) >= MAX_RESIDUE_SITES:
            del self._residues[min(self._residues, key=lambda key: abs(self._residues[key].heap_bytes))]

    def _measure_cost(self, untraced_ns: float) -> str:
        if self.ledger is None:
            return ""
        ratio = _nanoseconds_per_allocation() / untraced_ns
        tally, rounds = Tally(), 200
        begin = time.perf_counter_ns()
        for _ in range(rounds):
            self.ledger.settle(tally)
        settle_us = (time.perf_counter_ns() - begin) / rounds / 1000
        self.outside.add(tally.heap_bytes)
        return f"an allocation costs {ratio:.1f} x, a switch {settle_us:.1f}us more"


class _Residue:
    __slots__ = ("coroutines", "heap_bytes", "site")

    def __init__(self, site: Site | str) -> None:
        self.site = site
        self.coroutines = 0
        self.heap_bytes = 0


memory: Final = Memory()


def stack_cost(frame: FrameType | None) -> tuple[int, int]:
    """The data-stack bytes and the depth of a stack, given its innermost frame.

    CPython keeps Python frames in chunks of 16 KiB, a list of them per greenlet, of which the native core makes
    the first one smaller; how many there are follows from the frames' sizes (locals, cells, value stack
    and a header, in words).
    """
    words = depth = 0
    while frame is not None:
        code = frame.f_code
        words += code.co_nlocals + len(code.co_cellvars) + len(code.co_freevars)
        words += code.co_stacksize + FRAME_HEADER_WORDS
        depth += 1
        frame = frame.f_back
    beyond = max(0, words * WORD_BYTES - FIRST_CHUNK_BYTES)
    return (FIRST_CHUNK_BYTES if depth else 0) + -(-beyond // CHUNK_BYTES) * CHUNK_BYTES, depth


def _nanoseconds_per_allocation() -> float:
    count = 500
    begin = time.perf_counter_ns()
    kept = [bytearray(48) for _ in range(count)]
    del kept
    return max(1.0, (time.perf_counter_ns() - begin) / count)
