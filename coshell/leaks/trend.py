"""A rise is told from noise as CPython's own tests tell a leak: it counts only if every repeat shows it.

What goes up and comes down again, a cache that fills, or a buffer that doubles once in a while, rises in some
repeats and not in others. So the points are divided into a few repeats, the first of them is spent on warming
up, and each that is left must have grown. Least squares then say how fast, and how straight the line is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

REPEATS: Final = 5
MIN_REPEATS: Final = 3
SMALLEST_SHARE: Final = 0.1  # of the mean rate: what grows less has not grown
SLOWING_SHARE: Final = 0.25  # the last repeat's rate, of the first one's

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Trend:
    """How a quantity went on.

    Attributes:
        growth: by how much it grew behind the warm-up.
        over: by how much that grew on which it depends: seconds, or finished coroutines.
        times: in how many repeats it grew.
        repeats: how many there were.
        slope: growth for each unit of that on which it depends, by least squares.
        r2: how straight the line is: 1 is a ruler.
        confidence: how improbable so many rises are by chance, 0 to 1.
        falls: whether it ever fell.
        slowing: whether it comes to rest.
    """

    growth: float
    over: float
    times: int
    repeats: int
    slope: float
    r2: float
    confidence: float
    falls: bool
    slowing: bool

    @property
    def always(self) -> bool:
        """Whether it grew in every repeat, and there were enough of them."""
        return self.repeats >= MIN_REPEATS and self.times == self.repeats

    @property
    def rate(self) -> float:
        """Growth for each unit of that on which it depends, on average."""
        return self.growth / self.over if self.over else 0.0


def trend(points: Sequence[Point]) -> Trend | None:
    """How `y` went on with `x`; None for fewer than two different values of x.

    Args:
        points: (x, y), in the order of x; of equal x the last counts.
    """
    kept = _by_x(points)
    if len(kept) < 2:
        return None
    if len(kept) > MIN_REPEATS + 1:  # the first is for warming up
        kept = kept[1:]
    repeats = _repeats(kept)
    over, growth = kept[-1][0] - kept[0][0], kept[-1][1] - kept[0][1]
    smallest = SMALLEST_SHARE * growth / over
    rises = [_rise(first, last) for first, last in pairwise(repeats)]
    steps = [last[1] - first[1] for first, last in pairwise(kept)]
    slope, r2 = least_squares(kept)
    return Trend(
        growth=growth,
        over=over,
        times=sum(rise > 0 and rise >= smallest for rise in rises),
        repeats=len(rises),
        slope=slope,
        r2=r2,
        confidence=_confidence(sum(step > 0 for step in steps), len(steps)),
        falls=any(step < 0 for step in steps),
        slowing=len(rises) >= MIN_REPEATS and rises[-1] < SLOWING_SHARE * max(rises[:2]),
    )


def lowest(points: Sequence[Point], parts: int = REPEATS + 1) -> list[Point]:
    """The lowest point of each of some equal parts: what is left when the collector happens to have run.

    The last point stays as it is.
    """
    *before, last = _by_x(points)
    if len(before) <= parts:
        return [*before, last]
    bounds = [round(part * len(before) / parts) for part in range(parts + 1)]
    chosen = [min(before[begin:end], key=lambda point: point[1]) for begin, end in pairwise(bounds)]
    return [*chosen, last]


def least_squares(points: Sequence[Point]) -> tuple[float, float]:
    """Slope and R2 of the straight line that fits best."""
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    xx = sum((x - mean_x) ** 2 for x, _ in points)
    yy = sum((y - mean_y) ** 2 for _, y in points)
    xy = sum((x - mean_x) * (y - mean_y) for x, y in points)
    if xx == 0:
        return 0.0, 0.0
    return xy / xx, xy * xy / (xx * yy) if yy else 0.0


def _by_x(points: Sequence[Point]) -> list[Point]:
    return list(dict(points).items())


def _repeats(points: Sequence[Point]) -> list[Point]:
    """The points between which the repeats lie."""
    intervals = len(points) - 1
    count = min(REPEATS, intervals)
    return [points[round(place * intervals / count)] for place in range(count + 1)]


def _rise(first: Point, last: Point) -> float:
    return (last[1] - first[1]) / (last[0] - first[0])


def _confidence(rises: int, steps: int) -> float:
    """One less the probability that a coin shows heads so often."""
    if steps == 0:
        return 0.0
    as_many = sum(math.comb(steps, count) for count in range(rises, steps + 1))
    return 1.0 - as_many / float(2**steps)
