"""Where a coroutine waits for one thing, and can be called away to look at another.

Who reads from a connection must hear that it is to be closed, though nothing comes; who accepts, that the
server pauses. So the wait itself is ended, and what was waited for stays where it is: whoever was called away
while something came finds it at his next wait. Nobody is called away from anything but this wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ._coroutine import Coroutine
from ._scheduler import Scheduler

T = TypeVar("T")


class _Summons(BaseException):
    """Raised at the wait; no code but `Post.wait` ever sees it."""


class Post:
    """The place of one coroutine at a time."""

    __slots__ = ("_guard", "_scheduler", "_summons")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._guard: Coroutine | None = None
        self._summons: _Summons | None = None

    def wait(self, call: Callable[..., T], *args: object) -> T | None:
        """What `call(*args)` returns, or None if its caller was called away."""
        me = self._guard = self._scheduler.running
        try:
            return call(*args)
        except _Summons as summons:
            if summons is not self._summons:
                raise
            return None
        finally:
            self._guard = None
            if self._summons is not None:
                self._take_back(me)

    def call_away(self) -> None:
        """End the wait, if somebody waits; without effect if it has ended."""
        if self._guard is None or self._summons is not None:
            return
        self._summons = _Summons()
        self._scheduler.interrupt(self._guard, self._summons)

    def _take_back(self, me: Coroutine | None) -> None:
        """It may have come too late, for a wait that had ended: the next one is none of ours."""
        pending = None if me is None else me._interrupts
        if pending and self._summons in pending:
            pending.remove(self._summons)
        self._summons = None
