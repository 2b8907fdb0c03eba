"""What the ledger tells of live heap, as flame graphs want it: without the calls of the shell at the root.

Below every coroutine stand the calls that started it: they are the same for all, and say nothing. And what is
allocated here, to draw the picture, is no part of it.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import coloop
import coshell
from coloop import CoroutineError, memory
from coshell.command_error import CommandError

from .flame_tree import BY_COROUTINE, HeapStack

if TYPE_CHECKING:
    from coshell.shell import Shell

MACHINERY: Final = "coshell and coloop themselves"

Stacks: TypeAlias = Sequence[HeapStack]
Names: TypeAlias = Callable[[int], str]

_STANDARD: Final = frozenset({"threading.py", "contextlib.py", "<frozen runpy>", "coshell"})
# Frames tell the file without its folder, and a user's may be called as ours: so the first frame must be one of these.
_SHELL_ROOTS: Final = re.compile(
    r"bridge\.py:\d+ in _|threading\.py:\d+ in _bootstrap|<frozen runpy>:|coshell:\d+ in <module>"
)
_OURS: Final = re.compile(r"(?:heap_stacks|_tracemalloc_ledger)\.py:")


class Stack(NamedTuple):
    """Live heap below one stack of calls; see `HeapStack`."""

    coroutine: int
    frames: tuple[str, ...]
    heap_bytes: int
    heap_blocks: int


def live_stacks(by: str) -> list[Stack]:
    """The live heap by stack.

    Args:
        by: one of `WAYS`.

    Raises:
        CommandError: nobody knows; the message tells what to do.
    """
    if memory.level() != "sites":
        raise CommandError(f"places of allocation are not kept at level {memory.level()!r}: set level sites")
    if by == BY_COROUTINE and not memory.exact:
        raise CommandError("whose a block is takes the native core, which is not there: flame --by stack")
    try:
        stacks = memory.stacks()
    except CoroutineError as error:
        raise CommandError(str(error)) from None
    return [_trimmed(stack) for stack in stacks if not any(map(_OURS.match, stack.frames))]


def standard_error() -> int:
    """How far off the sum of all stacks may be, in bytes: the native ledger notes a sample of the allocations."""
    sites = memory.sites(top=sys.maxsize) if memory.exact else ()
    return round(math.sqrt(sum(site.error_bytes**2 for site in sites)))


def names_of(shell: Shell) -> Names:
    """What coroutines are called, living and dead."""
    snapshot = shell.snapshot(0)
    names = {picture.id: picture.name for picture in snapshot.dead} | {
        one.id: one.name for one in shell.living()
    }
    return lambda number: f"co#{number} {names[number]}" if number in names else f"co#{number}"


def _trimmed(stack: HeapStack) -> Stack:
    ours = _machinery_below(stack.frames[0]) if stack.frames else frozenset()
    start = next((place for place, frame in enumerate(stack.frames) if _file_of(frame) not in ours), None)
    frames = (MACHINERY, *stack.frames[-1:]) if start is None else stack.frames[start:]
    return Stack(stack.coroutine, frames, stack.heap_bytes, stack.heap_blocks)


def _machinery_below(root: str) -> frozenset[str]:
    """The files that are left out at the root of a stack that begins so."""
    runtime, shell = _files_of(coloop.__file__), _files_of(coshell.__file__)
    if _SHELL_ROOTS.match(root):
        return runtime | shell | _STANDARD
    return runtime if _file_of(root) in runtime else frozenset()


@cache
def _files_of(package: str) -> frozenset[str]:
    return frozenset(path.name for path in Path(package).parent.rglob("*.py"))


def _file_of(frame: str) -> str:
    return frame.rpartition(" in ")[0].rpartition(":")[0]
