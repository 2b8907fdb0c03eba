"""LEAK, cycle, warming up or steady: one word for each place of birth, from looks alone.

What the dead have left is set against how many have died, not against time, so that traffic which comes
and goes makes no difference. What the living hold is set against the time in which they could run. A LEAK is
only what has grown in every repeat; a cycle is what nobody held and only the collector freed; who has grown,
but too seldom to tell, or ever less, is warming up. Nothing here runs anything, so all of it can be tried with
made-up looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from coloop import SpawnSite

from .look import Look, heap_of
from .sharing import shared
from .trend import MIN_REPEATS, Point, Trend, lowest, trend

LEAK: Final = "LEAK"
CYCLE: Final = "cycle"
WARMING_UP: Final = "warming up"
STEADY: Final = "steady"
VERDICTS: Final = (LEAK, CYCLE, WARMING_UP, STEADY)

DUST_BYTES: Final = 256  # for each coroutine that has ended; METER.md, section 5
# Where heap is read at switches, a connection is on the account of the acceptor that made it, and its end on that of its
# handler: 330 bytes, for each that has ended.
PASSED_ON_BYTES: Final = 512
EXACT_DUST_BYTES: Final = 32  # where every byte is counted, and the line is straight
WARMED_UP: Final = 1000  # coroutines that have ended: by then the runtime's own pools and memories are full
EXACT_MIN_FINISHED: Final = 30
STRAIGHT_R2: Final = 0.9
RISING_R2: Final = 0.75
SURE: Final = 0.95
LEAST_GROWTH_BYTES: Final = 1024
LEAST_LIVING_BYTES: Final = 4096
KEPT_DEAD: Final = 256  # the runtime remembers so many, and their names are their spawner's
CYCLE_DUST_BYTES: Final = 128
EXACT_CYCLE_DUST_BYTES: Final = 64
LEAST_CYCLE_BYTES: Final = 1024
LEAST_PARKED: Final = 5
LEAST_DEFERS: Final = 8
LEAST_CONNECTIONS: Final = 5


@dataclass(frozen=True)
class Judged:
    """The verdict on one place of birth, and what it rests on. Sizes in bytes.

    Attributes:
        verdict: `LEAK`, `cycle`, `warming up` or `steady`.
        kind: what grows: `residue` (what the dead left), `heap` (of the living), `parked`, `defers`,
            `connections`, `keys` (ids or handles of the dead); or `garbage`.
        site: the place of birth; empty if it is not known.
        line: the last that is known of it.
        trend: how the quantity went on; None if it was seen too seldom.
        growth: how much it grew, in bytes, or in things where it is things that pile up.
        finished: how many coroutines of that place have ended meanwhile.
        per_finished: growth for each of them, in bytes.
        slope: growth per second.
        freed: what only the collector freed, in bytes; scaled up by what it had freed without being asked.
        sentence: the same in words.
    """

    verdict: str
    kind: str
    site: str
    line: SpawnSite | None
    trend: Trend | None
    growth: float
    finished: int
    per_finished: float | None
    slope: float
    freed: int | None
    sentence: str


def judge(looks: Sequence[Look], left_out: Collection[str] = ()) -> list[Judged]:
    """The verdicts, worst first.

    Args:
        looks: in their order; the last should be behind a collection.
        left_out: places that are not to be judged.
    """
    if len(looks) < 2:
        return []
    looks = shared(looks, left_out)
    judged = [one for site in looks[-1].sites if site not in left_out for one in _Place(site, looks).judged()]
    judged += _connections(looks)
    return sorted(judged, key=_severity)


def _severity(judged: Judged) -> tuple[int, float]:
    return VERDICTS.index(judged.verdict), -abs(judged.freed or judged.growth)


class _Place:
    """One place of birth, in the looks since it was first seen or last began anew."""

    def __init__(self, site: str, looks: Sequence[Look]) -> None:
        self.site = site
        self.looks = _since_reset(site, looks)
        self.lines = [look.sites.get(site) or _unborn(looks[-1].sites[site]) for look in self.looks]
        self.line = self.lines[-1]
        self.finished = self.line.finished - self.lines[0].finished
        self.seconds = self.looks[-1].age_s - self.looks[0].age_s
        self.exact = looks[-1].exact

    def judged(self) -> list[Judged]:
        found = [one for one in (self._residue(), self._piling_up(), self._garbage()) if one is not None]
        bad = [one for one in found if one.verdict != STEADY]
        if any(one.verdict == LEAK for one in bad):
            bad = [one for one in bad if one.verdict != WARMING_UP]
        return bad or found[:1] or [self._told(STEADY, "heap", None, 0.0, "")]

    # -- the dead ----------------------------------------------------------------------------------

    def _residue(self) -> Judged | None:
        """What the dead left, against how many have ended."""
        if self.line.residue_bytes is None or self.finished == 0:
            return None
        found = trend(self._series(lambda line: line.finished, lambda line: line.residue_bytes or 0))
        if found is None:
            return None
        verdict = self._verdict_on_residue(found)
        sentence = {
            LEAK: f"each that ended left {round(found.rate):,} B, none of it freed by the collector",
            WARMING_UP: f"those that ended left {round(found.growth):,} B, in {found.times} of"
            f" {found.repeats} repeats",
        }.get(verdict, "")
        return self._told(verdict, "residue", found, found.growth, sentence, per_finished=found.rate)

    def _verdict_on_residue(self, found: Trend) -> str:
        if found.rate < DUST_BYTES and not self._is_fine_dust(found):
            return STEADY
        if found.growth < LEAST_GROWTH_BYTES:
            return STEADY
        if found.always and not found.slowing and self._is_rise(found):
            return LEAK
        return WARMING_UP if found.times else STEADY

    def _is_fine_dust(self, found: Trend) -> bool:
        """Little for each, but of that no byte is in doubt, and nothing is any more done for the first time."""
        is_known = self.exact and self.looks[0].finished >= WARMED_UP
        is_straight = found.r2 >= STRAIGHT_R2 and not found.falls and found.over >= EXACT_MIN_FINISHED
        return is_known and is_straight and found.rate >= EXACT_DUST_BYTES

    @staticmethod
    def _is_rise(found: Trend) -> bool:
        return found.r2 >= RISING_R2 and (not found.falls or found.confidence >= SURE)

    # -- the living --------------------------------------------------------------------------------

    def _piling_up(self) -> Judged | None:
        """What grows in or around those that live: the most telling of it."""
        return self._parked() or self._defers() or self._heap()

    def _parked(self) -> Judged | None:
        """More and more wait for what does not come."""
        found = self._over_time(lambda line: line.parked)
        if found is not None and found.always and found.growth >= LEAST_PARKED and not found.slowing:
            told = f"{self.line.parked:,} wait for what only another coroutine can bring, and ever more do"
            return self._told(LEAK, "parked", found, found.growth, told)
        found = self._over_time(lambda line: line.waiting)
        few_end = self.finished < 0.1 * (self.line.spawned - self.lines[0].spawned)
        if found is not None and found.always and found.growth >= LEAST_PARKED and few_end:
            told = f"{self.line.waiting:,} wait, ever more do, and hardly any ends"
            return self._told(WARMING_UP, "parked", found, found.growth, told)
        return None

    def _defers(self) -> Judged | None:
        """Calls that are deferred to an end that does not come."""
        found = self._over_life(lambda line: line.defers / line.live)
        if found is None or not found.always or found.growth < LEAST_DEFERS or found.slowing:
            return None
        told = f"{self.line.defers:,} deferred calls wait for an end that does not come, and ever more do"
        return self._told(LEAK, "defers", found, found.growth * self.line.live, told)

    def _heap(self) -> Judged | None:
        """What each of the living holds, against time."""
        if self.line.live_bytes is None:
            return None
        found = self._over_life(lambda line: (line.live_bytes or 0) / line.live)
        if found is None:
            return None
        growth = found.growth * self.line.live
        ended = self.looks[-1].finished - self.looks[0].finished
        dust = DUST_BYTES if self.exact else PASSED_ON_BYTES
        if growth < LEAST_LIVING_BYTES + dust * min(ended, KEPT_DEAD):
            return self._told(STEADY, "heap", found, growth, "")
        verdict = WARMING_UP if found.times else STEADY
        if found.always and not found.slowing and self._is_rise(found):
            verdict = LEAK
        told = {
            LEAK: "the heap of those that live rises, and the collector frees nothing of that",
            WARMING_UP: f"the heap of those that live rose in {found.times} of {found.repeats} repeats",
        }.get(verdict, "")
        return self._told(verdict, "heap", found, growth, told)

    # -- garbage -----------------------------------------------------------------------------------

    def _garbage(self) -> Judged | None:
        """What nobody held, and only the collector freed."""
        looked = [look for look in self.looks[1:] if look.collected]
        freed = [look.garbage.get(self.site, 0) for look in looked]
        total = math.floor(sum(freed) * self._unasked_share(looked))
        often = sum(size > 0 for size in freed) >= min(2, len(looked))
        dust = EXACT_CYCLE_DUST_BYTES if self.exact else CYCLE_DUST_BYTES
        if not often or total < max(LEAST_CYCLE_BYTES, dust * self.finished):
            return None
        who = f"{self.finished:,} that ended" if self.finished else "those that live"
        told = f"{who} left {total:,} B to the collector: they hold each other in a cycle"
        per = total / self.finished if self.finished else None
        return self._told(CYCLE, "garbage", None, 0.0, told, per_finished=per, freed=total)

    def _unasked_share(self, looked: Sequence[Look]) -> float:
        """By how much there was more garbage than the looks have found: the collector also runs by itself."""
        found = sum(look.garbage_objects for look in looked)
        unasked = self.looks[-1].found_unasked - self.looks[0].found_unasked
        return 1 + max(0, unasked) / found if found else 1.0

    # -- both --------------------------------------------------------------------------------------

    def _over_time(self, value: Callable[[SpawnSite], float]) -> Trend | None:
        points = [(look.age_s, value(line)) for look, line in zip(self.looks, self.lines, strict=True)]
        return trend(self._thinned(points))

    def _over_life(self, value: Callable[[SpawnSite], float]) -> Trend | None:
        """The same since some lived there; None if for a time nobody did, or nobody does."""
        pairs = list(zip(self.looks, self.lines, strict=True))
        while pairs and not pairs[0][1].live:
            del pairs[0]
        if not pairs or not all(line.live for _, line in pairs):
            return None
        return trend(self._thinned([(look.age_s, value(line)) for look, line in pairs]))

    def _series(self, x: Callable[[SpawnSite], float], y: Callable[[SpawnSite], float]) -> list[Point]:
        return self._thinned([(x(line), y(line)) for line in self.lines])

    def _thinned(self, points: list[Point]) -> list[Point]:
        """Where no look was behind a collection, only the lowest points mean anything."""
        return points if self.looks[0].collected else lowest(points)

    def _told(
        self,
        verdict: str,
        kind: str,
        found: Trend | None,
        growth: float,
        sentence: str,
        *,
        per_finished: float | None = None,
        freed: int | None = None,
    ) -> Judged:
        return Judged(
            verdict=verdict,
            kind=kind,
            site=self.site,
            line=self.line,
            trend=found,
            growth=growth,
            finished=self.finished,
            per_finished=per_finished,
            slope=growth / self.seconds if self.seconds > 0 else 0.0,
            freed=freed,
            sentence=sentence,
        )


def _since_reset(site: str, looks: Sequence[Look]) -> list[Look]:
    """The looks since heaps were last counted from zero, or the ledger has forgotten the place."""
    begin = 0
    for place in range(1, len(looks)):
        before, after = looks[place - 1].sites.get(site), looks[place].sites.get(site)
        if before is not None and (after is None or after.finished < before.finished):
            begin = place
    return list(looks[begin:])


def _unborn(line: SpawnSite) -> SpawnSite:
    """A place before anybody was born there."""
    known = None if line.live_bytes is None else 0
    return line._replace(
        live=0, finished=0, spawned=0, waiting=0, parked=0, defers=0,
        live_bytes=known, residue_bytes=known, oldest_s=0.0,
    )  # fmt: skip


def _connections(looks: Sequence[Look]) -> list[Judged]:
    """Connections that are open, and that nobody attends to."""
    judged = []
    for owner, count in looks[-1].unattended.items():
        found = trend([(look.age_s, look.unattended.get(owner, 0)) for look in looks])
        if found is None or not found.always or found.growth < LEAST_CONNECTIONS or found.slowing:
            continue
        seconds = looks[-1].age_s - looks[0].age_s
        told = f"{count:,} connections of {owner} are open, nobody reads or writes there, and ever more are"
        slope = found.growth / seconds if seconds > 0 else 0.0
        judged.append(
            Judged(LEAK, "connections", owner, None, found, found.growth, 0, None, slope, None, told)
        )
    return judged


def heap_now(judged: Judged) -> int:
    """What the living and the dead of its place hold."""
    return 0 if judged.line is None else heap_of(judged.line)


def too_few(looks: Sequence[Look]) -> bool:
    """Whether so little was seen that no place could have been called a LEAK."""
    return len(looks) <= MIN_REPEATS
