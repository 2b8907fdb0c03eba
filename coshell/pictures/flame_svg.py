"""A flame graph as a drawing that any viewer opens, in a browser with a little script in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .flame_html import colour, told
from .flame_tree import Box, Node, boxes
from .markup import resource, safe

WIDTH: Final = 1200
MARGIN: Final = 8
TOP: Final = 52
ROW_HEIGHT: Final = 18
FONTS: Final = "ui-monospace, Menlo, Consolas, monospace"
LETTER_WIDTH: Final = 7.2  # of the monospaced font at 12 px


def flame_svg(root: Node, title: str, about: str) -> str:
    """A flame graph.

    Args:
        root: the tree.
        title: what it is called.
        about: a line that tells what is shown.
    """
    shown = boxes(root)
    height = TOP + (max((box.depth for box in shown), default=0) + 1) * ROW_HEIGHT + MARGIN
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONTS}" font-size="12">',
        f"<title>{safe(title)}</title>",
        f"<style>{resource('flame.css')}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        f'<text class="ink" x="{MARGIN}" y="20" font-size="15" font-weight="bold">{safe(title)}</text>',
        f'<text class="ink told" x="{MARGIN}" y="40">{safe(about)}</text>',
    ]
    script = f"<script><![CDATA[\n{resource('flame_svg.js')}]]></script>"
    return "\n".join([*head, *_groups(root, shown), script, "</svg>", ""])


def _groups(root: Node, shown: list[Box]) -> Iterator[str]:
    if not shown:
        yield f'<text class="ink" x="{MARGIN}" y="{TOP + 14}">nothing is alive</text>'
    across = WIDTH - 2 * MARGIN
    for box in shown:
        left, width = MARGIN + box.left * across, max(box.width * across, 0.3)
        top = TOP + box.depth * ROW_HEIGHT
        kind = "rest" if box.is_rest else f"c{colour(box)}"
        yield (
            f'<g class="box" data-left="{box.left:.6f}" data-width="{box.width:.6f}" data-depth="{box.depth}"'
            f' data-label="{safe(box.label)}"><title>{safe(told(box, root.heap_bytes))}</title>'
            f'<rect class="{kind}" x="{left:.2f}" y="{top}" width="{width:.2f}" height="{ROW_HEIGHT - 1}" rx="2"/>'
            f'<text x="{left + 3:.2f}" y="{top + 13}">{safe(fitting(box.label, width))}</text></g>'
        )


def fitting(label: str, width: float) -> str:
    """As much of a label as so many pixels hold; nothing if that is next to nothing."""
    letters = int((width - 6) / LETTER_WIDTH)
    if letters >= len(label):
        return label
    return f"{label[: letters - 1]}…" if letters >= 4 else ""
