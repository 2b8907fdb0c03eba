"""Somebody has to have looked before: in passing after every line, at the prompt twice a second, or for a while now.

A glance is cheap, but not free: with twenty thousand coroutines it takes some hundredths of a second. Then it is
left out as long as the last one's cost has not been earned, and what it remembers is bounded. Who wants to know
more exactly has the coroutines watched for a while, with a full collection at every look.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Final

import coloop
from coloop import NotRunning, memory

from .history import History
from .holding import holder_of
from .look import Look
from .looking import SHELL_ID, Looker
from .suspects import Suspect, census, suspects
from .verdict import LEAK, Judged, judge, too_few

if TYPE_CHECKING:
    from coshell.shell import Shell

LOOKS: Final = 12
USUAL_WINDOW_S: Final = 10.0
NAPS: Final = 4  # between two looks
FREE_COROUTINES: Final = 1000  # so few are glanced at in a millisecond, whenever there is an occasion
MAX_GLANCED: Final = 20_000  # more would make all others wait for longer than anybody wants who has not asked
EARNED: Final = 20  # of more than that a glance may take so small a part of the time
OWN_PLACES: Final = ("bridge.py:",)


@dataclass(frozen=True)
class Watched:
    """What was seen.

    Attributes:
        looks: in their order.
        suspects: the containers that grew; nobody knows when they were not watched.
        left_out: the places of the shell's own coroutines.
    """

    looks: tuple[Look, ...]
    suspects: tuple[Suspect, ...]
    left_out: frozenset[str]

    def judged(self) -> list[Judged]:
        """The verdicts, worst first."""
        return judge(self.looks, self.left_out)


class Watch:
    """Watches a shell's coroutines.

    Args:
        shell: whose; it need not have been started yet.
        now: real time in seconds.
    """

    def __init__(self, shell: Shell, now: Callable[[], float] = perf_counter) -> None:
        self._shell = shell
        self._looker = Looker(shell)
        self._now = now
        self._earned_at = -math.inf
        self._glancing = threading.Lock()
        self.history = History()

    def glance(self) -> None:
        """Look in passing, if it is time to; from any thread."""
        if not self._glancing.acquire(blocking=False):  # another thread is at it
            return
        try:
            self._glance()
        except NotRunning:
            return
        finally:
            self._glancing.release()

    def _glance(self) -> None:
        begin, living = self._now(), len(self._shell.scheduler.living)
        if begin < self._earned_at or living > MAX_GLANCED or not memory.traces_heap():
            return
        self.history.add(self._looker.glance())
        if living > FREE_COROUTINES:
            self._earned_at = begin + EARNED * (self._now() - begin)

    def look(self) -> Look:
        """One look, behind a full collection; in a coroutine."""
        return self._looker.look()

    def now(self) -> Watched:
        """What was seen so far, and a look at this moment; in a coroutine."""
        looks = (*self.history, self._looker.look())
        return Watched(looks, (), self._left_out())

    def knows_too_little(self) -> bool:
        """Whether what was seen so far decides nothing."""
        return too_few((*self.history,)) or _nothing_happened(tuple(self.history))

    def watch(self, window_s: float) -> Watched:
        """Look for a while; in a coroutine, on the scheduler's clock. Nobody runs during each look.

        Args:
            window_s: for how long all others are to run meanwhile, in seconds; what the looks take comes on top.
        """
        scheduler = self._shell.scheduler
        born = scheduler.spawned
        looks, censuses = [replace(self._looker.look(), lived_s=0.0)], [census()]
        for place in range(1, LOOKS):
            _let_run(window_s / (LOOKS - 1))
            looks.append(replace(self._looker.look(), lived_s=place * window_s / (LOOKS - 1)))
            if place == LOOKS // 2:
                coloop.yield_now()
                censuses.append(census())
        coloop.yield_now()
        seen = Watched(tuple(looks), (), self._left_out())
        is_bad = any(one.verdict == LEAK for one in seen.judged())
        grown = suspects(
            censuses,
            scheduler,
            born,
            lambda container, dead: holder_of(self._shell, container) if dead or is_bad else "",
            (looks, censuses, scheduler.graves),  # which remembers the dead, but not for ever
        )
        return replace(seen, suspects=tuple(grown))

    def _left_out(self) -> frozenset[str]:
        me = self._shell.scheduler.coroutine(SHELL_ID)
        own = {line.site for line in memory.spawn_sites() if line.site.startswith(OWN_PLACES)}
        return frozenset(own | ({me.spawned_at} if me is not None else set()))


def _let_run(seconds: float) -> None:
    """Sleep, in short naps: if the machine stands still, only one of them is as good as lost.

    All in one, a coroutine that works every few milliseconds might run once between two looks, and a hundred
    times between the next two; that would pass for growth that comes to rest.
    """
    for _ in range(NAPS):
        coloop.sleep(seconds / NAPS)


def _nothing_happened(looks: tuple[Look, ...]) -> bool:
    return looks[-1].at_s == looks[0].at_s and looks[-1].finished == looks[0].finished
