"""A flame graph as elements of a page: shares of its width, so that it fits a phone and a wall.

It is read without a script: labels stand in the boxes, and a browser shows what is behind a box that it points
at. The script lets a box be taken for the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from coshell.text import plural
from coshell.values import Bytes, Count, Percent

from .flame_tree import Box, Node, boxes, largest
from .markup import page, safe

ROW_HEIGHT: Final = 20
COLOURS: Final = 8
LARGEST_SHOWN: Final = 15


def flame_page(root: Node, title: str, about: str) -> str:
    """A page with a flame graph, and the places that hold most as a table.

    Args:
        root: the tree.
        title: what it is called.
        about: a line that tells what is shown.
    """
    body = [
        "<header>",
        f"<h1>{safe(title)}</h1>",
        f"<p>{safe(about)}</p>",
        "</header>",
        "<main>",
        *flame(root),
        *table_of_places(root),
        "</main>",
    ]
    return page(title, body, ("flame.js",))


def flame(root: Node) -> Iterator[str]:
    """A flame graph as markup."""
    shown = boxes(root)
    if not shown:
        yield '<p class="none">nothing is alive</p>'
        return
    rows = max(box.depth for box in shown) + 1
    yield '<div class="flame">'
    yield '<p class="told" aria-live="polite">Callers stand above what they called; the width is live heap.</p>'
    yield f'<div class="boxes" style="height:{rows * ROW_HEIGHT}px">'
    total = root.heap_bytes
    yield from (_element(box, total) for box in shown)
    yield "</div></div>"


def _element(box: Box, total: int) -> str:
    place = f"left:{100 * box.left:.4f}%;width:{100 * box.width:.4f}%;top:{box.depth * ROW_HEIGHT}px"
    data = f'data-left="{box.left:.6f}" data-width="{box.width:.6f}" data-depth="{box.depth}"'
    kind = "box rest" if box.is_rest else f"box c{colour(box)}"
    return f'<div class="{kind}" style="{place}" {data} title="{safe(told(box, total))}"><span>{safe(box.label)}</span></div>'


def colour(box: Box) -> int:
    """One of `COLOURS`, the same for all calls of one file."""
    if box.depth == 0:
        return 0
    return 1 + sum(map(ord, box.label.rpartition(":")[0] or box.label)) % (COLOURS - 1)


def told(box: Box, total: int) -> str:
    """A box in words."""
    share = Percent(100 * box.heap_bytes / total)
    return f"{box.label}: {Bytes(box.heap_bytes)} in {plural(box.heap_blocks, 'block')}, {share}"


def table_of_places(root: Node) -> Iterator[str]:
    """The places of allocation that hold most, as markup."""
    places: Sequence[Node] = largest(root, LARGEST_SHOWN)
    if not places:
        return
    yield '<table class="places"><thead><tr><th>allocated at</th><th class="number">bytes</th>'
    yield '<th class="number">blocks</th><th class="number">share</th></tr></thead><tbody>'
    for place in places:
        share = Percent(100 * place.heap_bytes / root.heap_bytes)
        yield (
            f'<tr><td class="code">{safe(place.label)}</td><td class="number">{Bytes(place.heap_bytes)}</td>'
            f'<td class="number">{Count(place.heap_blocks)}</td><td class="number">{share}</td></tr>'
        )
    yield "</tbody></table>"
