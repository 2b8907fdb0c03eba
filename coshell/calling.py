"""What a function is called in a table: a lambda has no name, and is shown by its text.

Python keeps where the code of a function came from, not its text. Where the source is at hand, the lambda that
begins on that line is looked for in it; where several do, by the column at which its body begins.
"""

from __future__ import annotations

import ast
import linecache
from pathlib import Path
from types import CodeType
from typing import Any, Final

from .text import cut

MAX_WIDTH: Final = 100
MAX_SOURCE_CHARS: Final = 200_000  # a longer file is not read through for a name

_LAMBDA: Final = "<lambda>"


def called(function: Any) -> str:
    """Its name; of a lambda the text, cut short, or `file:line`; of any other object the name of its class."""
    name = str(getattr(function, "__name__", type(function).__name__))
    code = getattr(function, "__code__", None)
    if name != _LAMBDA or not isinstance(code, CodeType):
        return name
    text = _text_of(code) or f"{Path(code.co_filename).name}:{code.co_firstlineno}"
    return cut(text, MAX_WIDTH)


def _text_of(code: CodeType) -> str | None:
    source = "".join(linecache.getlines(code.co_filename))
    if not source or len(source) > MAX_SOURCE_CHARS:
        return None
    try:
        nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Lambda)]
    except (SyntaxError, ValueError, RecursionError):  # it has changed since
        return None
    found = [node for node in nodes if node.lineno == code.co_firstlineno]
    if len(found) > 1:
        begin = min(
            ((line, column) for line, _, column, _ in code.co_positions() if line and column), default=None
        )
        found = [node for node in found if (node.body.lineno, node.body.col_offset) == begin]
    text = ast.get_source_segment(source, found[0]) if len(found) == 1 else None
    return None if text is None else " ".join(text.split())
