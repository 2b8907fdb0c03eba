"""The verdicts as they are told: a table with its reasons for people, and Tracker's lines.

What is found comes first and is counted; what is well is only counted. Below the table stands what each verdict
rests on and what to try next, and last of all what nobody has judged: no sum hides a rest.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from coshell.listing import Listing, fitted
from coshell.render import Column
from coshell.text import plural, printable
from coshell.values import Count, Duration

from .evidence import growing_places
from .leak import Leak
from .look import Look
from .suspects import Suspect
from .verdict import CYCLE, LEAK, STEADY, WARMING_UP

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


# -- Tracker's form --------------------------------------------------------------------------------

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
