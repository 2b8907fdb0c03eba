"""The verdicts as they are told: records for programs, a table with its reasons for people, and Tracker's lines.

What is found comes first and is counted; what is well is only counted. Below the table stands what each verdict
rests on and what to try next, and last of all what nobody has judged: no sum hides a rest.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from coshell.listing import Listing, fitted
from coshell.render import Column
from coshell.text import plural, printable
from coshell.values import Bytes, Count, Duration, Percent

from .look import Look
from .suspects import Suspect
from .verdict import CYCLE, LEAK, STEADY, VERDICTS, WARMING_UP, Judged, heap_now

THINGS: Final = frozenset({"parked", "defers", "connections", "keys"})
DULL_TYPES: Final = frozenset({"dict", "list", "tuple", "cell", "function", "frame", "method", "set"})
MAX_TYPES: Final = 4
RARE: Final = 10  # times as rare as the most frequent type, and it is somebody else's garbage
MAX_MISMATCH: Final = 0.3  # by how much a container may have grown differently from what it is to hold
SAME_SIZE: Final = 0.3


@dataclass(frozen=True)
class Leak:
    """One verdict. Sizes in bytes, times in seconds; None where nobody knows.

    Attributes:
        verdict: `LEAK`, `cycle`, `warming up` or `steady`.
        kind: what grows: `residue` (what the dead left), `heap` (of the living), `parked`, `defers`,
            `connections`, `keys` (numbers, names or handles of the dead in a container), `garbage`.
        function: what the coroutines are called.
        site: where they were started.
        first: the number of the first of them that is known.
        live: how many live.
        finished: how many have ended while one was watching.
        heap: what the living hold and the dead left, all together.
        growth: by how much that grew; with kinds that pile up things, None.
        things: by how many these grew; None with others.
        times: in how many repeats it grew.
        repeats: how many repeats there were.
        slope: growth per second, in bytes or in things.
        r2: how straight the rise is, 0 to 1.
        confidence: how improbable so many rises are by chance.
        per_finished: growth for each that has ended.
        freed: what only the collector freed.
        exact: whether the ledger counts every block.
        allocated_at: the line that allocated it, at level `sites`.
        held_by: who holds it.
        because: what the verdict rests on, in words.
        next: commands that go on from here.
    """

    verdict: str
    kind: str
    function: str
    site: str
    first: int
    live: Count
    finished: Count
    heap: Bytes
    growth: Bytes | None
    things: Count | None
    times: int
    repeats: int
    slope: float
    r2: float | None
    confidence: Percent | None
    per_finished: Bytes | None
    freed: Bytes | None
    exact: bool
    allocated_at: str | None
    held_by: str | None
    because: str
    next: tuple[str, ...] = field(default=())

    @property
    def born(self) -> str:
        """As the table shows it: `blip (<co:6>:1)`."""
        place = self.site.partition(" in ")[0]
        if place == f"go {self.function}()":
            return place
        return f"{self.function} ({place})" if place and self.function else place or self.function or "-"

    @property
    def grew(self) -> str:
        """As the table shows it."""
        if self.freed is not None:
            return f"{self.freed} freed"
        if self.things is not None:
            return f"+{self.things} {self.kind}"
        return "-" if not self.growth else f"{'+' if self.growth > 0 else ''}{self.growth}"

    @property
    def each(self) -> str:
        """What each that ended left."""
        return "-" if self.per_finished is None else str(self.per_finished)

    @property
    def rate(self) -> str:
        """The slope, as the table shows it."""
        if self.freed is not None or not self.slope:
            return "-"
        sign = "+" if self.slope > 0 else "-"
        if self.things is not None:
            return f"{sign}{abs(self.slope):.3g}/s"
        return f"{sign}{Bytes(round(abs(self.slope)))}/s"

    @property
    def holder(self) -> str:
        """The name of who holds it."""
        return "-" if self.held_by is None else self.held_by.partition("  ")[0]

    @property
    def straight(self) -> str:
        """R2, as the table shows it."""
        return "-" if self.r2 is None else f"{self.r2:.2f}"


_COLUMNS: Final = (
    Column("verdict", "VERDICT", minimum=10),
    Column("born", "COROUTINE (born at)", minimum=12),
    Column("live", "LIVE", ">", drop=3),
    Column("finished", "ENDED", ">", drop=4),
    Column("heap", "HEAP", ">", drop=5),
    Column("grew", "GROWTH", ">"),
    Column("each", "EACH", ">", drop=2),
    Column("rate", "SLOPE", ">", drop=6),
    Column("straight", "R2", ">", drop=7),
    Column("holder", "HELD BY", minimum=8, drop=1),
)


class Leaks(Listing[Leak]):
    """What was found: LEAKs and cycles, or with `all` every verdict. True if there is any.

    Attributes:
        leaked: how many LEAKs.
        cycles: how many cycles.
        warming: how many places are not decided.
        steady: how many are well.
        judged: every verdict.
        window_s: how long it was watched.
        looks: how often.
        finished: how many coroutines ended meanwhile.
        seen: the looks themselves.
        form: how it is told: `table`, `tracker` or `json`.
    """

    def __init__(
        self, judged: Sequence[Leak], looks: Sequence[Look], *, everything: bool, form: str = "table",
        suspects: Sequence[Suspect] = (), ascii_only: bool = False, bytes_exact: bool = False,
    ) -> None:  # fmt: skip
        shown = [leak for leak in judged if everything or leak.verdict in {LEAK, CYCLE}]
        super().__init__(shown, _COLUMNS, ascii_only=ascii_only, bytes_exact=bytes_exact)
        self.judged = tuple(judged)
        self.leaked = self._count(LEAK)
        self.cycles = self._count(CYCLE)
        self.warming = self._count(WARMING_UP)
        self.steady = self._count(STEADY)
        self.looks = len(looks)
        self.window_s = Duration(looks[-1].at_s - looks[0].at_s if looks else 0.0)
        self.finished = Count(looks[-1].finished - looks[0].finished if looks else 0)
        self.form = form
        self._suspects = suspects
        self.seen = tuple(looks)

    def _count(self, verdict: str) -> int:
        return sum(leak.verdict == verdict for leak in self.judged)

    def lines(self, width: int) -> list[str]:
        """The report; no line is wider than `width`."""
        if self.form == "tracker":
            return tracker_lines(self)
        return [
            *_wrapped(self._head(), width),
            *super().lines(width),
            *_wrapped(self._reasons(), width),
            *_wrapped(self._rest(), width),
        ]

    def _head(self) -> list[str]:
        counts = [
            plural(self.leaked, "leak") if self.leaked else "no leak",
            *([plural(self.cycles, "garbage cycle")] if self.cycles else []),
            *([f"{self.warming} warming up"] if self.warming else []),
            f"{self.steady} steady",
        ]
        watched = f"{self.window_s}, {plural(self.looks, 'look')}, {plural(self.finished, 'coroutine')} ended"
        return [f"{watched}: {', '.join(counts)}"]

    def _reasons(self) -> list[str]:
        lines = []
        for leak in self:
            if leak.verdict != STEADY:
                lines.append(printable(f"{leak.verdict}  {leak.born}: {leak.because}", keep=""))
                if leak.held_by is not None:
                    lines.append(printable(f"    held by {leak.held_by}", keep=""))
                if leak.allocated_at is not None:
                    lines.append(printable(f"    allocated at {leak.allocated_at}", keep=""))
                if leak.next:
                    lines.append(f"    next: {' | '.join(leak.next)}")
        return lines

    def _rest(self) -> list[str]:
        if not self.seen:
            return []
        last, lines = self.seen[-1], []
        if self.leaked:
            named = [one for one in self._suspects if one.held_by]
            lines += [printable(f"grew: {_suspect_text(one)}", keep="") for one in named[:3]]
        collected = [look for look in self.seen if look.collected]
        if last.total_bytes is None:
            lines.append("heaps are not counted at this level: set level heap")
        elif not last.exact:
            lines.append(
                "~ by differences at switches: without the native ledger nobody knows who freed what"
            )
        longest = max((look.pause_s for look in collected), default=0.0)
        lines.append(
            f"not judged: the shell's own; each look stopped everybody for up to {Duration(longest)}"
        )
        return lines


def _wrapped(lines: Iterable[str], width: int) -> list[str]:
    """Sentences are for reading: what does not fit goes on below, indented."""
    found: list[str] = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        found += textwrap.wrap(line, max(width, 20), subsequent_indent=indent, break_on_hyphens=False)
    return fitted(found, width)


def _suspect_text(suspect: Suspect) -> str:
    dead = (
        f", of which {suspect.dead} are {suspect.what} of coroutines that have ended" if suspect.dead else ""
    )
    return f"{suspect.held_by}  {suspect.kind}, {suspect.items:,} items, {suspect.grown:,} of them new{dead}"


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


# -- evidence --------------------------------------------------------------------------------------


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


# -- Tracker's form --------------------------------------------------------------------------------

_TYPABLE: Final = re.compile(r"\w[\w.]*(?:\[[^\]]*\][\w.]*)*")
_PLACE: Final = re.compile(r"(?P<place>.*:\d+)(?: in .*)?$")


def tracker_lines(leaks: Leaks) -> list[str]:
    """`FILE:LINE => Growth Times : [n]; Growth Size : [m]`: lines that allocated at level `sites`, else births."""
    allocated = {leak.allocated_at for leak in leaks if leak.verdict == LEAK and leak.allocated_at}
    rising = [entry for entry in growing_places(leaks.seen) if entry[0] in allocated]
    lines = [_tracker_line(place, times, size) for place, times, size in rising]
    lines += [
        _tracker_line(leak.site, leak.times, int(leak.growth))
        for leak in leaks
        if leak.verdict == LEAK and leak.growth is not None and not leak.allocated_at and leak.site
    ]
    return [printable(line, keep="") for line in lines]


def _tracker_line(site: str, times: int, size: int) -> str:
    found = _PLACE.match(site)
    return f"{found['place'] if found else site} => Growth Times : [{times}]; Growth Size : [{size}]"
