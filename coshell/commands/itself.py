"""`status --self`: what the shell and the ledger take for themselves, and the most that it can become.

Whoever hunts a leak has to know that the tool is none. Each figure stands beside its bound; what has none is the
heap that the shell works with, and that falls back when the work is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from coloop import Snapshot, memory
from coshell.leaks.history import MAX_BYTES, MAX_LOOKS
from coshell.leaks.looking import SHELL_ID
from coshell.leaks.marks import MAX_MARKS
from coshell.listing import Listing, listing
from coshell.pictures.timeline import LIMIT_BYTES
from coshell.values import Bytes, Count

if TYPE_CHECKING:
    from coshell.shell import Shell


@dataclass(frozen=True)
class Kept:
    """Something that is kept.

    Attributes:
        what: in a few words.
        now: its size, or how many there are; None where nobody counts.
        at_most: the bound; None if there is none.
    """

    what: str
    now: Bytes | Count | None
    at_most: Bytes | Count | None


def shells_heap(snapshot: Snapshot) -> int | None:
    """Heap of the shell's own coroutine and threads; None below level `heap`."""
    held = memory.held()
    own = next((one.heap_bytes for one in snapshot.coroutines if one.id == SHELL_ID), None)
    return own if own is None or held is None else own + held.outside.own


def itself(shell: Shell, snapshot: Snapshot) -> Listing[Kept]:
    """What the shell keeps at this moment; may be asked for on any thread."""
    heap, books = shells_heap(snapshot), memory.bookkeeping()
    history, monitor = shell.watch.history, shell.monitor
    kept = [
        Kept("heap of the shell's own coroutine and threads", None if heap is None else Bytes(heap), None),
        Kept(
            "samples of the monitor", Bytes(monitor.timeline.own_bytes if monitor else 0), Bytes(LIMIT_BYTES)
        ),
        Kept("looks of leaks", Bytes(history.bytes), Bytes(MAX_BYTES)),
        Kept("how many of them", Count(len(history)), Count(MAX_LOOKS)),
        Kept("marks", Count(len(shell.marks)), Count(MAX_MARKS)),
    ]
    if books is not None:
        kept += [
            Kept("the ledger's map and accounts", None, Bytes(books.map_bytes)),
            Kept("accounts of the living", Count(books.open_accounts), None),
            Kept("accounts of the dead, until their last block goes", Count(books.closed_accounts), None),
        ]
    return listing(shell, kept)
