"""A barrier: so many meet, and go on together. Then it serves the next round.

Whoever leaves early, cancelled, killed or because its time is over, breaks the barrier: the others would
wait for ever. It gets its own exception, they get `BrokenBarrier` with its name; so does everybody
who comes later, until a `reset`. (That is how Java has it. In `threading` the one whose time is
over gets the same error as those whom it let down, and cannot tell the difference.)
"""

from __future__ import annotations

import itertools
from typing import Final

from ._errors import BrokenBarrier, NotRunning
from ._line import WaitQueue
from ._lock import called
from ._scheduler import current_scheduler

_ids: Final = itertools.count(1)


class Barrier:
    """Where `parties` coroutines wait for each other.

    Args:
        parties: how many must come.

    Raises:
        ValueError: parties is less than 1 or no integer.
    """

    __slots__ = ("__weakref__", "_arrived", "_breach", "_round", "_waiters", "id", "parties")

    def __init__(self, parties: int) -> None:
        if type(parties) is not int or parties < 1:
            raise ValueError(f"parties must be an integer >= 1, not {parties!r}")
        self.id = next(_ids)
        self.parties = parties
        self._arrived = 0  # in this round; also those who have left it and have not run since
        self._round = 0
        self._breach: str | None = None
        self._waiters = WaitQueue()

    @property
    def n_waiting(self) -> int:
        """How many wait here at this moment."""
        return len(self._waiters)

    @property
    def broken(self) -> bool:
        """Whether somebody has left it, or `abort` was called, since the last `reset`."""
        return self._breach is not None

    def wait(self, timeout: float | None = None) -> int:
        """Park until all have come.

        Args:
            timeout: seconds to wait for the others at most.

        Returns:
            The place in which this one came: 0 for the first, `parties - 1` for the last.

        Raises:
            BrokenBarrier: it is broken, or breaks while this waits, or is reset.
            Timeout: the others have not come within `timeout` seconds; the barrier is broken. (An
                exception as from a channel, because there is a value to return otherwise.)
        """
        scheduler = current_scheduler()
        scheduler.checkpoint()
        if scheduler.running is None:
            raise NotRunning(
                f"only a coroutine can wait at {self}: call this inside coloop.run(main) or go(...)"
            )
        self._check_whole()
        place, its_round = self._arrived, self._round
        if place == self.parties - 1 and len(self._waiters) == place:
            self._waiters.wake_all()
            self._arrived, self._round = 0, its_round + 1
            return place
        self._arrived += 1
        try:
            self._waiters.wait("wait at", self, timeout)
        except BaseException as error:
            if self._round == its_round:
                self._break(f"was broken: {called(scheduler.running)} left it ({type(error).__name__})")
            raise
        return place

    def abort(self) -> None:
        """Break it: all who wait, and all who come, get `BrokenBarrier`, until a `reset`."""
        self._break(f"was broken: {called(current_scheduler().running)} aborted it")

    def reset(self) -> None:
        """Make it whole, for a new round; those who wait get `BrokenBarrier`."""
        self._end_round(f"was reset by {called(current_scheduler().running)}", None)

    def _break(self, breach: str) -> None:
        self._end_round(breach, breach)

    def _end_round(self, why: str, breach: str | None) -> None:
        self._waiters.interrupt_all(lambda: BrokenBarrier(f"{self} {why}"))
        self._arrived, self._round, self._breach = 0, self._round + 1, breach

    def _check_whole(self) -> None:
        if self._breach is not None:
            raise BrokenBarrier(f"{self} {self._breach}")

    def __str__(self) -> str:
        return f"barrier#{self.id}"

    def __repr__(self) -> str:
        broken = "" if self._breach is None else " broken"
        return f"<Barrier#{self.id} {self.n_waiting}/{self.parties}{broken}>"
