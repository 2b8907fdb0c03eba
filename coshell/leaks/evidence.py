"""What a verdict rests on: who holds what grew, which line allocated it, and what to try next.

A container is given to the verdict that grew most like it, and to no second one. What nobody can tell stays open.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from coshell.values import Bytes, Count, Percent

from .leak import Leak
from .look import Look
from .suspects import Suspect
from .verdict import CYCLE, LEAK, VERDICTS, WARMING_UP, Judged, heap_now

THINGS: Final = frozenset({"parked", "defers", "connections", "keys"})
DULL_TYPES: Final = frozenset({"dict", "list", "tuple", "cell", "function", "frame", "method", "set"})
MAX_TYPES: Final = 4
RARE: Final = 10  # times as rare as the most frequent type, and it is somebody else's garbage
MAX_MISMATCH: Final = 0.3  # by how much a container may have grown differently from what it is to hold
SAME_SIZE: Final = 0.3  # likewise a line's heap
_TYPABLE: Final = re.compile(r"\w[\w.]*(?:\[[^\]]*\][\w.]*)*")


def records(judged: Iterable[Judged], looks: Sequence[Look], suspects: Sequence[Suspect] = ()) -> list[Leak]:
    """Verdicts with their evidence."""
    judged = list(judged)
    guilty = [one for one in judged if one.verdict == LEAK and one.kind not in {"parked", "connections"}]
    rising = growing_places(looks)
    holders = _holders(guilty, suspects)
    made = []
    for one in judged:
        suspect = holders.get(guilty.index(one)) if one in guilty else None
        made.append(_record(one, looks, suspect, _allocated(one, guilty, rising)))
    known = list(holders.values())
    # What has no name is the runtime's own: its sockets have numbers, too.
    made += [_kept_dead(one, judged) for one in suspects if one.dead and one.held_by and one not in known]
    return sorted(made, key=lambda leak: VERDICTS.index(leak.verdict))


def _record(one: Judged, looks: Sequence[Look], suspect: Suspect | None, allocated_at: str | None) -> Leak:
    line, found = one.line, one.trend
    held_by = None if suspect is None else _held(suspect)
    is_things = one.kind in THINGS
    because = one.sentence
    if one.verdict == CYCLE:
        types = _garbage_types(looks)
        because += f" ({' <-> '.join(types)})" if types else ""
    elif one.verdict == LEAK and found is not None:
        because += f" ({found.times} of {found.repeats} repeats)"
        if suspect is not None and suspect.dead:
            because += f"; {suspect.dead:,} {suspect.what} of coroutines that have ended are kept there"
    return Leak(
        verdict=one.verdict,
        kind=one.kind,
        function="" if line is None else line.function,
        site=one.site,
        first=0 if line is None else line.first_id,
        live=Count(0 if line is None else line.live),
        finished=Count(one.finished),
        heap=Bytes(heap_now(one)),
        growth=None if is_things else Bytes(round(one.growth)),
        things=Count(round(one.growth)) if is_things else None,
        times=0 if found is None else found.times,
        repeats=0 if found is None else found.repeats,
        slope=one.slope,
        r2=None if found is None else found.r2,
        confidence=None if found is None else Percent(100 * found.confidence),
        per_finished=None if one.per_finished is None else Bytes(round(one.per_finished)),
        freed=None if one.freed is None else Bytes(one.freed),
        exact=looks[-1].exact,
        allocated_at=allocated_at,
        held_by=held_by,
        because=because,
        next=_next(one, allocated_at, held_by, looks[-1]),
    )


def _garbage_types(looks: Sequence[Look]) -> list[str]:
    """What most of the garbage is; of what is in every cycle only if there is nothing else."""
    counts: Counter[str] = Counter()
    for look in looks[1:]:
        counts.update(look.garbage_types)
    usual = max(counts.values(), default=0) / RARE
    names = [name for name, count in counts.most_common() if count >= usual]
    return ([name for name in names if name not in DULL_TYPES] or names)[:MAX_TYPES]


def _next(one: Judged, allocated_at: str | None, held_by: str | None, last: Look) -> tuple[str, ...]:
    if one.verdict == WARMING_UP:
        return ("leaks --window 60s",)
    if one.verdict == CYCLE:
        return ("gc", "weakref breaks a cycle")
    if one.verdict != LEAK:
        return ()
    who = one.line.first_id if one.line is not None and one.line.live and one.kind != "residue" else 0
    tries = []
    if held_by:
        tries += _refs(held_by)
    if who:
        tries += [f"where {who}", f"heap {who}"]
    if not last.places and allocated_at is None and one.kind in {"residue", "heap"}:
        tries.append("set level sites, then leaks --window 10s")
    if one.kind == "connections":
        tries.append("conns")
    return tuple(tries)


def _refs(held_by: str) -> list[str]:
    """What asks further, if it can be typed."""
    name = held_by.partition("  ")[0].removeprefix("__main__.")
    return [f"refs {name}"] if held_by.startswith("__main__.") and _TYPABLE.fullmatch(name) else []


def _held(suspect: Suspect) -> str:
    return f"{suspect.held_by}  {suspect.kind}, {suspect.items:,} items"


def _holders(guilty: Sequence[Judged], suspects: Sequence[Suspect]) -> dict[int, Suspect]:
    """Who holds it, by the place among the guilty: each container goes to the one that grew most like it."""
    named = [suspect for suspect in suspects if suspect.held_by]
    pairs = sorted(
        (_mismatch(suspect, one), at, place)
        for at, one in enumerate(guilty)
        for place, suspect in enumerate(named)
    )
    if len(guilty) == 1 and named and pairs[0][0] > MAX_MISMATCH:
        pairs = [(0.0, 0, 0)]
    found: dict[int, Suspect] = {}
    taken: set[int] = set()
    for mismatch, at, place in pairs:
        if mismatch <= MAX_MISMATCH and at not in found and place not in taken:
            found[at] = named[place]
            taken.add(place)
    return found


def _mismatch(suspect: Suspect, one: Judged) -> float:
    """0 if a container grew by as many items as coroutines have ended, or by as many bytes as the heap."""
    by_size = abs(suspect.size - one.growth) / max(1.0, one.growth)
    if one.kind != "residue" or not one.finished:
        return by_size
    return min(by_size, abs(suspect.grown - one.finished) / one.finished)


def growing_places(looks: Sequence[Look]) -> list[tuple[str, int, int]]:
    """The lines whose live heap grew: which, in how many steps, by how much; largest first."""
    seen = [look.places for look in looks if look.places]
    if len(seen) < 2:
        return []
    found = []
    for place, size in seen[-1].items():
        sizes = [places.get(place, 0) for places in seen]
        times = sum(after > before for before, after in pairwise(sizes))
        if times and size > sizes[0]:
            found.append((place, times, size - sizes[0]))
    return sorted(found, key=lambda entry: -entry[2])


def _allocated(one: Judged, guilty: Sequence[Judged], rising: Sequence[tuple[str, int, int]]) -> str | None:
    if one not in guilty or not rising:
        return None
    near = [place for place, _, size in rising if abs(size - one.growth) <= SAME_SIZE * one.growth]
    return near[0] if near else rising[0][0] if len(guilty) == 1 else None


def _kept_dead(suspect: Suspect, judged: Sequence[Judged]) -> Leak:
    """A container of dead coroutines is a verdict of its own."""
    one = next((each for each in judged if each.verdict == LEAK and each.line is not None), None)
    line = None if one is None else one.line
    return Leak(
        verdict=LEAK, kind="keys", function=line.function if line else "", site=line.site if line else "",
        first=line.first_id if line else 0, live=Count(line.live if line else 0),
        finished=Count(one.finished if one else 0), heap=Bytes(0), growth=None, things=Count(suspect.dead),
        times=2, repeats=2, slope=0.0, r2=None, confidence=None, per_finished=None, freed=None, exact=True,
        allocated_at=None, held_by=_held(suspect),
        because=f"{suspect.dead:,} {suspect.what} of coroutines that have ended are kept in {suspect.held_by}",
        next=tuple(_refs(suspect.held_by)),
    )  # fmt: skip
