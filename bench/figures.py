"""From samples to a figure: medians, and ratios whose spread tells how far they can be trusted.

Contenders take turns (A B A B ...), so the samples of one round were taken under the same weather. A ratio is
formed within each round; absolute figures drift with the machine, ratios hold. Above 1 the first is better,
whether the measure is a cost (less is better) or a rate (more is better).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


def median(values: Sequence[float]) -> float:
    """The one in the middle, or halfway between the two there.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("no values have no median")
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with what it lies between.

    Attributes:
        median: of all the values.
        low: the smallest of them.
        high: the largest of them.
    """

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """The median of `values`, the least and the greatest of them."""
    return Spread(median(values), min(values), max(values))


def ratio(ours: Sequence[float], theirs: Sequence[float], *, more_is_better: bool) -> Spread:
    """How many times better `ours` are, round by round.

    Raises:
        ValueError: the rounds do not pair up, or a value is no positive number: nothing was measured.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} rounds cannot be compared with {len(theirs)}")
    for value in (*ours, *theirs):
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{value!r} is no measurement")
    pairs = zip(ours, theirs, strict=True)
    return spread([our / their if more_is_better else their / our for our, their in pairs])


def extra_share(
    without: Sequence[float], one: Sequence[float], other: Sequence[float], *, more_is_better: bool
) -> Spread:
    """Which part the extra cost of `one` is of the extra cost of `other`, round by round.

    Where the other costs nothing extra, there is no part to be had: infinite, or 0 if neither costs any.

    Raises:
        ValueError: as for `ratio`.
    """
    ratio(without, one, more_is_better=more_is_better)
    ratio(without, other, more_is_better=more_is_better)
    shares = []
    for base, this, that in zip(without, one, other, strict=True):
        extra, others = (
            (base / this - 1, base / that - 1) if more_is_better else (this / base - 1, that / base - 1)
        )
        if others > 0:
            shares.append(extra / others)
        else:
            shares.append(math.inf if extra > 0 else 0.0)
    return spread(shares)


def digits(value: float) -> str:
    """Three significant digits, without an exponent: `1,230,000`, `45.6`, `0.0123`."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"
