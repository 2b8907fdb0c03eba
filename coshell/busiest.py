"""Who has run in the last moment: two looks, and what each coroutine has used between them.

Sums since the start hide what goes on now: one that computed for an hour yesterday stands above the one that
eats the processor today. Other processes report when they like, so what their coroutines have used is divided
by the time between their reports, and not between our looks; without a new report nothing is known of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from coloop import CoroutinePicture, Snapshot

from .processes import Number, ProcessPicture
from .render import Column
from .roster import ByteRate
from .text import cut, printable
from .values import Bytes, Count, Percent

MAX_CELL_WIDTH: Final = 28
SAME_REPORT_S: Final = 0.05


@dataclass(frozen=True)
class TwoLooks:
    """What was seen, and seen again.

    Attributes:
        before: the first picture, and what other processes had told by then.
        after: likewise the second.
        apart_s: the real time between them.
    """

    before: tuple[Snapshot, Sequence[ProcessPicture]]
    after: tuple[Snapshot, Sequence[ProcessPicture]]
    apart_s: float


@dataclass(frozen=True)
class Use:
    """What one coroutine has used between two looks.

    Attributes:
        id: its number.
        cpu: how much of the time it has run.
        switches: how often it was switched to, a second.
        heap: bytes of heap; None below level `heap`.
        heap_rate: how fast that has grown, in bytes a second.
        state: what it does now.
        name: its name.
        where: the innermost line of user code.
        process: the other process in which it runs; None for those of this one.
        pid: of that process.
    """

    id: int
    cpu: Percent
    switches: Count
    heap: Bytes | None
    heap_rate: ByteRate | None
    state: str
    name: str
    where: str | None
    process: str | None = None
    pid: int | None = None

    @property
    def label(self) -> str:
        """The name as it is shown."""
        return _short(self.name)

    @property
    def place(self) -> str | None:
        """Where it stands, as it is shown."""
        return None if self.where is None else _short(self.where)


COLUMNS: Final = (
    Column("id", "ID", ">"),
    Column("cpu", "CPU", ">"),
    Column("switches", "SWITCHES/s", ">", drop=2),
    Column("heap", "HEAP", ">", drop=3),
    Column("heap_rate", "dHEAP/s", ">", drop=1),
    Column("state", "STATE", drop=4),
    Column("label", "NAME", minimum=6),
    Column("place", "WHERE", drop=5, minimum=12),
)


def uses(looks: TwoLooks) -> list[Use]:
    """All who have run in between, the busiest first; who has no second report is left out."""
    (before, told_before), (after, told_after) = looks.before, looks.after
    found = list(_used(before.coroutines, after.coroutines, looks.apart_s))
    reports = {process.name: process for process in told_before}
    for process in told_after:
        report = reports.get(process.name)
        if report is None or report.pid != process.pid:
            continue
        apart_s = looks.apart_s + report.taken_ago_s - process.taken_ago_s
        if apart_s > SAME_REPORT_S:
            found += _used(report.coroutines, process.coroutines, apart_s, process)
    return sorted(found, key=lambda use: (-use.cpu, -use.switches))


def _used(
    before: Sequence[CoroutinePicture],
    after: Sequence[CoroutinePicture],
    apart_s: float,
    process: ProcessPicture | None = None,
) -> Iterator[Use]:
    known = {picture.id: picture for picture in before}
    for picture in after:
        earlier = known.get(picture.id)
        use = _use(earlier, picture, apart_s, process)
        if use.cpu > 0 or use.switches:
            yield use


def _use(
    earlier: CoroutinePicture | None,
    picture: CoroutinePicture,
    apart_s: float,
    process: ProcessPicture | None,
) -> Use:
    """One that was not there before has used all that it has used since."""

    def grown(value: Callable[[CoroutinePicture], float]) -> float:
        return value(picture) - (0 if earlier is None else value(earlier))

    busy_s = max(0.0, grown(lambda one: one.busy_s))
    heap_rate = None if picture.heap_bytes is None else grown(lambda one: one.heap_bytes or 0) / apart_s
    return Use(
        id=picture.id if process is None else Number.of(picture.id, process.name),
        cpu=Percent(min(100.0, 100.0 * busy_s / apart_s)),
        switches=Count(round(grown(lambda one: one.switches) / apart_s)),
        heap=None if picture.heap_bytes is None else Bytes(picture.heap_bytes),
        heap_rate=None if heap_rate is None else ByteRate(round(heap_rate)),
        state=picture.state,
        name=picture.name,
        where=picture.where,
        process=None if process is None else process.name,
        pid=None if process is None else process.pid,
    )


def totals(found: Sequence[Use], shown: int) -> list[str]:
    """The lines below the table: how much each process has run, and how many rows are not shown."""
    sums: dict[str, float] = {"here": 0.0}
    for use in found:
        where = use.process or "here"
        sums[where] = sums.get(where, 0.0) + use.cpu
    told = ", ".join(f"{printable(where, keep='')} {Percent(cpu)}" for where, cpu in sums.items())
    more = len(found) - shown
    return [f"coroutines have run for {told} of the time{f'; {more:,} more have run' if more > 0 else ''}"]


def _short(text: str) -> str:
    return cut(printable(text, keep=""), MAX_CELL_WIDTH, ascii_only=True, middle=True)
