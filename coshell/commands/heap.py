"""`heap`: how much a coroutine holds, and of what that consists: by the line that allocated it, by type.

To Python it is a number, to be compared and asserted again and again, so looking closer waits until
somebody wants to see it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from coloop import Coroutine, CoroutineError, CoroutinePicture, Server, memory
from coshell.closeup import close_up_here
from coshell.command import Arg, Command, CommandError
from coshell.listing import fitted, listing
from coshell.monitor import label
from coshell.render import Column
from coshell.values import Bytes, Count

if TYPE_CHECKING:
    from coshell.shell import Shell

TOP: Final = 5


@dataclass(frozen=True)
class Share:
    """What one line, one type or one coroutine has of a heap.

    Attributes:
        heap: its bytes.
        blocks: in how many blocks; of a type: how many objects; None where nobody counts.
        name: `file.py:12 in function`, a type's name, or `co#2 leaky`.
        error: the standard error of `heap`, where it is an estimate.
    """

    heap: Bytes
    blocks: Count | None
    name: str
    error: Bytes | None = None


@dataclass(frozen=True)
class Parts:
    """Of what a heap consists; the largest first.

    Attributes:
        owner: whose it is.
        heap: what is held.
        peak: the most that ever was; None of a server, and of the dead.
        allocated: all that was ever allocated; likewise.
        sites: by the line that allocated it, since level `sites` was set.
        types: by type; `(contents)` is what objects keep elsewhere, as a list its items.
        coroutines: by coroutine, of a server.
        missing: what cannot be told, and why; empty if nothing.
    """

    owner: str
    heap: Bytes
    peak: Bytes | None
    allocated: Bytes | None
    sites: list[Share]
    types: list[Share]
    coroutines: list[Share]
    missing: str = ""


class Heap(Bytes):
    """A size that can be looked into.

    Attributes:
        parts: looks, and tells of what it consists at that moment.
        lines: the same as lines for a screen of that width.
    """

    parts: Callable[[], Parts]
    lines: Callable[[int], list[str]]

    @classmethod
    def of(cls, size: int, parts: Callable[[], Parts], lines: Callable[[Parts, int], list[str]]) -> Heap:
        """A size, who tells its parts, and who shows them."""
        found = cls(size)
        found.parts = parts
        found.lines = lambda width: lines(parts(), width)
        return found


def heap(shell: Shell, owner: Any, top: int = TOP) -> Heap:
    """The heap on a coroutine's account; a server's is that of all its coroutines."""
    if not memory.traces_heap():
        raise CommandError(f"heap is not traced at level {memory.level()!r}: set level heap")
    if top < 1:
        raise CommandError(f"--top must be at least 1, not {top}")
    name = _server_name(shell, owner)
    if name is None:
        picture = close_up_here(shell, owner).picture
        return Heap.of(picture.heap_bytes or 0, partial(_parts_of, picture, top), partial(_lines, shell))
    theirs = [p for p in shell.snapshot().coroutines if p.name == name or p.name.startswith(f"{name}/")]
    total = sum(picture.heap_bytes or 0 for picture in theirs)
    return Heap.of(total, partial(_parts_of_server, name, total, theirs, top), partial(_lines, shell))


def _server_name(shell: Shell, owner: Any) -> str | None:
    """The name that a server's coroutines have, if a server is meant."""
    if isinstance(owner, (Coroutine, int)):
        return None
    try:
        server = shell.find_server(owner)
    except CommandError:
        return None
    return server.name if isinstance(server, Server) else None


# -- looking closer --------------------------------------------------------------------------------


def _parts_of(picture: CoroutinePicture, top: int) -> Parts:
    ended = picture.outcome is not None
    missing = ""
    try:
        types = [Share(Bytes(t.heap_bytes), Count(t.count), t.type) for t in memory.types(picture.id)[:top]]
        sites = _sites_of(picture.id, top) if memory.level() == "sites" else []
        if memory.level() != "sites":
            missing = "set level sites tells which lines allocate it"
        elif not sites:
            missing = "no line was noted since level sites was set"
    except CoroutineError as error:
        types, sites, missing = [], [], str(error)
    return Parts(
        owner=f"{label(picture)}{', which has ended' if ended else ''}",
        heap=Bytes(picture.heap_bytes or 0),
        peak=None if ended or picture.heap_peak is None else Bytes(picture.heap_peak),
        allocated=None if ended or picture.allocated_total is None else Bytes(picture.allocated_total),
        sites=sites,
        types=types,
        coroutines=[],
        missing=missing,
    )


def _sites_of(coroutine: int, top: int) -> list[Share]:
    return [
        Share(
            Bytes(s.heap_bytes), Count(s.heap_blocks), s.site, Bytes(s.error_bytes) if s.error_bytes else None
        )
        for s in memory.sites(coroutine, top)
    ]


def _parts_of_server(name: str, total: int, pictures: list[CoroutinePicture], top: int) -> Parts:
    largest = sorted(pictures, key=lambda picture: -(picture.heap_bytes or 0))[:top]
    shares = [Share(Bytes(picture.heap_bytes or 0), None, label(picture)) for picture in largest]
    left = len(pictures) - len(shares)
    missing = f"{left:,} more coroutines: --top {len(pictures)}" if left else ""
    return Parts(name, Bytes(total), None, None, [], [], shares, missing)


# -- showing it ------------------------------------------------------------------------------------


def _lines(shell: Shell, parts: Parts, width: int) -> list[str]:
    below = [parts.missing] if parts.missing else []
    return [
        *fitted([_first_line(parts)], width),
        *listing(shell, parts.sites, _columns("ALLOCATED-AT", parts.sites)).lines(width),
        *listing(shell, parts.types, _columns("TYPE", parts.types, "OBJECTS")).lines(width),
        *listing(shell, parts.coroutines, _columns("COROUTINE", parts.coroutines)).lines(width),
        *fitted(below, width),
    ]


def _first_line(parts: Parts) -> str:
    facts = [f"{parts.heap} held by {parts.owner}"]
    if parts.peak is not None:
        facts.append(f"at most {parts.peak} so far")
    if parts.allocated is not None:
        facts.append(f"{parts.allocated} allocated in all")
    return "; ".join(facts)


def _columns(name: str, shares: list[Share], blocks: str = "BLOCKS") -> list[Column]:
    estimated = any(share.error is not None for share in shares)
    counted = any(share.blocks is not None for share in shares)
    return [
        Column("heap", "HEAP", ">"),
        *([Column("error", "+-", ">")] if estimated else []),
        *([Column("blocks", blocks, ">", drop=1)] if counted else []),
        Column("name", name),
    ]


def _heap_lines(value: Heap, width: int) -> list[str]:
    return value.lines(width)


def _heap_record(value: Heap) -> Parts:
    return value.parts()


COMMANDS: Final = (
    Command(
        "heap",
        "show how much heap a coroutine or a server holds, and of what it consists",
        heap,
        (
            Arg("owner", "a coroutine's number or name, or a server's name", "coroutine"),
            Arg("--top", "of everything the largest so many", "int", default=TOP),
        ),
        (
            "go sleep(60) --name nap\nheap nap",
            'echo :0\nheap("echo#1") < 64 * 1024',
            "set level sites\ngo sleep(60) --name nap\nheap nap --top 20",
        ),
        lane="any",
        show=_heap_lines,
        record=_heap_record,
        details=(
            "By type at level heap, by line from the moment of set level sites on; the column +- is the standard error"
            " of what was sampled. Of a server the coroutines that hold most. As a function it is a number of bytes:"
            ' @assert heap("echo#1") < 64K.'
        ),
    ),
)
