"""Session files are run one after the other, each in a shell of its own, and one number tells how it went.

All of them are read before any of them runs: a file that cannot be run makes a batch that was not run, and
that is another thing than a batch that failed. Beyond that no file knows of another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from .command import CommandError
from .config import SettingError
from .deadline import Deadline
from .directives import waiting_places
from .reading import ReadError, replace_file, rewritten
from .report import Event, Report, refusal
from .session import Session, is_markdown, load
from .step_runner import INTERRUPTED, StepRunner
from .steps import Grammar, SessionError
from .tally import Summary
from .values import Duration

if TYPE_CHECKING:
    from .shell import Shell

FAILED: Final = 1
USAGE: Final = 2
DENIED: Final = 3
TIMED_OUT: Final = 124
BROKEN_PIPE: Final = 141


class NotStarted(Exception):
    """A shell could not be started as it was asked for, and has said why."""


@dataclass(frozen=True, slots=True)
class Options:
    """How files are run.

    Attributes:
        keep_going: run what follows a failure, too.
        update: renew expectations that are not met, and write them into the files.
        timeout_s: real seconds that each file has; None for no end.
        settings: what is set before the first step.
        deny: the lints that fail a run.
        watching: from a file's name and its shell to a context in which that file is run.
    """

    keep_going: bool = False
    update: bool = False
    timeout_s: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    deny: Sequence[str] = ()
    watching: Callable[[str, Shell], AbstractContextManager[None]] = lambda _name, _shell: nullcontext()


def run_files(
    names: Sequence[str],
    new_shell: Callable[[], Shell],
    report: Report,
    options: Options | None = None,
    now: Callable[[], float] = time.monotonic,
) -> int:
    """Run session files.

    Args:
        names: the files; `-` is standard input.
        new_shell: makes a shell and starts it; it is closed here. May raise `NotStarted`.
        report: who is told.
        options: how they are run.
        now: real time in seconds.

    Returns:
        The exit code: 0 all passed; 1 a step failed; 2 a file cannot be run; 3 a deadlock, a denied lint, or a
        server that cannot be kept up; 124 the time was over; 130 interrupted; 141 nobody reads any more what is
        printed. The greatest, if several would do.
    """
    return _Batch(new_shell, report, options if options is not None else Options(), now).run(names)


class _Batch:
    def __init__(
        self, new_shell: Callable[[], Shell], report: Report, options: Options, now: Callable[[], float]
    ) -> None:
        self._new_shell = new_shell
        self._report = report
        self._options = options
        self._now = now
        self._total = Summary()

    def run(self, names: Sequence[str]) -> int:
        try:
            sessions = self._run_all(names)
        except NotStarted:
            sessions = None
            self._total.tally.fail(USAGE)
        if sessions is None or len(sessions) > 1:
            self._report.tell(Event("summary", None, None, self._total.facts()))
        problem = self._report.problem
        if problem is not None:
            self._total.tally.fail(BROKEN_PIPE if isinstance(problem, BrokenPipeError) else FAILED)
        return self._total.tally.exit_code

    def _run_all(self, names: Sequence[str]) -> list[Session] | None:
        """Read all files, then run all; None if one cannot be run."""
        shell = self._new_shell()
        sessions = self._loaded(names, shell)
        if sessions is None:
            shell.close()
            self._total.tally.fail(USAGE)
        for place, session in enumerate(sessions or ()):
            self._run(session, shell if place == 0 else self._new_shell())
            if self._total.tally.exit_code in {INTERRUPTED, BROKEN_PIPE}:
                break
        return sessions

    def _loaded(self, names: Sequence[str], shell: Shell) -> list[Session] | None:
        """All sessions; None if one of them cannot be run, and then all errors are told."""
        sessions = []
        for name in names:
            try:
                sessions.append(load(name, grammar_for_files(shell)))
            except (ReadError, SessionError) as error:
                self._report.tell(refusal(error))
        return sessions if len(sessions) == len(names) else None

    def _run(self, session: Session, shell: Shell) -> None:
        """Run one file, end its shell, and sum up."""
        begin_s = self._now()
        runner = StepRunner(shell, self._report, strict=True, update=self._options.update)
        with runner:
            try:
                with self._options.watching(session.name, shell):
                    self._run_steps(session, runner)
                self._look_at_output(session, runner)
                if shell.lost:  # and that has been told
                    runner.tally.fail(DENIED)
                summary = _summary_of(runner)
            finally:
                shell.close()
        self._update(session, runner)
        summary.seconds = self._now() - begin_s
        self._total.add(summary)
        self._report.tell(Event("summary", session.name, None, summary.facts()))

    def _run_steps(self, session: Session, runner: StepRunner) -> None:
        if not session.steps and is_markdown(session.name):
            self._tell_of(session, "warning", "there is no cosh block in it")
        try:
            for key, value in self._options.settings.items():
                runner.shell.change_setting(key, value, "--set")
            self._run_watched(session, runner)
        except (SettingError, CommandError) as error:
            runner.tally.fail(USAGE)
            self._tell_of(session, "error", str(error))

    def _run_watched(self, session: Session, runner: StepRunner) -> None:
        """Run the steps under the eyes of the lints that are denied."""
        if not self._options.deny:
            self._run_in_time(session, runner)
            return
        from .denied import Denied

        with Denied(runner.shell, self._options.deny) as denied:
            self._run_in_time(session, runner)
        for finding in denied.found:
            runner.tally.fail(DENIED)
            self._tell_of(session, "error", f"{finding.lint} is denied: {finding}")

    def _run_in_time(self, session: Session, runner: StepRunner) -> None:
        limit_s = self._options.timeout_s

        def run() -> None:
            runner.run(session.steps, keep_going=self._options.keep_going)

        def expire() -> None:
            message = f"timed out after {Duration(limit_s or 0.0)}"
            runner.abandon(TIMED_OUT, {"message": message, "details": waiting_places(runner.shell)})

        def interrupt() -> bool:
            return runner.shell.bridge.interrupt()  # which bridge that is, a setting may change

        try:
            if limit_s is None:
                run()
            else:
                with Deadline(limit_s, expire, interrupt):
                    run()
        except KeyboardInterrupt:  # it came between two waits
            if not runner.abandoned:
                runner.abandon(INTERRUPTED, {"message": "interrupted"})

    def _look_at_output(self, session: Session, runner: StepRunner) -> None:
        """What was printed may have reached nobody."""
        output = runner.shell.output
        if output.broken:
            runner.tally.fail(BROKEN_PIPE)
        elif output.failure is not None:
            runner.tally.fail(FAILED)
            self._tell_of(session, "error", f"cannot write: {output.failure}")

    def _update(self, session: Session, runner: StepRunner) -> None:
        """Write renewed expectations into the files that they stand in."""
        if runner.tally.exit_code in {TIMED_OUT, INTERRUPTED}:
            return
        for source in session.sources:
            edits = runner.edits.pop(source.name, None)
            if not edits:
                continue
            try:
                replace_file(source, rewritten(source.raw, edits.values()))
            except ReadError as error:
                runner.tally.fail(USAGE)
                self._report.tell(refusal(error))

    def _tell_of(self, session: Session, kind: str, message: str) -> None:
        self._report.tell(Event(kind, session.name, None, {"message": message}))


def _summary_of(runner: StepRunner) -> Summary:
    """What a shell tells at the end of its file."""
    shell = runner.shell
    snapshot = shell.snapshot(0)
    return Summary(
        tally=runner.tally,
        files=1,
        virtual_seconds=shell.scheduler.clock.now() if shell.bridge.clock_is_virtual else None,
        spawned=snapshot.spawned,
        live=snapshot.live,
        peak=snapshot.peak,
        died=snapshot.failed,
        heap_live=snapshot.heap_bytes or 0,
        heap_peak=max(runner.heap_peak, snapshot.heap_bytes or 0),
        switches=snapshot.switches,
    )


def grammar_for_files(shell: Shell) -> Grammar:
    """What words mean in a file: a name of the user's hides no command there."""
    return replace(shell.grammar(), bound=frozenset())
