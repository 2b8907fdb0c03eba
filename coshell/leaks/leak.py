"""One verdict with all that is known for it: plain values for programs, and in the words that a table shows."""

from __future__ import annotations

from dataclasses import dataclass, field

from coshell.values import Bytes, Count, Percent


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
