"""A prompt is where the shell waits for a person: at a terminal that can edit a line, or at a plain one.

A terminal that calls itself dumb cannot move its cursor: it gets lines and nothing else, and the kernel's
own line editing. Both kinds of prompt are asked for the same things, so nobody else has to know which it is.

The main prompt belongs to the main thread. A side prompt, such as that of an nc session, is read on a
thread of its own while a coroutine waits for it, and can be closed from outside: the peer may leave.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.completion import Completer
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.formatted_text import AnyFormattedText
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.styles import Style

from .above import AbovePrompt
from .history import History
from .keys import CTRL_C, Answer, Gesture, accept_line, choice_keys, side_keys

PROMPT: Final = "co> "
HOGGED_PROMPT: Final = "co!> "
CONTINUATION: Final = "..> "
CLOSED_LOOK_S: Final = 0.2

_STDIN: Final = 0
_plain_hands: Final = threading.Lock()  # held by whoever reads plain lines

T = TypeVar("T")

STYLE: Final = Style.from_dict(
    {
        "prompt": "bold",
        "prompt.hogged": "bold ansired",
        "prompt-continuation": "ansibrightblack",
        "rprompt": "ansibrightblack",
        "command": "bold ansicyan",
        "command.option": "nobold ansiyellow",
        "command.string": "nobold ansigreen",
        "command.value": "nobold ansimagenta",
        "command.comment": "nobold ansibrightblack",
        "bottom-toolbar": "noreverse",
        "bar": "reverse",
        "bar.warn": "reverse ansiyellow",
        "bar.alarm": "reverse bold ansired",
        "error": "ansired",
        "notice": "ansiyellow",
        "dim": "ansibrightblack",
    }
)


class SidePrompt(Protocol):
    """A prompt within the prompt."""

    def read(self) -> Answer:
        """Wait for a line, or for a gesture; after `close` it is `Gesture.LEAVE` at once."""

    def close(self) -> None:
        """End the reading; from any thread."""


class Prompt(Protocol):
    """Asks a person."""

    def read(self, keep: str = "") -> Answer:
        """Wait for a line to run, or for a gesture.

        Args:
            keep: what stands there already.

        Raises:
            EOFError: the terminal is gone.
            KeyboardInterrupt: Ctrl-C, where it is no key.
        """

    def refresh(self) -> None:
        """Draw the prompt anew if it is open; from any thread."""

    def choose(self, question: str, keys: str) -> str:
        """Wait for one of the keys, given in lower case; empty for Enter, and for Ctrl-C if it is not among them.

        Raises:
            EOFError: Ctrl-D, or the terminal is gone.
        """

    def beside(self, message: str, history: History) -> SidePrompt:
        """Make a prompt for one line after the other."""


@dataclass(frozen=True)
class Face:
    """How the main prompt looks and what it offers.

    Attributes:
        message: what stands before the cursor.
        right: what stands at the right end of the line.
        bar: what stands in the bottom line; None for no such line.
        keys: what keys do.
        lexer: colours what is typed.
        completer: offers what may come next.
        history: what the arrow keys walk through.
        vi: whether keys mean what they mean in vi.
    """

    message: Callable[[], AnyFormattedText]
    right: Callable[[], AnyFormattedText]
    bar: Callable[[], AnyFormattedText] | None
    keys: KeyBindings
    lexer: Lexer
    completer: Completer
    history: History
    vi: bool = False


@dataclass(frozen=True)
class Device:
    """A terminal that can move its cursor.

    Attributes:
        keyboard: where keys come from.
        output: where text goes.
        above: where others write while a prompt is open.
        hands: held by whoever reads the keyboard; a prompt that is about to close may still do so.
    """

    keyboard: Input
    output: Output
    above: AbovePrompt
    hands: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, session: PromptSession[T], opened: Callable[[], None], default: str = "") -> T:
        """Read one answer."""
        with self.hands, self.above.below(session.app):
            return session.prompt(default=default, pre_run=opened)


class EditingPrompt:
    """The prompt on such a terminal."""

    def __init__(self, device: Device, face: Face, color_depth: ColorDepth | None = None) -> None:
        self._device = device
        self._session: PromptSession[Answer] = PromptSession(
            face.message,
            rprompt=face.right,
            bottom_toolbar=face.bar,
            prompt_continuation=CONTINUATION,
            multiline=True,
            key_bindings=face.keys,
            lexer=face.lexer,
            completer=face.completer,
            complete_in_thread=True,
            complete_while_typing=False,
            history=face.history,
            editing_mode=EditingMode.VI if face.vi else EditingMode.EMACS,
            enable_suspend=True,
            color_depth=color_depth,
            style=STYLE,
            input=device.keyboard,
            output=device.output,
        )

    def read(self, keep: str = "") -> Answer:
        """See `Prompt`."""
        return self._device.ask(self._session, self._device.above.opened, keep)

    def refresh(self) -> None:
        """See `Prompt`."""
        self._session.app.invalidate()

    def choose(self, question: str, keys: str) -> str:
        """See `Prompt`."""
        device = self._device
        asking: PromptSession[str] = PromptSession(
            question, key_bindings=choice_keys(keys), style=STYLE, input=device.keyboard, output=device.output
        )
        return device.ask(asking, device.above.opened)

    def beside(self, message: str, history: History) -> SidePrompt:
        """See `Prompt`."""
        return _EditingSidePrompt(self._device, message, history)


class _EditingSidePrompt:
    def __init__(self, device: Device, message: str, history: History) -> None:
        self._device = device
        self._closed = False
        self._session: PromptSession[Answer] = PromptSession(
            message,
            key_bindings=side_keys(device.above.write_line),
            history=history,
            style=STYLE,
            input=device.keyboard,
            output=device.output,
        )

    def read(self) -> Answer:
        return self._device.ask(self._session, self._opened)

    def close(self) -> None:
        # The application sets its loop before it calls `_opened`, so one of the two sees that it is over.
        self._closed = True
        loop = self._session.app.loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(_leave, self._session.app)
            except RuntimeError:
                return  # it has just ended by itself

    def _opened(self) -> None:
        if self._closed:
            _leave(self._session.app)
        self._device.above.opened()


def _leave(app: Application[Answer]) -> None:
    if app.is_running and not app.is_done:
        app.exit(result=Gesture.LEAVE)


class PlainPrompt:
    """The prompt on a terminal that can do nothing but show lines.

    Args:
        needs_more: whether a text is the beginning of a statement.
        history: keeps what was typed for sessions on better terminals.
    """

    def __init__(self, needs_more: Callable[[str], bool], history: History) -> None:
        self._needs_more = needs_more
        self._history = history

    def read(self, keep: str = "") -> Answer:  # noqa: ARG002  a plain line cannot begin with a text
        """See `Prompt`."""
        try:
            text = _read_line(PROMPT)
            while self._needs_more(text):
                text += "\n" + _read_line(CONTINUATION)
        except EOFError:
            print()
            return Gesture.LEAVE
        return accept_line(text, self._history)

    def refresh(self) -> None:
        """There is nothing to draw."""

    def choose(self, question: str, keys: str) -> str:
        """See `Prompt`; the key is followed by Enter."""
        try:
            answer = _read_line(question).strip().lower()
        except KeyboardInterrupt:
            return CTRL_C if CTRL_C in keys else ""
        return answer[:1] if answer[:1] in keys else ""

    def beside(self, message: str, history: History) -> SidePrompt:
        """See `Prompt`."""
        return _PlainSidePrompt(message, history)


class _PlainSidePrompt:
    def __init__(self, message: str, history: History) -> None:
        self._message = message
        self._history = history
        self._closed = False

    def read(self) -> Answer:
        try:
            return accept_line(_read_line(self._message, lambda: self._closed), self._history)
        except EOFError:
            return Gesture.LEAVE if self._closed else Gesture.END_INPUT

    def close(self) -> None:
        self._closed = True


def _read_line(message: str, is_over: Callable[[], bool] = lambda: False) -> str:
    """One line, edited by the kernel, which gives it whole; raises EOFError at the end, or when `is_over`."""
    data = b""
    with _plain_hands:
        sys.stdout.write(message)
        sys.stdout.flush()
        while not data.endswith(b"\n"):
            while not select.select([_STDIN], [], [], CLOSED_LOOK_S)[0]:
                if is_over():
                    raise EOFError
            more = os.read(_STDIN, 65536)
            if not more:
                raise EOFError
            data += more
    return data.decode("utf-8", "replace").rstrip("\r\n")
