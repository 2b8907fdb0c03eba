"""Seeing who holds memory, and collecting what nobody holds."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import coloop
from coloop import Snapshot, memory
from coshell.command import Command
from coshell.ledgers import Ledgers, ledger_lines, ledgers
from coshell.listing import fitted
from coshell.text import plural, printable
from coshell.values import Bytes, Count

if TYPE_CHECKING:
    from coshell.shell import Shell

MAX_BIRTHS: Final = 10
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
        by_birth: how much the dead had left, by where they were born; nothing without the native ledger.
        unknown: the rest: of nobody, of those too many to look at, or the ledger cannot tell.
    """

    objects: Count
    uncollectable: Count
    freed: Bytes | None
    by_coroutine: Mapping[str, Bytes]
    by_birth: Mapping[str, Bytes]
    unknown: Bytes | None


def collect(shell: Shell) -> Collected:
    """Collect garbage now."""
    before, left = shell.snapshot(MAX_SURVEYED), _left_by_birth()
    uncollectable_before = len(gc.garbage)
    traced_before = memory.total()
    objects = gc.collect()
    traced_after = memory.total()
    uncollectable = len(gc.garbage) - uncollectable_before
    if traced_before is None or traced_after is None:
        return Collected(Count(objects), Count(uncollectable), None, {}, {}, None)
    freed = traced_before - traced_after
    shares = _shares(before, shell.snapshot(MAX_SURVEYED))
    births = _shrunk(left, _left_by_birth())
    known = sum(shares.values()) + sum(births.values())
    return Collected(Count(objects), Count(uncollectable), Bytes(freed), shares, births, Bytes(freed - known))


def _left_by_birth() -> dict[str, int]:
    """What the dead have left; without the native ledger what is freed is not taken from that."""
    return {residue.site: residue.heap_bytes for residue in memory.residues()} if memory.exact else {}


def _shrunk(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, Bytes]:
    """Who holds less than before, and how much; most first."""
    lost = {name: Bytes(size - after.get(name, 0)) for name, size in before.items()}
    return {name: lost[name] for name in sorted(lost, key=lambda name: -lost[name]) if lost[name] > 0}


def _shares(before: Snapshot, after: Snapshot) -> dict[str, Bytes]:
    """Whose heap has shrunk; the coroutine that collects is left out, as it may be credited for others'."""
    me = coloop.current()
    had, have = (
        {
            f"co#{one.id} {one.name}": one.heap_bytes or 0
            for one in picture.coroutines
            if me is None or one.id != me.id
        }
        for picture in (before, after)
    )
    return _shrunk({name: size for name, size in had.items() if name in have}, have)


def _gc_lines(value: Collected, _: int) -> list[str]:
    stuck = f", {value.uncollectable} uncollectable" if value.uncollectable else ""
    if value.freed is None:
        return [
            f"ok  {plural(value.objects, 'object')} collected{stuck}; bytes are not traced (set level heap)"
        ]
    lines = [f"ok  {plural(value.objects, 'object')} collected, {value.freed} freed{stuck}"]
    lines += [printable(f"  {size}  {name}", keep="") for name, size in value.by_coroutine.items()]
    lines += [
        printable(f"  {size}  the dead of {site}", keep="")
        for site, size in list(value.by_birth.items())[:MAX_BIRTHS]
    ]
    if len(lines) > 1 and value.unknown:
        whose = (
            "of nobody, or too little to be told"
            if memory.exact
            else "of the dead, of nobody, or the ledger cannot tell"
        )
        lines.append(f"  {value.unknown}  {whose}")
    return lines


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
)
