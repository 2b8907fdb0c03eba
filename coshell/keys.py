"""What each key does at the prompt that it does not do in every other line editor.

Two rules decide most of it. Nothing that is typed is lost by accident: Enter runs only what is complete, and
Ctrl-C clears a line but never ends the shell. And a key never waits for the scheduler, which may be
held by a coroutine that does not yield: a key changes the text, or ends the prompt with an `Answer`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from prompt_toolkit.application.current import get_app
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Always, Condition, has_focus
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.bindings.completion import generate_completions
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.keys import Keys

from .values import Bytes

MAX_PASTE_BYTES: Final = 64 * 1024
INDENT: Final = "    "
CTRL_C: Final = "\x03"
EARLY_CTRL_D: Final = "c-@"  # the kernel keeps a Ctrl-D that was typed while no prompt was open, as a NUL

_ENDS_BLOCK: Final = ("return", "pass", "break", "continue", "raise")


@dataclass(frozen=True)
class Typed:
    """A line, or lines, to run.

    Attributes:
        text: what was typed, or what a key stands for.
        keep: what stands at the prompt meanwhile, and is to stand there again.
    """

    text: str
    keep: str = ""


class Gesture(Enum):
    """What a key asks for that is no line to run."""

    LEAVE = auto()
    END_INPUT = auto()
    MENU = auto()


Answer = Typed | Gesture


@dataclass(frozen=True)
class Desk:
    """What the keys need to know, and whom they tell.

    Attributes:
        needs_more: whether a text is the beginning of a statement.
        is_hogged: whether a coroutine lets nobody else run.
        is_command: whether there is a command of that name.
        say: shows a line above the prompt.
        cycle_level: goes on to the next level of accounting.
    """

    needs_more: Callable[[str], bool]
    is_hogged: Callable[[], bool]
    is_command: Callable[[str], bool]
    say: Callable[[str], None]
    cycle_level: Callable[[], None]


def bindings(desk: Desk) -> KeyBindings:
    """The keys of the main prompt."""
    keys = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER)
    add_paste_limit(keys, desk.say)

    @keys.add("enter", filter=typing)
    def _run(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None
        elif wants_more(buffer.document, desk.needs_more):
            buffer.insert_text("\n" + indentation(buffer.document))
        else:
            event.app.exit(result=accept_line(buffer.text, buffer.history))

    @keys.add("escape", "enter", filter=typing)
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n" + indentation(event.current_buffer.document))

    @keys.add("tab", filter=typing)
    def _complete(event: KeyPressEvent) -> None:
        if _in_indentation(event.current_buffer.document):
            event.current_buffer.insert_text(INDENT)
        else:
            generate_completions(event)

    @keys.add("c-c", filter=typing)
    @keys.add("<sigint>")
    def _clear(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        elif desk.is_hogged():
            event.app.exit(result=Gesture.MENU)
        else:
            desk.say("Ctrl-D or quit leaves")

    @keys.add("c-d", filter=typing & is_empty)
    @keys.add(EARLY_CTRL_D, filter=typing & is_empty)
    def _leave(event: KeyPressEvent) -> None:
        event.app.exit(result=Gesture.LEAVE)

    def line_key(key: str, command: str, *, about_word: bool = False) -> None:
        """Let a key run a command, and keep what is being typed."""

        @keys.add(key, filter=typing & Condition(lambda: desk.is_command(command)))
        def _run_command(event: KeyPressEvent) -> None:
            text = event.current_buffer.text
            word = next(iter(text.split()), "").lstrip(":") if about_word else ""
            line = f":{command} {word}" if desk.is_command(word) else f":{command}"
            event.app.exit(result=Typed(line, keep=text))

    line_key("f1", "help", about_word=True)
    line_key("f10", "top")

    @keys.add("f2", filter=typing)
    def _cycle_level(event: KeyPressEvent) -> None:  # noqa: ARG001
        desk.cycle_level()

    return keys


def add_paste_limit(keys: KeyBindings, say: Callable[[str], None]) -> None:
    """Take a paste as text, never as keys; refuse one that no line can be."""

    @keys.add(Keys.BracketedPaste)
    def _paste(event: KeyPressEvent) -> None:
        size_bytes = len(event.data.encode(errors="replace"))
        if size_bytes > MAX_PASTE_BYTES:
            advice = "put it into a file and: run FILE"
            say(f"paste of {Bytes(size_bytes)} refused: at most {Bytes(MAX_PASTE_BYTES)}; {advice}")
        else:
            event.current_buffer.insert_text(event.data.replace("\r\n", "\n").replace("\r", "\n"))


def choice_keys(choices: str) -> KeyBindings:
    """The keys of a question that one key answers; Enter answers nothing, Ctrl-D ends the input.

    Ctrl-C answers nothing either, unless it is among the choices, as `CTRL_C`.
    """
    keys = KeyBindings()

    @keys.add(Keys.Any)
    def _choose(event: KeyPressEvent) -> None:
        key = event.data.lower()
        if key and key in choices:
            event.current_buffer.text = key
            event.app.exit(result=key)

    @keys.add("enter")
    def _nothing(event: KeyPressEvent) -> None:
        event.app.exit(result="")

    @keys.add("c-c")
    @keys.add("<sigint>")
    def _give_up(event: KeyPressEvent) -> None:
        event.app.exit(result=CTRL_C if CTRL_C in choices else "")

    @keys.add("c-d")
    def _end(event: KeyPressEvent) -> None:
        event.app.exit(exception=EOFError())

    return keys


def side_keys(say: Callable[[str], None]) -> KeyBindings:
    """The keys of a prompt within the prompt, for lines that go elsewhere: telnet's, and the kernel's."""
    keys = KeyBindings()
    add_paste_limit(keys, say)

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.app.exit(result=accept_line(event.current_buffer.text, event.current_buffer.history))

    def gesture_key(key: str, gesture: Gesture, *, when_empty: bool = False) -> None:
        @keys.add(key, filter=is_empty if when_empty else Always())
        def _gesture(event: KeyPressEvent) -> None:
            event.app.exit(result=gesture)

    gesture_key("c-c", Gesture.LEAVE)
    gesture_key("<sigint>", Gesture.LEAVE)
    gesture_key("c-d", Gesture.END_INPUT, when_empty=True)
    gesture_key(EARLY_CTRL_D, Gesture.END_INPUT, when_empty=True)
    gesture_key("c-]", Gesture.MENU)
    return keys


def accept_line(text: str, history: History) -> Typed:
    """What was typed, as a line to run; it goes into the history."""
    text = text.rstrip()
    history.append_string(text)
    # Python wants to see where a block ends.
    return Typed(f"{text}\n" if "\n" in text else text)


def wants_more(document: Document, needs_more: Callable[[str], bool]) -> bool:
    """Whether Enter begins another line; in the midst of several lines it does."""
    if not document.on_last_line:
        return True
    # An empty line at the end of a block is what ends it.
    at_end = "\n" if "\n" in document.text and not document.current_line.strip() else ""
    return needs_more(document.text.rstrip() + at_end)


def indentation(document: Document) -> str:
    """The blanks that a line below the cursor's begins with."""
    line = document.current_line_before_cursor
    blanks = line[: len(line) - len(line.lstrip())]
    if line.rstrip().endswith(":"):
        return blanks + INDENT
    if line.split()[:1] and line.split()[0] in _ENDS_BLOCK:
        return blanks.removesuffix(INDENT)
    return blanks


@Condition
def is_empty() -> bool:
    """Whether nothing is typed."""
    return not get_app().current_buffer.text


def _in_indentation(document: Document) -> bool:
    return "\n" in document.text and not document.current_line_before_cursor.strip()
