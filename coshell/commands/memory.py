"""Seeing who holds memory, and collecting what nobody holds."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import coloop
from coloop import Coroutine, Server, Snapshot, memory
from coshell.closeup import close_up
from coshell.command import Arg, Command, CommandError
from coshell.ledgers import Ledgers, ledger_lines, ledgers
from coshell.listing import fitted
from coshell.text import plural, printable
from coshell.values import Bytes, Count

if TYPE_CHECKING:
    from coshell.shell import Shell

MAX_SURVEYED: Final = 10_000  # coroutines; a look at so many takes about a third of a second


# -- mem -------------------------------------------------------------------------------------------


def mem(shell: Shell) -> Ledgers:
    """Both ledgers at this moment."""
    return ledgers(shell.snapshot(MAX_SURVEYED), memory.process(), memory.residues())


def _mem_lines(value: Ledgers, width: int) -> list[str]:
    return fitted(ledger_lines(value), width)


# -- gc --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Collected:
    """What a collection has freed.

    Attributes:
        objects: unreachable objects that were found.
        uncollectable: those of them that could not be freed.
        freed: bytes; None below level `heap`.
        by_coroutine: how much of it was on which coroutine's account, as far as the ledger can tell.
        unknown: the rest: of the dead, of nobody, or the ledger cannot tell.
    """

    objects: Count
    uncollectable: Count
    freed: Bytes | None
    by_coroutine: Mapping[str, Bytes]
    unknown: Bytes | None


def collect(shell: Shell) -> Collected:
    """Collect garbage now."""
    before = shell.snapshot()
    uncollectable_before = len(gc.garbage)
    traced_before = memory.total()
    objects = gc.collect()
    traced_after = memory.total()
    uncollectable = len(gc.garbage) - uncollectable_before
    if traced_before is None or traced_after is None:
        return Collected(Count(objects), Count(uncollectable), None, {}, None)
    freed = traced_before - traced_after
    shares = _shares(before, shell.snapshot())
    return Collected(
        Count(objects), Count(uncollectable), Bytes(freed), shares, Bytes(freed - sum(shares.values()))
    )


def _shares(before: Snapshot, after: Snapshot) -> dict[str, Bytes]:
    """Whose heap has shrunk; the coroutine that collects is left out, as it may be credited for others'."""
    me = coloop.current()
    had = {picture.id: picture.heap_bytes or 0 for picture in before.coroutines}
    shrunk = {
        f"co#{picture.id} {picture.name}": Bytes(had.get(picture.id, 0) - (picture.heap_bytes or 0))
        for picture in after.coroutines
        if me is None or picture.id != me.id
    }
    return {name: size for name, size in shrunk.items() if size > 0}


def _gc_lines(value: Collected, _: int) -> list[str]:
    stuck = f", {value.uncollectable} uncollectable" if value.uncollectable else ""
    if value.freed is None:
        return [
            f"ok  {plural(value.objects, 'object')} collected{stuck}; bytes are not traced (set level heap)"
        ]
    lines = [f"ok  {plural(value.objects, 'object')} collected, {value.freed} freed{stuck}"]
    lines += [printable(f"  {size}  {name}", keep="") for name, size in value.by_coroutine.items()]
    if value.by_coroutine and value.unknown:
        lines.append(f"  {value.unknown}  of the dead, of nobody, or the ledger cannot tell")
    return lines


# -- heap ------------------------------------------------------------------------------------------


def heap(shell: Shell, owner: Any) -> Bytes:
    """The heap on a coroutine's account; a server's is that of all its coroutines."""
    if not memory.traces_heap():
        raise CommandError(f"heap is not traced at level {memory.level()!r}: set level heap")
    name = _server_name(shell, owner)
    if name is None:
        return Bytes(close_up(shell, owner).picture.heap_bytes or 0)
    theirs = (p for p in shell.snapshot().coroutines if p.name == name or p.name.startswith(f"{name}/"))
    return Bytes(sum(picture.heap_bytes or 0 for picture in theirs))


def _server_name(shell: Shell, owner: Any) -> str | None:
    """The name that a server's coroutines have, if a server is meant."""
    if isinstance(owner, (Coroutine, int)):
        return None
    try:
        server = shell.find_server(owner)
    except CommandError:
        return None
    return server.name if isinstance(server, Server) else None


def _heap_lines(value: Bytes, _: int) -> list[str]:
    return [str(value)]


COMMANDS: Final = (
    Command(
        "mem",
        "show what Python manages and what the process holds, side by side",
        mem,
        (),
        ("mem", "mem --json"),
        lane="any",
        show=_mem_lines,
        details=(
            "Attributed and unattributed together are all that is traced; traced and not traced together are all"
            " that is resident. Memory that C libraries take by themselves is never traced."
        ),
    ),
    Command(
        "gc",
        "collect garbage now, and tell what was freed",
        collect,
        (),
        ("gc", "a = []\na.append(a)\ndel a\ngc"),
        show=_gc_lines,
        details="What only the collector frees was held by a cycle of references: a leak for as long as it does not run.",
    ),
    Command(
        "heap",
        "show the heap of a coroutine, or of all coroutines of a server",
        heap,
        (Arg("owner", "a coroutine's number or name, or a server's name", "coroutine"),),
        ("go sleep(60) --name nap\nheap nap", 'echo :0\nheap("echo#1") < 64 * 1024'),
        lane="any",
        show=_heap_lines,
    ),
)
