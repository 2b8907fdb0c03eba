"""A run is watched by somebody who says nothing, and writes down what was to be seen when it is over.

It hears what everybody is told, looks at each shell while its file runs, and asks for verdicts and stacks before that
shell is closed. However the run ends, there is a page: a run that failed is the one that is looked at.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coloop import memory
from coshell import __version__
from coshell.command_error import CommandError
from coshell.deadline import Deadline
from coshell.leaks.watch import OWN_PLACES
from coshell.monitor import MIN_REFRESH_S
from coshell.report import Event, Report, is_message
from coshell.sampling import watched
from coshell.values import Duration

from .curve_html import Moment
from .files import check_place, write_file
from .flame_tree import BY_COROUTINE, BY_STACK, tree_of
from .heap_stacks import live_stacks, names_of, standard_error
from .run_page import MAX_DETAILS, MAX_TEXT, Happening, RunOfFile, Verdict, run_page

if TYPE_CHECKING:
    from coshell.shell import Shell

MAX_HELD: Final = 300  # claims that held are told one by one up to here
MAX_HAPPENINGS: Final = 1000
MAX_MOMENTS: Final = 50
VERDICTS_S: Final = 10.0
STEPWISE: Final = 200  # coroutines; of more a look takes too long to take one at every step


class Witness:
    """Stands between a run and whoever is told of it.

    Args:
        path: the page.
        force: replace it if it is there.
        report: who is told.

    Raises:
        CommandError: the page cannot be written there.
    """

    def __init__(self, path: Path, report: Report, *, force: bool) -> None:
        check_place(path, force=force)
        self._path, self._force = path, force
        self._report = report
        self._lock = threading.Lock()
        self._runs: list[RunOfFile] = []
        self._refused: list[Happening] = []
        self._shell: Shell | None = None

    # -- as a report -------------------------------------------------------------------------------

    @property
    def takes_output(self) -> bool:
        """See `Report`."""
        return self._report.takes_output

    @property
    def problem(self) -> OSError | None:
        """See `Report`."""
        return self._report.problem

    def tell(self, event: Event) -> None:
        """Pass it on, and remember what belongs on the page; look, if a step begins or a claim was judged."""
        self._report.tell(event)
        if event.kind in {"input", "assert", "wait"}:
            self._look()
        with self._lock:
            self._remember(event)

    def close(self) -> None:
        """See `Report`."""
        self._report.close()

    def _look(self) -> None:
        shell = self._shell
        if shell is None or shell.monitor is None or len(shell.scheduler.living) > STEPWISE:
            return
        with suppress(Exception):
            shell.monitor.look()

    def _remember(self, event: Event) -> None:
        if event.kind == "summary":
            for run in self._runs:
                if run.name == event.file and run.summary is None:
                    run.summary = event.facts
                    break
        elif event.kind in {"assert", "wait"} or is_message(event):
            self._keep(_happening(event))

    def _keep(self, happening: Happening) -> None:
        run = self._runs[-1] if self._shell is not None else None
        if run is None:
            self._refused += [happening][: MAX_HAPPENINGS - len(self._refused)]
            return
        if len(run.happenings) >= (MAX_HELD if happening.ok else MAX_HAPPENINGS):
            run.left_out += happening.ok
            return
        run.happenings.append(happening)
        if not happening.ok and len(run.moments) < MAX_MOMENTS:
            with suppress(Exception):
                at_s = self._shell.scheduler.clock.now() if self._shell is not None else 0.0
                run.moments.append(Moment(at_s, f"{happening.kind} {happening.place}"))

    # -- as a witness ------------------------------------------------------------------------------

    @contextmanager
    def watching(self, name: str, shell: Shell) -> Iterator[None]:
        """Watch a shell while it runs a file."""
        run = RunOfFile(name)
        with self._lock:
            self._runs.append(run)
        with suppress(Exception):
            watched(shell, MIN_REFRESH_S)
        self._shell = shell
        in_order = True
        try:
            yield
        except BaseException:
            in_order = False
            raise
        finally:
            self._shell = None
            self._take(run, shell, everything=in_order)

    def _take(self, run: RunOfFile, shell: Shell, *, everything: bool) -> None:
        """All that has to be asked before the shell is closed; what fails is told on the page."""
        run.level, run.exact = memory.level(), memory.exact
        monitor = shell.monitor
        if monitor is not None:
            with suppress(Exception):
                monitor.look()
            monitor.stop()
            timeline = monitor.timeline
            run.heap, run.coroutines, run.connections = (
                timeline.heap,
                timeline.coroutines,
                timeline.connections,
            )
            run.sites = [trace for trace in timeline.sites() if not trace.site.startswith(OWN_PLACES)]
        if everything:
            run.no_flames = _draw_flames(run, shell)  # first: the verdicts need memory themselves
            run.verdicts, run.no_verdicts = _verdicts(shell)

    def write(self, exit_code: int | None) -> str:
        """Write the page; returns why it could not be written, or nothing.

        Args:
            exit_code: what the run ended with; None if a signal has ended it.
        """
        python = ".".join(map(str, sys.version_info[:3]))
        when = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
        made = f"{when}, coshell {__version__}, Python {python}"
        try:
            write_file(self._path, run_page(self._runs, self._refused, exit_code, made), force=self._force)
        except CommandError as error:
            return str(error)
        return ""


def _happening(event: Event) -> Happening:
    facts = event.facts
    is_claim = event.kind in {"assert", "wait"}
    return Happening(
        kind=event.kind,
        ok=bool(facts.get("ok", False)) if is_claim else False,
        place=event.place[:MAX_TEXT],
        text=str(facts.get("text", ""))[:MAX_TEXT],
        message=str(facts.get("message", ""))[:MAX_TEXT],
        details=tuple(str(line)[:MAX_TEXT] for line in facts.get("details", ())[: MAX_DETAILS + 1]),
        seconds=facts.get("seconds"),
    )


def _verdicts(shell: Shell) -> tuple[list[Verdict] | None, str]:
    """The verdicts, or why there are none."""
    from coshell.leaks.evidence import records

    def judged() -> list[Verdict]:
        seen = shell.watch.now()
        return [*records(seen.judged(), seen.looks, seen.suspects)]

    if not memory.traces_heap():
        return None, f"heap is not traced at level {memory.level()} (--level heap)"
    try:
        if not shell.snapshot(0).responsive:
            return None, "a coroutine let nobody else run"
        with Deadline(VERDICTS_S, lambda: None, shell.bridge.interrupt):
            found: list[Verdict] = shell.bridge.call(judged)
    except KeyboardInterrupt:
        return None, f"they took longer than {Duration(VERDICTS_S)}, or were interrupted"
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"[:MAX_TEXT]
    return found, ""


def _draw_flames(run: RunOfFile, shell: Shell) -> str:
    """Add live heap by stack and, where that is known, by coroutine; returns why there is none, or nothing."""
    if memory.level() != "sites":
        return f"places of allocation are not kept at level {memory.level()} (--level sites)"
    try:
        stacks = live_stacks(BY_STACK)
        ways = (BY_STACK, BY_COROUTINE) if memory.exact else (BY_STACK,)
        run.flames = {by: tree_of(stacks, by, names_of(shell)) for by in ways}
        run.flame_error = standard_error()
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:MAX_TEXT]
    return ""
