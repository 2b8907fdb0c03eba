"""Without the native ledger nobody knows whose a freed block was; here it is divided among those that grew.

tracemalloc's differences credit whoever runs when something is freed: garbage of a thousand dead handlers makes the
coroutine rich in which the collector happened to run, and the dead seem to have left everything. But what
all hold together is known. So what was credited to the wrong ones, and what a look's own collection has
freed, is taken from those that grew meanwhile: first from those that start others, as the handle of whoever
ends is credited elsewhere, then in proportion to their growth. Two that grow at the same time, and of which
one makes garbage, cannot be told apart in this way; the native ledger can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from .look import Look

HANDLE_BYTES: Final = 512  # at most, of a coroutine's handle, name and first frame


def shared(looks: Sequence[Look], left_out: Collection[str] = ()) -> list[Look]:
    """The same looks, with what was freed on the account of those whose it probably was.

    Args:
        looks: in their order.
        left_out: the places of whoever looks; they are credited with what a look has freed.
    """
    if not looks or looks[0].exact:
        return list(looks)
    result = [looks[0]]
    from_living: Counter[str] = Counter()
    from_dead: Counter[str] = Counter()
    for before, after in pairwise(looks):
        living = _changed(before, after, left_out, "live_bytes")
        dead = _changed(before, after, left_out, "residue_bytes")
        _move_to_the_dead(living, dead)
        astray = _astray(before, after, [*living.values(), *dead.values()])
        handles = HANDLE_BYTES * max(0, after.finished - before.finished)
        living, dead = +living, +dead
        for site in living:
            taken = min(living[site], astray, handles)
            living[site] -= taken
            from_living[site] += taken
            astray -= taken
            living[site] -= min(living[site], handles)  # what is left of that is no garbage, either
        risen = sum(living.values()) + sum(dead.values())
        freed = after.garbage_bytes + after.spare_bytes
        share = min(1.0, (astray + freed) / risen) if risen else 0.0
        of_garbage = min(1.0, after.garbage_bytes / risen) if risen else 0.0
        garbage: Counter[str] = Counter()
        for sizes, taken_from in ((living, from_living), (dead, from_dead)):
            for site, size in sizes.items():
                taken_from[site] += round(size * share)
                garbage[site] += round(size * of_garbage)
        result.append(_settled(after, from_living, from_dead, +garbage))
    return result


def _changed(before: Look, after: Look, left_out: Collection[str], of: str) -> Counter[str]:
    """By how much each place holds more than before."""
    return Counter(
        {
            site: (getattr(line, of) or 0) - (getattr(before.sites.get(site), of, None) or 0)
            for site, line in after.sites.items()
            if site not in left_out
        }
    )


def _move_to_the_dead(living: Counter[str], dead: Counter[str]) -> None:
    """What the living of a place had when they ended is among what its dead have left: no credit to anybody."""
    for site, change in living.items():
        moved = min(max(0, -change), max(0, dead[site]))
        living[site] += moved
        dead[site] -= moved


def _astray(before: Look, after: Look, changes: Sequence[int]) -> int:
    """What was credited to the wrong ones: those of whom less is left than before, and what is in no coroutine."""
    outside = max(0, before.outside_bytes - after.outside_bytes)
    return outside - sum(change for change in changes if change < 0)


def _settled(
    look: Look, from_living: Mapping[str, int], from_dead: Mapping[str, int], garbage: Mapping[str, int]
) -> Look:
    sites = {
        site: line._replace(
            live_bytes=(line.live_bytes or 0) - from_living.get(site, 0),
            residue_bytes=(line.residue_bytes or 0) - from_dead.get(site, 0),
        )
        for site, line in look.sites.items()
    }
    return replace(look, sites=sites, garbage=garbage)
