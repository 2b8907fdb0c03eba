"""Many write, and one screen shows it: who writes decides where a line goes and how it looks.

What the statement in the foreground prints goes out as it comes. What a coroutine in the background prints
comes at any time, also while somebody types, so it comes as whole lines, each with its author in front:
`[co#3 leaky] 42`. A coroutine that prints without end would make a terminal useless; there each has
200 lines a second, and what was left out is counted, and said. A pipe or a file gets all of it: a script's
output must not depend on how fast the machine is.

Nothing reaches the screen but printable characters. A program that prints what a peer has sent would
otherwise hand that peer the terminal; whoever wants escape sequences can ask for them (`raw`).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TextIO, cast

import coloop

from .console import Console
from .text import printable

LINES_PER_S: Final = 200
ALL_LINES_PER_S: Final = 1000  # a thousand authors of one line a second are too many, too
WINDOW_S: Final = 1.0
MAX_LINE_CHARS: Final = 4096
MAX_AUTHORS: Final = 256


@dataclass
class Budget:
    """How many lines may be shown in each second; those above it are counted.

    Attributes:
        limit: lines in a second.
        held: how many were not shown, and not yet told of.
    """

    limit: int
    held: int = 0
    _began_s: float = -WINDOW_S
    _asked: int = 0

    def grant(self, now_s: float) -> bool:
        """Whether one more line may be shown."""
        if now_s - self._began_s >= WINDOW_S:
            self._began_s, self._asked = now_s, 0
        self._asked += 1
        return self._asked <= self.limit


@dataclass
class _Author:
    """Somebody in the background who prints."""

    label: str
    alive: Callable[[], bool]
    budget: Budget = field(default_factory=lambda: Budget(LINES_PER_S))
    begun: str = ""  # a line that has no end yet
    timer: threading.Timer | None = None

    def lines_of(self, text: str) -> list[str]:
        """The lines that this text completes; one that is too long is broken."""
        *complete, self.begun = (self.begun + text).split("\n")
        broken = [piece for line in complete for piece in _pieces(line)]
        while len(self.begun) > MAX_LINE_CHARS:
            broken.append(self.begun[:MAX_LINE_CHARS])
            self.begun = self.begun[MAX_LINE_CHARS:]
        return broken

    def rest(self) -> list[str]:
        """The line without an end."""
        begun, self.begun = self.begun, ""
        return [begun] if begun else []


def _pieces(line: str) -> Iterator[str]:
    yield line[:MAX_LINE_CHARS]
    for start in range(MAX_LINE_CHARS, len(line), MAX_LINE_CHARS):
        yield line[start : start + MAX_LINE_CHARS]


class Output:
    """Sends everything that is written to where it belongs; may be called from any thread.

    Args:
        console: the screen.
        errors: where errors and notices go; the console by default.
        limited: whether there is a limit to the lines that are printed in the background.
        clock: real time in seconds.

    Attributes:
        console: as given; may be exchanged at any time.
        errors: likewise.
        limited: likewise.
        raw: let the foreground print control characters.
        broken: nobody reads any more what is written.
        failure: why else it could not be written; None if it could.
    """

    def __init__(
        self,
        console: Console,
        errors: Console | None = None,
        *,
        limited: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = console
        self.errors = console if errors is None else errors
        self.limited = limited
        self.raw = False
        self.broken = False
        self.failure: str | None = None
        self._clock = clock
        self._lock = threading.RLock()
        self._foreground: set[int] = set()
        self._authors: dict[object, _Author] = {}
        self._everybody = _Author("background", lambda: True, Budget(ALL_LINES_PER_S))
        self._line_is_open = False
        self._replaced: tuple[TextIO, TextIO] | None = None

    # -- what the shell writes ---------------------------------------------------------------------

    def say(self, text: str, style: str = "") -> None:
        """Lines of a command's output."""
        with self._writing():
            self._write_lines(self.console, printable(text).split("\n"), style)

    def notice(self, text: str, style: str = "notice") -> None:
        """Lines that nobody asked for."""
        with self._writing():
            self._write_lines(self.errors, printable(text).split("\n"), style)

    def report(self, text: str) -> None:
        """A line about a death; there may be too many of these, too."""
        with self._lock:
            deaths = self._author("deaths", "coshell", lambda: True)
            if self._granted(deaths):
                self.notice(text, "error")

    def flush(self) -> None:
        """All that was written is to be seen now."""
        with self._writing():
            self.console.flush()
            self.errors.flush()

    # -- what others print -------------------------------------------------------------------------

    @contextmanager
    def foreground(self) -> Iterator[None]:
        """What the running coroutine prints in this block goes out as it comes."""
        me = coloop.current()
        key = 0 if me is None else me.id
        self._foreground.add(key)
        try:
            yield
        finally:
            self._foreground.discard(key)

    def printed(self, text: str, *, error: bool = False) -> None:
        """Somebody has printed this; who it was is found out here."""
        with self._writing():
            author = self._whoever_prints()
            if author is None:
                self._print_in_foreground(text, self.errors if error else self.console)
            else:
                self._print_in_background(author, author.lines_of(text))

    def flushed(self) -> None:
        """Somebody wants to be seen what he has printed, also a line without an end."""
        with self._writing():
            author = self._whoever_prints()
            if author is None:
                self.console.flush()
            else:
                self._print_in_background(author, author.rest())

    def install(self) -> None:
        """Take the place of `sys.stdout` and `sys.stderr`."""
        self._replaced = (sys.stdout, sys.stderr)
        sys.stdout = cast("TextIO", _Router(self, sys.stdout, error=False))
        sys.stderr = cast("TextIO", _Router(self, sys.stderr, error=True))

    def close(self) -> None:
        """Show what is left, and give `sys.stdout` and `sys.stderr` back."""
        with self._lock:
            for author in (*self._authors.values(), self._everybody):
                self._let_go(author)
            self._authors.clear()
        self.flush()
        if self._replaced is not None:
            sys.stdout, sys.stderr = self._replaced
            self._replaced = None

    # -- inside ------------------------------------------------------------------------------------

    def _print_in_foreground(self, text: str, console: Console) -> None:
        if text:
            console.write(text if self.raw else printable(text))
            self._line_is_open = not text.endswith("\n")

    def _print_in_background(self, author: _Author, lines: Iterable[str]) -> None:
        for line in lines:
            if self._granted(author):
                shown = printable(f"[{author.label}] {line}", keep="\t")
                self._write_lines(self.console, [shown], "")

    def _write_lines(self, console: Console, lines: Iterable[str], style: str) -> None:
        if self._line_is_open:
            self.console.write("\n")
            self._line_is_open = False
        for line in lines:
            console.write_line(line, style)

    def _whoever_prints(self) -> _Author | None:
        """None is the foreground."""
        me = coloop.current()
        if me is None:
            thread = threading.current_thread()
            in_foreground = thread is threading.main_thread()
            return None if in_foreground else self._author(thread, thread.name, thread.is_alive)
        if me.id in self._foreground:
            return None
        scheduler, number = coloop.current_scheduler(), me.id
        return self._author(number, f"{me} {me.name}", lambda: scheduler.coroutine(number) is not None)

    def _author(self, key: object, label: str, alive: Callable[[], bool]) -> _Author:
        if key not in self._authors:
            self._let_the_dead_go()
            self._authors[key] = _Author(label, alive)
        return self._authors[key]

    def _let_the_dead_go(self) -> None:
        if len(self._authors) < MAX_AUTHORS:
            return
        for key, author in list(self._authors.items()):
            if not author.alive():
                self._let_go(author)
                del self._authors[key]

    def _let_go(self, author: _Author) -> None:
        with self._writing():
            self._print_in_background(author, author.rest())
            self._tell_held(author)

    def _granted(self, author: _Author) -> bool:
        """Whether one more line of this author may be shown; if not, that will be told within a second."""
        if not self.limited:
            return True
        now_s = self._clock()
        for budgeted in (author, self._everybody):
            if not budgeted.budget.grant(now_s):
                self._hold(budgeted)
                return False
        return True

    def _hold(self, author: _Author) -> None:
        author.budget.held += 1
        if author.timer is None:
            author.timer = threading.Timer(WINDOW_S, self._tell_later, [author])
            author.timer.daemon = True
            author.timer.start()

    def _tell_later(self, author: _Author) -> None:
        with self._writing():
            self._tell_held(author)

    def _tell_held(self, author: _Author) -> None:
        held, author.budget.held = author.budget.held, 0
        if author.timer is not None:
            author.timer.cancel()
            author.timer = None
        if held:
            line = f"[{author.label}] ... {held:,} lines held back (more than {author.budget.limit} a second)"
            self._write_lines(self.console, [printable(line, keep="")], "notice")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One at a time; and when it cannot be written, that is noted and nothing else happens."""
        with self._lock:
            try:
                yield
            except BrokenPipeError:
                self.broken = True
            except OSError as error:
                self.failure = error.strerror or str(error)


class _Router:
    """Stands where `sys.stdout` stood; all but printing is the old one's business."""

    def __init__(self, output: Output, stream: TextIO, *, error: bool) -> None:
        self._output = output
        self._stream = stream
        self._error = error

    def write(self, text: str) -> int:
        """As a stream does; returns how many characters were taken."""
        if not isinstance(text, str):
            raise TypeError(f"write() takes a str, not {type(text).__name__}")
        self._output.printed(text, error=self._error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """As a stream does."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """As a stream does."""
        self._output.flushed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
