"""Steps are run on a shell, one after the other, and each is answered for.

It makes no difference where they come from: a file, a pipe, a `-c`, a file that is run from the prompt. A step
has failed if what it says went wrong, or is not so, or if it was typed in a transcript and what was
printed is not what stands there; a failure that a transcript expects is none.

What a coroutine prints in the background belongs to the step after which it appears. So before a
transcript's output is compared, all that can run is given time to come to rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from .command import CommandError
from .lines import LineError, classify
from .patience import come_to_rest
from .reading import Edit
from .recording import Recording
from .report import Report, event_of
from .session import edit_for
from .shell import Quit, Result
from .steps import Step
from .tally import CLAIMS, Tally
from .transcript import difference, filled, match, updated

if TYPE_CHECKING:
    from .shell import Shell

SETTLE_S: Final = 0.5  # whoever is busy for longer than this is not waited for
INTERRUPTED: Final = 130


@dataclass(slots=True)
class StepRunner:
    """Runs steps on one shell; a context in which what is printed is listened to.

    Args:
        shell: where they are run; started.
        report: who is told.
        strict: a command that is hidden by a name of the user's is an error.
        update: renew expectations that are not met, instead of failing.

    Attributes:
        tally: how it went so far.
        edits: what is to be changed in which file, if expectations were renewed.
        step_now: the step that is being run, or was run last.
        abandoned: nothing that happens from now on counts.
        heap_peak: the largest heap that all coroutines together had at a claim, in bytes.
    """

    shell: Shell
    report: Report
    strict: bool = False
    update: bool = False
    tally: Tally = field(default_factory=Tally)
    edits: dict[str, dict[int, Edit]] = field(default_factory=dict)
    step_now: Step | None = None
    abandoned: bool = False
    heap_peak: int = 0
    _holes: dict[str, str] = field(default_factory=dict)
    _recording: Recording = field(init=False)
    _contexts: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self._recording = Recording(self.report)

    def __enter__(self) -> Self:
        self._contexts.enter_context(self._recording.attached(self.shell.output))
        return self

    def __exit__(self, *_: object) -> None:
        self._contexts.close()

    def run(self, steps: Iterable[Step], *, keep_going: bool = False) -> None:
        """Run steps, up to the first that fails; none when nobody reads any more what is printed.

        Args:
            steps: in their order.
            keep_going: run the others too; only Ctrl-C ends that.
        """
        for step in steps:
            if self.abandoned or self.shell.output.broken:
                return
            try:
                result = self.step(step)
            except Quit as quitting:
                self.tally.exit_code = max(self.tally.exit_code, quitting.code)
                return
            if not result.ok and (not keep_going or result.exit_code == INTERRUPTED):
                return

    def step(self, step: Step) -> Result:
        """Run one step, tell what came of it, and count it.

        Raises:
            Quit: the step says so.
        """
        self.step_now = step
        self._recording.begin(step)
        if step.kind not in CLAIMS:
            self.report.tell(event_of(step, "input", {"text": str(step)}))
        clock = self.shell.scheduler.clock
        begin_s = clock.now()
        result = self._perform(step)
        if step.transcript and result.exit_code != INTERRUPTED:
            result = self._compared(step, result)
        if step.kind in CLAIMS:
            self.heap_peak = max(self.heap_peak, self.shell.snapshot(0).heap_bytes or 0)
        if not self.abandoned:
            self.tally.count(step, result)
            with self._recording.aside():  # a report may show it on the shell's own screen
                self._tell_outcome(step, result, clock.now() - begin_s)
        return result

    def abandon(self, exit_code: int, facts: Mapping[str, Any]) -> None:
        """Whatever is being run does not count any more; from any thread.

        Args:
            exit_code: what the run ends with instead.
            facts: what to tell about it: an error, at the step that is being run.
        """
        self.abandoned = True
        self.tally.fail(exit_code)
        self.report.tell(event_of(self.step_now, "error", facts))

    def _perform(self, step: Step) -> Result:
        if not step.transcript:
            return self.shell.perform(step, strict=self.strict)
        result = self._perform_undisturbed(replace(step, text=self._source_of(step)))
        if step.kind == "input" and not result.ok:
            self._recording.add(failure_lines(result))
        return result

    def _perform_undisturbed(self, step: Step) -> Result:
        """Perform a step in such a way that what it shows comes before what it has set going shows anything.

        The shell shows a result on the thread that waits for it, while others run again already. In a
        coroutine that thread is their own.
        """
        perform = partial(self.shell.perform, step, strict=self.strict)
        if not self._waits_in_coroutine(step):
            return perform()
        try:
            result: Result = self.shell.bridge.call(perform)
        except Quit:
            raise
        except BaseException as error:
            return self.shell.result_of(error)
        return result

    def _waits_in_coroutine(self, step: Step) -> bool:
        if step.kind != "input":
            return False
        try:
            head = self.shell.classify(step.text.split("\n", 1)[0], strict=self.strict)
            return head.kind == "python" or (
                head.kind == "command" and self.shell.commands.get(head.name).lane == "loop"
            )
        except (LineError, CommandError):
            return False

    def _source_of(self, step: Step) -> str:
        """What is typed, with the text of known holes in the words of a command."""
        if step.kind != "input":
            return step.text
        source = filled(step.text, self._holes)
        head = classify(source.split("\n", 1)[0], self.shell.commands)
        is_words = head.kind == "command" and head.name not in self.shell.grammar().python_commands
        return source if is_words else step.text

    def _compared(self, step: Step, result: Result) -> Result:
        """The result of a transcript's step in the light of what was printed."""
        self.shell.bridge.call(come_to_rest, SETTLE_S)
        is_directive = step.kind != "input"
        if (step.expected is None and (is_directive or not self.update)) or (is_directive and not result.ok):
            return result
        expected, actual = step.expected or (), self._recording.lines()
        bound = match(expected, actual, self._holes)
        if bound is None and self.update:
            expected = self._renewed(step, actual)
            bound = match(expected, actual, self._holes)
        if bound is None:
            shown = difference(expected, actual, self._holes, step.expected_after + 1)
            error = "the output is not as expected"
            return replace(
                result, ok=False, error=error, traceback="\n".join(shown), exit_code=result.exit_code or 1
            )
        self._holes = bound
        return replace(result, ok=True, exit_code=0)

    def _renewed(self, step: Step, actual: list[str]) -> tuple[str, ...]:
        expected = updated(step.expected or (), actual, self._holes)
        self.edits.setdefault(step.file, {})[step.line] = edit_for(step, expected)
        self.tally.updated += 1
        return expected

    def _tell_outcome(self, step: Step, result: Result, seconds: float) -> None:
        why = {} if result.ok else {"message": result.error, "details": details_of(result)}
        if step.kind in CLAIMS:
            facts: dict[str, Any] = {"text": str(step), "ok": result.ok, **why}
            if step.kind != "assert":
                facts["seconds"] = seconds
            self.report.tell(event_of(step, CLAIMS[step.kind], facts))
        elif not result.ok:
            self.report.tell(event_of(step, "error", why))


def failure_lines(result: Result) -> list[str]:
    """A failure as it is shown at a prompt: the traceback, or one line."""
    trace = result.traceback.split("\n") if result.traceback else []
    return trace if trace and trace[-1] == result.error else [f"error: {result.error}", *trace]


def details_of(result: Result) -> list[str]:
    """What is known beyond the line that tells the error."""
    trace = result.traceback.split("\n") if result.traceback else []
    return trace[:-1] if trace and trace[-1] == result.error else trace
