"""Foreign code fails, hangs and dawdles; what it does is named, counted, and stays its own.

A plugin runs inside the shell, with all the rights of the shell: nothing stops it from ending the
process. But most trouble is not malice. It is an exception nobody thought of, a name server that does
not answer during an import, a column that takes 80 ms a row. For these it is enough that each call into
a plugin goes through a `Guard`, which gives one line that names plugin, hook and place, and that a
`Watchdog` on a thread of its own says what takes long *while* it takes long: afterwards may never come.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from coloop import Cancelled

from .mishaps import one_line
from .text import printable
from .values import Duration

FAILURES_ALLOWED: Final = 5
HOOK_BUDGET_S: Final = 0.05
PATIENCE_S: Final = 1.0

# They say that somebody wants the code to end, not that the code is wrong.
PASSES_THROUGH: Final = (KeyboardInterrupt, Cancelled)


@dataclass(frozen=True)
class Home:
    """Where a plugin's code lives, so that its own line is named and not the library's below it."""

    path: Path | None

    def owns(self, file: str) -> bool:
        """Whether `file` is the plugin's file, or lies in its folder."""
        return self.path is not None and Path(file).is_relative_to(self.path)

    def line_of(self, error: BaseException) -> str:
        """The place of an error as `file.py:7 in name`: the innermost line of ours, else the innermost."""
        if isinstance(error, SyntaxError) and error.filename:
            return f"{Path(error.filename).name}:{error.lineno}"
        return self._innermost([(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)])

    def line_in(self, frame: FrameType | None) -> str:
        """The place where a running thread is now, in the same form."""
        return self._innermost(list(traceback.walk_stack(frame))[::-1])

    def _innermost(self, stack: list[tuple[FrameType, int]]) -> str:
        own = [place for place in stack if self.owns(place[0].f_code.co_filename)]
        for frame, line in reversed(own or stack):
            return f"{Path(frame.f_code.co_filename).name}:{line} in {frame.f_code.co_name}"
        return "unknown place"


def describe(error: BaseException, home: Home) -> str:
    """One line for an error: `ValueError: bad size (mine.py:7 in resize)`."""
    said = f"SyntaxError: {error.msg}" if isinstance(error, SyntaxError) else one_line(error)
    return printable(f"{said} ({home.line_of(error)})", keep="")


@dataclass
class _Watch:
    subject: str
    home: Home
    advice: str
    thread_id: int
    deadline_s: float
    told: bool = False


class Watchdog:
    """Tells of what takes longer than `patience_s`, while it runs; asleep when nothing is watched."""

    def __init__(self, notice: Callable[[str], None], patience_s: float = PATIENCE_S) -> None:
        self._notice = notice
        self.patience_s = patience_s
        self._changed = threading.Condition()
        self._watches: list[_Watch] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def watching(self, subject: str, home: Home, advice: str = "") -> Iterator[None]:
        """Give a notice if the block takes too long: `subject`, for how long, where it is now, and `advice`."""
        deadline_s = time.monotonic() + self.patience_s
        watch = _Watch(subject, home, advice, threading.get_ident(), deadline_s)
        with self._changed:
            self._watches.append(watch)
            self._start()
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._watches.remove(watch)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="coshell plugin watchdog", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                late = self._late()
                if not late:
                    self._changed.wait(self._until_next_deadline())
            for watch in late:
                self._tell(watch)

    def _late(self) -> list[_Watch]:
        now = time.monotonic()
        return [watch for watch in self._watches if not watch.told and watch.deadline_s <= now]

    def _until_next_deadline(self) -> float | None:
        deadlines = [watch.deadline_s for watch in self._watches if not watch.told]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _tell(self, watch: _Watch) -> None:
        watch.told = True
        frame = sys._current_frames().get(watch.thread_id)  # noqa: SLF001  the only way to see another thread
        where = printable(watch.home.line_in(frame), keep="")
        self._notice(
            f"{watch.subject} has taken {Duration(self.patience_s)} so far, at {where}{watch.advice}"
        )


@dataclass
class Guard:
    """Calls one plugin's code; keeps what went wrong.

    Attributes:
        plugin: the plugin's name.
        home: where its code lives.
        longest_s: the longest time each hook has taken.
        failures: how often each hook has raised.
        last_failure: the latest of these, as a line.
    """

    plugin: str
    home: Home
    watchdog: Watchdog
    notice: Callable[[str], None]
    longest_s: dict[str, float] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    last_failure: str = ""

    def call(self, hook: str, function: Callable[..., Any], *args: object) -> Any:
        """What the function returns; None if it raises, or has raised too often and is not called."""
        if self.failures.get(hook, 0) >= FAILURES_ALLOWED:
            return None
        try:
            return self.timed(hook, function, *args)
        except PASSES_THROUGH:
            raise
        except BaseException as error:
            self._count(hook, error)
            return None

    def timed(self, hook: str, function: Callable[..., Any], *args: object) -> Any:
        """What the function returns or raises; the time it takes is kept, and told of once if it is long."""
        started_s = time.perf_counter()
        try:
            with self._watching(hook):
                return function(*args)
        finally:
            took_s = time.perf_counter() - started_s
            self.longest_s[hook] = max(took_s, self.longest_s.get(hook, 0.0))

    def blame(self, what: str, error: BaseException) -> str:
        """The line that names plugin, hook or command, error and place."""
        return f"plugin {self.plugin!r}: {what} failed: {describe(error, self.home)}"

    def has_disabled(self) -> bool:
        """Whether some hook has failed so often that it is not called any more."""
        return any(count >= FAILURES_ALLOWED for count in self.failures.values())

    def remarks(self) -> str:
        """What is worth telling of this plugin's conduct; empty if there is nothing."""
        slow = (
            f"{hook} took {Duration(took_s)}"
            for hook, took_s in self.longest_s.items()
            if took_s > HOOK_BUDGET_S
        )
        return "; ".join(filter(None, (self.last_failure, *slow)))

    def _watching(self, hook: str) -> AbstractContextManager[None]:
        if self.longest_s.get(hook, 0.0) > self.watchdog.patience_s:
            return nullcontext()
        return self.watchdog.watching(f"plugin {self.plugin!r}: {hook}", self.home)

    def _count(self, hook: str, error: BaseException) -> None:
        count = self.failures[hook] = self.failures.get(hook, 0) + 1
        self.last_failure = self.blame(hook, error)
        if count >= FAILURES_ALLOWED:
            self.last_failure += f"; disabled after {count} failures"
            self.notice(self.last_failure)
