"""Where a coroutine stands has two answers: the calls it is in, and the chain of those who started it.

A stack says what it does now and forgets who wanted that; for a coroutine the callers above its first
frame are gone, they went on long ago. So the place where each was started is noted at birth, and the
chain of births takes the part that the outer frames have in a plain program. An ancestor may be dead,
and even forgotten; its number and the place are still known.
"""

from __future__ import annotations

import linecache
import re
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from coloop import CoroutinePicture, SocketPicture

from .bridge import SHELL
from .lints import Finding
from .processes import Number, known_as
from .roster import StackSize
from .text import plural, printable
from .values import Bytes, Count, Duration

MAX_ANCESTORS: Final = 20
_TYPED: Final = re.compile(r"(<[^>]+>):(\d+) ")
_SHELL: Final = f"{Path(__file__).parent}/"
_COMMANDS: Final = f"{_SHELL}commands/"
MAX_CHILDREN_NAMED: Final = 10


class Surroundings(Protocol):
    """What must be known around a coroutine: a `Snapshot` tells it of ours, a `Sight` of those elsewhere."""

    @property
    def coroutines(self) -> tuple[CoroutinePicture, ...]:
        """The living, at least itself and those who started it."""

    @property
    def dead(self) -> tuple[CoroutinePicture, ...]:
        """The dead that are remembered."""

    @property
    def sockets(self) -> tuple[SocketPicture, ...]:
        """The open sockets, at least those that it has to do with."""

    @property
    def responsive(self) -> bool:
        """Whether the scheduler has answered."""

    @property
    def hog(self) -> CoroutinePicture | None:
        """Who lets nobody run."""


@dataclass(frozen=True)
class Place:
    """One line of a stack: `demo.py:31 in handle`, and the source that stands there if it can be read."""

    at: str
    source: str = ""


@dataclass(frozen=True)
class Ancestor:
    """Who started a coroutine, and where.

    Attributes:
        id: the ancestor's number; None at the beginning of the chain, which no coroutine started.
        name: its name; empty if it is forgotten.
        living: whether it still lives.
        at: the place of the start.
    """

    id: int | None
    name: str
    living: bool
    at: str


@dataclass(frozen=True)
class Standing:
    """Where one coroutine stands.

    Attributes:
        id: its number.
        name: its name.
        state: what it does in a word.
        doing: what it waits for, how it ended, or for how long it has been running.
        chain: who started it, who started that one, and so on.
        stack: its calls, the outermost first.
        note: why there is no stack, if there is none.
        process: the other process in which it lives, `web/w1`; None for those of this one.
    """

    id: int
    name: str
    state: str
    doing: str
    chain: tuple[Ancestor, ...]
    stack: tuple[Place, ...]
    note: str = ""
    process: str | None = None


@dataclass(frozen=True)
class Portrait:
    """All that is known of one coroutine.

    Attributes:
        id: its number.
        name: its name.
        state: what it does in a word.
        doing: what it waits for, how it ended, or for how long it has been running.
        age: since its start, up to its end.
        busy: how long it has run.
        switches: how many times it was switched to.
        heap: bytes of heap; this and the next two are None below level `heap`.
        heap_peak: the most it ever was.
        allocated: all that was ever allocated.
        limit: the limit of its heap; None without one.
        stack: bytes of stack, and its depth; None if it has none, or it cannot be seen now.
        timers: timers that are set for it.
        defers: calls that wait for its end.
        sockets: the open sockets that it made or waits on, a line each.
        children: the living coroutines that it started.
        warnings: what the lints say.
        standing: where it stands.
    """

    id: int
    name: str
    state: str
    doing: str
    age: Duration
    busy: Duration
    switches: Count
    heap: Bytes | None
    heap_peak: Bytes | None
    allocated: Bytes | None
    limit: Bytes | None
    stack: StackSize | None
    timers: int
    defers: int
    sockets: tuple[str, ...]
    children: tuple[int, ...]
    warnings: tuple[str, ...]
    standing: Standing


def places(stack: Iterable[traceback.FrameSummary]) -> tuple[Place, ...]:
    """A stack as `Coroutine.stack()` gives it, in our form, without the machinery of the shell."""
    return tuple(
        Place(f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}", (frame.line or "").strip())
        for frame in stack
        if not frame.filename.startswith(_SHELL) or frame.filename.startswith(_COMMANDS)
    )


def place_of(line: str) -> Place:
    """The same for a line such as `<co:3>:12 in handle`; only what was typed has its source under that name."""
    found = _TYPED.match(line)
    return Place(line, linecache.getline(found[1], int(found[2])).strip() if found else "")


def standing(picture: CoroutinePicture, snapshot: Surroundings, stack: Sequence[Place] | None) -> Standing:
    """Put together what is known of where a coroutine stands.

    Args:
        picture: the coroutine.
        snapshot: the picture it is from.
        stack: its calls; None if they could not be read.
    """
    return Standing(
        id=picture.id,
        name=picture.name,
        state=picture.state,
        doing=_doing(picture),
        chain=tuple(_chain(picture, snapshot)),
        stack=tuple(stack or ()),
        note="" if stack else _why_no_stack(picture, snapshot),
        process=getattr(picture.id, "process", None),
    )


def _doing(picture: CoroutinePicture) -> str:
    if picture.outcome is not None:
        return f"{picture.outcome}{'' if picture.ended_ago_s is None else f', {Duration(picture.ended_ago_s)} ago'}"
    if picture.running_for_s:
        return f"running for {Duration(picture.running_for_s)}"
    return f"waiting on {picture.waiting_on}" if picture.waiting_on else picture.state


def _why_no_stack(picture: CoroutinePicture, snapshot: Surroundings) -> str:
    if picture.outcome is not None:
        traceback_too = picture.state == "failed" and not isinstance(picture.id, Number)
        return f"it has ended, and its stack with it{f' (err {picture.id})' if traceback_too else ''}"
    if not snapshot.responsive:
        hog = snapshot.hog
        return f"its stack cannot be read while {f'{known_as(hog.id)} hogs the scheduler' if hog else 'the scheduler is busy'}"
    return "no code of the user's is on its stack"


def _chain(picture: CoroutinePicture, snapshot: Surroundings) -> Iterable[Ancestor]:
    living = {known.id: known for known in snapshot.coroutines}
    known_ones = {known.id: known for known in snapshot.dead} | living
    for _ in range(MAX_ANCESTORS):
        if picture.parent_id is None and picture.name == SHELL:
            return
        parent = None if picture.parent_id is None else known_ones.get(picture.parent_id)
        name = parent.name if parent else ""
        yield Ancestor(picture.parent_id, name, picture.parent_id in living, picture.spawned_at)
        if parent is None:
            return
        picture = parent


def portrait(
    picture: CoroutinePicture,
    snapshot: Surroundings,
    stack: Sequence[Place] | None,
    children: Sequence[int],
    warnings: Sequence[Finding],
) -> Portrait:
    """Put together all that is known of a coroutine.

    Args:
        picture: the coroutine.
        snapshot: the picture it is from.
        stack: its calls; None if they could not be read.
        children: the living coroutines that it started.
        warnings: what the lints say of it.
    """
    return Portrait(
        id=picture.id,
        name=picture.name,
        state=picture.state,
        doing=_doing(picture),
        age=Duration(picture.age_s),
        busy=Duration(picture.busy_s),
        switches=Count(picture.switches),
        heap=_bytes(picture.heap_bytes),
        heap_peak=_bytes(picture.heap_peak),
        allocated=_bytes(picture.allocated_total),
        limit=_bytes(picture.limit),
        stack=StackSize.of(picture.stack_bytes, picture.frames) if picture.stack_bytes else None,
        timers=picture.timers,
        defers=picture.defers,
        sockets=tuple(
            socket_line(socket, picture.id) for socket in snapshot.sockets if _concerns(socket, picture.id)
        ),
        children=tuple(children),
        warnings=tuple(finding.sentence for finding in warnings),
        standing=standing(picture, snapshot, stack),
    )


def _bytes(size_bytes: int | None) -> Bytes | None:
    return None if size_bytes is None else Bytes(size_bytes)


def _concerns(socket: SocketPicture, coroutine: int) -> bool:
    return coroutine in {socket.owner, socket.reader, socket.writer}


def socket_line(socket: SocketPicture, coroutine: int) -> str:
    """A socket in a line, as it looks to one of the coroutines that have to do with it."""
    between = f" {'->' if socket.role == 'client' else '<-'} {socket.peer}" if socket.peer else ""
    roles = [("made it", socket.owner), ("reads", socket.reader), ("writes", socket.writer)]
    parts = ", ".join(role for role, who in roles if who == coroutine)
    return f"{socket.role} {socket.local}{between} {socket.state} ({parts})"


# -- as lines --------------------------------------------------------------------------------------


def standing_lines(shown: Standing) -> list[str]:
    """The answer to `where`: who it is, the stack, and the chain of births."""
    return [_head(shown.id, shown.name, shown.doing), *_stack_lines(shown), *map(_birth_line, shown.chain)]


def _head(id: int, name: str, doing: str) -> str:  # noqa: A002 - the contract's name
    return printable(f"{known_as(id)} {name}: {doing}", keep="")


def _stack_lines(shown: Standing) -> list[str]:
    if not shown.stack:
        return [f"  {shown.note}"]
    width = max(len(place.at) for place in shown.stack)
    return [printable(f"  {place.at:{width}}  {place.source}".rstrip(), keep="") for place in shown.stack]


def _birth_line(ancestor: Ancestor) -> str:
    if ancestor.id is None:
        return printable(f"  started at {ancestor.at}", keep="")
    name = f" {ancestor.name}" if ancestor.name else ""
    ended = "" if ancestor.living else " (ended)"
    return printable(f"  started by {known_as(ancestor.id)}{name}{ended} at {ancestor.at}", keep="")


def portrait_lines(shown: Portrait) -> list[str]:
    """The answer to `show`."""
    facts = [
        ("time", f"{shown.age} old, ran for {shown.busy}, switched to {plural(shown.switches, 'time')}"),
        ("heap", _heap_fact(shown)),
        ("stack", _stack_fact(shown)),
        ("holds", f"{plural(shown.timers, 'timer')}, {plural(shown.defers, 'deferred call')}"),
        *(("socket", line) for line in shown.sockets),
        ("children", _children_fact(shown.children)),
        *(("warning", sentence) for sentence in shown.warnings),
    ]
    lines = [printable(f"  {key:<9}{fact}", keep="") for key, fact in facts if fact]
    head, *rest = standing_lines(shown.standing)
    return [head, *lines, *rest]


def _heap_fact(shown: Portrait) -> str:
    if shown.heap is None:
        return "not traced"
    limit = f", limit {shown.limit}" if shown.limit is not None else ""
    return f"{shown.heap}, peak {shown.heap_peak}, allocated {shown.allocated} in all{limit}"


def _stack_fact(shown: Portrait) -> str:
    return "" if shown.stack is None else f"{Bytes(shown.stack)}, {plural(shown.stack.frames, 'frame')} deep"


def _children_fact(children: Sequence[int]) -> str:
    named = " ".join(known_as(child) for child in children[:MAX_CHILDREN_NAMED])
    more = len(children) - MAX_CHILDREN_NAMED
    return f"{named} and {more:,} more" if more > 0 else named
