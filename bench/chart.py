"""Results as a picture: for each row the ratio to every peer, on a logarithmic axis with a line at 1.

An SVG that needs nothing else: no script, no font of its own, no other file. To the right of the line coloop is
better. A dot is the median, the line through it the spread; the peer's name is beside the dot when one points at it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from .figures import Spread, digits
from .machine import Machine
from .rounds import Finding, Result

WIDTH, LEFT, RIGHT = 1000, 310, 30
TOP, ROW_HEIGHT, BOTTOM = 96, 30, 40
LEGEND_STEP = 150
PER_LEGEND_LINE = 6
LANES = 3  # dots of one row are set a little apart
COLOURS = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"),
    *("#7f7f7f", "#8c564b", "#bcbd22", "#5e4fa2", "#000000", "#aa4499", "#999933"),
)
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


class Axis:
    """From a ratio to a place; wide enough for all that is shown, and for 1."""

    def __init__(self, ratios: Sequence[Spread]) -> None:
        self._low = math.log(min([0.5, *(ratio.low for ratio in ratios)]) / 1.1)
        self._high = math.log(max([2.0, *(ratio.high for ratio in ratios)]) * 1.1)

    def x(self, value: float) -> float:
        """In pixels from the left edge."""
        share = (math.log(value) - self._low) / (self._high - self._low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def ticks(self) -> list[float]:
        """The round ratios that lie on it."""
        return [tick for tick in TICKS if self._low <= math.log(tick) <= self._high]


def chart(machine: Machine, results: Sequence[Result], notes: Sequence[str]) -> str:
    """The picture, with the notes for who reads its source; rows in which coloop stands alone, or that are not compared, are not in it."""
    shown = [result for result in results if result.peers and result.row.compared]
    peers = list(dict.fromkeys(peer.contender for result in shown for peer in result.peers))
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(peers)}
    axis = Axis([result.ratio(peer) for result in shown for peer in result.peers])
    height = TOP + ROW_HEIGHT * len(shown) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(LEFT, 20, "coloop is so many times better than ...", size=15),
        _text(LEFT, 38, f"{machine.python}, {machine.core} core, {machine.kernel}, {machine.date}", size=11),
        f"<desc>{escape('; '.join(notes))}</desc>",
        *_legend(colours),
        *_grid(axis, height),
    ]
    for number, result in enumerate(shown):
        parts += _row(result, TOP + ROW_HEIGHT * number + ROW_HEIGHT / 2, axis, colours)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'


def _legend(colours: dict[str, str]) -> list[str]:
    parts = []
    for number, (name, colour) in enumerate(colours.items()):
        line, place = divmod(number, PER_LEGEND_LINE)
        x, y = 20 + place * LEGEND_STEP, 58 + 18 * line
        parts += [f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{colour}"/>', _text(x + 10, y, name)]
    return parts


def _grid(axis: Axis, height: int) -> list[str]:
    parts = []
    for tick in axis.ticks():
        x = axis.x(tick)
        colour = "#000000" if tick == 1 else "#dddddd"
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{height - BOTTOM}" stroke="{colour}"/>')
        parts.append(_text(x, height - BOTTOM + 16, f"{tick:g} x", anchor="middle"))
    return parts


def _row(result: Result, y: float, axis: Axis, colours: dict[str, str]) -> list[str]:
    parts = [_text(LEFT - 12, y + 4, result.row.title, anchor="end")]
    for number, peer in enumerate(result.peers):
        lane = (number % LANES - LANES // 2) * 6
        parts.append(_dot(result, peer, y + lane, axis, colours[peer.contender]))
    return parts


def _dot(result: Result, peer: Finding, y: float, axis: Axis, colour: str) -> str:
    found = result.ratio(peer)
    told = f"{result.row.title}: coloop is {digits(found.median)} x {peer.contender}"
    told += f" ({digits(found.low)}-{digits(found.high)})"
    return (
        f"<g><title>{escape(told)}</title>"
        f'<line x1="{axis.x(found.low):.1f}" y1="{y:.1f}" x2="{axis.x(found.high):.1f}" y2="{y:.1f}" '
        f'stroke="{colour}" stroke-width="2"/>'
        f'<circle cx="{axis.x(found.median):.1f}" cy="{y:.1f}" r="5" fill="{colour}"/></g>'
    )
