"""Why an object is alive that no root leads to: a cycle, something in C, or only the question itself.

Three numbers decide. How often the object is referred to is told by `sys.getrefcount`. How many of these
are our own is measured, with an object that nobody else can know, on the same way. How many come from objects
that the collector sees is counted. What is left over is in C, or on the value stack of a frame in the midst of an
expression: nobody can look there.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from coshell.text import plural

from .attributes import instance_dict, referents
from .chain import Chain, ring_of
from .naming import type_name

MAX_STEPS_BACK: Final = 20  # each looks at the whole heap
MAX_ANCESTORS: Final = 1000

NOTHING: Final = Chain("", "nothing", remark="nothing else holds it")


def explain(target: Any, references: int, own: set[int], barred: set[int]) -> Chain:
    """Why it is alive.

    Args:
        target: an object that no root leads to.
        references: how many there are to it, without our own.
        own: ids of containers that are our own.
        barred: ids of types that are not looked through.
    """
    rings = _ancestors(target, own, barred)
    cycle = _cycle(rings)
    if cycle is not None:
        way = "it is in" if id(target) in set(map(id, cycle)) else "nobody holds it but"
        remark = f"{way} a cycle that only the collector frees (gc): {ring_of(_begun_well(cycle))}"
        return Chain("", "cycle", remark=remark)
    holders = rings[1] if len(rings) > 1 else []
    # No comprehension may close over the target: the cell would be one more holder.
    seen = sum(map(_counter(target), holders))
    if holders and references <= seen:
        names = ", ".join(dict.fromkeys(map(type_name, holders[:3])))
        return Chain("", "unseen", remark=f"it is held by a {names} that {_UNSEEN}")
    if references > seen:
        noun = f"{plural(references - seen, 'reference')} unaccounted"
        return Chain("", "unseen", remark=f"it is held by something that the collector cannot see: {noun}")
    return NOTHING


_UNSEEN: Final = (
    "something holds which the collector cannot see: C code, or an expression that is not finished"
)


def _ancestors(target: Any, own: set[int], barred: set[int]) -> list[list[Any]]:
    """The target; what holds it; what holds that; and so on, each once."""
    barred = {id(FrameType)} | barred
    rings = [[target]]
    met = {id(target), id(rings)} | own
    for _ in range(MAX_STEPS_BACK):
        ring = rings[-1]
        asked = tuple(ring)  # CPython 3.13 gives this one, too, as a holder
        met.update(map(id, (ring, asked)))
        found = gc.get_referrers(*asked)
        fresh = [one for one in found if id(one) not in met and id(type(one)) not in barred]
        met.update(map(id, (fresh, found)))
        met.update(map(id, fresh))
        if not fresh or sum(map(len, rings)) > MAX_ANCESTORS:
            break
        rings.append(fresh)
    return rings


def _cycle(rings: list[list[Any]]) -> list[Any] | None:
    """The cycle that is nearest to the target: from one of its ancestors to the same again."""
    among = {id(one): one for ring in rings for one in ring}
    for ring in rings:
        for one in ring:
            found = _way_back(one, among)
            if found is not None:
                return found
    return None


def _way_back(start: Any, among: dict[int, Any]) -> list[Any] | None:
    """The shortest way from an object to itself, through the ancestors of the target."""
    led_by: dict[int, Any] = {}
    front = [start]
    while front:
        following = []
        for one in front:
            for held in referents(one):
                if held is start:
                    return _collected(one, led_by, start)
                if id(held) in among and id(held) not in led_by:
                    led_by[id(held)] = one
                    following.append(held)
        front = following
    return None


def _collected(last: Any, led_by: dict[int, Any], start: Any) -> list[Any]:
    path = [start, last]
    while path[-1] is not start:
        path.append(led_by[id(path[-1])])
    return path[::-1]


def _begun_well(cycle: list[Any]) -> list[Any]:
    """The same cycle, begun with an object and not with the dictionary of its attributes."""
    if type(cycle[0]) is dict and instance_dict(cycle[-2]) is cycle[0]:
        return [cycle[-2], *cycle[:-1]]
    return cycle


def _counter(target: Any) -> Callable[[Any], int]:
    """A function that counts the references from an object to the target."""
    number = id(target)
    return lambda holder: list(map(id, referents(holder))).count(number)
