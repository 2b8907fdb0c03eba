"""Looking at coroutines: the list, where one stands, all that is known of it, and what it died of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from coloop import CoroutinePicture, Snapshot
from coshell.closeup import close_up, stacks
from coshell.command import Arg, Command, CommandError, UsageError
from coshell.failures import Death
from coshell.lints import BUILT_IN, DiedUnseen, Finding, HeapGrowing, findings
from coshell.listing import Listing, fitted, lines_of, listing
from coshell.monitor import SPARK_SAMPLES
from coshell.naming import number_in, ranges
from coshell.portrait import (
    Portrait,
    Standing,
    portrait,
    portrait_lines,
    standing,
    standing_lines,
)
from coshell.render import Column
from coshell.roster import Look, Row, Trend, footer, recent_dead, row_columns, rows, rows_elsewhere
from coshell.sifting import group_columns, grouped, matching, ordered, tree
from coshell.socket_lints import LINT_NAMES, socket_findings

if TYPE_CHECKING:
    from coshell.shell import Shell

MAX_ROWS: Final = 200
MAX_STACKS: Final = 200
STUCK_SEARCHED: Final = 1000  # coroutines; the search walks the heap, and nobody runs meanwhile


# -- ps --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """What `ps` was asked for; see its arguments."""

    tree: bool
    group: bool
    where: str | None
    sort: str | None
    top: int | None
    all: bool

    @property
    def limit(self) -> int | None:
        """How many rows there may be."""
        return self.top if self.top is not None else None if self.all else MAX_ROWS

    @property
    def everybody(self) -> bool:
        """Whether all coroutines must be looked at, however few are shown."""
        return self.all or self.tree or self.group or bool(self.where or self.sort)


def ps(shell: Shell, **asked: Any) -> Listing[Any]:
    """The coroutines as rows."""
    wanted = Wanted(**asked)
    if wanted.top is not None and wanted.top < 1:
        raise UsageError(f"ps: --top {wanted.top}: at least one is needed")
    look = look_at(shell, None if wanted.everybody else wanted.limit, all_dead=wanted.all)
    found: list[Any] = rows(look, all_dead=wanted.all)
    if wanted.all:
        found += rows_elsewhere(look)
    if wanted.where is not None:
        found = matching(found, wanted.where, shell.names)
    not_pictured = 0 if wanted.where is not None else look.snapshot.live - len(look.snapshot.coroutines)
    chosen, columns = _arranged(found, look, wanted)
    cut = chosen[: wanted.limit]
    below = footer(
        look,
        shown=len(cut),
        matched=len(chosen) + not_pictured,
        dead_told=not wanted.everybody,
        elsewhere_shown=wanted.all,
    )
    return listing(shell, cut, columns, below)


def _arranged(found: list[Row], look: Look, wanted: Wanted) -> tuple[list[Any], tuple[Column, ...]]:
    if wanted.group:
        groups = grouped(found)
        columns = group_columns(groups)
        return (ordered(groups, wanted.sort, columns) if wanted.sort else groups), columns
    columns = row_columns(found, look.columns)
    chosen = ordered(found, wanted.sort, columns) if wanted.sort else found
    return (tree(chosen) if wanted.tree else chosen), columns


def look_at(shell: Shell, limit: int | None = None, *, all_dead: bool = False) -> Look:
    """A picture of the coroutines, and all that is known to be said about them.

    Args:
        shell: whose.
        limit: how many coroutines it may show.
        all_dead: say something of all the dead that are remembered, not only of those who have just ended.
    """
    snapshot = shell.snapshot(limit)
    if snapshot.responsive and snapshot.live <= STUCK_SEARCHED:
        snapshot = shell.snapshot(limit, stuck=True)
    pictures = [*snapshot.coroutines, *(snapshot.dead if all_dead else recent_dead(snapshot.dead))]
    if snapshot.hog is not None and snapshot.hog.id not in {picture.id for picture in pictures}:
        pictures.append(snapshot.hog)
    sample = shell.monitor.latest if shell.monitor is not None else None
    return Look(
        snapshot=snapshot,
        heap_rates={} if sample is None else sample.heap_rates,
        findings=[*_findings(shell, pictures), *socket_findings(snapshot), *_growing(shell, pictures)],
        columns=shell.plugins.ps_columns(),
        heap_trends=_trends(shell),
        processes=shell.plugins.processes(),
    )


def _trends(shell: Shell) -> dict[int, Trend]:
    """Heaps in the last samples, if anybody looks all the time."""
    recent = {} if shell.monitor is None else shell.monitor.timeline.recent(SPARK_SAMPLES)
    return {
        number: Trend.of(values, ascii_only=shell.settings.ascii)
        for number, values in recent.items()
        if len(values) > 1
    }


def _findings(shell: Shell, pictures: Iterable[CoroutinePicture]) -> list[Finding]:
    unseen = DiedUnseen(lambda number: shell.failures.of(number) is not None)
    return findings(pictures, (*BUILT_IN, unseen, *shell.plugins.lints()))


def _growing(shell: Shell, pictures: Iterable[CoroutinePicture]) -> list[Finding]:
    """Only whoever looks all the time can tell whose heap grows."""
    sample = shell.monitor.latest if shell.monitor is not None else None
    known = sample.findings if sample is not None else ()
    numbers = {picture.id for picture in pictures}
    return [finding for finding in known if finding.lint == HeapGrowing.name and finding.coroutine in numbers]


# -- where, show -----------------------------------------------------------------------------------


def where(shell: Shell, coroutine: Any, all: bool) -> Standing | list[Standing]:  # noqa: A002 - the option's name
    """Where a coroutine stands, or all of them."""
    if all == (coroutine is not None):
        raise UsageError("where: one coroutine, or --all")
    if all:
        return _everywhere(shell)
    seen = close_up(shell, coroutine)
    return standing(seen.picture, seen.snapshot, seen.stack)


def _everywhere(shell: Shell) -> Listing[Standing]:
    """The first of the living, and the one that lets nobody run, if there is one."""
    snapshot = shell.snapshot(MAX_STACKS)
    pictures = list(snapshot.coroutines)
    if snapshot.hog is not None and snapshot.hog.id not in {picture.id for picture in pictures}:
        pictures.append(snapshot.hog)
    living = (shell.scheduler.coroutine(picture.id) for picture in pictures)
    read = stacks(shell, [one for one in living if one is not None])
    found = [standing(picture, snapshot, read.get(picture.id)) for picture in pictures]
    more = snapshot.live - len(found)
    return listing(shell, found, footer=[f"and {more:,} more: ps --group"] if more > 0 else [])


def _where_lines(value: Standing | Listing[Standing], width: int) -> list[str]:
    if isinstance(value, Standing):
        return fitted(standing_lines(value), width)
    return [*fitted((line for one in value for line in standing_lines(one)), width), *value.footer]


def show(shell: Shell, coroutine: Any) -> Portrait:
    """All that is known of a coroutine."""
    seen = close_up(shell, coroutine)
    snapshot, picture = seen.snapshot, seen.picture
    if not isinstance(snapshot, Snapshot):
        return portrait(picture, snapshot, seen.stack, seen.children, findings([picture], BUILT_IN))
    if snapshot.responsive and snapshot.live <= STUCK_SEARCHED:
        stuck = any(p.id == picture.id and p.stuck for p in shell.snapshot(stuck=True).coroutines)
        picture = replace(picture, stuck=stuck)
    of_sockets = [finding for finding in socket_findings(snapshot) if finding.coroutine == picture.id]
    warnings = [*_findings(shell, [picture]), *of_sockets, *_growing(shell, [picture])]
    return portrait(picture, snapshot, seen.stack, seen.children, warnings)


def _show_lines(value: Portrait, width: int) -> list[str]:
    return fitted(portrait_lines(value), width)


# -- err -------------------------------------------------------------------------------------------

_DEATH_COLUMNS: Final = (
    Column("id", "ID", ">"),
    Column("name", "NAME", minimum=6),
    Column("age", "AGE", ">", drop=1),
    Column("error", "ERROR", minimum=12),
)


def err(shell: Shell, coroutine: Any) -> Death | Listing[Death]:
    """The coroutines that died of an exception that nobody joined, or the traceback of one."""
    for _ in range(2):  # deaths are told at the end of a turn; two looks are a whole turn apart
        shell.snapshot(0)
    failures = shell.failures
    if coroutine is None:
        gone = failures.count - len(failures)
        footer_ = [f"{gone:,} older ones are forgotten"] if gone else []
        return listing(shell, failures, _DEATH_COLUMNS, footer_)
    number = number_in(coroutine)
    found = [death for death in failures if death.id == number or death.name == coroutine]
    if found:
        return found[-1]
    who = repr(coroutine) if number is None else f"co#{number}"
    known = ranges({death.id for death in failures})
    raise CommandError(
        f"no failure of {who} is remembered; {f'there are: {known}' if known else 'there was none'}"
    )


def _err_lines(value: Death | Listing[Death], width: int) -> list[str]:
    if isinstance(value, Listing):
        return value.lines(width) or ["no coroutine has died of an exception"]
    return [f"co#{value.id} {value.name} died after {value.age}", *value.traceback.split("\n")]


# -- the table -------------------------------------------------------------------------------------

COMMANDS: Final = (
    Command(
        "ps",
        "list the coroutines, and what each costs",
        ps,
        (
            Arg("--tree", "below who started them", "flag"),
            Arg("--group", "one row for all of the same name and place of birth", "flag"),
            Arg("--where", "only those for which this expression over the columns is true"),
            Arg("--sort", "by this column; sizes and times biggest first, -COLUMN turns it round"),
            Arg("--top", "only the first so many", "int"),
            Arg(
                "--all", "all of them, also in other processes, and all the dead that are remembered", "flag"
            ),
        ),
        (
            "ps",
            "go -n 3 sleep(60 + i) --name nap\nps --group",
            "ps --sort heap --top 5",
            "ps --where \"state == 'waiting' and heap > 64K\"",
            "ps --tree --all",
        ),
        lane="any",
        show=lines_of,
        details=(
            "STACK is bytes/depth. HEAP is what it has allocated and not freed. dHEAP/s, TREND and the warnings of a growing"
            " heap come from the samples that the prompt takes. WARN names what a practised eye would see; show ID says it"
            f" in a sentence, and coshell run --deny NAME fails if it was so: {', '.join(LINT_NAMES)}. Who has ended is shown for six seconds."
            " What worker processes have told last is in --all: coroutine 12 of theirs is web/w1:12."
            f" At most {MAX_ROWS} rows are shown unless asked for; the last line tells."
        ),
    ),
    Command(
        "where",
        "show where a coroutine stands: its calls, and who started it",
        where,
        (
            Arg("coroutine", "number, co#number, name, or web/w1:number", "coroutine", optional=True),
            Arg("--all", "all of them", "flag"),
        ),
        ("go sleep(60) --name nap\nwhere nap", "where --all"),
        lane="any",
        show=_where_lines,
        details=(
            "Works while a coroutine lets nobody run, and then shows where that one computes."
            " web/w1:12 is asked for in its worker process, which has a second to answer."
        ),
    ),
    Command(
        "show",
        "show all that is known of a coroutine",
        show,
        (Arg("coroutine", "number, co#number, name, or web/w1:number", "coroutine"),),
        ("go sleep(60) --name nap\nshow nap",),
        lane="any",
        show=_show_lines,
    ),
    Command(
        "err",
        "list the coroutines that died of an exception, or show the traceback of one",
        err,
        (Arg("coroutine", "number, co#number or name", "coroutine", optional=True),),
        ("go int('x') --name bad\nerr\nerr bad",),
        lane="any",
        show=_err_lines,
        details="An exception that somebody joined has been seen, and is not listed.",
    ),
)
