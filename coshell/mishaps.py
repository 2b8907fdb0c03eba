"""An error is told twice: in one line, and as a traceback that shows the user's own lines.

The frames of the shell and of the runtime are left out, because where the user's code went wrong is told by
the user's code. A traceback is also bounded: a recursion that ran away has a thousand frames, of which a
few at either end tell all there is to know; and an exception's message may be as long as what a peer sent.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

import coloop

from .command_error import CommandError
from .text import printable

MAX_MESSAGE_CHARS: Final = 500
MAX_TRACEBACK_LINES: Final = 40
HEAD_LINES: Final = 12

_OURS: Final = tuple(f"{Path(file).resolve().parent}/" for file in (__file__, coloop.__file__))


def one_line(error: BaseException) -> str:
    """`ValueError: bad size`; a command's own message stands for itself."""
    text = _message_of(error)
    if isinstance(error, SyntaxError):
        text = f"{error.msg} (line {error.lineno})" if error.lineno else str(error.msg)
    first = text.strip().split("\n", 1)[0]
    shown = first if len(first) <= MAX_MESSAGE_CHARS else f"{first[:MAX_MESSAGE_CHARS]}..."
    if not isinstance(error, CommandError):
        kind = type(error).__name__
        shown = f"{kind}: {shown}" if shown else kind
    return printable(shown, keep="")


def told(error: BaseException, style: str = "short") -> str:
    """The traceback as text, without a newline at its end.

    Args:
        error: what was raised.
        style: `short` without our frames; `verbose` with them; `plain` only what was raised.
    """
    account = traceback.TracebackException.from_exception(error)
    if style != "verbose":
        _leave_out_ours(account, set())
    lines = "".join(account.format_exception_only() if style == "plain" else account.format()).rstrip("\n")
    return printable(shortened(lines))


def shortened(text: str) -> str:
    """The beginning and the end of a traceback that is too long, and of each line of it."""
    lines = [_cut(line) for line in text.split("\n")]
    left_out = len(lines) - MAX_TRACEBACK_LINES
    if left_out > 0:
        tail = MAX_TRACEBACK_LINES - HEAD_LINES
        lines = [*lines[:HEAD_LINES], f"  ... {left_out} lines ...", *lines[-tail:]]
    return "\n".join(lines)


def _cut(line: str) -> str:
    return line if len(line) <= MAX_MESSAGE_CHARS else f"{line[:MAX_MESSAGE_CHARS]}..."


def _message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as worse:
        return f"<its __str__ raised {type(worse).__name__}>"


def _leave_out_ours(account: traceback.TracebackException, seen: set[int]) -> None:
    """Here, and in what it was caused by."""
    if id(account) in seen:
        return
    seen.add(id(account))
    frames = [frame for frame in account.stack if not frame.filename.startswith(_OURS)]
    account.stack = traceback.StackSummary.from_list(frames)
    for other in (account.__cause__, account.__context__, *(account.exceptions or ())):
        if other is not None:
            _leave_out_ours(other, seen)
