"""What came of a line, in a form that holds nothing of what the line has touched.

An exception holds its traceback, that holds every frame it went through, and those hold their variables: a
shell that kept exceptions would keep alive what it is asked to find leaks in. So a failure becomes text
at once. What it means for a script is a number: 1 for a failure, 2 for what is wrong as it stands, 3 for
a deadlock, 130 for Ctrl-C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from coloop import Coroutine, Deadlock

from . import mishaps
from .bridge import Hogged
from .command import CommandError
from .ending import Quit, Terminated
from .lines import LineError
from .text import printable

FAILED: Final = 1
WRONG: Final = 2
DEADLOCKED: Final = 3
INTERRUPTED: Final = 130


@dataclass
class Result:
    """What came of a line.

    Attributes:
        ok: nothing went wrong.
        value: what a command returned, or the value of Python's last expression.
        error: what went wrong, in one line.
        traceback: where, if it is worth telling; text.
        kind: what the line was: `command python os help directive blank comment`.
        records: the value, if it is a list of records.
        exit_code: what a script that ends here ends with.
        hog: who holds the scheduler, if Ctrl-C was pressed because of that.
    """

    ok: bool = True
    value: Any = None
    error: str | None = None
    traceback: str | None = None
    kind: str = ""
    records: Any = None
    exit_code: int = 0
    hog: Coroutine | None = None


def failure(error: BaseException, kind: str = "", style: str = "short") -> Result:
    """A failure as a result.

    Args:
        error: what was raised.
        kind: what the line was.
        style: how much is told, see `mishaps.told`.

    Raises:
        Quit: this is no failure.
        Terminated: likewise.
    """
    match error:
        case Quit() | Terminated():
            raise error
        case KeyboardInterrupt():
            return _failed(kind, "interrupted", INTERRUPTED)
        case CommandError():
            return _failed(kind, mishaps.one_line(error), error.exit_code)
        case LineError():
            return _failed(kind, printable(str(error), keep=""), WRONG)
        case Hogged():
            failed = _failed(kind, printable(str(error), keep=""), FAILED)
            failed.hog = error.hog if error.interrupted else None
            return failed
        case Deadlock():
            summary, _, report = str(error).partition("\n")
            return _failed(kind, summary, DEADLOCKED, report)
        case _:
            code = WRONG if isinstance(error, SyntaxError) else FAILED
            return _failed(kind, mishaps.one_line(error), code, mishaps.told(error, style))


def _failed(kind: str, error: str, exit_code: int, traceback: str | None = None) -> Result:
    return Result(ok=False, error=error, traceback=traceback, kind=kind, exit_code=exit_code)
