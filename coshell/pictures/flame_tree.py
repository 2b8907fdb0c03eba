"""Heap by stack is a tree: what was allocated below a call is part of what was allocated below its caller.

Two ways to stand at the root: by stack all coroutines share one tree, by coroutine each has its own.
A tree may have a hundred thousand calls and a picture has a thousand pixels, so whoever is too small to be seen is
added up with his neighbours, and nothing is lost from the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from coshell.text import plural

BY_STACK: Final = "stack"
BY_COROUTINE: Final = "coroutine"
WAYS: Final = (BY_STACK, BY_COROUTINE)
MAX_BOXES: Final = 3000
MAX_DEPTH: Final = 60
MIN_SHARE: Final = 0.001  # a pixel on a wide screen
LABEL_LENGTH: Final = 300


class HeapStack(Protocol):
    """Live heap that was allocated by one coroutine below one stack of calls."""

    @property
    def coroutine(self) -> int: ...  # noqa: D102 - its number; 0 is none of them, or unknown
    @property
    def frames(self) -> tuple[str, ...]: ...  # noqa: D102 - outermost first, `file.py:12 in function`
    @property
    def heap_bytes(self) -> int: ...  # noqa: D102
    @property
    def heap_blocks(self) -> int: ...  # noqa: D102


@dataclass
class Node:
    """A call, and all that was allocated by it and below it.

    Attributes:
        label: `file.py:12 in function`, or whose tree it is.
        heap_bytes: what lives of all that.
        heap_blocks: in so many blocks.
        below: the calls that it made, by their labels.
    """

    label: str
    heap_bytes: int = 0
    heap_blocks: int = 0
    below: dict[str, Node] = field(default_factory=dict)

    def add(self, stack: HeapStack) -> None:
        """Count one more allocation below it."""
        self.heap_bytes += stack.heap_bytes
        self.heap_blocks += stack.heap_blocks

    def child(self, label: str) -> Node:
        """The call of that label below it, made if there is none."""
        found = self.below.get(label)
        if found is None:
            found = self.below[label] = Node(label)
        return found


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture.

    Attributes:
        label: what stands in it.
        left: where it begins, as a share of the whole width.
        width: likewise.
        depth: how many calls stand above it; 0 is the root.
        heap_bytes: what it stands for.
        heap_blocks: likewise.
        is_rest: it stands for several that are too small to be seen.
    """

    label: str
    left: float
    width: float
    depth: int
    heap_bytes: int
    heap_blocks: int
    is_rest: bool = False


def tree_of(
    stacks: Iterable[HeapStack], by: str = BY_STACK, name_of: Callable[[int], str] = "co#{}".format
) -> Node:
    """The tree of all that lives.

    Args:
        stacks: what lives, and below which calls it was allocated.
        by: one of `WAYS`.
        name_of: what a coroutine is called, by its number.
    """
    root = Node("all")
    for stack in stacks:
        if stack.heap_bytes <= 0:
            continue
        node = root
        node.add(stack)
        owner = (name_of(stack.coroutine) if stack.coroutine else "no coroutine",)
        for frame in (owner if by == BY_COROUTINE else ()) + tuple(stack.frames[:MAX_DEPTH]):
            node = node.child(frame[:LABEL_LENGTH])
            node.add(stack)
    return root


def boxes(root: Node, most: int = MAX_BOXES, min_share: float = MIN_SHARE) -> list[Box]:
    """The tree as rectangles, the largest at the left, callers before those they called.

    Args:
        root: the tree.
        most: how many rectangles there may be; the rests of what is left out are not counted.
        min_share: what is smaller, as a share of the whole, is shown as a rest.
    """
    total = root.heap_bytes
    if total <= 0:
        return []
    floor = max(min_share * total, _floor_for(root, most))
    return list(_boxes(root, 0, 0, total, floor))


def _boxes(node: Node, start: int, depth: int, total: int, floor: float) -> Iterator[Box]:
    yield Box(node.label, start / total, node.heap_bytes / total, depth, node.heap_bytes, node.heap_blocks)
    small: list[Node] = []
    for child in sorted(node.below.values(), key=lambda child: (-child.heap_bytes, child.label)):
        if child.heap_bytes < floor:
            small.append(child)
            continue
        yield from _boxes(child, start, depth + 1, total, floor)
        start += child.heap_bytes
    rest = sum(child.heap_bytes for child in small)
    if rest >= floor:
        blocks = sum(child.heap_blocks for child in small)
        label = plural(len(small), "smaller one")
        yield Box(label, start / total, rest / total, depth + 1, rest, blocks, is_rest=True)


def _floor_for(root: Node, most: int) -> float:
    """The size of which, and above, there are no more than so many."""
    sizes = sorted((node.heap_bytes for node in _all(root)), reverse=True)
    return sizes[most] + 1 if len(sizes) > most else 0


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in node.below.values():
        yield from _all(child)


def largest(root: Node, most: int) -> list[Node]:
    """The places of allocation that hold most, each with all that it holds on whatever stack."""
    own: dict[str, Node] = {}
    _gather(root, own)
    return sorted(own.values(), key=lambda node: (-node.heap_bytes, node.label))[:most]


def _gather(node: Node, own: dict[str, Node]) -> None:
    bytes_below = sum(child.heap_bytes for child in node.below.values())
    blocks_below = sum(child.heap_blocks for child in node.below.values())
    if node.heap_bytes > bytes_below:
        place = own.setdefault(node.label, Node(node.label))
        place.heap_bytes += node.heap_bytes - bytes_below
        place.heap_blocks += node.heap_blocks - blocks_below
    for child in node.below.values():
        _gather(child, own)
