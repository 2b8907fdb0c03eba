"""A question that only a scheduler's own thread can answer, asked from another.

The scheduler answers between two switches. If a coroutine lets nobody else run, or nobody runs the scheduler at all,
there is no answer, and whoever asks makes do with what can be seen from afar.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeVar

from ._errors import NotRunning

if TYPE_CHECKING:
    from ._scheduler import Scheduler

T = TypeVar("T")

PATIENCE_S: Final = 0.1  # how long another thread waits for one that does not come to it
STALE_QUESTION_S: Final = 1.0  # a question this old is not answered: nobody waits for it any more


def answered(scheduler: Scheduler, question: Callable[[], T]) -> T | None:
    """The answer; None if the scheduler does not come to it, or the question fails. Not on its own thread."""
    asked_at = perf_counter()
    answers: list[T] = []
    begun, done = threading.Event(), threading.Event()

    def answer() -> None:
        try:
            if perf_counter() - asked_at < STALE_QUESTION_S:
                begun.set()
                answers.append(question())
        finally:
            done.set()

    try:
        scheduler.call_soon_threadsafe(answer)
        while not done.wait(PATIENCE_S) and _is_at_work(scheduler):
            if not begun.is_set() and perf_counter() - asked_at > STALE_QUESTION_S:  # nobody runs it
                return None
    except NotRunning:
        return None
    return answers[0] if answers else None


def _is_at_work(scheduler: Scheduler) -> bool:
    """Whether it is the root itself that is busy, perhaps with this very question."""
    return not scheduler.over and scheduler.running is None
