"""`status`: how the scheduler and the process fare, in a few lines; all that the bar shows, and more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import coloop
from coshell.command import Arg, Command
from coshell.commands.itself import Kept, itself, shells_heap
from coshell.commands.memory import MAX_SURVEYED
from coshell.listing import Listing
from coshell.pictures.timeline import LIMIT_BYTES
from coshell.processes import Worker
from coshell.text import plural, printable
from coshell.values import Bytes, Count, Duration

if TYPE_CHECKING:
    from coshell.shell import Shell


@dataclass(frozen=True)
class Status:
    """How the scheduler and the process fare.

    Attributes:
        scheduler: `running`, or who holds it.
        coroutines: how many live.
        ready: how many of them could run.
        waiting: how many wait.
        spawned: how many there ever were.
        failed: how many ended by an exception.
        switches: how often one was left for another.
        timers: how many are set.
        threads: calls on worker threads.
        lag: how long the scheduler took to answer.
        clock: the time on its clock, and what kind of clock that is.
        level: what the ledger counts.
        cost: what that costs.
        accounts: how many coroutines have one; None below level `heap`.
        accounts_left: how many are kept of the dead, for what they have left.
        ledger: bytes that the ledger takes by itself, at most.
        heap: all accounts together.
        outside: heap that belongs to no coroutine.
        stack: all stacks together; None for more than are looked at.
        rss: what the process holds in memory; None where the system does not tell.
        shell: the heap of the shell's own coroutine and threads.
        samples: what the monitor remembers, for `plot` and the bar; None if nobody looks.
        samples_limit: the most that it will remember.
        things: the servers and clients that are open, by name.
        plugins: those that are loaded.
        workers: the processes that work for them.
        lost: the servers that could not be kept up, each with the reason.
    """

    scheduler: str
    coroutines: Count
    ready: Count
    waiting: Count
    spawned: Count
    failed: Count
    switches: Count
    timers: Count
    threads: Count
    lag: Duration
    clock: str
    level: str
    cost: str
    accounts: Count | None
    accounts_left: Count | None
    ledger: Bytes | None
    heap: Bytes | None
    outside: Bytes | None
    stack: Bytes | None
    rss: Bytes | None
    shell: Bytes | None
    samples: Bytes | None
    samples_limit: Bytes
    things: tuple[str, ...]
    plugins: tuple[str, ...]
    workers: tuple[Worker, ...]
    lost: Mapping[str, str]


def status(shell: Shell, self: bool = False) -> Status | Listing[Kept]:
    """How everything fares, or the shell itself, also while a coroutine holds the scheduler."""
    snapshot = shell.snapshot(MAX_SURVEYED)
    return itself(shell, snapshot) if self else _status(shell, snapshot)


def _status(shell: Shell, snapshot: coloop.Snapshot) -> Status:
    whole = len(snapshot.coroutines) == snapshot.live
    own = shells_heap(snapshot)  # at once, for it grows while we look
    books = coloop.memory.bookkeeping()
    kind = "virtual" if shell.bridge.clock_is_virtual else "real"
    return Status(
        scheduler=_scheduler_state(snapshot),
        coroutines=Count(snapshot.live),
        ready=Count(snapshot.ready),
        waiting=Count(snapshot.waiting),
        spawned=Count(snapshot.spawned),
        failed=Count(snapshot.failed),
        switches=Count(snapshot.switches),
        timers=Count(snapshot.timers),
        threads=Count(snapshot.threads),
        lag=Duration(snapshot.lag_s),
        clock=f"{kind}, at {snapshot.taken_at:.3f}s" if kind == "virtual" else kind,
        level=snapshot.level,
        cost=snapshot.cost,
        accounts=None if books is None else Count(books.open_accounts),
        accounts_left=None if books is None else Count(books.closed_accounts),
        ledger=None if books is None else Bytes(books.map_bytes),
        heap=_bytes(snapshot.heap_bytes),
        outside=_bytes(snapshot.outside_bytes),
        stack=Bytes(snapshot.stack_bytes) if whole else None,
        rss=_bytes(coloop.memory.process().rss),
        shell=_bytes(own),
        samples=None if shell.monitor is None else Bytes(shell.monitor.timeline.own_bytes),
        samples_limit=Bytes(LIMIT_BYTES),
        things=tuple(shell.things),
        plugins=tuple(record.name for record in shell.plugins.records() if record.state != "refused"),
        workers=tuple(map(Worker.of, shell.plugins.processes())),
        lost=dict(shell.lost),
    )


def _bytes(size: int | None) -> Bytes | None:
    return None if size is None else Bytes(size)


def _scheduler_state(snapshot: coloop.Snapshot) -> str:
    hog = snapshot.hog
    if hog is None:
        return "running" if snapshot.responsive else "busy"
    return f"held by co#{hog.id} {hog.name} for {Duration(hog.running_for_s)} (where {hog.id}, kill {hog.id})"


def _status_lines(value: Status | Listing[Kept], width: int) -> list[str]:
    if not isinstance(value, Status):
        return value.lines(width)
    facts = (
        ("scheduler", f"{value.scheduler}; lag {value.lag}; {value.switches} switches; clock {value.clock}"),
        (
            "coroutines",
            f"{value.coroutines}: {value.ready} ready, {value.waiting} waiting; {value.spawned} so far",
        ),
        (
            "",
            f"{value.failed} failed; {plural(int(value.timers), 'timer')}; {plural(int(value.threads), 'thread call')}",
        ),
        ("ledger", f"level {value.level}{f'; {value.cost}' if value.cost else ''}"),
        *(() if value.ledger is None or not value.accounts else (("", _accounts_line(value)),)),
        ("heap", "not counted" if value.heap is None else _heap_line(value)),
        (
            "stack",
            f"not added up for more than {MAX_SURVEYED:,}" if value.stack is None else str(value.stack),
        ),
        ("process", "unknown" if value.rss is None else f"rss {value.rss}"),
        ("itself", _itself_line(value)),
        ("open", ", ".join(value.things) or "nothing"),
        ("plugins", ", ".join(value.plugins) or "none"),
        *(("workers" if place == 0 else "", str(worker)) for place, worker in enumerate(value.workers)),
        *(("given up", f"{name}: {why}") for name, why in value.lost.items()),
    )
    return [printable(f"{name:<11} {text}", keep="") for name, text in facts]


def _accounts_line(value: Status) -> str:
    return f"{value.accounts} accounts and {value.accounts_left} of the dead; with their map at most {value.ledger}"


def _heap_line(value: Status) -> str:
    return f"{value.heap} in coroutines, {value.outside or 0} outside of all; {value.shell or 0} of both the shell's"


def _itself_line(value: Status) -> str:
    if value.samples is None:
        return "no samples are kept (plot begins that)"
    return f"{value.samples} of samples, at most {value.samples_limit}"


COMMANDS: Final = (
    Command(
        "status",
        "show how the scheduler and the process fare",
        status,
        (
            Arg(
                "--self",
                "only what the shell and the ledger take for themselves, and the most that it may be",
                "flag",
            ),
        ),
        ("status", "status --json", "status --self"),
        lane="any",
        show=_status_lines,
        details="Works while a coroutine lets nobody run.",
    ),
)
