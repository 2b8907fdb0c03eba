"""A guide leads through one lab at the prompt: shows a step, runs it when Enter is pressed, and tells what came of it.

Between two steps the prompt is the learner's: what the lab has made is there to be looked at. `again` shows the step that
was last once more; as most steps cannot be done twice, all is cleared away first, and the steps
before it are run again without a word.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from coshell.api import CommandError, Shell, printable

from .clearing import Belongings
from .reading import Lab, LabStep, Unit, title_of
from .telling import MAX_COLUMNS

QUESTION: Final = "Enter {does} it, q leaves: "
CTRL_C: Final = "\x03"
MAX_SEEN_CHARS: Final = 60
_SAYS_NO_MORE: Final = ("True", "False")


class Guide:
    """Leads through one lab.

    Args:
        shell: where it is run.
        lab: which one.

    Attributes:
        lab: as given.
        done: how many of its steps have been run.
    """

    def __init__(self, shell: Shell, lab: Lab) -> None:
        self.lab = lab
        self.done = 0
        self._is_begun = False  # the step that follows: it was run, and not to its end
        self._shown = 0  # which step was shown last; it may not have been run, or have failed
        self._shell = shell
        self._steps = lab.steps()
        self._belongings = Belongings(shell)

    @property
    def is_over(self) -> bool:
        """All steps have been run."""
        return self.done == len(self._steps)

    def open(self) -> None:
        """Tell the story, and lead through the first step; through all of them where there is no prompt."""
        self._say(f"{self.lab.name}: {self.lab.about}", "notice")
        self._say("")
        self._say_wrapped(self.lab.story)
        self._say("")
        has_run = self.next()
        while has_run and not self.is_over and self._has_keyboard_only():
            self._say("")
            has_run = self.next()

    def next(self) -> bool:
        """Lead through the step that follows; from a clean start, if it was begun before and has failed.

        Returns:
            Whether it was run; whoever is asked to press Enter may leave instead.

        Raises:
            CommandError: there is none, or it has failed.
        """
        if self.is_over:
            raise CommandError(f"{self.lab.name} has no more steps: labs again, or labs open {self.lab.name}")
        if self._is_begun:
            return self.again()
        self._shown = self.done
        step = self._steps[self.done]
        self._show(step)
        if not self._is_enter_pressed("runs" if _trimmed(step.shown) else "checks"):
            self._say(f"{self._place()} was not run: labs next shows it again", "notice")
            return False
        self._run(step)
        self._say_what_follows()
        return True

    def again(self) -> bool:
        """Lead through the step that was shown last once more; returns as `next` does."""
        before = self._shown
        self.clear()
        with self._silence():
            for step in self._steps[:before]:
                self._run(step)
        return self.next()

    def clear(self) -> None:
        """Clear away all that it has made."""
        self._belongings.clear()
        self.done, self._is_begun = 0, False

    # -- what is shown -----------------------------------------------------------------------------

    def _place(self) -> str:
        return f"step {self.done + 1} of {len(self._steps)}"

    def _show(self, step: LabStep) -> None:
        is_new = self.done == 0 or self._steps[self.done - 1].part != step.part
        heading = title_of(step.part) if step.part else "To begin with"
        self._say_wrapped(f"-- {self.lab.name}, {self._place()}: {heading}", "notice", indent="   ")
        told = (
            step.told.removeprefix(title_of(step.part)).lstrip(".?! ") if is_new and step.part else step.told
        )
        if told:
            self._say_wrapped(told)
        code = _trimmed(step.shown)
        if code:
            self._say("")
            self._say("\n".join(f"    {line}".rstrip() for line in code))
            self._say("")

    def _say_what_follows(self) -> None:
        if self.is_over:
            self._say(f"that was {self.lab.name}: labs again, labs close, or labs for the others", "notice")
            return
        last, follows = self._steps[self.done - 1], self._steps[self.done]
        what = f": {title_of(follows.part)}" if follows.part != last.part else " goes on"
        self._say_wrapped(f"labs next{what} ({self.done + 1} of {len(self._steps)})", "notice", indent="    ")

    def _say_wrapped(self, text: str, style: str = "", indent: str = "") -> None:
        """Say it in lines that end between words; all but the first are indented."""
        for line in textwrap.wrap(
            text, min(self._shell.width, MAX_COLUMNS), subsequent_indent=indent, break_on_hyphens=False
        ):
            self._say(line, style)

    def _say(self, text: str, style: str = "") -> None:
        self._shell.say(text, style)

    @contextmanager
    def _silence(self) -> Iterator[None]:
        """Show nothing of what is printed in this block."""
        output = self._shell.output
        consoles = output.console, output.errors
        output.console = output.errors = _Nowhere()
        try:
            yield
        finally:
            output.flush()
            output.console, output.errors = consoles

    # -- what is asked -----------------------------------------------------------------------------

    def _is_enter_pressed(self, does: str) -> bool:
        """Ask, if there is anybody to ask.

        Args:
            does: what Enter does: it `runs` what is shown, or `checks` what has been told.
        """
        terminal, question = self._shell.terminal, QUESTION.format(does=does)
        try:
            if terminal is not None:
                return not terminal.choose(question, f"q{CTRL_C}")
            if self._has_keyboard_only():
                return input(question).strip().lower() != "q"
        except (EOFError, KeyboardInterrupt):
            self._say("")
            return False
        return True

    def _has_keyboard_only(self) -> bool:
        """There is no prompt, as in `coshell labs open NAME`, but somebody who can press Enter."""
        return self._shell.terminal is None and bool(sys.stdin) and sys.stdin.isatty() and sys.stdout.isatty()

    # -- what is run -------------------------------------------------------------------------------

    def _run(self, step: LabStep) -> None:
        """Run a step's code and check its claims.

        Raises:
            CommandError: something of it failed; the message tells at which line.
        """
        self._is_begun = True
        for unit in step.units():
            with self._belongings.noted():
                result = self._shell.execute(
                    "\n".join(unit.lines), origin=self.lab.file, line=unit.first_line, strict=True
                )
            if not result.ok:
                why = f"{self.lab.name}.cosh:{unit.first_line}: {result.error}"
                raise CommandError(f"{why}; labs again does this step once more")
            if unit.is_claim:
                self._say_claim(unit, result.value)
        self.done, self._is_begun = self.done + 1, False

    def _say_claim(self, unit: Unit, found: object) -> None:
        claim = unit.lines[0].partition(" ")[2]
        seen = _cut(getattr(found, "seen", "True"))
        more = "" if seen in _SAYS_NO_MORE else f"   (it is {seen})"
        self._say_wrapped(printable(f"ok   {claim}{more}", keep=""), "ok", indent="     ")


class _Nowhere:
    """A console that shows nothing."""

    def write(self, text: str) -> None:
        """Drop it."""

    def write_line(self, text: str, style: str = "") -> None:
        """Drop it."""

    def flush(self) -> None:
        """There is nothing."""


def _cut(seen: str) -> str:
    """The first line, or as much of it as is of use."""
    seen = seen.partition("\n")[0]
    return seen if len(seen) <= MAX_SEEN_CHARS else f"{seen[: MAX_SEEN_CHARS - 3]}..."


def _trimmed(lines: Iterable[str]) -> list[str]:
    """Without empty lines at either end, and never two of them in a row."""
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    return kept
