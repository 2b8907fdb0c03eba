"""How soon a real shell answers in a pseudo-terminal while it holds very many coroutines.

They are started at level `counts`, because tracing every block that a million spawns allocate takes minutes; it
answers at whatever level it is then set to. What it writes is searched, not drawn: a line is answered when the value
is there that only its evaluation can show, and below it the next prompt; a key when its letter is drawn. (Between two
prompts the kernel itself would echo it.)
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import tempfile
import termios
import time
from types import TracebackType

import psutil

from .process import PATIENCE_S, ROOT, Failed, environment

KEY = "Z"  # in nothing else that is drawn while it is typed
SIZE = (24, 80)


class Prompt:
    """A coshell at work; `with` ends it.

    Raises:
        Failed: here or at any question: it does not answer, or has ended.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._home = tempfile.TemporaryDirectory(prefix="coshell-bench-")
        self._terminal, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, SIZE)
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "coshell", "--no-color", "--level", "counts"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=ROOT,
            env={**environment(), **_nobodys(self._home.name)},
            start_new_session=True,
        )
        os.close(theirs)
        try:
            self._wait_for("co>")
        except Failed:
            self.end()
            raise

    def park(self, n: int) -> float:
        """Have it start `n` coroutines that wait; how many seconds that took."""
        return self._enter(f"go -n {n} suspend()", f"{n:,} coroutines suspend")

    def count_at(self, level: str) -> None:
        """Set the level of accounting."""
        self._enter(f"set level {level}", "co>")
        self.line()

    def line(self) -> float:
        """Have it evaluate a line; after how many seconds its value and the next prompt were there."""
        self._asked += 1
        return self._enter(f"'<' + 'line {self._asked}' + '>'", f"<line {self._asked}>")

    def key(self) -> float:
        """Press a key; after how many seconds its letter was there."""
        return self._timed(KEY, KEY)

    def resident_bytes(self) -> int:
        """What it holds in memory."""
        resident: int = psutil.Process(self._process.pid).memory_info().rss
        return resident

    def end(self) -> None:
        """Kill it: to end a million coroutines in good order is not what is measured."""
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)
        self._home.cleanup()

    def __enter__(self) -> Prompt:  # noqa: PYI034 - nobody derives from it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def _enter(self, line: str, answer: str) -> float:
        return self._timed(f"{line}\r", answer, "co>")

    def _timed(self, keys: str, *answers: str) -> float:
        self._read_what_is_there()
        begin = time.perf_counter()
        os.write(self._terminal, keys.encode())
        self._wait_for(*answers)
        return time.perf_counter() - begin

    def _wait_for(self, *answers: str) -> None:
        """Read until they are there, one after the other."""
        deadline_s = time.monotonic() + PATIENCE_S
        seen = b""
        for answer in answers:
            while answer.encode() not in seen:
                seen += self._read(deadline_s, answer)
            seen = seen.partition(answer.encode())[2]

    def _read(self, deadline_s: float, answer: str) -> bytes:
        left_s = max(0.0, deadline_s - time.monotonic())
        if not select.select([self._terminal], [], [], left_s)[0]:
            raise Failed(f"the shell shows no {answer!r} within {PATIENCE_S:g} s")
        try:
            return os.read(self._terminal, 65536)
        except OSError:
            raise Failed(f"the shell ended before it showed {answer!r}") from None

    def _read_what_is_there(self) -> None:
        with contextlib.suppress(OSError):
            while select.select([self._terminal], [], [], 0)[0]:
                os.read(self._terminal, 65536)


def _nobodys(home: str) -> dict[str, str]:
    """An environment without the user's settings and history, for a terminal that is not asked where its cursor is."""
    folders = dict.fromkeys(("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), home)
    return {**folders, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PROMPT_TOOLKIT_NO_CPR": "1"}
