"""Where nobody is killed half way through: steps that must happen all or not at all.

An exception from another thread strikes only a coroutine that is `exposed`, where a function begins,
behind a call into C, or at a jump backwards (see the head of `_kill.py`). A single step needs no
shelter: between two assignments there is no such place. Several with calls among them do.
"""

from __future__ import annotations

from time import perf_counter

from ._coroutine import Coroutine
from ._scheduler import Scheduler


class shelter:  # noqa: N801 - reads as the statement that it is
    """`with shelter(scheduler):` what is done inside is done to its end.

    It must neither park nor call strangers.
    """

    __slots__ = ("_exposed", "_scheduler")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._exposed: Coroutine | None = scheduler.exposed

    def __enter__(self) -> None:
        self._scheduler.exposed = None
        try:
            perf_counter()  # any call: whoever was shot before hears of it here, with nothing done yet
        except BaseException:
            self._scheduler.exposed = self._exposed
            raise

    def __exit__(self, *_: object) -> None:
        self._scheduler.exposed = self._exposed
