"""Scripts wait for facts, not for time.

A pause that is long enough on one machine is too short on the next, and too long on all others. Whoever
owns the scheduler can do better: it knows when all coroutines have come to rest, and between two
moments at which somebody runs, a fact about them cannot change. Facts about the rest of the world can,
so they are looked at again and again, at distances that grow with the time that was spent already. Where
time is virtual and no I/O is under way, nothing can change before the next timer, and it is looked at then.

Everything here runs in a coroutine and parks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import coloop
from coloop.testing import wait_until_idle

from .claims import Finding

FIRST_LOOK_S: Final = 0.001
MAX_LOOK_S: Final = 0.05


class _NotAtRest(Exception):
    """Ends a wait that lasts too long in real time."""


def wait_until(look: Callable[[], Finding], within_s: float) -> Finding:
    """Park until a claim holds.

    Args:
        look: finds out whether it does.
        within_s: how long to wait at most, on the scheduler's clock.

    Returns:
        What was found at last.
    """
    scheduler = coloop.current_scheduler()
    deadline = scheduler.clock.now() + within_s
    distance_s = FIRST_LOOK_S
    found = look()
    if not found.holds:
        come_to_rest(within_s)
        found = look()
    while not found.holds and (remaining_s := deadline - scheduler.clock.now()) > 0:
        coloop.sleep(min(remaining_s, _next_event_s(scheduler) or distance_s))
        distance_s = min(2 * distance_s, MAX_LOOK_S)
        found = look()
    return found


def _next_event_s(scheduler: coloop.Scheduler) -> float | None:
    """How long nothing can happen on a virtual clock; None if that is not known, or not long."""
    if scheduler.clock.patience_s is None or scheduler.poller.waiting or scheduler.threads_pending:
        return None
    deadline = scheduler.timers.next_deadline()
    return None if deadline is None else max(0.0, deadline - scheduler.clock.now()) or None


def come_to_rest(within_s: float) -> bool:
    """Park until all other coroutines wait, and no I/O is there to be dealt with.

    Args:
        within_s: how long to wait at most, on the scheduler's clock and in real time: a virtual clock
            stands still as long as somebody is busy.

    Returns:
        Whether they came to rest.
    """
    try:
        with _bounded_in_real_time(within_s):
            return wait_until_idle(within_s)
    except _NotAtRest:
        return False


@contextmanager
def _bounded_in_real_time(limit_s: float) -> Iterator[None]:
    """Raise `_NotAtRest` at a wait in this block after so many real seconds."""
    scheduler, me = coloop.current_scheduler(), coloop.current()
    assert me is not None
    over = False

    def end_wait() -> None:  # on the scheduler's thread, as the block itself: `over` cannot change meanwhile
        if not over:
            scheduler.interrupt(me, _NotAtRest())

    def ask() -> None:
        with suppress(coloop.NotRunning):
            scheduler.call_soon_threadsafe(end_wait)

    timer = threading.Timer(limit_s, ask)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        over = True
        timer.cancel()
