"""One line for each place of birth: how many it has brought forth, and what the living hold and the dead left.

Thousands of short-lived coroutines leak together, and none of them by itself is worth a look. So whoever
looks for leaks looks at these lines again and again, also while a hundred thousand live, and nobody walks
a stack for them: a coroutine costs a few attributes, about a microsecond.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from ._asking import answered
from ._coroutine_state import WAITING
from ._frames import Site
from ._memory import memory
from ._snapshot import steady_list
from ._stuck import FROM_OUTSIDE

if TYPE_CHECKING:
    from ._coroutine import Coroutine
    from ._scheduler import Scheduler

T = TypeVar("T")

# Of a server's connections, and of numbered workers.
NUMBER_AT_END: Final = re.compile(r"/c\d+$|(?<=[^\W\d])\d+$")


class SpawnSite(NamedTuple):
    """What was born at one place. Sizes in bytes; None where the level, or the ledger, does not tell.

    Attributes:
        site: the place: `file.py:12 in function`.
        function: the name of those who were born there, without a number at its end; empty if nobody remembers.
        live: how many live.
        finished: how many have ended since heaps are counted.
        spawned: both together.
        waiting: how many wait.
        first_id: the oldest of the living, else the oldest of the dead that is remembered; 0 if none is.
        live_bytes: the heap of the living.
        residue_bytes: what the dead left.
        residue_blocks: in how many blocks.
        oldest_s: the age of the oldest of the living.
        parked: how many wait for what nothing but another coroutine can bring.
        defers: calls that wait for the end of the living.
    """

    site: str
    function: str
    live: int
    finished: int
    spawned: int
    waiting: int
    first_id: int
    live_bytes: int | None
    residue_bytes: int | None
    residue_blocks: int | None
    oldest_s: float
    parked: int = 0
    defers: int = 0


class _Born:
    """What is known of one place so far."""

    __slots__ = (
        "blocks", "defers", "finished", "first_id", "heap_bytes", "live", "name", "oldest_at", "parked",
        "residue_bytes", "waiting",
    )  # fmt: skip

    def __init__(self) -> None:
        self.live = self.waiting = self.parked = self.defers = self.finished = 0
        self.first_id = self.heap_bytes = self.residue_bytes = 0
        self.blocks: int | None = None
        self.name = ""
        self.oldest_at = 0.0


def spawn_sites() -> tuple[SpawnSite, ...]:
    """What was born where, in all schedulers; from any thread, largest heap first."""
    traced = memory.traces_heap()
    born: dict[str, _Born] = {}
    ages: dict[str, float] = {}
    for scheduler in list(memory.schedulers):
        if scheduler.living and not scheduler.over:
            for site, found in _asked(scheduler).items():
                _merge(born.setdefault(site, _Born()), found)
                age_s = scheduler.clock.now() - found.oldest_at
                ages[site] = max(ages.get(site, 0.0), age_s)
    for residue in memory.residues():
        kept = born.setdefault(residue.site, _Born())
        kept.finished += residue.coroutines
        kept.residue_bytes += residue.heap_bytes
        blocks = residue.heap_blocks
        kept.blocks = blocks if kept.blocks is None or blocks is None else kept.blocks + blocks
    _name_the_dead(born)
    lines = (_line(site, kept, ages.get(site, 0.0), traced=traced) for site, kept in born.items())
    return tuple(sorted(lines, key=_size, reverse=True))


def _line(site: str, kept: _Born, oldest_s: float, *, traced: bool) -> SpawnSite:
    return SpawnSite(
        site=site,
        function=NUMBER_AT_END.sub("", kept.name),
        live=kept.live,
        finished=kept.finished,
        spawned=kept.live + kept.finished,
        waiting=kept.waiting,
        first_id=kept.first_id,
        live_bytes=kept.heap_bytes if traced else None,
        residue_bytes=kept.residue_bytes if traced else None,
        residue_blocks=kept.blocks if traced else None,
        oldest_s=oldest_s,
        parked=kept.parked,
        defers=kept.defers,
    )


def _size(line: SpawnSite) -> tuple[int, int]:
    return (line.live_bytes or 0) + (line.residue_bytes or 0), line.live


def _merge(kept: _Born, found: _Born) -> None:
    """Add what another scheduler tells of the same place."""
    kept.live += found.live
    kept.waiting += found.waiting
    kept.parked += found.parked
    kept.defers += found.defers
    kept.heap_bytes += found.heap_bytes
    kept.name = kept.name or found.name
    kept.first_id = kept.first_id or found.first_id


def _asked(scheduler: Scheduler) -> dict[str, _Born]:
    """What lives of each place, read between two switches; from afar, if the scheduler does not come to it."""

    def near() -> dict[str, _Born]:
        if scheduler.running is not None:
            scheduler.settle()
        return _counted(scheduler, scheduler.living.values())

    found = _on_its_thread(scheduler, near)
    return _counted(scheduler, steady_list(scheduler.living)) if found is None else found


def _on_its_thread(scheduler: Scheduler, question: Callable[[], T]) -> T | None:
    """The answer to a question that only the scheduler's own thread can give; None if it does not come to it."""
    if scheduler.over or threading.get_ident() == scheduler.thread_id:
        return question()
    return answered(scheduler, question)


def _counted(scheduler: Scheduler, living: Iterable[Coroutine]) -> dict[str, _Born]:
    timed, traced = {timer.owner for timer in scheduler.timers}, memory.traces_heap()
    born: dict[Hashable, tuple[Site | str | None, _Born]] = {}
    for coroutine in living:  # in the order of their ids
        site = coroutine._site
        # A code object's own hash is computed anew each time, over all its constants.
        key = (id(site.code), site.instruction) if isinstance(site, Site) else site
        known = born.get(key)
        if known is None:
            known = born[key] = (site, _Born())
            _note_first(known[1], coroutine)
        _count(known[1], coroutine, traced=traced, has_timer=coroutine in timed)
    by_text: dict[str, _Born] = {}
    for site, found in born.values():
        text = "?" if site is None else str(site)
        if text in by_text:  # two calls in one line
            _merge(by_text[text], found)
        else:
            by_text[text] = found
    return by_text


def _note_first(kept: _Born, coroutine: Coroutine) -> None:
    kept.first_id, kept.name, kept.oldest_at = coroutine.id, coroutine.name, coroutine._started_at


def _count(kept: _Born, coroutine: Coroutine, *, traced: bool, has_timer: bool) -> None:
    kept.live += 1
    if traced:
        kept.heap_bytes += coroutine._heap[0]
    if coroutine._state == WAITING:
        kept.waiting += 1
        kept.parked += coroutine._verb not in FROM_OUTSIDE and not has_timer
    if coroutine._defers:
        kept.defers += len(coroutine._defers)


def _name_the_dead(born: dict[str, _Born]) -> None:
    """Where nobody lives, the last of the dead are asked for their names."""
    nameless = {site for site, kept in born.items() if not kept.name}
    if not nameless:
        return
    # Those who live first: one that is over, and not collected yet, may have had others at a place of that name.
    for scheduler in sorted(
        (one for one in list(memory.schedulers) if one.living or one.over), key=attrgetter("over")
    ):
        for grave in _on_its_thread(scheduler, partial(_graves, scheduler)) or ():
            site = str(grave[4])
            if site in nameless:
                born[site].name = born[site].name or str(grave[1])
                born[site].first_id = born[site].first_id or int(grave[0])


def _graves(scheduler: Scheduler) -> list[tuple[Any, ...]]:
    return list(scheduler.graves)
