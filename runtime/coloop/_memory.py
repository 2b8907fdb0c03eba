"""What a coroutine costs: the ledger of its heap, and the two ledgers of the process.

A *tally* is what is counted for one coroutine; an *account* is the immutable picture of it that others see. A
*ledger* is who counts. There are two: `_native_ledger.py`, which counts every block and is exact, and
`_tracemalloc_ledger.py`, which does what can be done without the native core. Both put every byte somewhere:
nothing is hidden in a remainder.

All sizes are bytes. Levels: `off` counts switches and time only; `counts` adds the stacks (they
cost nothing until somebody looks); `heap` counts allocations; `sites` keeps where each was made.
"""

from __future__ import annotations

import time
import weakref
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Protocol

from ._account import Tally
from ._errors import CoroutineError
from ._form import native
from ._heap_pictures import Bookkeeping, HeapSite, HeapStack, HeapType, Held, Residue
from ._native_ledger import NativeLedger
from ._process import Process, process_memory
from ._spare_room import with_spare_room
from ._tracemalloc_ledger import TracemallocLedger

if TYPE_CHECKING:
    from ._coroutine import Coroutine
    from ._spawn_sites import SpawnSite

LEVELS: Final = ("off", "counts", "heap", "sites")
FRAMES_AT_SITES: Final = 8  # tracemalloc's cost grows with every frame it keeps per block
# One block in so many has its place noted: an error of 10 % in 2 MB, for nothing.
MEAN_BYTES: Final = 16 * 1024
WORD_BYTES: Final = 8
CHUNK_BYTES: Final = 16 * 1024  # CPython >= 3.11, pystate.c: DATA_STACK_CHUNK_SIZE
FIRST_CHUNK_BYTES: Final[int] = CHUNK_BYTES if native is None else native.FIRST_CHUNK_BYTES
FRAME_HEADER_WORDS: Final = 10  # CPython 3.11-3.13, pycore_frame.h: FRAME_SPECIALS_SIZE, rounded up


class Ledger(Protocol):
    """Whoever charges memory to coroutines.

    Attributes:
        exact: every block is counted as it comes and goes.
    """

    exact: bool

    def trouble(self) -> str | None:
        """Why the figures cannot be believed any more; None while all is well."""

    def held(self) -> Held | None:
        """All the heap that is accounted for; None if it cannot be told any more."""

    def bookkeeping(self) -> Bookkeeping:
        """What counting takes by itself."""

    def residues(self) -> list[Residue]:
        """What the dead have left, by spawn site."""

    def sites(self, coroutine: int | None, top: int) -> tuple[HeapSite, ...]:
        """The live heap by place of allocation, largest first."""

    def stacks(self, coroutine: int | None) -> tuple[HeapStack, ...]:
        """The live heap by the chain of calls through which it was allocated, largest first."""

    def types(self, coroutine: int) -> tuple[HeapType, ...]:
        """The live objects that a coroutine has allocated, by type, largest first."""

    def objects(self, whose: int | str) -> list[Any]:
        """The live objects of a coroutine, or of the dead of a spawn site."""

    def close(self) -> None:
        """Stop counting."""


class Memory:
    """`coloop.memory`: the level of accounting, and what the two ledgers say."""

    def __init__(self) -> None:
        self._level = "counts"
        self._cost = ""
        self._plain_ns = 0.0  # that an allocation takes while nothing is counted
        self._notes_all = False
        self.ledger: Ledger | None = None
        self.tracing: TracemallocLedger | None = None  # the ledger, if it is to be told of each switch
        self.schedulers: weakref.WeakSet[Any] = weakref.WeakSet()

    def level(self) -> str:
        """The level that is on: `off`, `counts`, `heap` or `sites`."""
        return self._level

    def set_level(self, level: str, *, exact: bool = False) -> None:
        """Change what is counted, also while coroutines run; heap figures count from this moment.

        Between `heap` and `sites` the native core goes on counting. The level that is on already is begun anew if its
        figures are void.

        Args:
            level: `off`, `counts`, `heap` or `sites`.
            exact: at level `sites` note the place of every block, and not of one in `MEAN_BYTES`, which costs
                next to nothing; without the native core every block is noted anyway.

        Raises:
            ValueError: no such level.
            CoroutineError: heap cannot be counted in this process, because it runs several interpreters.
        """
        if level not in LEVELS:
            raise ValueError(f"no such level: {level!r} (one of {', '.join(LEVELS)})")
        is_void = self.ledger is not None and self.ledger.trouble() is not None
        if (level, exact) == (self._level, self._notes_all) and not is_void:
            return
        self._notes_all = exact
        if self._goes_on(level):
            self._level = level
            return
        if self.ledger is not None:
            self.ledger.close()
            self.ledger = self.tracing = None
            self._level, self._cost = "counts", ""
        self._plain_ns = _nanoseconds_per_allocation()
        if level in {"heap", "sites"}:
            self._begin_to_count(level)
        self._cost = self._measure_cost(self._plain_ns)
        self._level = level

    def _goes_on(self, level: str) -> bool:
        """Only what is noted of places changes, which is known without counting anew."""
        if (
            not isinstance(self.ledger, NativeLedger)
            or level not in {"heap", "sites"}
            or not self.traces_heap()
        ):
            return False
        self.ledger.note_sites(self._mean_bytes(level))
        self._cost = self._measure_cost(self._plain_ns)
        return True

    def _mean_bytes(self, level: str) -> int:
        return 0 if level != "sites" else 1 if self._notes_all else MEAN_BYTES

    def note_all_sites(self, coroutine: Coroutine, *, all_blocks: bool = True) -> None:
        """Note the place of every block of one coroutine from now on, at level `sites`; of the others as before.

        Args:
            coroutine: one that lives.
            all_blocks: False takes it back.

        Raises:
            CoroutineError: below level `sites`, or counting has ended.
        """
        ledger = self._ledger_of("sites", "sites")
        if isinstance(ledger, NativeLedger):
            ledger.note_all(coroutine, all_blocks=all_blocks)

    def _begin_to_count(self, level: str) -> None:
        schedulers = list(self.schedulers)
        if native is not None:
            self.ledger = NativeLedger(schedulers)
            self.ledger.note_sites(self._mean_bytes(level))
            return
        for scheduler in schedulers:
            scheduler.reset_tallies()
        ledger = TracemallocLedger(FRAMES_AT_SITES if level == "sites" else 1)
        ledger.settle(ledger.outside)  # what somebody else had traced before
        self.ledger = self.tracing = ledger

    def cost(self) -> str:
        """What the level costs, as measured when it was set, or why nothing can be counted; empty: nothing."""
        trouble = None if self.ledger is None else self.ledger.trouble()
        return self._cost if trouble is None else f"counting has ended, its figures are void: {trouble}"

    @property
    def exact(self) -> bool:
        """Whether heap figures are exact: counted block by block, and not read from tracemalloc at switches."""
        return native is not None if self.ledger is None else self.ledger.exact

    def traces_heap(self) -> bool:
        """Whether heap figures are kept at this level, and can be believed."""
        return self.ledger is not None and self.ledger.trouble() is None

    def held(self) -> Held | None:
        """The whole heap that is counted, of the living, the dead and the rest; None below level `heap`."""
        return None if self.ledger is None else self.ledger.held()

    def usage(self, *, real: bool = False) -> int | None:
        """Bytes that Python's allocators have handed out since counting began; None below level `heap`.

        Args:
            real: with the spare room of the allocator: all that lies in the arenas which it has taken from the system
                for blocks up to 512 bytes, and is in no block that is in use: freed blocks, unused pools and the
                heads of pools. CPython's own count, exact to the byte at this moment. What was freed goes
                from the usage at once, and from here when a whole arena is given back. Larger blocks come from
                `malloc`, whose reserve is not Python's: `process` tells it. A block is rounded up to 16 bytes; what
                is lost by that counts nowhere. None where it cannot be told: in the pure form, with another
                allocator (`PYTHONMALLOC=malloc`), or if somebody traced before coloop was imported.
        """
        held = self.held()
        used = None if held is None else held.total
        return with_spare_room(used) if real else used

    def total(self) -> int | None:
        """The ledger's own sum of what is handed out, in bytes; None below level `heap`."""
        return self.usage()

    def held_by_coroutines(self) -> int:
        """The sum of the living accounts; 0 below level `heap`."""
        held = self.held()
        return 0 if held is None else held.living

    def bookkeeping(self) -> Bookkeeping | None:
        """What counting takes by itself, outside of the heap; None below level `heap`."""
        return None if self.ledger is None else self.ledger.bookkeeping()

    def own_thread(self, *, own: bool = True) -> None:
        """Say that this thread does nothing for the program: what it allocates is counted apart.

        Args:
            own: False takes it back.
        """
        if native is not None:
            native.ledger_own_thread(own)

    def process(self) -> Process:
        """What the process holds: resident, unique and proportional set size."""
        return process_memory()

    def residues(self) -> tuple[Residue, ...]:
        """What the dead left, by spawn site, largest first; of a thousand sites at most.

        Cyclic garbage counts until the collector has run, as does what CPython keeps in its free lists.
        """
        found = [] if self.ledger is None else self.ledger.residues()
        return tuple(sorted(found, key=lambda residue: -residue.heap_bytes))

    def spawn_sites(self) -> tuple[SpawnSite, ...]:
        """How many each place has brought forth, and what the living hold and the dead left; from any thread.

        Largest first. Cheap enough to be asked for again and again: about a microsecond a coroutine.
        """
        from ._spawn_sites import spawn_sites

        return spawn_sites()

    def sites(self, coroutine: int | None = None, top: int = 50) -> tuple[HeapSite, ...]:
        """The live heap by place of allocation, largest first, as allocated since level `sites` was set.

        Args:
            coroutine: only what is on the account of the coroutine with this id; that takes the native core.
            top: at most so many places.

        Raises:
            CoroutineError: below level `sites`, nobody knows whose a block is, or counting has ended.
        """
        return self._ledger_of("sites", "sites").sites(coroutine, top)

    def stacks(self, coroutine: int | None = None) -> tuple[HeapStack, ...]:
        """The live heap by the chain of calls through which it was allocated, largest first.

        Args:
            coroutine: only what is on the account of the coroutine with this id; that takes the native core.

        Raises:
            CoroutineError: below level `sites`, nobody knows whose a block is, or counting has ended.
        """
        return self._ledger_of("sites", "sites").stacks(coroutine)

    def types(self, coroutine: int) -> tuple[HeapType, ...]:
        """The live objects on the account of the coroutine with this id, by type, largest first.

        Raises:
            CoroutineError: below level `heap`, nobody knows whose an object is, or counting has ended.
        """
        return self._ledger_of("types", "heap").types(coroutine)

    def objects(self, whose: int | str) -> list[Any]:
        """The live objects that are on an account, as far as the collector can reach them; in no order.

        Looks at every object that there is: about half a second for each million. Whoever keeps the list keeps
        the objects.

        Args:
            whose: the id of a coroutine, which may have ended; or a spawn site, as `Residue.site` names it: what
                the dead have left who were started there.

        Raises:
            CoroutineError: below level `heap`, nobody knows whose an object is, or counting has ended.
        """
        return self._ledger_of("objects", "heap").objects(whose)

    def _ledger_of(self, what: str, level: str) -> Ledger:
        """Who tells `what`, which takes at least this level."""
        if self.ledger is None or LEVELS.index(self._level) < LEVELS.index(level):
            raise CoroutineError(
                f"{what} are not told at level {self._level}: call memory.set_level({level!r})"
            )
        if self.ledger.trouble() is not None:
            raise CoroutineError(self.cost())
        return self.ledger

    def _measure_cost(self, plain_ns: float) -> str:
        if self.ledger is None:
            return ""
        ratio = _nanoseconds_per_allocation() / plain_ns
        switch = "nothing" if self.tracing is None else f"{_settling_us(self.tracing):.1f}us more"
        return f"an allocation costs {ratio:.1f} x, a switch {switch}"


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
    """The best of some rounds: on a busy machine any of them may be interrupted."""
    count = 500
    best = float("inf")
    for _ in range(5):
        begin = time.perf_counter_ns()
        kept = [bytearray(48) for _ in range(count)]
        del kept
        best = min(best, (time.perf_counter_ns() - begin) / count)
    return max(1.0, best)


def _settling_us(ledger: TracemallocLedger) -> float:
    tally, rounds = Tally(), 200
    begin = time.perf_counter_ns()
    for _ in range(rounds):
        ledger.settle(tally)
    elapsed_ns = time.perf_counter_ns() - begin
    ledger.outside.add(tally.heap_bytes)
    return elapsed_ns / rounds / 1000
