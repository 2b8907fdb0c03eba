"""Blocks in several coroutines, run in the order of their numbers: a test that tells its own interleaving.

Each block waits for the one before it to end. When one that waits goes away, its number will never come
and all behind it would wait for ever, so the sequence is broken: they all hear of it. A number that nobody has
claimed may still be claimed; while it is not, whoever waits says which one is missing, and so does
the report of a deadlock.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ._coroutine import Coroutine
from ._errors import CoroutineError, NotRunning, WrongThread
from ._scheduler import Scheduler, current_scheduler

_ids: Final = itertools.count(1)


class Sequencer:
    """`with sequencer(0): ...` here and `with sequencer(1): ...` there: 0 runs first, wherever it stands.

    The numbers count from 0; each is used once. A block that fails passes the turn on like any other.

    Raises:
        ValueError: the number is negative or no integer.
        CoroutineError: the number is taken, or the sequence is broken: a coroutine was cancelled, or timed out,
            before its turn had come.
        NotRunning: used outside of a coroutine.
        WrongThread: used on two threads.
    """

    __slots__ = ("__weakref__", "_claimed", "_next", "_scheduler", "_waiting", "_why_broken", "id")

    def __init__(self) -> None:
        self.id = next(_ids)
        self._claimed: set[int] = set()
        self._next = 0
        self._scheduler: Scheduler | None = None
        self._waiting: dict[int, _Turn] = {}
        self._why_broken: str | None = None

    @contextmanager
    def __call__(self, position: int) -> Iterator[None]:
        """A block; parks before it until all with smaller numbers have ended."""
        scheduler, me = self._claim(position)
        begun = False
        try:
            if position > self._next:
                self._wait(scheduler, _Turn(self, position, me))
            begun = True
            yield
        finally:
            if begun:
                self._pass_on(scheduler, position + 1)
            else:
                self._break(scheduler, f"{me} left before its turn {position}")

    def _claim(self, position: int) -> tuple[Scheduler, Coroutine]:
        scheduler = current_scheduler()
        if scheduler.running is None:
            raise NotRunning("a sequence orders coroutines: this is none")
        if type(position) is not int or position < 0:
            raise ValueError(f"a position must be an integer >= 0, not {position!r}")
        if self._scheduler not in {None, scheduler}:
            raise WrongThread(
                f"{self} belongs to another scheduler than the one of thread {threading.get_ident()}"
            )
        if position in self._claimed:
            raise CoroutineError(f"{self}: position {position} was used already")
        if self._why_broken is not None:
            raise self._broken_error()
        self._scheduler = scheduler
        self._claimed.add(position)
        return scheduler, scheduler.running

    def _wait(self, scheduler: Scheduler, turn: _Turn) -> None:
        self._waiting[turn.position] = turn
        try:
            scheduler.park("wait for", turn)
        finally:
            self._waiting.pop(turn.position, None)

    def _pass_on(self, scheduler: Scheduler, position: int) -> None:
        self._next = position
        turn = self._waiting.get(position)
        if turn is not None:
            scheduler.wake(turn.coroutine)

    def _break(self, scheduler: Scheduler, why: str) -> None:
        if self._why_broken is not None:
            return
        self._why_broken = why
        for position in sorted(self._waiting):
            scheduler.interrupt(self._waiting[position].coroutine, self._broken_error())

    def _broken_error(self) -> CoroutineError:
        return CoroutineError(f"{self} is broken: {self._why_broken}")

    def __str__(self) -> str:
        return f"sequencer#{self.id}"

    def __repr__(self) -> str:
        broken = "" if self._why_broken is None else " broken"
        return f"<Sequencer#{self.id}{broken} at {self._next}, {len(self._waiting)} waiting>"


class _Turn:
    """What a coroutine waits for in a sequence."""

    __slots__ = ("coroutine", "position", "sequencer")

    def __init__(self, sequencer: Sequencer, position: int, coroutine: Coroutine) -> None:
        self.sequencer = sequencer
        self.position = position
        self.coroutine = coroutine

    def __str__(self) -> str:
        before = range(self.sequencer._next, self.position)
        missing = [str(number) for number in before if number not in self.sequencer._claimed]
        note = f" ({', '.join(missing)} missing)" if missing else ""
        return f"turn {self.position} of {self.sequencer}{note}"
