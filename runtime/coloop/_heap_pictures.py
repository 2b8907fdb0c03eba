"""What is told of the heap: by place of birth, by place of allocation, by stack, by type. Sizes are bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Residue(NamedTuple):
    """What the dead coroutines of one spawn site left behind.

    Attributes:
        site: where they were started.
        coroutines: how many have ended.
        heap_bytes: what is left of all of them.
        heap_blocks: in how many blocks; None without the native ledger.
    """

    site: str
    coroutines: int
    heap_bytes: int
    heap_blocks: int | None = None


class HeapSite(NamedTuple):
    """The live heap that was allocated at one place.

    Attributes:
        site: `file.py:12 in function`.
        heap_bytes: what lives of it.
        heap_blocks: in how many blocks.
        error_bytes: the standard error of `heap_bytes`, where it is an estimate; 0 where it is exact.
    """

    site: str
    heap_bytes: int
    heap_blocks: int
    error_bytes: int


class HeapStack(NamedTuple):
    """The live heap that was allocated through one chain of calls.

    Attributes:
        coroutine: whose it is; 0 for what belongs to none, or where nobody knows.
        frames: `file.py:12 in function` each, the outermost first.
        heap_bytes: what lives of it.
        heap_blocks: in how many blocks.
    """

    coroutine: int
    frames: tuple[str, ...]
    heap_bytes: int
    heap_blocks: int


@dataclass(frozen=True, slots=True)
class HeapType:
    """The live objects of one type that one coroutine has allocated.

    Attributes:
        type: the type's name.
        count: how many there are.
        heap_bytes: what they take, each without what it refers to.
    """

    type: str
    count: int
    heap_bytes: int
