"""What memory is held, by whom, and what of it is garbage: two ledgers, and never a sum that hides the rest."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import coloop
from coloop import Coroutine, Server, Snapshot, memory
from coshell.closeup import close_up
from coshell.command import Arg, Command, CommandError
from coshell.listing import fitted
from coshell.roster import APPROXIMATE
from coshell.text import cut, plural, printable
from coshell.values import Bytes, Count

if TYPE_CHECKING:
    from coshell.shell import Shell

LARGEST_SHOWN: Final = 3
NAME_WIDTH: Final = 28
MAX_SURVEYED: Final = 10_000  # coroutines; a look at so many takes about a third of a second


# -- mem -------------------------------------------------------------------------------------------


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


def mem(shell: Shell) -> Ledgers:
    """Both ledgers at this moment."""
    snapshot = shell.snapshot(MAX_SURVEYED)
    process = memory.process()
    traced, heap, dead = snapshot.traced_bytes, snapshot.heap_bytes, snapshot.dead_bytes
    attributed = None if heap is None or dead is None else heap + dead
    whole = snapshot.live <= MAX_SURVEYED and snapshot.responsive
    generations = gc.get_stats()
    return Ledgers(
        level=snapshot.level,
        cost=snapshot.cost,
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
            for residue in memory.residues()[:LARGEST_SHOWN]
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


def _mem_lines(value: Ledgers, width: int) -> list[str]:
    facts = [*_managed(value), *_held(value), *_rest(value)]
    name_width = max(len(name) for name, _, _ in facts)
    size_width = max(len(_size(size)) for _, size, _ in facts)
    lines = (
        f"{name:{name_width}}  {_size(size):>{size_width}}  {told}".rstrip() for name, size, told in facts
    )
    return fitted((printable(line, keep="") for line in lines), width)


Fact = tuple[str, Bytes | None, str]


def _size(size: Bytes | None) -> str:
    return "" if size is None else str(size)


def _managed(value: Ledgers) -> list[Fact]:
    """What Python's allocators have handed out, by whose it is."""
    if value.traced is None:
        return [("managed by Python", None, f"not traced at level {value.level}: set level heap")]
    return [
        ("managed by Python", value.traced, f"since level {value.level} was set"),
        (f"  attributed {APPROXIMATE}", value.attributed, "by what changed while each coroutine ran"),
        (f"    {plural(value.coroutines, 'living coroutine')}", value.living, ""),
        *((f"      {_short(each.name)}", each.heap, f"peak {each.peak}") for each in value.largest),
        ("    the dead", value.dead, ""),
        *((f"      {_short(e.name)}", e.heap, plural(e.coroutines, "coroutine")) for e in value.residues),
        ("  unattributed", value.unattributed, "threads, imports, what ran in no coroutine"),
    ]


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


# -- gc --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Collected:
    """What a collection has freed.

    Attributes:
        objects: unreachable objects that were found.
        uncollectable: those of them that could not be freed.
        freed: bytes; None below level `heap`.
        by_coroutine: how much of it was on which coroutine's account, as far as the ledger can tell.
        unknown: the rest: of the dead, of nobody, or the ledger cannot tell.
    """

    objects: Count
    uncollectable: Count
    freed: Bytes | None
    by_coroutine: Mapping[str, Bytes]
    unknown: Bytes | None


def collect(shell: Shell) -> Collected:
    """Collect garbage now."""
    before = shell.snapshot()
    uncollectable_before = len(gc.garbage)
    traced_before = memory.total()
    objects = gc.collect()
    traced_after = memory.total()
    uncollectable = len(gc.garbage) - uncollectable_before
    if traced_before is None or traced_after is None:
        return Collected(Count(objects), Count(uncollectable), None, {}, None)
    freed = traced_before - traced_after
    shares = _shares(before, shell.snapshot())
    return Collected(
        Count(objects), Count(uncollectable), Bytes(freed), shares, Bytes(freed - sum(shares.values()))
    )


def _shares(before: Snapshot, after: Snapshot) -> dict[str, Bytes]:
    """Whose heap has shrunk; the coroutine that collects is left out, as it may be credited for others'."""
    me = coloop.current()
    had = {picture.id: picture.heap_bytes or 0 for picture in before.coroutines}
    shrunk = {
        f"co#{picture.id} {picture.name}": Bytes(had.get(picture.id, 0) - (picture.heap_bytes or 0))
        for picture in after.coroutines
        if me is None or picture.id != me.id
    }
    return {name: size for name, size in shrunk.items() if size > 0}


def _gc_lines(value: Collected, _: int) -> list[str]:
    stuck = f", {value.uncollectable} uncollectable" if value.uncollectable else ""
    if value.freed is None:
        return [
            f"ok  {plural(value.objects, 'object')} collected{stuck}; bytes are not traced (set level heap)"
        ]
    lines = [f"ok  {plural(value.objects, 'object')} collected, {value.freed} freed{stuck}"]
    lines += [printable(f"  {size}  {name}", keep="") for name, size in value.by_coroutine.items()]
    if value.by_coroutine and value.unknown:
        lines.append(f"  {value.unknown}  of the dead, of nobody, or the ledger cannot tell")
    return lines


# -- heap ------------------------------------------------------------------------------------------


def heap(shell: Shell, owner: Any) -> Bytes:
    """The heap on a coroutine's account; a server's is that of all its coroutines."""
    if not memory.traces_heap():
        raise CommandError(f"heap is not traced at level {memory.level()!r}: set level heap")
    name = _server_name(shell, owner)
    if name is None:
        return Bytes(close_up(shell, owner).picture.heap_bytes or 0)
    theirs = (p for p in shell.snapshot().coroutines if p.name == name or p.name.startswith(f"{name}/"))
    return Bytes(sum(picture.heap_bytes or 0 for picture in theirs))


def _server_name(shell: Shell, owner: Any) -> str | None:
    """The name that a server's coroutines have, if a server is meant."""
    if isinstance(owner, (Coroutine, int)):
        return None
    try:
        server = shell.find_server(owner)
    except CommandError:
        return None
    return server.name if isinstance(server, Server) else None


def _heap_lines(value: Bytes, _: int) -> list[str]:
    return [str(value)]


COMMANDS: Final = (
    Command(
        "mem",
        "show what Python manages and what the process holds, side by side",
        mem,
        (),
        ("mem", "mem --json"),
        lane="any",
        show=_mem_lines,
        details=(
            "Attributed and unattributed together are all that is traced; traced and not traced together are all"
            " that is resident. Memory that C libraries take by themselves is never traced."
        ),
    ),
    Command(
        "gc",
        "collect garbage now, and tell what was freed",
        collect,
        (),
        ("gc", "a = []\na.append(a)\ndel a\ngc"),
        show=_gc_lines,
        details="What only the collector frees was held by a cycle of references: a leak for as long as it does not run.",
    ),
    Command(
        "heap",
        "show the heap of a coroutine, or of all coroutines of a server",
        heap,
        (Arg("owner", "a coroutine's number or name, or a server's name", "coroutine"),),
        ("go sleep(60) --name nap\nheap nap", 'echo :0\nheap("echo#1") < 64 * 1024'),
        lane="any",
        show=_heap_lines,
    ),
)
