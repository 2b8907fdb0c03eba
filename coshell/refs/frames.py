"""What the variables of a frame hold, read without leaving a trace in it."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

import coloop

SHELL: Final = f"{Path(__file__).parent.parent}{os.sep}"
RUNTIME: Final = f"{Path(coloop.__file__).parent}{os.sep}"
OUR_REFERENCES: Final = 3  # the frame's, the variable's and the argument's


def variables(frame: FrameType) -> list[tuple[str, Any]]:
    """The local variables of a frame with their values; none of a module's code: those are its globals."""
    names = frame.f_locals
    if names is frame.f_globals:
        return []
    found = list(names.items())
    # Up to CPython 3.12 a function's is a copy that stays with the frame, and would keep the values
    # alive. It is also what `locals()` returned: then a third reference is the program's own.
    is_copy = frame.f_code.co_flags & inspect.CO_OPTIMIZED and type(names) is dict
    if is_copy and sys.getrefcount(names) == OUR_REFERENCES:
        names.clear()
    return found


def outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame, its caller, and so on."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def is_shell(code: CodeType) -> bool:
    """Whether this code is the shell's own."""
    return code.co_filename.startswith(SHELL)


def is_runtime(code: CodeType) -> bool:
    """Whether this code is the runtime's."""
    return code.co_filename.startswith(RUNTIME)


def place(frame: FrameType) -> str:
    """Where it stands, as `demo.py:31`."""
    return f"{frame.f_code.co_filename.rpartition(os.sep)[2]}:{frame.f_lineno}"
