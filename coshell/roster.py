"""`ps` is a picture turned into rows: which to show, in which order, and what has to be said below them.

A table that shows a part must say so. There may be a hundred thousand coroutines and a screen has fifty
lines, so the list is cut, and the last line tells of how many, and how to see the others. In the same
way it says when the picture is a light one, taken past a scheduler that somebody hogs, and how much of
the traced memory the rows account for.

Columns that would be empty in every row are left out: nobody knows a rate before the second look, and
most of the time there is nothing to warn of.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from coloop import CoroutinePicture, Snapshot

from .lints import Finding
from .processes import Number, ProcessPicture, Worker
from .reach import is_local
from .render import Column, sparkline
from .text import cut, plural, printable
from .values import Bytes, Count, Duration

if TYPE_CHECKING:
    from .plugin import PsColumn

DEAD_SHOWN_S: Final = 6.0
DEAD_SHOWN: Final = 10
FINDINGS_SHOWN: Final = 3
MAX_CELL_WIDTH: Final = 28
MAX_INDENT: Final = 20
APPROXIMATE: Final = "~"  # before a figure of the ledger that reads tracemalloc at switches


class StackSize(Bytes):
    """A stack in bytes, shown with its depth: `2.1K/6`. Bytes alone mislead: Python calls use no C stack.

    Attributes:
        frames: the depth.
    """

    frames: int = 0

    @classmethod
    def of(cls, size_bytes: int, frames: int) -> StackSize:
        """A size with a depth."""
        size = cls(size_bytes)
        size.frames = frames
        return size

    def __str__(self) -> str:
        return f"{super().__str__()}/{self.frames}"


class ByteRate(Bytes):
    """Bytes per second, shown with a sign: `+40.1K`."""

    def __str__(self) -> str:
        return f"{'+' if self > 0 else ''}{super().__str__()}" if self else "."


class Trend(tuple[int, ...]):  # noqa: SLOT001 - a tuple takes no slots
    """The last values of a heap in bytes, oldest first; `str` draws them.

    Attributes:
        ascii_only: draw with ASCII.
    """

    ascii_only: bool = False

    @classmethod
    def of(cls, values: Iterable[int], *, ascii_only: bool = False) -> Trend:
        """Some values."""
        trend = cls(values)
        trend.ascii_only = ascii_only
        return trend

    def __str__(self) -> str:
        return sparkline(self, ascii_only=self.ascii_only)


@dataclass(frozen=True)
class Row:
    """One coroutine in `ps`.

    Attributes:
        id: its number.
        state: `ready running waiting done failed cancelled`.
        name: its name.
        age: since its start.
        busy: how long it has run.
        switches: how many times it was switched to.
        stack: bytes of stack; None for the dead, and in a light picture.
        frames: depth of the stack.
        heap: bytes of heap; None below level `heap`.
        heap_rate: how fast the heap grows, in bytes a second; None while nobody knows.
        waiting_on: what it waits for.
        where: the innermost line of user code.
        warn: names of the lints that have something to say.
        parent: who started it.
        spawned_at: where.
        outcome: how it ended; None while it lives.
        process: the other process in which it runs, `web/w1`; None for those of this one.
        pid: of that process.
        heap_trend: its heap in the last samples, in bytes, oldest first; None before there are two.
        depth: how many ancestors stand above it in a tree; 0 elsewhere.
    """

    id: int
    state: str
    name: str
    age: Duration
    busy: Duration
    switches: Count
    stack: StackSize | None
    frames: int
    heap: Bytes | None
    heap_rate: ByteRate | None
    waiting_on: str | None
    where: str | None
    warn: tuple[str, ...]
    parent: int | None
    spawned_at: str
    outcome: str | None
    process: str | None = None
    pid: int | None = None
    heap_trend: Trend | None = None
    depth: int = 0

    @property
    def label(self) -> str:
        """The name as it is shown, indented by its depth."""
        return "  " * min(self.depth, MAX_INDENT) + _short(self.name)

    @property
    def doing(self) -> str | None:
        """What it waits for, or how it ended, as it is shown."""
        what = self.waiting_on or self.outcome
        return None if what is None else _short(what)

    @property
    def place(self) -> str | None:
        """Where it stands, as it is shown."""
        return None if self.where is None else _short(self.where)

    @property
    def trend(self) -> str:
        """How its heap went, as it is shown."""
        return "" if self.heap_trend is None else str(self.heap_trend)

    @property
    def warnings(self) -> str:
        """The lints' names in a line."""
        return " ".join(self.warn)


def _short(text: str) -> str:
    """One long cell must not push other columns off the screen."""
    return cut(printable(text, keep=""), MAX_CELL_WIDTH, ascii_only=True, middle=True)


ROW_COLUMNS: Final = (
    Column("id", "ID", ">"),
    Column("state", "STATE"),
    Column("label", "NAME", minimum=6),
    Column("age", "AGE", ">", drop=4),
    Column("busy", "BUSY", ">", drop=5),
    Column("switches", "SWITCHES", ">", drop=6),
    Column("stack", "STACK", ">", drop=3),
    Column("heap", "HEAP", ">"),
    Column("heap_rate", "dHEAP/s", ">"),
    Column("trend", "TREND", drop=8),
    Column("doing", "WAITING-ON", drop=2, minimum=10),
    Column("place", "WHERE", drop=7, minimum=12),
    Column("warnings", "WARN", drop=1),
)
OFTEN_EMPTY: Final = frozenset({"heap", "heap_rate", "trend", "warnings", "place"})


@dataclass(frozen=True)
class Look:
    """All that rows are made from.

    Attributes:
        snapshot: the picture.
        heap_rates: bytes a second by coroutine id, as far as known.
        findings: what the lints say.
        columns: what plugins add.
        heap_trends: heaps in the last samples, by coroutine id, as far as known.
        processes: what other processes have told.
    """

    snapshot: Snapshot
    heap_rates: Mapping[int, float] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    columns: Sequence[PsColumn] = ()
    heap_trends: Mapping[int, Trend] = field(default_factory=dict)
    processes: Sequence[ProcessPicture] = ()


def rows(look: Look, *, all_dead: bool = False) -> list[Row]:
    """The living by id, then the last few that ended a short while ago, or all that are remembered."""
    warnings: dict[int, list[str]] = defaultdict(list)
    for finding in look.findings:
        warnings[finding.coroutine].append(finding.lint)
    dead = look.snapshot.dead if all_dead else recent_dead(look.snapshot.dead)[-DEAD_SHOWN:]
    make = _row_type(tuple(column.header for column in look.columns))
    return [
        make(
            **_measures(picture, look.heap_rates.get(picture.id)),
            heap_trend=look.heap_trends.get(picture.id),
            warn=tuple(warnings.get(picture.id, ())),
            **{key_of(column.header): column.value(picture) for column in look.columns},
        )
        for picture in (*look.snapshot.coroutines, *dead)
    ]


def rows_elsewhere(look: Look) -> list[Row]:
    """Those in other processes; what only we could know of our own is not known of them."""
    make = _row_type(tuple(column.header for column in look.columns))
    return [
        make(
            **_measures(picture, None) | {"id": Number.of(picture.id, process.name)},
            process=process.name,
            pid=process.pid,
            warn=(),
        )
        for process in look.processes
        for picture in process.coroutines
    ]


def recent_dead(dead: Sequence[CoroutinePicture]) -> list[CoroutinePicture]:
    """Those that have ended a short while ago, oldest first."""
    return [picture for picture in dead if (picture.ended_ago_s or 0.0) <= DEAD_SHOWN_S]


def _measures(picture: CoroutinePicture, heap_rate: float | None) -> dict[str, Any]:
    return {
        "id": picture.id,
        "state": picture.state,
        "name": picture.name,
        "age": Duration(picture.age_s),
        "busy": Duration(picture.busy_s),
        "switches": Count(picture.switches),
        "stack": StackSize.of(picture.stack_bytes, picture.frames) if picture.stack_bytes else None,
        "frames": picture.frames,
        "heap": None if picture.heap_bytes is None else Bytes(picture.heap_bytes),
        "heap_rate": None if heap_rate is None else ByteRate(round(heap_rate)),
        "waiting_on": picture.waiting_on,
        "where": picture.where,
        "parent": picture.parent_id,
        "spawned_at": picture.spawned_at,
        "outcome": picture.outcome,
    }


def key_of(header: str) -> str:
    """The attribute and JSON key of a plugin's column: `TLS-BYTES` is `tls_bytes`."""
    return re.sub(r"\W+", "_", header.lower()).strip("_")


@cache
def _row_type(headers: tuple[str, ...]) -> type[Row]:
    """`Row`, with an attribute for each column that plugins add."""
    if not headers:
        return Row
    extra = [(key_of(header), Any, field(default=None, kw_only=True)) for header in headers]
    return make_dataclass("Row", extra, bases=(Row,), frozen=True, namespace={"__module__": __name__})


def row_columns(shown: Sequence[Row], added: Sequence[PsColumn] = ()) -> tuple[Column, ...]:
    """The columns of `ps`, without those that have nothing in them; those of plugins before the warnings."""
    own = [column for column in ROW_COLUMNS if column.field not in OFTEN_EMPTY or filled(column.field, shown)]
    place = len(own) - (own[-1].field == "warnings")
    plugins = (Column(key_of(column.header), column.header, drop=1) for column in added)
    return (*own[:place], *plugins, *own[place:])


def filled(attribute: str, shown: Sequence[object]) -> bool:
    """Whether any of the rows has something to show there."""
    return any(getattr(row, attribute) not in {None, ""} for row in shown)


# -- what stands below -----------------------------------------------------------------------------


def footer(
    look: Look, *, shown: int, matched: int, dead_told: bool = True, elsewhere_shown: bool = False
) -> list[str]:
    """The lines below the table.

    Args:
        look: what the rows were made from.
        shown: how many rows there are.
        matched: how many there would be if none was cut off.
        dead_told: whether it must be told of the lately dead that have no row.
        elsewhere_shown: whether those in other processes have rows.
    """
    snapshot = look.snapshot
    hidden_dead = len(recent_dead(snapshot.dead)) - DEAD_SHOWN if dead_told else 0
    lines = [*_light(snapshot), *_cut(matched, shown, hidden_dead), _totals(snapshot)]
    lines += _elsewhere(look.processes, shown=elsewhere_shown)
    return [*lines, *_open_to_others(snapshot), *_told(look.findings)]


def _light(snapshot: Snapshot) -> list[str]:
    if snapshot.responsive:
        return []
    hog = snapshot.hog
    who = (
        f"{_named(hog)} has run for {Duration(hog.running_for_s)} (where {hog.id}, kill {hog.id})"
        if hog
        else "busy"
    )
    return [f"the scheduler does not answer: {who}; places, stacks, sockets and the dead are left out"]


def _named(picture: CoroutinePicture) -> str:
    return printable(f"co#{picture.id} {picture.name}", keep="")


def _cut(matched: int, shown: int, hidden_dead: int) -> list[str]:
    lines = []
    if matched > shown:
        lines.append(f"{shown:,} of {matched:,} shown: ps --all, --group, --where EXPR, --sort COL --top N")
    if hidden_dead > 0:
        lines.append(f"{hidden_dead:,} more have just ended: ps --all")
    return lines


def _totals(snapshot: Snapshot) -> str:
    running = snapshot.live - snapshot.ready - snapshot.waiting
    states = [(running, "running"), (snapshot.ready, "ready"), (snapshot.waiting, "waiting")]
    counts = ", ".join(f"{count:,} {state}" for count, state in states if count)
    line = plural(snapshot.live, "coroutine") + (f": {counts}" if counts else "")
    if snapshot.heap_bytes is None or snapshot.traced_bytes is None:
        return f"{line}; heap not traced (level {snapshot.level})"
    attributed, traced = Bytes(snapshot.heap_bytes), Bytes(snapshot.traced_bytes)
    mark = "" if snapshot.exact else APPROXIMATE
    return f"{line}; heap attributed {mark}{attributed} of {traced}"


def _elsewhere(processes: Sequence[ProcessPicture], *, shown: bool) -> list[str]:
    if shown:
        return [str(Worker.of(process)) for process in processes]
    if not processes:
        return []
    live = sum(process.live for process in processes)
    are = f"{len(processes)} other processes" if len(processes) > 1 else "another process"
    return [f"and {plural(live, 'coroutine')} in {are}: ps --all"]


def _open_to_others(snapshot: Snapshot) -> list[str]:
    listeners = [socket for socket in snapshot.sockets if socket.role == "listener"]
    names = {picture.id: picture.name for picture in snapshot.coroutines}
    return [
        printable(f"! co#{s.owner} {names.get(s.owner, '')} is open to other machines: {s.local}", keep="")
        for s in listeners
        if not is_local(s.local)
    ]


def _told(findings: Sequence[Finding]) -> list[str]:
    lines = [f"! {printable(str(finding), keep='')}" for finding in findings[:FINDINGS_SHOWN]]
    more = len(findings) - len(lines)
    return [*lines, f"! and {plural(more, 'more warning')}"] if more > 0 else lines
