"""A failure as Python prints it, without the runtime's frames at either end.

Whoever reads it wants his own line last: that `recv` has raised in a method that some other one had called says
nothing to him. But where the runtime did not mean to raise, its frames are the culprit's, and stay; so they do
where there are no others.

What was meant is told from the byte code: a `raise` stands where the innermost frame was left. What the native form
raises has no frame; but the runtime's own exceptions are always meant.
"""

from __future__ import annotations

import dis
import traceback
from types import TracebackType
from typing import Final

from ._errors import Cancelled, CoroutineError, MemoryLimitExceeded, Timeout
from ._frames import is_ours

_OUR_ERRORS: Final = (CoroutineError, Timeout, Cancelled, MemoryLimitExceeded)
_RAISE: Final = dis.opmap["RAISE_VARARGS"]


def traceback_text(error: BaseException) -> str:
    """What `traceback.format_exception` would say, less those frames; of what it came from too."""
    told = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
    left: list[tuple[traceback.TracebackException | None, BaseException | None]] = [(told, error)]
    while left:
        text, told_of = left.pop()
        if text is None or told_of is None:
            continue
        _cut(text.stack, told_of)
        left += [(text.__cause__, told_of.__cause__), (text.__context__, told_of.__context__)]
        if isinstance(told_of, BaseExceptionGroup):
            left += zip(text.exceptions or (), told_of.exceptions, strict=False)
    return "".join(told.format())


def _cut(stack: traceback.StackSummary, error: BaseException) -> None:
    frames = _frames_of(error.__traceback__)
    theirs = [place for place, frame in enumerate(frames) if not is_ours(frame.tb_frame.f_code)]
    if not theirs or len(frames) != len(stack):
        return
    if _was_meant(frames[-1], error):
        del stack[theirs[-1] + 1 :]
    del stack[: theirs[0]]


def _frames_of(tb: TracebackType | None) -> list[TracebackType]:
    """Outermost first."""
    frames = []
    while tb is not None:
        frames.append(tb)
        tb = tb.tb_next
    return frames


def _was_meant(innermost: TracebackType, error: BaseException) -> bool:
    if issubclass(type(error), _OUR_ERRORS):
        return True
    raises = innermost.tb_frame.f_code.co_code[innermost.tb_lasti] == _RAISE
    return raises and not issubclass(type(error), AssertionError)
