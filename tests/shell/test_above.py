"""Lines of others appear above an open prompt, and at once where there is none."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.renderer import CPR_Support
from prompt_toolkit.styles import Style

from coshell.above import AbovePrompt

QUESTION = "\x1b[6n"  # where is the cursor?


class Terminal(io.StringIO):
    """What was written to it is its value."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
def output(terminal: Terminal) -> Vt100_Output:
    return Vt100_Output(terminal, lambda: Size(rows=24, columns=80), term="xterm", enable_bell=False)


@pytest.fixture
def above(output: Vt100_Output) -> AbovePrompt:
    return AbovePrompt(output, Style([]))


@pytest.fixture
def keyboard() -> Iterator[PipeInput]:
    with create_pipe_input() as pipe:
        yield pipe


def test_without_a_prompt_a_line_is_shown_at_once(terminal: Terminal, above: AbovePrompt) -> None:
    above.write_line("hello")
    assert "hello\r\n" in terminal.getvalue()


def test_without_a_prompt_text_is_shown_as_it_comes(terminal: Terminal, above: AbovePrompt) -> None:
    above.write("no end ye")
    assert terminal.getvalue().endswith("no end ye")


def test_what_has_no_end_when_the_prompt_closes_is_shown(
    terminal: Terminal, output: Vt100_Output, above: AbovePrompt, keyboard: PipeInput
) -> None:
    session: PromptSession[str] = PromptSession("? ", input=keyboard, output=output)
    with above.below(session.app):
        above.write("one\ntwo")
        assert "one" not in terminal.getvalue()
    assert terminal.getvalue().index("one") < terminal.getvalue().index("two")


def test_too_many_lines_are_counted_and_the_last_are_kept(
    terminal: Terminal, output: Vt100_Output, above: AbovePrompt, keyboard: PipeInput
) -> None:
    session: PromptSession[str] = PromptSession("? ", input=keyboard, output=output)
    with above.below(session.app):
        for number in range(5007):
            above.write_line(f"<{number}>")
    shown = terminal.getvalue()
    assert "7 lines skipped" in shown
    assert "<6>" not in shown
    assert "<7>" in shown
    assert "<5006>" in shown


def test_a_prompt_that_closes_is_not_asked_where_it_stands(
    terminal: Terminal, output: Vt100_Output, above: AbovePrompt, keyboard: PipeInput
) -> None:
    """The answer would come when nobody reads the keyboard: the kernel would echo it."""
    session: PromptSession[str] = PromptSession("? ", input=keyboard, output=output)

    async def close_meanwhile(timeout: int = 1) -> None:
        if not session.app.is_done:
            session.app.exit(result="closed")

    session.app.renderer.cpr_support = CPR_Support.SUPPORTED
    session.app.renderer.wait_for_cpr_responses = close_meanwhile  # type: ignore[method-assign]

    def opened() -> None:
        above.write_line("from elsewhere")
        above.opened()

    with above.below(session.app):
        assert session.prompt(pre_run=opened) == "closed"
    assert terminal.getvalue().count(QUESTION) == 1  # the prompt's own, when it opened
    assert "from elsewhere" in terminal.getvalue()
