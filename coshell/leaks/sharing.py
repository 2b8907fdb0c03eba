"""Without the native ledger nobody knows whose a freed block was; here it is divided among those that grew.

tracemalloc's differences credit whoever runs when something is freed: garbage of a thousand dead handlers makes the
coroutine rich in which the collector happened to run, and the dead seem to have left everything. But what
all hold together is known. So what was credited to the wrong ones, and what a look's own collection has
freed, is taken from those that grew meanwhile, in proportion to their growth. Two that grow at the same time
and of which one makes garbage cannot be told apart in this way; the native ledger can.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise

from .look import Look, heap_of


def shared(looks: Sequence[Look], left_out: Collection[str] = ()) -> list[Look]:
    """The same looks, with what was freed on the account of those whose it probably was.

    Args:
        looks: in their order.
        left_out: places that are not judged; what they lose is nobody else's, what they get may be.
    """
    if not looks or looks[0].exact:
        return list(looks)
    result = [looks[0]]
    taken: dict[str, float] = {}
    for before, after in pairwise(looks):
        growth = {
            site: heap_of(line) - (heap_of(before.sites[site]) if site in before.sites else 0)
            for site, line in after.sites.items()
            if site not in left_out
        }
        rising = {site: size for site, size in growth.items() if size > 0}
        risen = sum(rising.values())
        credited = -sum(size for size in growth.values() if size < 0)
        freed = min(risen, after.garbage_bytes)
        share = min(1.0, (freed + credited) / risen) if risen else 0.0
        for site, size in rising.items():
            taken[site] = taken.get(site, 0.0) + size * share
        garbage = {site: round(size * freed / risen) for site, size in rising.items()} if risen else {}
        result.append(_settled(after, taken, garbage))
    return result


def _settled(look: Look, taken: dict[str, float], garbage: dict[str, int]) -> Look:
    sites = dict(look.sites)
    for site, size in taken.items():
        line = sites.get(site)
        if line is not None and line.residue_bytes is not None:
            sites[site] = line._replace(residue_bytes=line.residue_bytes - round(size))
    return replace(look, sites=sites, garbage=garbage)
