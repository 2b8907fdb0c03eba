"""What is typed is coloured as what it will be taken for."""

from __future__ import annotations

import pytest
from prompt_toolkit.document import Document

from coshell.highlight import ShellLexer, command_fragments, label
from coshell.lines import Line, classify


def as_typed(line: str) -> Line:
    return classify(line, {"ps", "send", "go"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [("ps", "cmd"), ("ps()", "py"), ("!ls", "os"), ("?ps", "help"), ("@idle", "cmd"), ("", "")],
)
def test_the_label_says_what_enter_will_do(text: str, shown: str) -> None:
    assert label(text, as_typed) == shown


def test_a_command_line_shows_its_parts() -> None:
    styles = {text: style for style, text in command_fragments("send c 'hi' --crlf {x}")}
    assert styles["send"] == "class:command"
    assert styles["'hi'"] == "class:command.string"
    assert styles["--crlf"] == "class:command.option"
    assert styles["{x}"] == "class:command.value"


@pytest.mark.parametrize("text", ["ps --tree", "x = 'y'", "go:\n    f(1)", "", "send 'open"])
def test_colouring_changes_no_character(text: str) -> None:
    line_of = ShellLexer(as_typed).lex_document(Document(text))
    shown = ["".join(fragment[1] for fragment in line_of(number)) for number in range(len(text.split("\n")))]
    assert [line.rstrip("\n") for line in shown] == text.split("\n")
