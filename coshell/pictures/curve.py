"""A curve never grows: what has just happened is exact, all before that is coarse, and a peak is never lost.

A ring forgets how it all began, and a leak is seen only by looking back that far. So what is no longer new goes
to a part that covers all the time there was with so many stretches, of each the highest value; when that part is
full, each two neighbours become one.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from typing import Final, NamedTuple

MAX_POINTS: Final = 512
MIN_POINTS: Final = 16


class Point(NamedTuple):
    """One value: when it was so, in seconds on the scheduler's clock, and what it was."""

    at_s: float
    value: int


class Curve:
    """The values of one quantity, oldest first."""

    __slots__ = ("_old", "_stretch_from_s", "_stretch_s", "_times", "_values")

    def __init__(self) -> None:
        self._times = array("d")
        self._values = array("q")
        self._old = 0  # how many of the points are no longer new
        self._stretch_s = 0.0
        self._stretch_from_s = 0.0

    def __len__(self) -> int:
        return len(self._times)

    @property
    def own_bytes(self) -> int:
        """What the curve itself takes."""
        return sum(
            map(sys.getsizeof, (self, self._times, self._values, self._stretch_s, self._stretch_from_s))
        )

    @property
    def last(self) -> Point | None:
        """The newest point."""
        return Point(self._times[-1], self._values[-1]) if self._times else None

    def add(self, at_s: float, value: int, room: int = MAX_POINTS) -> None:
        """Go on; another value for the same moment takes the place of the first, an older one is not taken.

        Args:
            at_s: seconds on the scheduler's clock.
            value: what it is then.
            room: how many points it may have, at least `MIN_POINTS`.
        """
        if self._times and at_s <= self._times[-1]:
            if at_s == self._times[-1]:
                self._values[-1] = value
            return
        room = max(room, MIN_POINTS)
        self._times.append(at_s)
        self._values.append(value)
        while len(self) - self._old > room // 4:
            self._age()
        while len(self) > room:
            self._halve_old()

    def points(self, since_s: float | None = None) -> tuple[Point, ...]:
        """The points, or those from a moment on."""
        both = map(Point, self._times, self._values)
        return tuple(point for point in both if since_s is None or point.at_s >= since_s)

    def recent(self, count: int) -> tuple[int, ...]:
        """The last values, oldest first."""
        return tuple(self._values[-count:])

    def _age(self) -> None:
        """The first of the new points is new no longer: of those in one stretch the highest stays."""
        place = self._old
        if place < 2 or self._times[place] - self._stretch_from_s >= self._stretch_s:
            self._stretch_from_s = self._times[place]
            self._old += 1
            return
        lower = place if self._values[place] <= self._values[place - 1] else place - 1
        del self._times[lower], self._values[lower]

    def _halve_old(self) -> None:
        """Of each two neighbours the higher stays, and the very first; from now on stretches are twice as long."""
        old = halved([Point(*pair) for pair in zip(self._times[: self._old], self._values, strict=False)])
        self._times = array("d", [point.at_s for point in old]) + self._times[self._old :]
        self._values = array("q", [point.value for point in old]) + self._values[self._old :]
        self._old = len(old)
        self._stretch_s = 2 * (old[-1].at_s - old[0].at_s) / len(old)


def halved(points: Sequence[Point]) -> list[Point]:
    """The first, and of each two others the higher."""
    rest = points[1:]
    pairs = (rest[place : place + 2] for place in range(0, len(rest), 2))
    return [*points[:1], *(max(pair, key=_value) for pair in pairs)]


def _value(point: Point) -> int:
    return point.value


def resampled(points: Sequence[Point], most: int) -> tuple[Point, ...]:
    """At most so many points that tell the same: both ends, and the highest of each stretch between them."""
    if len(points) <= most:
        return tuple(points)
    fewer = list(points)
    while len(fewer) >= max(most, 3):
        fewer = halved(fewer)
    return tuple(fewer if fewer[-1] == points[-1] else [*fewer, points[-1]])
