"""Memory is counted twice: what Python hands out, and what the system has given to the process.

The first ledger knows whose it is, and ends at Python's allocators. The second holds everything, and knows
nothing of coroutines. So both stand side by side, and each with the part that it cannot tell apart:
attributed and unattributed are all that is traced, traced and not traced are all that is resident. A
sum that hides a rest would send whoever hunts a leak to the wrong place.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from coloop import Snapshot

from .roster import APPROXIMATE
from .text import cut, plural, printable
from .values import Bytes, Count

LARGEST_SHOWN: Final = 3
NAME_WIDTH: Final = 28


class Process(Protocol):
    """What the system says, in bytes; None where it does not say."""

    @property
    def rss(self) -> int | None: ...  # noqa: D102 - resident
    @property
    def uss(self) -> int | None: ...  # noqa: D102 - of this process alone
    @property
    def pss(self) -> int | None: ...  # noqa: D102 - with its share of what several hold


class Residue(Protocol):
    """What the dead of one place of birth have left."""

    @property
    def site(self) -> str: ...  # noqa: D102 - where they were started
    @property
    def coroutines(self) -> int: ...  # noqa: D102 - how many there were
    @property
    def heap_bytes(self) -> int: ...  # noqa: D102 - what is left of all of them


@dataclass(frozen=True)
class Holder:
    """Somebody who holds memory.

    Attributes:
        name: `co#2 leaky`, or where the dead of one kind were started.
        heap: what is held.
        peak: the most that ever was; None for the dead.
        coroutines: how many there were.
    """

    name: str
    heap: Bytes
    peak: Bytes | None
    coroutines: int = 1


@dataclass(frozen=True)
class Ledgers:
    """What Python manages, and what the process holds. Sizes are None where nobody says.

    Attributes:
        level: what is counted.
        cost: what counting costs, as measured.
        exact: every block is counted; else the figures are what changed while each coroutine ran.
        coroutines: how many live.
        living: heap of the living coroutines.
        dead: what the dead have left.
        attributed: both together.
        unattributed: traced, but allocated in no coroutine.
        traced: attributed and unattributed together.
        stacks: stacks of the living coroutines, which are not in the heap; None if nobody has counted.
        rss: resident memory of the process.
        uss: what only this process holds.
        pss: with its share of what several hold.
        untraced: `rss` less `traced`.
        collections: how often the garbage collector has run.
        collected: objects that it has freed.
        uncollectable: objects that it could not free.
        waiting: allocations since it last ran, for each of its generations.
        largest: the coroutines that hold most; nobody, if there are too many to look at each.
        residues: the places of birth whose dead hold most.
    """

    level: str
    cost: str
    exact: bool
    coroutines: int
    living: Bytes | None
    dead: Bytes | None
    attributed: Bytes | None
    unattributed: Bytes | None
    traced: Bytes | None
    stacks: Bytes | None
    rss: Bytes | None
    uss: Bytes | None
    pss: Bytes | None
    untraced: Bytes | None
    collections: Count
    collected: Count
    uncollectable: Count
    waiting: tuple[int, ...]
    largest: tuple[Holder, ...]
    residues: tuple[Holder, ...]


def ledgers(snapshot: Snapshot, process: Process, residues: Sequence[Residue]) -> Ledgers:
    """Put both ledgers side by side.

    Args:
        snapshot: what the runtime says; of the coroutines it may show a part.
        process: what the system says.
        residues: what the dead left, largest first.
    """
    traced, heap, dead = snapshot.traced_bytes, snapshot.heap_bytes, snapshot.dead_bytes
    attributed = None if heap is None or dead is None else heap + dead
    whole = len(snapshot.coroutines) == snapshot.live and snapshot.responsive
    generations = gc.get_stats()
    return Ledgers(
        level=snapshot.level,
        cost=snapshot.cost,
        exact=snapshot.exact,
        coroutines=snapshot.live,
        living=_bytes(heap),
        dead=_bytes(dead),
        attributed=_bytes(attributed),
        unattributed=_bytes(snapshot.outside_bytes),
        traced=_bytes(traced),
        stacks=Bytes(snapshot.stack_bytes) if whole else None,
        rss=_bytes(process.rss),
        uss=_bytes(process.uss),
        pss=_bytes(process.pss),
        untraced=None if traced is None or process.rss is None else Bytes(process.rss - traced),
        collections=Count(sum(generation["collections"] for generation in generations)),
        collected=Count(sum(generation["collected"] for generation in generations)),
        uncollectable=Count(sum(generation["uncollectable"] for generation in generations)),
        waiting=gc.get_count(),
        largest=_largest(snapshot) if whole else (),
        residues=tuple(
            Holder(residue.site, Bytes(residue.heap_bytes), None, residue.coroutines)
            for residue in residues[:LARGEST_SHOWN]
            if residue.heap_bytes > 0
        ),
    )


def _bytes(size_bytes: int | None) -> Bytes | None:
    return None if size_bytes is None else Bytes(size_bytes)


def _largest(snapshot: Snapshot) -> tuple[Holder, ...]:
    traced = [picture for picture in snapshot.coroutines if picture.heap_bytes is not None]
    holders = [
        Holder(f"co#{picture.id} {picture.name}", Bytes(picture.heap_bytes or 0), _bytes(picture.heap_peak))
        for picture in traced
    ]
    return tuple(sorted(holders, key=lambda holder: -holder.heap)[:LARGEST_SHOWN])


def ledger_lines(value: Ledgers) -> list[str]:
    """Both ledgers, a fact in a line: what it is, how much, and a remark."""
    facts = [*_managed(value), *_held(value), *_rest(value)]
    name_width = max(len(name) for name, _, _ in facts)
    size_width = max(len(_size(size)) for _, size, _ in facts)
    lines = (
        f"{name:{name_width}}  {_size(size):>{size_width}}  {told}".rstrip() for name, size, told in facts
    )
    return [printable(line, keep="") for line in lines]


Fact = tuple[str, Bytes | None, str]


def _size(size: Bytes | None) -> str:
    return "" if size is None else str(size)


def _managed(value: Ledgers) -> list[Fact]:
    """What Python's allocators have handed out, by whose it is."""
    if value.traced is None:
        return [("managed by Python", None, f"not traced at level {value.level}: set level heap")]
    return [
        ("managed by Python", value.traced, f"since level {value.level} was set"),
        _attributed(value),
        (f"    {plural(value.coroutines, 'living coroutine')}", value.living, ""),
        *((f"      {_short(each.name)}", each.heap, f"peak {each.peak}") for each in value.largest),
        ("    the dead", value.dead, ""),
        *((f"      {_short(e.name)}", e.heap, plural(e.coroutines, "coroutine")) for e in value.residues),
        ("  unattributed", value.unattributed, "threads, imports, what ran in no coroutine"),
    ]


def _attributed(value: Ledgers) -> Fact:
    if value.exact:
        return ("  attributed", value.attributed, "every block, to whoever allocated it")
    return (f"  attributed {APPROXIMATE}", value.attributed, "by what changed while each coroutine ran")


def _short(name: str) -> str:
    return cut(printable(name, keep=""), NAME_WIDTH, ascii_only=True, middle=True)


def _held(value: Ledgers) -> list[Fact]:
    """What the system has given to the process."""
    if value.rss is None:
        return [("held by the process", None, "the system does not say")]
    sets = (("USS", value.uss), ("PSS", value.pss))
    told = "; ".join(["RSS", *(f"{name} {size}" for name, size in sets if size is not None)])
    facts: list[Fact] = [("held by the process", value.rss, told)]
    if value.untraced is not None:
        facts.append(("  traced", value.traced, ""))
        facts.append(("  not traced", value.untraced, "interpreter, C libraries, spare room, older things"))
    return facts


def _rest(value: Ledgers) -> list[Fact]:
    """What is in neither ledger, and what keeping them costs."""
    freed = f"{plural(value.collected, 'object')} freed in {plural(value.collections, 'collection')}"
    waiting = "/".join(map(str, value.waiting))
    stuck = f", {value.uncollectable} uncollectable" if value.uncollectable else ""
    facts: list[Fact] = [
        (
            "stacks",
            value.stacks,
            "of the living coroutines, not in the heap" if value.stacks else "not counted now",
        ),
        ("garbage collector", None, f"{freed}{stuck}; {waiting} since"),
    ]
    return [*facts, ("cost of counting", None, value.cost)] if value.cost else facts
