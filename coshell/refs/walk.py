"""From all roots at once outwards, ring by ring, until the target is met: so the first chain is a shortest one.

The collector knows what an object refers to (`gc.get_referents`), and tells it of a hundred thousand at a
time; asking one by one, and noting for each who led to it, costs ten times as much. So only the rings are kept.
When a target turns up in a ring, its holder is looked for in the ring before, and so on back to the root.
Backwards (`gc.get_referrers`) every step would cost a look at the whole heap, and would not see what
lies in a tuple or dictionary that the collector has stopped to track.

While it goes on nothing else runs on this thread, and no collection; what has been met is held until the end.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context
from itertools import compress, islice, repeat
from operator import is_
from types import ModuleType
from typing import Any, Final

from .attributes import module_dict
from .roots import Root

CHUNK: Final = 50_000  # objects that are looked at between two looks at the clock
SMALL_CHUNK: Final = 1000  # among so many a holder is looked for one by one
MAX_HOLDERS: Final = 10_000  # that are told apart, in one ring

Holder = tuple[int, Any, int]  # the ring it is in, itself, and the target's id


class Walk:
    """One search, from its roots to its targets.

    Args:
        roots: where to begin; of several with the same value the first counts.
        targets: what is looked for; the search does not go on behind them.
        closed: objects that are not entered.
        barred: types whose objects are not entered.
        deadline_s: when to give up, on `time.thread_time`'s clock, so that a busy machine does not count.

    Attributes:
        roots: those that hold a target themselves.
        holders: what else holds a target, nearest first.
        looked_at: how many objects were met.
        gave_up: the deadline came first.
    """

    def __init__(
        self,
        roots: Iterable[Root],
        targets: Iterable[object],
        *,
        closed: Iterable[object] = (),
        barred: Iterable[type] = (),
        deadline_s: float = float("inf"),
    ) -> None:
        self._targets = {id(target): target for target in targets}
        # What the collector does not track holds only what it never tracks.
        self._through_untracked = not all(map(gc.is_tracked, self._targets.values()))
        self._barred = {id(kind) for kind in barred}
        self._special: dict[int, bool] = {}
        self._kept_types: list[type] = []
        self._deadline_s = deadline_s
        self._seen = set(self._targets)
        self._seen.update(map(id, closed))
        self._first: dict[int, Root] = {}
        self.roots: list[Root] = []
        self.holders: list[Holder] = []
        self.gave_up = False
        self._rings: list[list[Any]] = [self._entered(self._values(roots))]

    @property
    def looked_at(self) -> int:
        """How many objects were met."""
        return sum(map(len, self._rings))

    def _values(self, roots: Iterable[Root]) -> list[Any]:
        for count, root in enumerate(roots):
            if count % CHUNK == 0 and time.thread_time() > self._deadline_s:
                self.gave_up = True
                break
            number = id(root.value)
            if number in self._targets:
                self.roots.append(root)
            self._first.setdefault(number, root)
        return [root.value for root in self._first.values()]

    def run(self, enough: Callable[[Walk], bool]) -> None:
        """Go outwards until there is enough, or nothing left, or no time."""
        while self._rings[-1] and not self.gave_up and not enough(self):
            ring = self._rings[-1]
            following: list[Any] = []
            is_met = False
            for start in range(0, len(ring), CHUNK):
                if time.thread_time() > self._deadline_s:
                    self.gave_up = True
                    return
                led_to = self.led_to(ring[start : start + CHUNK])
                is_met = is_met or _meets(led_to, self._targets)
                following += self._entered(led_to)
            if is_met:
                self.holders += islice(self._holders_in(len(self._rings) - 1), MAX_HOLDERS)
            self._rings.append(following)

    def _entered(self, values: list[Any]) -> list[Any]:
        """Those that were not met before, and may lead on."""
        worth = list(compress(values, map(gc.is_tracked, values)))
        if self._through_untracked:
            worth += [v for v in values if (type(v) is dict or type(v) is tuple) and not gc.is_tracked(v)]
        found = dict(zip(map(id, worth), worth, strict=True))
        fresh = [value for number, value in found.items() if number not in self._seen]
        self._seen.update(found)
        kinds = set(map(id, map(type, fresh)))
        if self._barred.isdisjoint(kinds):
            return fresh
        return [value for value in fresh if id(type(value)) not in self._barred]

    def led_to(self, values: list[Any]) -> list[Any]:
        """All that these refer to; some of it more than once."""
        types = list(map(type, values))
        kinds = dict(zip(map(id, types), types, strict=True))
        special = {number for number, kind in kinds.items() if self._is_special(number, kind)}
        if not special:
            return gc.get_referents(*values)
        plain = [value for value in values if id(type(value)) not in special]
        found = gc.get_referents(*plain)
        for value in values:
            if id(type(value)) in special:
                found += _inside(value)
        return found

    def _is_special(self, number: int, kind: type) -> bool:
        known = self._special.get(number)
        if known is None:
            self._kept_types.append(kind)  # so that no other type gets its number
            known = self._special[number] = issubclass(kind, (ModuleType, Context))
        return known

    def _holders_in(self, depth: int) -> Iterator[Holder]:
        for value in self._those_that_lead_to(depth, self._targets):
            for number in dict.fromkeys(map(id, self.led_to([value]))):
                if number in self._targets:
                    yield depth, value, number

    def _those_that_lead_to(self, depth: int, wanted: dict[int, Any]) -> Iterator[Any]:
        ring = self._rings[depth]
        for start in range(0, len(ring), SMALL_CHUNK):
            chunk = ring[start : start + SMALL_CHUNK]
            if _meets(self.led_to(chunk), wanted):
                yield from (value for value in chunk if _meets(self.led_to([value]), wanted))

    def paths(self, holders: list[Holder]) -> list[tuple[Root, list[Any]]]:
        """For each holder the root, and the way from the root's value to itself."""
        parents: dict[int, Any] = {}
        wanted: dict[int, Any] = {}
        for depth in range(max((holder[0] for holder in holders), default=0), 0, -1):
            wanted.update((id(value), value) for ring, value, _ in holders if ring == depth)
            wanted = self._parents(depth - 1, wanted, parents)
        return [self._path(value, parents) for _, value, _ in holders]

    def _parents(self, depth: int, wanted: dict[int, Any], parents: dict[int, Any]) -> dict[int, Any]:
        """Note for each of the wanted the first of a ring that leads to it; returns these."""
        found: dict[int, Any] = {}
        missing = dict(wanted)
        for value in self._those_that_lead_to(depth, missing):
            for number in missing.keys() & set(map(id, self.led_to([value]))):
                parents[number] = found[id(value)] = value
                del missing[number]
            if not missing:
                break
        return found

    def _path(self, value: Any, parents: dict[int, Any]) -> tuple[Root, list[Any]]:
        path = [value]
        while id(path[-1]) in parents:
            path.append(parents[id(path[-1])])
        path.reverse()
        return self._first[id(path[0])], path


def _meets(values: list[Any], wanted: dict[int, Any]) -> bool:
    """Whether any of the wanted is among the values; without making a number for each, where it is one."""
    if len(wanted) == 1:
        (only,) = wanted.values()
        return any(map(is_, values, repeat(only)))
    return not wanted.keys().isdisjoint(map(id, values))


def _inside(value: Any) -> list[Any]:
    """What objects hold that the collector must not be asked about."""
    if type(value) is Context:
        return [held for pair in value.items() for held in pair]
    # Its names, and not what its C code holds: asyncio's held freed objects until CPython 3.12.6
    # (gh-122695), and looking at one of them ruined the heap.
    return [module_dict(value)]


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """No collection in this block: it would run finalizers, and change the heap under our eyes."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
