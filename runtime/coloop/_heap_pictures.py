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


class Outside(NamedTuple):
    """Heap that is on no coroutine's account, by whose work it was; the sum of all is what is outside.

    Attributes:
        outside: on a scheduler's thread, in no coroutine: what timers and other threads have called there.
        threads: on threads that run no scheduler, and before one ran.
        scheduler: the scheduler's own work.
        stacks: the copies of C stacks of those that wait; they are in `stack_bytes` too.
        own: on threads that have said that they do nothing for the program, as the shell's has.
    """

    outside: int
    threads: int = 0
    scheduler: int = 0
    stacks: int = 0
    own: int = 0


class Held(NamedTuple):
    """All the heap that is counted: `total == living + dead + sum(outside)`, always.

    Attributes:
        total: what Python's allocators have handed out since counting began, and not got back.
        living: on the accounts of the coroutines that live.
        dead: what those that have ended left behind.
        outside: on no coroutine's account.
    """

    total: int
    living: int
    dead: int
    outside: Outside


class Bookkeeping(NamedTuple):
    """What the ledger takes by itself, outside of the heap that it counts.

    Attributes:
        map_bytes: reserved for the map of blocks and the accounts, at most; what is not touched is not resident.
        open_accounts: those of the living.
        closed_accounts: those of the dead that have left something; they go with the last block.
        foreign_frees: freed blocks that were older than the count.
        foreign_resizes: resized blocks that were older; they are counted from then on.
        unmapped_blocks: blocks that could not be counted, for want of memory.
    """

    map_bytes: int
    open_accounts: int
    closed_accounts: int
    foreign_frees: int
    foreign_resizes: int
    unmapped_blocks: int


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
