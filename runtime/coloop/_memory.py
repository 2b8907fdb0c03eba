"""What a coroutine costs: the ledger of its heap, and the two ledgers of the process.

A *tally* is what the scheduler counts for one coroutine; an *account* is the immutable picture of
it that others see. A *ledger* is told at every switch who has just run, and charges the
difference to that tally. This is the seam for exact accounting by allocator hooks; the ledger
here reads `tracemalloc`, and its figures are honest about what they are:

* what a coroutine allocates is charged to it, what is freed while it runs is credited to *it*,
  whoever had allocated it: a figure can be negative;
* other threads' allocations fall on whoever runs meanwhile;
* the numbers that are kept here are objects too: a coroutine's figure is uncertain by some tens of
  bytes;
* the sum of all tallies, of the dead and of what ran outside of any coroutine is always the
  total that tracemalloc gives. Nothing is hidden in a remainder.

All sizes are bytes. Levels: `off` counts switches and time only; `counts` adds the stacks (they
cost nothing until somebody looks); `heap` traces allocations; `sites` keeps where each was made.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
import weakref
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple, Protocol

from ._form import native
from ._frames import Site
from ._spare_room import with_spare_room

LEVELS: Final = ("off", "counts", "heap", "sites")
FRAMES_AT_SITES: Final = 8  # tracemalloc's cost grows with every frame it keeps per block
WORD_BYTES: Final = 8
CHUNK_BYTES: Final = 16 * 1024  # CPython >= 3.11, pystate.c: DATA_STACK_CHUNK_SIZE
FIRST_CHUNK_BYTES: Final[int] = CHUNK_BYTES if native is None else native.FIRST_CHUNK_BYTES
FRAME_HEADER_WORDS: Final = 10  # CPython 3.11-3.13, pycore_frame.h: FRAME_SPECIALS_SIZE, rounded up
MAX_RESIDUE_SITES: Final = 1000
LIMIT_HEADROOM_BYTES: Final = 64 * 1024  # room to handle a MemoryLimitExceeded


@dataclass(frozen=True, slots=True)
class Account:
    """A coroutine's account at one moment. Sizes in bytes; None where the level does not tell.

    Attributes:
        heap_bytes: allocated less freed while it ran; what it allocated and another one freed still counts.
        heap_blocks: live blocks; None without the native ledger.
        heap_peak: the largest `heap_bytes` seen at a switch.
        allocated_total: the sum of all growth between switches, a lower bound.
        stack_bytes: saved C stack plus data-stack chunks.
        frames: depth of the Python stack.
        sockets: open sockets that it made.
        timers: timers that are set for it.
        defers: calls that wait for its end.
        limit: its heap limit, if it has one.
    """

    heap_bytes: int | None
    heap_blocks: int | None
    heap_peak: int | None
    allocated_total: int | None
    stack_bytes: int
    frames: int
    sockets: int
    timers: int
    defers: int
    limit: int | None


class Tally:
    """What the ledger counts for one coroutine."""

    __slots__ = (
        "allocated_total",
        "crossings",
        "heap_bytes",
        "heap_peak",
        "last_growth",
        "limit",
        "tripwire",
    )

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.limit = limit_bytes
        self.tripwire = limit_bytes  # what is looked at; moved up each time that it was crossed
        self.crossings = 0
        self.heap_bytes = self.heap_peak = self.allocated_total = self.last_growth = 0

    def reset(self) -> None:
        """Count from zero."""
        self.heap_bytes = self.heap_peak = self.allocated_total = self.last_growth = 0

    def add(self, growth_bytes: int) -> None:
        """Charge what the heap grew by, or credit what it shrank by, while this one ran."""
        self.last_growth = growth_bytes
        self.heap_bytes += growth_bytes
        if growth_bytes > 0:
            self.allocated_total += growth_bytes
            self.heap_peak = max(self.heap_peak, self.heap_bytes)

    def crosses_limit(self) -> bool:
        """Whether it has, and has not been told: once for the limit, then for each headroom above that.

        `crossings` counts how often; it begins anew when the figure is back below the limit.
        """
        if self.limit is None or self.tripwire is None:
            return False
        if self.heap_bytes <= self.limit:
            self.tripwire, self.crossings = self.limit, 0
            return False
        if self.heap_bytes <= self.tripwire:
            return False
        self.tripwire = self.heap_bytes + LIMIT_HEADROOM_BYTES
        self.crossings += 1
        return True


class Residue(NamedTuple):
    """What the dead coroutines of one spawn site left behind."""

    site: str
    coroutines: int
    heap_bytes: int


class Process(NamedTuple):
    """What the operating system says this process holds, in bytes; None where it does not say."""

    rss: int | None
    uss: int | None
    pss: int | None


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

    def close(self) -> None:
        """Stop tracing."""


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

    def traces_heap(self) -> bool:
        """Whether heap figures are kept at this level."""
        return self.ledger is not None

    def usage(self, *, real: bool = False) -> int | None:
        """Bytes that Python's allocators have handed out since tracing began; None below level `heap`.

        Args:
            real: with the spare room of the allocator: all that lies in the arenas which it has taken from the system
                for blocks up to 512 bytes, and is in no block that is in use: freed blocks, unused pools and the
                heads of pools. CPython's own count, exact to the byte at this moment. What was freed goes
                from the usage at once, and from here when a whole arena is given back. Larger blocks come from
                `malloc`, whose reserve is not Python's: `process` tells it. A block is rounded up to 16 bytes; what
                is lost by that counts nowhere. None where it cannot be told: in the pure form, with another
                allocator (`PYTHONMALLOC=malloc`), or if tracing began before coloop was imported.
        """
        used = None if self.ledger is None else self.ledger.total()
        return with_spare_room(used) if real else used

    def total(self) -> int | None:
        """The ledger's own sum of what is handed out, in bytes; None below level `heap`."""
        return self.usage()

    def held_by_coroutines(self) -> int:
        """The sum of the living accounts; 0 below level `heap`."""
        total = self.usage()
        if self.ledger is None or total is None:
            return 0
        return total - self.outside.heap_bytes - self.dead.heap_bytes - self.ledger.own_bytes

    def process(self) -> Process:
        """What the process holds: resident, unique and proportional set size."""
        return _process_memory()

    def residues(self) -> tuple[Residue, ...]:
        """What the dead left, by spawn site, largest first; at most `MAX_RESIDUE_SITES` sites are kept.

        Cyclic garbage counts until the collector has run.
        """
        found = (
            Residue(str(kept.site), kept.coroutines, kept.heap_bytes) for kept in self._residues.values()
        )
        return tuple(sorted(found, key=lambda residue: -residue.heap_bytes))

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


def _process_memory() -> Process:
    try:
        text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return Process(_peak_rss(), None, None)
    kilobytes: dict[str, int] = {}
    for line in text.splitlines()[1:]:
        name, _, rest = line.partition(":")
        kilobytes[name] = int(rest.split()[0])
    private = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    return Process(kilobytes["Rss"] * 1024, private * 1024, kilobytes["Pss"] * 1024)


def _peak_rss() -> int:
    """Where there is no /proc: the peak, which is all that POSIX offers. macOS counts bytes, others KiB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
