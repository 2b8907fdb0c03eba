"""Two moments side by side: what a call has cost is what stands between the mark before it and the one behind.

A mark is numbers only, taken behind a full collection, so that it holds nothing and shows no garbage. There
may be so many of them and no more; the oldest goes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

from coloop import CoroutinePicture
from coshell.render import Column
from coshell.values import Bytes, Count, Duration

from .look import Look, heap_of

MAX_MARKS: Final = 32
MAX_COROUTINES: Final = 500
MAX_SITES: Final = 500


@dataclass(frozen=True)
class Mark:
    """One moment. Sizes in bytes.

    Attributes:
        name: what it is called.
        at_s: when, on the scheduler's clock.
        level: what was counted.
        process: figures of the whole process by name; bytes, or numbers of things.
        sites: heap, and how many have been born, by place of birth; the largest.
        coroutines: heap of the living by number and name; the largest.
        places: live heap by place of allocation, at level `sites`.
    """

    name: str
    at_s: float
    level: str
    process: Mapping[str, int]
    sites: Mapping[str, tuple[int, int]]
    coroutines: Mapping[str, int]
    places: Mapping[str, int]


@dataclass(frozen=True)
class Change:
    """What is not as it was.

    Attributes:
        of: `process`, `born at`, `coroutine` or `allocated at`.
        name: whose: a figure's name, a place, `co#3 worker`.
        before: what it was, in bytes; a number of things where it counts things.
        after: what it is.
        change: the difference.
        born: how many coroutines were started there in between; None where none could be.
    """

    of: str
    name: str
    before: Bytes | Count
    after: Bytes | Count
    change: Bytes | Count
    born: Count | None = None

    @property
    def signed(self) -> str:
        """The difference with its sign."""
        return f"{'+' if self.change > 0 else ''}{self.change}"


COLUMNS: Final = (
    Column("of", "OF", minimum=8),
    Column("name", "NAME", minimum=12),
    Column("before", "BEFORE", ">"),
    Column("after", "AFTER", ">"),
    Column("signed", "CHANGE", ">"),
    Column("born", "BORN", ">", drop=1),
)


def mark_of(
    name: str, look: Look, level: str, process: Mapping[str, int], living: tuple[CoroutinePicture, ...]
) -> Mark:
    """A mark made of what was seen."""
    largest = nlargest(MAX_COROUTINES, living, key=lambda picture: picture.heap_bytes or 0)
    lines = nlargest(MAX_SITES, look.sites.values(), key=heap_of)
    return Mark(
        name=name,
        at_s=look.at_s,
        level=level,
        process=dict(process),
        sites={line.site: (heap_of(line), line.spawned) for line in lines},
        coroutines={f"co#{one.id} {one.name}": one.heap_bytes or 0 for one in largest},
        places=dict(look.places),
    )


def changes(before: Mark, after: Mark, counts: frozenset[str] = frozenset()) -> Iterator[Change]:
    """What has changed from one mark to the other: the process first, then the largest changes of each kind.

    Args:
        before: the earlier.
        after: the later.
        counts: the figures of the process that are numbers of things.
    """
    for name, size in after.process.items():
        kind = Count if name in counts else Bytes
        old = before.process.get(name, 0)
        yield Change("process", name, kind(old), kind(size), kind(size - old))
    if before.level != after.level:
        return
    sites = {site: size for site, (size, _) in after.sites.items()}
    old_sites = {site: size for site, (size, _) in before.sites.items()}
    for change in _changed("born at", old_sites, sites):
        born = after.sites.get(change.name, (0, 0))[1] - before.sites.get(change.name, (0, 0))[1]
        yield Change(change.of, change.name, change.before, change.after, change.change, Count(max(0, born)))
    yield from _changed("coroutine", before.coroutines, after.coroutines)
    yield from _changed("allocated at", before.places, after.places)


def _changed(of: str, before: Mapping[str, int], after: Mapping[str, int]) -> list[Change]:
    found = [
        Change(of, name, Bytes(before.get(name, 0)), Bytes(after.get(name, 0)), Bytes(difference))
        for name in {**before, **after}
        if (difference := after.get(name, 0) - before.get(name, 0))
    ]
    return sorted(found, key=lambda change: -abs(change.change))


class Marks:
    """The marks by name, oldest first."""

    def __init__(self, limit: int = MAX_MARKS) -> None:
        self._marks: dict[str, Mark] = {}
        self._limit = limit

    def add(self, mark: Mark) -> str:
        """Remember a mark; one of the same name is forgotten. Returns the name of one that had to go for it."""
        self._marks.pop(mark.name, None)
        self._marks[mark.name] = mark
        if len(self._marks) <= self._limit:
            return ""
        oldest = next(iter(self._marks))
        del self._marks[oldest]
        return oldest

    def get(self, name: str) -> Mark | None:
        """The mark of that name."""
        return self._marks.get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._marks))

    def __len__(self) -> int:
        return len(self._marks)


def elapsed(before: Mark, after: Mark) -> Duration:
    """How much time lies between, on the scheduler's clock."""
    return Duration(after.at_s - before.at_s)
