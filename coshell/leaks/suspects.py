"""Which containers have grown while one was watching, and whether what grew in them are the dead.

A leak is nearly always a list, a dictionary or a set that something is put into and nothing is taken out of. So
the lengths of all of them are noted three times; whoever grew in both halves is a suspect. If its new
keys are the numbers, the names or the handles of coroutines that have ended, it is more than a suspect.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from sys import getsizeof
from types import ModuleType
from typing import Any, Final

from coloop import Coroutine, Scheduler

MAX_OBJECTS: Final = 2_000_000  # a census of so many takes about half a second
CHUNK: Final = 50_000
MAX_SUSPECTS: Final = 5  # each costs a walk through the heap
LEAST_GROWN: Final = 8
MAX_EXAMINED: Final = 5000
MAX_SIZED: Final = 100
CONTAINERS: Final = frozenset(map(id, (list, dict, set, deque)))  # a type may have no hash, or a user's
HEAP_TYPE: Final = 1 << 9  # CPython, object.h: Py_TPFLAGS_HEAPTYPE; no other type has methods of a user's

Census = dict[int, int]


@dataclass(frozen=True)
class Suspect:
    """A container that grew.

    Attributes:
        kind: its type: `list`, `dict`, `set` or `deque`.
        items: how many are in it.
        grown: how many came while one was watching.
        dead: how many of them are numbers, names or handles of coroutines that have ended.
        what: what these are: `numbers`, `names`, `handles`; empty if there are none.
        size: about how many bytes those take that came, without what they refer to.
        held_by: who holds it; empty if nobody can tell.
    """

    kind: str
    items: int
    grown: int
    dead: int
    what: str
    size: int
    held_by: str


def census() -> Census:
    """The length of every container, by its id; empty if there are too many objects."""
    found: Census = {}
    for container in _containers():
        found[id(container)] = len(container)
    return found


def suspects(
    censuses: list[Census],
    scheduler: Scheduler,
    born_from: int,
    name_of: Callable[[Any, int], str],
    left_out: Iterable[object] = (),
) -> list[Suspect]:
    """The containers that grew from census to census, those that grew most first; on the scheduler's thread.

    Args:
        censuses: at the beginning and in the midst.
        scheduler: whose coroutines there are.
        born_from: how many coroutines there had been at the beginning.
        name_of: tells who holds a container, given that and how many of the dead are in it.
        left_out: containers that are known, and not meant.
    """
    if not all(censuses):
        return []
    ours = {*map(id, censuses), *map(id, left_out)}
    latest = censuses[-1]
    grown = []
    for container in _containers():
        size, number = len(container), id(container)
        if size > latest.get(number, 0) and size >= LEAST_GROWN and number not in ours:
            lengths = [*(one.get(number, 0) for one in censuses), size]
            if _rises(lengths):
                grown.append((size - lengths[0], container))
    grown.sort(key=lambda pair: -pair[0])
    dead = _Dead(scheduler, born_from)
    return [dead.suspect(container, size, name_of) for size, container in grown[:MAX_SUSPECTS]]


def _rises(lengths: list[int]) -> bool:
    total = lengths[-1] - lengths[0]
    least = max(1, total // 10)
    return total >= LEAST_GROWN and all(after - before >= least for before, after in pairwise(lengths))


def _containers() -> Iterator[Any]:
    """All of them, also the dictionaries that the collector does not track because they hold nothing but atoms."""
    objects = gc.get_objects()
    if len(objects) > MAX_OBJECTS:
        return
    untracked: set[int] = set()
    for begin in range(0, len(objects), CHUNK):
        chunk = objects[begin : begin + CHUNK]
        for found in chunk:
            if id(type(found)) in CONTAINERS and found is not objects and found is not chunk:
                yield found
        # What C code of a module holds is left alone: up to CPython 3.12.5 freed objects are among it.
        safe = [found for found in chunk if not issubclass(type(found), ModuleType)]
        for found in gc.get_referents(*safe):
            if type(found) is dict and not gc.is_tracked(found) and id(found) not in untracked:
                untracked.add(id(found))
                yield found


class _Dead:
    """What tells of coroutines that were born while one was watching, and have ended."""

    def __init__(self, scheduler: Scheduler, born_from: int) -> None:
        self._living = scheduler.living
        self._numbers = range(born_from + 1, scheduler.spawned + 1)
        names = {str(grave[1]) for grave in list(scheduler.graves)}
        self._names = names - {coroutine.name for coroutine in self._living.values()}

    def suspect(self, container: Any, grown: int, name_of: Callable[[Any, int], str]) -> Suspect:
        """A container, with what of the dead is in it."""
        newest = _newest(container, min(grown, MAX_EXAMINED))
        counts = {
            "handles": sum(map(self._is_handle, newest)),
            "numbers": sum(map(self._is_number, newest)) if type(container) in {dict, set} else 0,
            "names": sum(map(self._is_name, newest)) if type(container) in {dict, set} else 0,
        }
        if type(container) is dict and not counts["handles"]:
            counts["handles"] = sum(map(self._is_handle, islice(reversed(container.values()), len(newest))))
        what = max(counts, key=lambda kind: counts[kind])
        # Of a set the new ones cannot be told from the old ones, so all are looked at.
        looked_for = len(container) if type(container) is set else grown
        dead = round(counts[what] / max(1, len(newest)) * looked_for)
        is_telling = dead >= max(LEAST_GROWN, grown // 2)
        return Suspect(
            kind=type(container).__name__,
            items=len(container),
            grown=grown,
            dead=dead if is_telling else 0,
            what=what if is_telling else "",
            size=grown * _mean_size(container, newest),
            held_by=name_of(container, dead if is_telling else 0),
        )

    @staticmethod
    def _is_handle(item: Any) -> bool:
        return type(item) is Coroutine and item.ended

    def _is_number(self, item: Any) -> bool:
        return type(item) is int and item in self._numbers and item not in self._living

    def _is_name(self, item: Any) -> bool:
        return type(item) is str and item in self._names


def _mean_size(container: Any, newest: list[Any]) -> int:
    sample = newest[:MAX_SIZED]
    if not sample:
        return 0
    values = islice(reversed(container.values()), len(sample)) if type(container) is dict else ()
    return sum(map(_size_of, (*sample, *values))) // len(sample)


def _size_of(item: Any) -> int:
    """What an object takes, as far as it can be told without running the user's code."""
    flags = type.__dict__["__flags__"].__get__(type(item))
    return object.__sizeof__(item) if flags & HEAP_TYPE else getsizeof(item)


def _newest(container: Any, count: int) -> list[Any]:
    """The keys or items that came last; of a set any, as it knows no order."""
    if isinstance(container, set):
        return list(islice(container, MAX_EXAMINED))
    items: Iterable[Any] = reversed(container)
    return list(islice(items, count))
