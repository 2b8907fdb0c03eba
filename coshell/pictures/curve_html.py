"""A curve on a page: the line is drawn in shares of its box and the words stand beside it, so that both fit a phone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from coshell.values import Bytes, Count, Duration

from .chart import Scale, size_scale
from .curve import Point, resampled
from .markup import safe

MOST_POINTS: Final = 240
ACROSS: Final = 1000
DOWN: Final = 100


@dataclass(frozen=True)
class Moment:
    """Something that happened, and when on the scheduler's clock."""

    at_s: float
    what: str


@dataclass(frozen=True)
class Span:
    """The seconds that are shown, on the scheduler's clock."""

    first_s: float
    last_s: float

    def x(self, at_s: float) -> float:
        """A moment as a place in the drawing."""
        return ACROSS * (at_s - self.first_s) / max(self.last_s - self.first_s, 1e-9)


def curve(
    title: str,
    points: Sequence[Point],
    kind: str,
    span: Span,
    moments: Sequence[Moment] = (),
    *,
    small: bool = False,
) -> Iterator[str]:
    """A curve as markup.

    Args:
        title: what it shows; any text.
        points: the curve; nothing is shown if there are none.
        kind: `heap` for sizes, `count` or `net` for numbers of things.
        span: the seconds that are shown.
        moments: what is marked.
        small: whether it is one of many.
    """
    if not points:
        return
    say: Callable[[int], str] = _bytes if kind == "heap" else _count
    shown = resampled(points, MOST_POINTS)
    lowest, highest = min(point.value for point in points), max(point.value for point in points)
    most = 3 if small else 5
    scale = size_scale(lowest, highest, most) if kind == "heap" else count_scale(lowest, highest, most)
    told = f"now {say(points[-1].value)}, highest seen {say(highest)}"
    yield f'<div class="curve {kind}{" small" if small else ""}">'
    yield f'<div class="head"><h3>{safe(title)}</h3><span class="soft told">{told}</span></div>'
    yield f'<div class="area" data-first="{span.first_s:.6f}" data-last="{span.last_s:.6f}"'
    yield f' data-kind="{kind}" data-points="{_data(shown)}">'
    yield from _drawing(shown, scale, span, moments, stepped=kind != "heap")
    yield from _ticks(scale, say)
    yield "</div>"
    yield f'<div class="foot"><span>0s</span><span>{Duration(span.last_s - span.first_s)}</span></div></div>'


def count_scale(lowest: float, highest: float, most: int = 5) -> Scale:
    """An axis of numbers of things, from zero, with ticks at 1, 2 or 5 times a power of ten."""
    lowest, highest = min(lowest, 0), max(highest, 1)
    step = next(
        step
        for power in range(40)
        for step in (10**power, 2 * 10**power, 5 * 10**power)
        if math.ceil(highest / step) - math.floor(lowest / step) < most
    )
    low, high = math.floor(lowest / step), math.ceil(highest / step)
    return Scale(low * step, high * step, tuple(step * n for n in range(low, high + 1)))


def _bytes(value: int) -> str:
    return str(Bytes(value))


def _count(value: int) -> str:
    return str(Count(value))


def _data(points: Sequence[Point]) -> str:
    return ";".join(f"{point.at_s:.3f},{point.value}" for point in points)


def _drawing(
    points: Sequence[Point], scale: Scale, span: Span, moments: Sequence[Moment], *, stepped: bool
) -> Iterator[str]:
    yield f'<svg viewBox="0 0 {ACROSS} {DOWN}" preserveAspectRatio="none" aria-hidden="true">'
    for tick in scale.ticks[1:]:
        y = _y(tick, scale)
        yield f'<line x1="0" x2="{ACROSS}" y1="{y:.2f}" y2="{y:.2f}" vector-effect="non-scaling-stroke"/>'
    line = _path(points, scale, span, stepped=stepped)
    yield f'<path class="fill" d="{line} V{DOWN} H{span.x(points[0].at_s):.1f} Z"/>'
    yield f'<path class="line" d="{line}" vector-effect="non-scaling-stroke"/>'
    for moment in moments:
        x = min(max(span.x(moment.at_s), 0), ACROSS)
        yield (
            f'<line class="moment" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{DOWN}" vector-effect="non-scaling-stroke">'
            f"<title>{safe(moment.what)}</title></line>"
        )
    yield "</svg>"


def _path(points: Sequence[Point], scale: Scale, span: Span, *, stepped: bool) -> str:
    parts: list[str] = []
    for point in points:
        x, y = span.x(point.at_s), _y(point.value, scale)
        if parts and stepped:
            parts.append(f"H{x:.1f}V{y:.2f}")
        else:
            parts.append(f"{'L' if parts else 'M'}{x:.1f} {y:.2f}")
    return " ".join([*parts, f"H{ACROSS}"] if stepped else parts)


def _y(value: float, scale: Scale) -> float:
    return DOWN - DOWN * (value - scale.low) / (scale.high - scale.low)


def _ticks(scale: Scale, say: Callable[[int], str]) -> Iterator[str]:
    for tick in scale.ticks[1:]:
        below = 100 * (tick - scale.low) / (scale.high - scale.low)
        yield f'<span class="tick" style="top:{100 - below:.1f}%">{say(round(tick))}</span>'
