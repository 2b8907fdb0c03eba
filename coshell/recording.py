"""What is printed while a step runs is its output, whoever prints it.

Two may want it. A transcript compares it, and then nobody else is shown it. A report in JSON tells it line by
line. When neither does, output goes its own way to the screen, as if nobody were listening.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from .console import Console
from .output import Output
from .report import Report, event_of
from .steps import Step

_EVENT_OF_STYLE: Final = {"error": "error", "warning": "warning"}


class Recording:
    """Listens to what an `Output` writes, from `attached` on.

    Args:
        report: who is told of lines, if it wants them.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._step: Step | None = None
        self._lines: list[str] = []
        self._begun = ""

    @contextmanager
    def attached(self, output: Output) -> Iterator[None]:
        """Stand between an output and its consoles in this block."""
        consoles = output.console, output.errors
        output.console, output.errors = (_Ear(self, console) for console in consoles)
        try:
            yield
        finally:
            output.flush()
            output.console, output.errors = consoles

    def begin(self, step: Step) -> None:
        """What comes from now on belongs to this step."""
        with self._lock:
            self._step = step
            self._lines = []
            self._begun = ""

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is written in this block is no step's output."""
        with self._lock:
            step, self._step = self._step, None
        try:
            yield
        finally:
            with self._lock:
                self._step = step

    def add(self, lines: Iterable[str]) -> None:
        """Lines that are shown at a prompt after what was printed."""
        with self._lock:
            begun, self._begun = self._begun, ""
            for line in (*([begun] if begun else []), *lines):
                self._keep(line, "output")

    def lines(self) -> list[str]:
        """What has come since; a line that has no end yet counts as one."""
        with self._lock:
            return [*self._lines, *([self._begun] if self._begun else [])]

    def hear(self, text: str, console: Console) -> None:
        """Foreground text as it comes."""
        with self._lock:
            *whole, self._begun = (self._begun + text).split("\n")
            for line in whole:
                self._keep(line, "output")
            if self._is_shown:
                console.write(text)

    def hear_line(self, text: str, style: str, console: Console) -> None:
        """A whole line."""
        with self._lock:
            self._keep(text, _EVENT_OF_STYLE.get(style, "output"))
            if self._is_shown:
                console.write_line(text, style)

    @property
    def _is_shown(self) -> bool:
        return not self._report.takes_output and not self._is_compared

    @property
    def _is_compared(self) -> bool:
        return self._step is not None and self._step.transcript

    def _keep(self, line: str, kind: str) -> None:
        if self._is_compared:
            self._lines.append(line)
        if self._report.takes_output:
            key = "text" if kind == "output" else "message"
            self._report.tell(event_of(self._step, kind, {key: line}))


class _Ear:
    """A console that tells the recording, and the console behind it."""

    def __init__(self, recording: Recording, console: Console) -> None:
        self._recording = recording
        self._console = console

    def write(self, text: str) -> None:
        """See `Console`."""
        self._recording.hear(text, self._console)

    def write_line(self, text: str, style: str = "") -> None:
        """See `Console`."""
        self._recording.hear_line(text, style, self._console)

    def flush(self) -> None:
        """See `Console`."""
        self._console.flush()
