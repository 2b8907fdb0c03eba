"""Connections that were opened for one request and are kept for the next to the same server.

They are kept for seconds only: a server closes what it has not heard from, and whoever keeps such a
connection has it in CLOSE_WAIT. The last one used goes first, so that those that are not needed grow old. A
pool belongs to a scheduler and lives as long as there is something in it: the timer that sweeps it is what
keeps it.
"""

from __future__ import annotations

import ssl
from typing import Any, Final
from weakref import WeakValueDictionary

import coloop
from coloop import Scheduler, TimedCall

from .link import Link
from .url import Url

KEPT_S: Final = 10.0
SWEEP_S: Final = 2.5
MAX_KEPT: Final = 8  # for one server
MAX_KEPT_AT_ALL: Final = 64

Terms = bool | ssl.SSLContext | None
Key = tuple[str, str, int, Any]


class Pool:
    """The connections of one scheduler that wait for a request.

    Args:
        scheduler: whose they are.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self._kept: dict[Key, list[tuple[Link, float]]] = {}
        self._beat: TimedCall | None = None

    def take(self, url: Url, terms: Terms) -> Link | None:
        """A connection to where that URL is; None if there is none that still stands."""
        key = _key(url, terms)
        try:
            while self._kept.get(key):
                link, _ = self._kept[key].pop()
                good = False
                try:
                    good = link.is_fresh()
                finally:
                    if not good:
                        link.close()
                if good:
                    return link
            return None
        finally:
            self._rest()

    def keep(self, url: Url, terms: Terms, link: Link) -> None:
        """Have it wait for the next request, if there is room."""
        waiting = self._kept.setdefault(_key(url, terms), [])
        if len(waiting) >= MAX_KEPT or len(self) >= MAX_KEPT_AT_ALL:
            link.close()
        else:
            waiting.append((link, self.scheduler.clock.now()))
        self._rest()

    def sweep(self) -> None:
        """Close what has waited too long, or has been left by its server."""
        oldest = self.scheduler.clock.now() - KEPT_S
        for key in list(self._kept):
            # To look at one parks for a moment, in which nobody else may take it.
            waiting, self._kept[key] = self._kept[key], []
            for number, (link, since) in enumerate(waiting):
                try:
                    good = since > oldest and link.is_fresh()
                except BaseException:
                    for left, _ in waiting[number:]:
                        left.close()
                    raise
                if good:
                    self._kept[key].append((link, since))
                else:
                    link.close()
            if not self._kept[key]:
                del self._kept[key]
        self._rest()

    def close(self) -> int:
        """Close all that wait; how many those were."""
        count = len(self)
        kept, self._kept = self._kept, {}
        for waiting in kept.values():
            for link, _ in waiting:
                link.close()
        self._rest()
        return count

    def _rest(self) -> None:
        """Sweep as long as there is something to be swept."""
        if not len(self):
            if self._beat is not None:
                self._beat.cancel()
                self._beat = None
        elif self._beat is None:
            self._beat = coloop.every(SWEEP_S, self.sweep)

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))


_pools: Final[WeakValueDictionary[int, Pool]] = WeakValueDictionary()


def current_pool() -> Pool:
    """The running scheduler's."""
    scheduler = coloop.current_scheduler()
    pool = _pools.get(id(scheduler))
    if pool is None or pool.scheduler is not scheduler:
        pool = _pools[id(scheduler)] = Pool(scheduler)
    return pool


def _key(url: Url, terms: Terms) -> Key:
    return (*url.origin, terms)
