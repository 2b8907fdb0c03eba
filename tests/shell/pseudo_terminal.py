"""A person at a terminal: types, looks at the screen, and waits until it shows what it must.

The program runs in a real pseudo-terminal, and what it writes is drawn by a terminal emulator, which also
answers the questions that programs put to terminals (where is the cursor?). Nobody here waits for
a time to pass: `wait_for` waits for a fact, and a limit ends a test that has failed.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from types import TracebackType

import pyte
from ptyprocess import PtyProcess

from tests.patience import PATIENCE_S


class PseudoTerminal:
    """A running program and the screen it draws on.

    Args:
        argv: the program and its arguments.
        environ: added to the environment.
        rows, columns: the size of the screen.
        answers: whether the terminal tells where its cursor is when asked.
    """

    def __init__(
        self,
        argv: list[str],
        environ: Mapping[str, str] | None = None,
        *,
        rows: int = 24,
        columns: int = 80,
        answers: bool = True,
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=2000)
        self.raw = bytearray()
        self._stream = pyte.ByteStream(self.screen)
        with warnings.catch_warnings():
            # forkpty in a process with threads: the child does nothing but exec.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.process = PtyProcess.spawn(
                argv, env={**os.environ, **(environ or {})}, dimensions=(rows, columns)
            )
        if answers:
            self.screen.write_process_input = self.type

    def __enter__(self) -> PseudoTerminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None:
            print("\n".join(["--- the screen:", *self.lines(), "---"]), file=sys.stderr)
        if self.process.isalive():
            self.process.kill(signal.SIGKILL)
            self.process.wait()  # `close` gives a busy machine half a second
        self.process.close(force=True)

    def type(self, keys: str) -> None:
        """Press the keys."""
        self.process.write(keys.encode())

    def lines(self) -> list[str]:
        """What the screen shows, line by line."""
        return [line.rstrip() for line in self.screen.display]

    def text(self) -> str:
        """What the screen shows, and what has scrolled away above it."""
        above = ["".join(char.data for char in _cells(line)).rstrip() for line in self.screen.history.top]
        return "\n".join([*above, *self.lines()])

    def cursor_line(self) -> str:
        """The line on which the cursor is."""
        return self.lines()[self.screen.cursor.y]

    def wait_for(self, fact: str | Callable[[], bool]) -> None:
        """Read what the program writes until the fact holds; a string is a fact if the screen shows it."""
        holds = (lambda: fact in self.text()) if isinstance(fact, str) else fact
        deadline_s = time.monotonic() + PATIENCE_S
        while not holds():
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, f"still not so: {fact!r}\n{self.text()}"
            assert self._read(left_s) or holds(), (
                f"the program ended before this was so: {fact!r}\n{self.text()}"
            )

    def wait_for_end(self) -> int:
        """Read until the program has ended; returns its exit status, negative for a signal."""
        while self._read(PATIENCE_S):
            pass
        self.process.wait()
        status, by_signal = self.process.exitstatus, self.process.signalstatus
        return -by_signal if status is None else status

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the window; the program is told by a signal."""
        self.screen.resize(max(rows, 1), max(columns, 1))
        self.process.setwinsize(rows, columns)

    def _read(self, patience_s: float) -> bool:
        """Draw what is there to draw; False at the end of the program's output."""
        ready, _, _ = select.select([self.process.fd], [], [], patience_s)
        if not ready:
            return True
        try:
            data = self.process.read(65536)
        except EOFError:
            return False
        self.raw += data
        self._stream.feed(data)
        return True


def _cells(line: Mapping[int, pyte.screens.Char]) -> list[pyte.screens.Char]:
    return [line[column] for column in range(max(line, default=-1) + 1)]
