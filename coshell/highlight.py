"""Whether a line is a command or Python is seen while it is typed: by its colours, and by a word at the right.

A guess that is shown before Enter is no guess any more. So the same classification that will run the line
also colours it, and names its verdict.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer, PygmentsLexer
from pygments.lexers.python import PythonLexer

from .lines import Line

MAX_COLOURED_CHARS: Final = 16 * 1024  # beyond it colouring costs more than a key press may take

LABELS: Final = {"command": "cmd", "python": "py", "os": "os", "help": "help", "directive": "cmd"}

_HEAD: Final = re.compile(r"\s*[:!?@]?\S*")
_TOKEN: Final = re.compile(
    r"""
      (?P<string> '[^']*'? | "(?:\\.|[^"\\])*"? )
    | (?P<option> (?<!\S)--?[A-Za-z][\w-]* )
    | (?P<value>  \$\w+ | \{[^{}]*\}? )
    | (?P<comment> (?<!\S)\#.* )
    """,
    re.VERBOSE,
)

Classify = Callable[[str], Line]


def label(text: str, classify: Classify) -> str:
    """What Enter will take the text for: `cmd`, `py`, `os`, `help`; empty for nothing."""
    return LABELS.get(classify(_first_line(text)).kind, "py" if "\n" in text else "")


def command_fragments(line: str) -> StyleAndTextTuples:
    """A command line as styled text: its name, options, strings, and the Python values put into it."""
    head = _HEAD.match(line)
    assert head is not None
    styled: StyleAndTextTuples = [("class:command", head[0])]
    end = head.end()
    for token in _TOKEN.finditer(line, end):
        styled.append(("", line[end : token.start()]))
        styled.append((f"class:command.{token.lastgroup}", token[0]))
        end = token.end()
    styled.append(("", line[end:]))
    return [fragment for fragment in styled if fragment[1]]


class ShellLexer(Lexer):
    """Colours commands as commands and the rest as Python.

    Args:
        classify: says what a line is.
    """

    def __init__(self, classify: Classify) -> None:
        self._classify = classify
        self._python = PygmentsLexer(PythonLexer)

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """From a line's number to its styled text."""
        lines = document.lines
        if len(document.text) > MAX_COLOURED_CHARS:
            return lambda number: [("", lines[number])]
        if self._classify(_first_line(document.text)).kind in {"python", "blank", "comment"}:
            return self._python.lex_document(document)
        # Below a command there may be a block of Python, as below `go:`.
        below = self._python.lex_document(Document("\n".join(lines[1:])))
        return lambda number: command_fragments(lines[0]) if number == 0 else below(number - 1)


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
