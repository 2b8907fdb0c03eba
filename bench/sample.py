"""What a contender hands back, and the proofs that it did what it was timed for.

A contender that silently does nothing would be the fastest of all. So each sample says how much was done, counted
or summed up by the coroutines themselves, and whoever takes the sample compares that with what was asked for.
"""

from __future__ import annotations

from typing import NamedTuple

BATCH = 1000  # coroutines that are spawned before they are waited for
FAN_WORKERS = 100
FAN_CAPACITY = 16


class Sample(NamedTuple):
    """One measurement.

    Attributes:
        seconds: how long the timed part took.
        done: what was really done, in the measure's own count.
    """

    seconds: float
    done: int


class Turns:
    """Proves that coroutines took turns: when the first of them ends, all must have begun.

    Attributes:
        done: turns taken by those that have ended; 0 if they ran one after the other.
    """

    def __init__(self, coroutines: int) -> None:
        self.done = 0
        self._coroutines = coroutines
        self._begun = 0
        self._interleaved = True

    def begin(self) -> None:
        """A coroutine has its first turn."""
        self._begun += 1

    def end(self, turns: int) -> None:
        """A coroutine has had its last turn."""
        self._interleaved = self._interleaved and self._begun == self._coroutines
        self.done = self.done + turns if self._interleaved else 0


def sum_below(n: int) -> int:
    """What `range(n)` adds up to: who received all those numbers, once each, has this sum."""
    return n * (n - 1) // 2


def delays(n: int, longest_s: float) -> list[float]:
    """For `n` timers: from 0 to `longest_s` seconds, in an order that no heap finds easy, the same each time."""
    return [(i * 7919 % n) / n * longest_s for i in range(n)]
