"""Looking: once in passing, or thoroughly, behind a full collection that tells what only it could free.

What a full collection frees is more than garbage: it also empties CPython's free lists, and those of a busy server
hold hundreds of kilobytes. So they are emptied first, by a collection that finds nothing because all objects
are frozen meanwhile. What goes after that is garbage to the byte, and each place's own where the ledger is
exact. It goes in two steps: at first the collector keeps what it finds (`gc.DEBUG_SAVEALL`), so that it can be
asked for its types.
"""

from __future__ import annotations

import gc
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from coloop import CoroutineError, SocketPicture, SpawnSite, memory

from .look import Look, heap_of

if TYPE_CHECKING:
    from coshell.shell import Shell

SHELL_ID: Final = 1
OUTSIDE: Final = 0  # the ledger's number for what belongs to no coroutine
OWN_GARBAGE_BYTES: Final = 1024  # what tracemalloc's own figures leave in doubt
MAX_IMMORTALS: Final = 2000  # CPython 3.12 freezes those that never die, some four hundred
MAX_TYPES: Final = 20
MAX_NAMES: Final = 2000
MAX_PLACES: Final = 200
_TYPED: Final = re.compile(r"<co:\d+>:\d+ in go$")


class Looker:
    """Looks at a shell's coroutines; remembers what it has itself made the collector find."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._found_by_us = 0
        self._names: dict[str, str] = {}

    def glance(self) -> Look:
        """What is to be seen in passing; from any thread, a microsecond a coroutine."""
        begin = perf_counter()
        held = memory.held()
        return Look(
            at_s=self._shell.scheduler.clock.now(),
            sites=self._by_site(),
            exact=memory.exact,
            found_unasked=self._found_unasked(),
            total_bytes=None if held is None else held.total,
            outside_bytes=0 if held is None else sum(held.outside),
            pause_s=perf_counter() - begin,
        )

    def look(self) -> Look:
        """What is left behind a full collection; in a coroutine. Nobody else runs meanwhile."""
        begin = perf_counter()
        found_before = _found_ever()
        unasked = self._found_unasked()
        total_at_first = memory.total() or 0
        total_emptied = _emptied_total()
        before = self._by_site()
        total_before = _emptied_total()
        kept = _collect_keeping()
        total_kept = memory.total() or 0
        types, objects = _types_of(kept), len(kept)
        total_to_free = _emptied_total()
        if kept:
            kept.clear()
            gc.collect()
        garbage_bytes = total_before - total_kept + total_to_free - (memory.total() or 0)
        self._found_by_us += _found_ever() - found_before
        places = _places()
        if places and not memory.exact:
            _empty_free_lists()  # what looking at places leaves there would pass for what others have freed
        sites, held = self._by_site(), memory.held()
        freed = _freed(before, sites)
        return Look(
            at_s=self._shell.scheduler.clock.now(),
            sites=sites,
            exact=memory.exact,
            collected=True,
            garbage={site: size for site, size in freed.items() if size > 0} if memory.exact else {},
            garbage_bytes=garbage_bytes if objects or garbage_bytes > OWN_GARBAGE_BYTES else 0,
            spare_bytes=max(0, total_at_first - total_emptied),
            garbage_objects=objects,
            garbage_types=types,
            found_unasked=unasked,
            total_bytes=None if held is None else held.total,
            outside_bytes=0 if held is None else sum(held.outside),
            unattended=_unattended(self._shell.snapshot(0).sockets),
            places=places,
            pause_s=perf_counter() - begin,
        )

    def _by_site(self) -> Mapping[str, SpawnSite]:
        return by_command(memory.spawn_sites(), self._names)

    def _found_unasked(self) -> int:
        return _found_ever() - self._found_by_us


def by_command(lines: Iterable[SpawnSite], names: dict[str, str]) -> dict[str, SpawnSite]:
    """The lines by place; all `go` commands that start the same function are one place, `go work()`.

    Each line that is typed is a place of its own, and whoever repeats an experiment types it again.

    Args:
        lines: what was born where.
        names: what those are called whom nobody remembers any more; is added to.
    """
    found: dict[str, SpawnSite] = {}
    for line in lines:
        site = line.site
        if _TYPED.match(site):
            if line.function and len(names) < MAX_NAMES:
                names[site] = line.function
            name = line.function or names.get(site, "")
            site = f"go {name}()" if name else site
            line = line._replace(site=site, function=name)  # noqa: PLW2901 - it has been told of more
        found[site] = added(found[site], line) if site in found else line
    return found


def added(one: SpawnSite, other: SpawnSite) -> SpawnSite:
    """Two places as one."""
    return SpawnSite(
        site=one.site,
        function=one.function or other.function,
        live=one.live + other.live,
        finished=one.finished + other.finished,
        spawned=one.spawned + other.spawned,
        waiting=one.waiting + other.waiting,
        first_id=min(one.first_id, other.first_id) or max(one.first_id, other.first_id),
        live_bytes=_sum(one.live_bytes, other.live_bytes),
        residue_bytes=_sum(one.residue_bytes, other.residue_bytes),
        residue_blocks=_sum(one.residue_blocks, other.residue_blocks),
        oldest_s=max(one.oldest_s, other.oldest_s),
        parked=one.parked + other.parked,
        defers=one.defers + other.defers,
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _found_ever() -> int:
    return sum(generation["collected"] for generation in gc.get_stats())


def _freed(before: Mapping[str, SpawnSite], after: Mapping[str, SpawnSite]) -> Counter[str]:
    """By how much each place holds less than before."""
    return Counter(
        {site: heap_of(line) - heap_of(after[site]) for site, line in before.items() if site in after}
    )


def _empty_free_lists() -> None:
    """Only a full collection does that. If the user has frozen objects, they must stay so, and little is lost."""
    if gc.get_freeze_count() > MAX_IMMORTALS:
        return
    gc.freeze()
    try:
        gc.collect()
    finally:
        gc.unfreeze()


def _emptied_total() -> int:
    """All that the ledger counts, without what is in free lists: also without what looking has left there."""
    _empty_free_lists()
    return memory.total() or 0


def _collect_keeping() -> list[Any]:
    """Collect, and keep the garbage instead of freeing it; its finalizers have run."""
    before = len(gc.garbage)
    flags = gc.get_debug()
    gc.set_debug(flags | gc.DEBUG_SAVEALL)
    try:
        gc.collect()
    finally:
        gc.set_debug(flags)
    kept = gc.garbage[before:]
    del gc.garbage[before:]
    return kept


def _types_of(garbage: list[Any]) -> dict[str, int]:
    """How many of it are of each type."""
    names = Counter(str(type.__dict__["__name__"].__get__(type(found))) for found in garbage)
    return dict(names.most_common(MAX_TYPES))


def _unattended(sockets: tuple[SocketPicture, ...]) -> dict[str, int]:
    """Open connections at which nobody waits; what is held at the prompt waits for its user."""
    found: Counter[str] = Counter()
    for held in sockets:
        is_connection = held.role in {"server", "client"} and held.state == "open"
        if is_connection and held.owner != SHELL_ID and held.reader is None and held.writer is None:
            found[f"server {held.local}" if held.role == "server" else f"client of {held.peer}"] += 1
    return dict(found)


def _places() -> dict[str, int]:
    """Live heap by the line that allocated it, where that is known; without what the shell has allocated itself."""
    if memory.level() != "sites":
        return {}
    try:
        before = _heap_by_place()
        own = _own_places(before)
        after = _heap_by_place()
    except CoroutineError:
        return {}
    # What came or went meanwhile is of the looking itself.
    left = {place: min(size, after[place]) - own.get(place, 0) for place, size in before.items()}
    return {place: size for place, size in left.items() if size > 0}


def _heap_by_place(account: int | None = None) -> Counter[str]:
    return Counter({place.site: place.heap_bytes for place in memory.sites(account, MAX_PLACES)})


def _own_places(all_places: Mapping[str, int]) -> dict[str, int]:
    """What lines of the shell have allocated: in its own coroutine and in none, as far as that can be told."""
    try:
        found = _heap_by_place(OUTSIDE) + _heap_by_place(SHELL_ID)
    except CoroutineError:
        found = Counter(all_places)
    return {place: size for place, size in found.items() if place.partition(":")[0] in _own_files()}


@cache
def _own_files() -> frozenset[str]:
    """With those in which Python keeps what it has read of others, for us who name their lines."""
    package = Path(__file__).parent.parent
    return frozenset({*(path.name for path in package.rglob("*.py")), "linecache.py", "tracemalloc.py"})
