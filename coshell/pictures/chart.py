"""A curve in the terminal, with sizes at the left and seconds below: no colours, so it looks the same everywhere.

What shows a size must let it be read, so the lines of an axis are at round sizes, and so are the seconds. It
begins at zero unless that would make a straight line of everything that has happened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from coshell.text import width_of
from coshell.values import Bytes, Duration

from .canvas import Canvas
from .curve import Point

MIN_COLUMNS: Final = 8
SECONDS_STEPS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30)
MINUTES_STEPS: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 604800)
UNITS: Final = (1024, 1024**2, 1024**3, 1024**4)
FLAT_SHARE: Final = 0.75  # all that happened is above this share of the highest: zero would flatten it


@dataclass(frozen=True)
class Marks:
    """What an axis is drawn with."""

    tick: str
    side: str
    corner: str
    floor: str
    below: str


UNICODE: Final = Marks("┤", "│", "└", "─", "┬")
ASCII: Final = Marks("+", "|", "+", "-", "+")


@dataclass(frozen=True)
class Scale:
    """The part of an axis that is shown, and what is written there.

    Attributes:
        low: where it begins.
        high: where it ends.
        ticks: the round values on it.
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float, length: int) -> int:
        """The dot that stands for a value, of so many."""
        return round((value - self.low) / (self.high - self.low) * (length - 1))


def size_scale(lowest: float, highest: float, most: int = 5) -> Scale:
    """An axis of sizes: its ticks are a power of two apart, and all values lie between the first and the last."""
    if 0 <= lowest < highest * FLAT_SHARE or 0 <= lowest == highest:
        lowest = 0
    step = _finest(max(abs(lowest), abs(highest)))
    while math.ceil(highest / step) - math.floor(lowest / step) >= most:
        step *= 2
    low = math.floor(lowest / step)
    high = max(math.ceil(highest / step), low + 1)
    return Scale(low * step, high * step, tuple(step * n for n in range(low, high + 1)))


def _finest(largest: float) -> int:
    """The smallest step whose ticks are not all called the same: a size is shown with one decimal."""
    return max([1, *(unit // 8 for unit in UNITS if largest >= unit)])


def time_scale(first_s: float, last_s: float, most: int) -> Scale:
    """An axis of seconds before the last moment; only whole steps are marked."""
    span_s = max(last_s - first_s, 0.001)
    steps = (*SECONDS_STEPS, *MINUTES_STEPS)
    step = next((step for step in steps if span_s / step <= max(most, 1)), span_s)
    return Scale(-span_s, 0.0, tuple(-step * n for n in range(math.floor(span_s / step + 1e-9), -1, -1)))


def chart(
    points: Sequence[Point],
    width: int,
    rows: int,
    *,
    first_s: float,
    last_s: float,
    ascii_only: bool = False,
) -> list[str]:
    """A curve of sizes as lines, none wider than `width`; none at all if there is no room for a curve.

    Args:
        points: at least one.
        width: columns of the screen.
        rows: lines of the curve; two more stand below it.
        first_s: where the axis of time begins, on the clock of the points.
        last_s: where it ends.
        ascii_only: draw with ASCII.
    """
    values = [point.value for point in points]
    sizes = size_scale(min(values), max(values), most=min(5, max(2, (rows + 1) // 2)))
    names = [str(Bytes(round(tick))) for tick in sizes.ticks]
    margin = max(map(len, names)) + 1
    columns = width - margin - 1
    if columns < MIN_COLUMNS:
        return []
    canvas = Canvas(columns, rows, ascii_only=ascii_only)
    times = time_scale(first_s, last_s, most=columns // 12)
    _draw(canvas, points, times, sizes, last_s)
    marks = ASCII if ascii_only else UNICODE
    named = {rows - 1 - sizes.place(tick, rows): name for tick, name in zip(sizes.ticks, names, strict=True)}
    lines = [
        f"{named.get(row, ''):>{margin}}{marks.tick if row in named else marks.side}{drawn}".rstrip()
        for row, drawn in enumerate(canvas.lines())
    ]
    return [*lines, *_time_axis(times, columns, margin, marks)]


def _draw(canvas: Canvas, points: Sequence[Point], times: Scale, sizes: Scale, last_s: float) -> None:
    dots = [
        (times.place(point.at_s - last_s, canvas.width), sizes.place(point.value, canvas.height))
        for point in points
    ]
    canvas.dot(*dots[0])
    for start, end in pairwise(dots):
        canvas.line(start, end)


def _time_axis(times: Scale, columns: int, margin: int, marks: Marks) -> list[str]:
    floor = [marks.floor] * columns
    names = [" "] * (margin + 1 + columns)
    free_from = 0
    for tick in times.ticks:
        column = times.place(tick, columns)
        name = "now" if tick == 0 else f"-{Duration(-tick)}"
        start = min(max(margin + 1 + column - len(name) // 2, 0), len(names) - len(name))
        if start < free_from:
            continue
        floor[column] = marks.below
        names[start : start + len(name)] = name
        free_from = start + width_of(name) + 1
    return [" " * margin + marks.corner + "".join(floor), "".join(names).rstrip()]
