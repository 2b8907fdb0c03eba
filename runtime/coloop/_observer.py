"""What a scheduler tells to whoever watches it, as it happens.

An observer is told of what cannot wait for the next snapshot: a failure that nobody joined, a
standstill. Its methods run on the scheduler's thread, in no coroutine; they must return at once.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from ._tracebacks import traceback_text
from ._type_names import type_name

if TYPE_CHECKING:
    from ._coroutine import Coroutine
    from ._scheduler import Scheduler
    from ._snapshot import CoroutinePicture


class Failure(NamedTuple):
    """An exception that ended a coroutine and that nobody joined; text only, so it holds no frames.

    Attributes:
        id: the coroutine's; 0 for a call from another thread or a timer, which belongs to none.
        name: the coroutine's, or that of the function that was called.
        age_s: seconds from the coroutine's start to its end, on the scheduler's clock.
        exception_type: the name of its class.
        message: what it says.
        traceback: as Python prints it, without the runtime's frames at its ends, unless the runtime itself has
            failed.
    """

    id: int
    name: str
    age_s: float
    exception_type: str
    message: str
    traceback: str


def describe_failure(coroutine: Coroutine | None, name: str, error: BaseException) -> Failure:
    """The text of a failure; the error itself is not kept."""
    return Failure(
        id=0 if coroutine is None else coroutine.id,
        name=name,
        age_s=0.0 if coroutine is None else coroutine.age_s,
        exception_type=type_name(type(error)),
        message=_message_of(error),
        traceback=_traceback_of(error),
    )


def _message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as worse:
        return f"<its __str__ raised {type_name(type(worse))}>"


def _traceback_of(error: BaseException) -> str:
    try:
        return traceback_text(error)
    except Exception as worse:
        return f"{type_name(type(error))}: <its class raised {type_name(type(worse))}>\n"


class Observer:
    """Hears what happens in a scheduler. Override what is of interest."""

    def started(self, scheduler: Scheduler) -> None:
        """The scheduler exists and is about to run its main coroutine."""

    def failed(self, failure: Failure) -> None:
        """An exception ended a coroutine and nobody joins it; by default it goes to standard error."""
        head = f"{failure.name} (co#{failure.id}) died after {failure.age_s:.3g}s"
        print(f"{head}:\n{failure.traceback}", end="", file=sys.stderr, flush=True)

    def stalled(self, coroutines: tuple[CoroutinePicture, ...]) -> None:
        """All are parked, and nothing but an `Inbox` can wake anyone. Told once per standstill."""

    def warned(self, text: str) -> None:
        """Something is wrong that has an advice and no culprit; by default it goes to standard error."""
        print(text, file=sys.stderr, flush=True)
