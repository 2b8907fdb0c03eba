"""Lines that others print appear above the open prompt, and what is being typed stays as it is.

An open prompt owns the lower part of the screen: whoever writes there wrecks it. So a line that comes from
another thread waits until the thread of the prompt has taken the prompt away, written all lines that are
waiting, and drawn the prompt anew. This is done at most ten times a second, because each time the
terminal has to be asked where its cursor is. While no prompt is open, lines are written at once.

The keyboard stays in raw mode meanwhile. prompt_toolkit's own `run_in_terminal` leaves it, which lets the
kernel echo keys, and the terminal's answers, into the midst of the lines.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.output import Output
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import BaseStyle

from .text import plural

MIN_GAP_S: Final = 0.1
MAX_WAITING_LINES: Final = 5000


class AbovePrompt:
    """The console of a terminal with a prompt in it; every method may be called from any thread.

    Args:
        output: the terminal.
        style: what the style names of lines look like.
    """

    def __init__(self, output: Output, style: BaseStyle) -> None:
        self._output = output
        self._style = style
        # Guards what follows, and the terminal while no prompt is open. Reentrant: a signal handler may write.
        self._lock = threading.RLock()
        self._waiting: deque[tuple[str, str]] = deque(maxlen=MAX_WAITING_LINES)
        self._dropped = 0
        self._begun = ""  # a line that has no end yet
        self._app: Application[Any] | None = None
        self._woken = False

    def write(self, text: str) -> None:
        """Show text as it comes; what comes while a prompt is open is shown when its line is complete."""
        with self._lock:
            if self._app is None:
                self._output.write_raw(text)
                self._output.flush()
                return
            *lines, self._begun = (self._begun + text).split("\n")
            for line in lines:
                self.write_line(line)

    def write_line(self, text: str, style: str = "") -> None:
        """Show a line of printable text; without a prompt at once, else within a moment."""
        with self._lock:
            self._dropped += len(self._waiting) == MAX_WAITING_LINES
            self._waiting.append((f"class:{style}" if style else "", f"{text}\n"))
            if self._app is None:
                self._write_waiting()
            else:
                self._wake(self._app)

    def flush(self) -> None:
        """Nothing is held back but for the prompt's sake."""

    @contextmanager
    def below(self, app: Application[Any]) -> Iterator[None]:
        """The prompt `app` is open for the length of the block."""
        with self._lock:
            self._app, self._woken = app, False
        try:
            yield
        finally:
            with self._lock:
                self._app = None
                self._write_waiting()
                begun, self._begun = self._begun, ""
                self.write(begun)

    def opened(self) -> None:
        """To be called in the prompt's event loop, once it runs: lines may have come before it did."""
        with self._lock:
            if self._app is not None and self._waiting:
                self._wake(self._app)

    def _wake(self, app: Application[Any]) -> None:
        if self._woken or app.loop is None:
            return
        self._woken = True
        try:
            app.loop.call_soon_threadsafe(self._start, app)
        except RuntimeError:
            self._woken = False  # the loop has just been closed: `below` writes the line

    def _start(self, app: Application[Any]) -> None:
        if app.is_running:
            app.create_background_task(self._write_above(app))

    async def _write_above(self, app: Application[Any]) -> None:
        # An answer that is under way tells the row of a prompt that would be gone when it comes.
        if self._output.responds_to_cpr:
            await app.renderer.wait_for_cpr_responses()
        # A prompt that is closing waits for its answers too, and may have counted them already: an answer to
        # a question of ours would come when nobody reads the keyboard, and the kernel would echo it.
        if app.is_done:
            return
        with self._lock:
            app.renderer.erase()
            self._write_waiting()
            app.renderer.reset()
        app.renderer.request_absolute_cursor_position()
        app.invalidate()
        await asyncio.sleep(MIN_GAP_S)
        with self._lock:
            self._woken = False
            if self._waiting:
                self._wake(app)

    def _write_waiting(self) -> None:
        lines, dropped = list(self._waiting), self._dropped
        self._waiting.clear()
        self._dropped = 0
        if dropped:
            lines.insert(
                0,
                (
                    "class:notice",
                    f"... {plural(dropped, 'line')} skipped: they came faster than a terminal\n",
                ),
            )
        if lines:
            print_formatted_text(self._output, FormattedText(lines), self._style)
