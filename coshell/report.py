"""A run tells what happens in two languages: lines for people, objects for programs.

People want to see what a script prints, and what has gone wrong, and a line at the end. Programs want all of
it, in one form: each event is one JSON object on a line of its own, and the last one sums up.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TextIO

from .output import Output
from .reading import ReadError
from .render import json_line
from .steps import SessionError, Step
from .text import plural, printable

KINDS: Final = ("input", "output", "assert", "wait", "error", "warning", "summary")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened.

    Attributes:
        kind: one of `KINDS`.
        file: the session file; None for all of them together.
        line: the number of the line that it belongs to; None if it belongs to no line.
        facts: what else there is to know, by the keys that the JSON form has.
    """

    kind: str
    file: str | None
    line: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """`file:line:column`, as far as there is one."""
        parts = (self.file, self.line, self.facts.get("column"))
        return ":".join(str(part) for part in parts if part is not None)


def event_of(step: Step | None, kind: str, facts: Mapping[str, Any]) -> Event:
    """An event at a step; None for none."""
    return Event(kind, None, None, facts) if step is None else Event(kind, step.file, step.line, facts)


def refusal(error: ReadError | SessionError) -> Event:
    """The event for a file that is not run at all."""
    if isinstance(error, SessionError):
        return Event("error", error.file, error.line, {"column": error.column, "message": error.reason})
    return Event("error", None, None, {"message": str(error)})


class Report(Protocol):
    """Who is told what happens; from any thread."""

    @property
    def takes_output(self) -> bool:
        """Whether what is printed is told too; else it goes its own way."""

    @property
    def problem(self) -> OSError | None:
        """Why nothing can be told any more."""

    def tell(self, event: Event) -> None:
        """This has happened."""

    def close(self) -> None:
        """Whatever comes from now on is not told any more."""


class _Lines:
    """Lines on streams, from any thread, as long as somebody takes them."""

    def __init__(self) -> None:
        self.problem: OSError | None = None
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Write no more."""
        with self._lock:
            self._closed = True

    def _write(self, stream: TextIO, text: str) -> None:
        with self._lock:
            if self._closed or self.problem is not None:
                return
            try:
                stream.write(f"{text}\n")
                stream.flush()
            except OSError as error:
                self.problem = error.with_traceback(None)


class JsonReport(_Lines):
    """Every event as a JSON object.

    Args:
        out: where they are written, one a line.
    """

    takes_output: Final = True

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self._out = out

    def tell(self, event: Event) -> None:
        """Write it at once."""
        self._write(
            self._out, json_line({"event": event.kind, "file": event.file, "line": event.line, **event.facts})
        )


class PlainReport(_Lines):
    """What went wrong, and a line at the end of each file.

    What scripts print is not among the events that are shown: it goes its own way to standard output.

    Args:
        out: where the ending lines go.
        errors: where messages go.
    """

    takes_output: Final = False

    def __init__(self, out: TextIO, errors: TextIO) -> None:
        super().__init__()
        self._out = out
        self._errors = errors

    def tell(self, event: Event) -> None:
        """Show it, if it is for people."""
        if event.kind == "summary":
            if event.file is not None or event.facts["files"] > 1:
                self._write(self._out, printable(ending_line(event)))
        elif is_message(event):
            self._write(self._errors, printable(message_of(event)))


class ShellReport:
    """What went wrong in a file that is run from within a shell, where its other output is shown.

    Args:
        output: the shell's.
    """

    takes_output: Final = False
    problem: Final = None

    def __init__(self, output: Output) -> None:
        self._output = output

    def tell(self, event: Event) -> None:
        """Show it, if it is for people."""
        if is_message(event):
            self._output.notice(message_of(event), "warning" if event.kind == "warning" else "error")

    def close(self) -> None:
        """The shell goes on."""


def is_message(event: Event) -> bool:
    """Whether people want to be told."""
    return event.kind in {"error", "warning"} or event.facts.get("ok") is False


def message_of(event: Event) -> str:
    """`file:line: message`, and below it the details."""
    warning = "warning: " if event.kind == "warning" else ""
    place = f"{event.place}: " if event.place else ""
    return "\n".join([f"{place}{warning}{event.facts['message']}", *event.facts.get("details", ())])


def ending_line(summary: Event) -> str:
    """`leak.cosh: 6 commands, 2 asserts passed, 1 failed in 0.21s`."""
    facts = summary.facts
    counts = [plural(facts["commands"], "command"), f"{plural(facts['asserts'], 'assert')} passed"]
    if facts["failed"]:
        counts.append(f"{facts['failed']} failed")
    if facts["updated"]:
        counts.append(f"{facts['updated']} updated")
    virtual = facts["virtual_seconds"]
    time = f"{facts['seconds']:.2f}s" + ("" if virtual is None else f" ({virtual:.2f}s virtual)")
    return f"{summary.file or 'total'}: {', '.join(counts)} in {time}"
