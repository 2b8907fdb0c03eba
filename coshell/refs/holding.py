"""What holds most of a crowd of objects: the one list that a thousand leaked buffers have in common.

The objects of a leak hold each other, so only those count that something else holds: the outermost. From each of them a
way leads to a root. The answer is what most of these ways have in common, as near to the objects as
possible. If they share no object, they may still begin in the same way, as a variable of a thousand
coroutines does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from coshell.text import plural

from .attributes import isinstance_of
from .chain import Chain, chain_of
from .naming import type_name
from .roots import Root, barred_types, closed, roots
from .search import LIMIT_S
from .walk import Holder, Walk, collector_at_rest

if TYPE_CHECKING:
    from coshell.shell import Shell

MAX_OBJECTS: Final = 10_000
MAX_WAYS: Final = 200
_SIZED: Final = (list, dict, tuple, set, frozenset)

Way = tuple[Root, list[Any]]


@dataclass(frozen=True)
class Holding:
    """What holds most of some objects.

    Attributes:
        root: where it is, as `__main__.cache` or `__main__.table['open']`.
        kind: what the root is: `module global`, `local variable` ...
        type: the type of what holds them.
        items: how many things that contains, if it is a container.
        share: the part of the objects that it leads to, as far as they were looked at; 0 to 1.
    """

    root: str
    kind: str
    type: str
    items: int | None
    share: float

    def __str__(self) -> str:
        items = "" if self.items is None else f", {plural(self.items, 'item')}"
        return f"{self.root}  {self.type}{items}"


def held_by(shell: Shell, objects: Iterable[object], limit_s: float = LIMIT_S) -> Holding | None:
    """What holds most of these objects.

    Runs on the scheduler's thread, wherever it is called, and holds that up for as long as `refs` does.

    Args:
        shell: what is its own is left out.
        objects: any; the first `MAX_OBJECTS` of them are looked for.
        limit_s: when to give up, in seconds of computing.

    Returns:
        None if no root leads to any: all are garbage, or held where the collector cannot see.
    """
    wanted = list(islice(objects, MAX_OBJECTS))
    found: Holding | None = shell.bridge.call(_held_by, shell, wanted, limit_s)
    return found


def _held_by(shell: Shell, wanted: list[object], limit_s: float) -> Holding | None:
    with collector_at_rest():
        deadline_s = time.thread_time() + limit_s
        walk = Walk(roots(shell), wanted, closed=closed(shell), barred=barred_types(), deadline_s=deadline_s)
        walk.run(lambda so_far: _hits(so_far) * 2 >= len(wanted))
        ways = [(root, [root.value]) for root in walk.roots[:MAX_WAYS]]
        ways += walk.paths(_spread(walk.holders))
        return _common(ways) if ways else None


def _hits(walk: Walk) -> int:
    return len({number for _, _, number in walk.holders} | {id(root.value) for root in walk.roots})


def _spread(holders: list[Holder]) -> list[Holder]:
    """At most so many of them, from beginning to end."""
    return holders[:: len(holders) // MAX_WAYS + 1]


def _common(ways: list[Way]) -> Holding:
    crossings = Counter(number for _, path in ways for number in dict.fromkeys(map(id, path)))
    best, share = _deepest(ways, crossings)
    if best is not None:
        root, path = best
        return _holding(chain_of(root, path), path[-1], share)
    return _alike(ways)


def _deepest(ways: list[Way], crossings: Counter[int]) -> tuple[Way | None, float]:
    """The longest beginning of a way that more than half of them share."""
    best: Way | None = None
    share = 0.0
    for root, path in ways:
        depth = sum(crossings[id(value)] * 2 > len(ways) for value in path)
        if depth > (0 if best is None else len(best[1])):
            best, share = (root, path[:depth]), crossings[id(path[depth - 1])] / len(ways)
    return best, share


def _alike(ways: list[Way]) -> Holding:
    """They have no object in common: how do most of them begin?"""
    groups = Counter((root.kind, root.name, root.at) for root, _ in ways)
    (kind, name, at), count = groups.most_common(1)[0]
    root, path = next(way for way in ways if (way[0].kind, way[0].name, way[0].at) == (kind, name, at))
    if count == 1:
        return _holding(chain_of(root, path), path[-1], 1 / len(ways))
    shown = f"{name} of {plural(count, 'coroutine')}{f' at {at}' if at else ''}"
    return Holding(shown, kind, type_name(path[0]), None, count / len(ways))


def _holding(chain: Chain, last: Any, share: float) -> Holding:
    kind = next((kind for kind in _SIZED if isinstance_of(last, kind)), None)
    items = None if kind is None else kind.__len__(last)
    return Holding(chain.written, chain.kind, type_name(last), items, share)
