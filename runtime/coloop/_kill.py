"""Ending a coroutine that may not want to end, from any thread.

One that waits gets `Killed` at its wait. One that computes without end can only be stopped by an
exception from another thread. CPython raises it in whatever Python code the thread runs next, so
the question is how to keep it from hitting somebody else, or the scheduler in half a switch:

* The interpreter passes from thread to thread only where a function begins, behind a call into C,
  and at a jump backwards. Between the comparison that finds the victim running its own code
  (`Scheduler.exposed`) and the call that fires there is none of these.
* A coroutine may be exposed and yet stand at the door of a step of the runtime, behind which it would have
  given back a lock or a permit. So one aims at a coroutine whose innermost code is not the runtime's; otherwise it is
  tried again, a moment later. The native core looks and fires in one call. In Python the look comes a few
  calls before the shot; a thread that got in between would have had to wait for its turn since long before.
* The exception is raised at the victim's next such place; on CPython 3.13 at the one after it. So
  the scheduler, on its way in, first takes down `exposed`, then makes a call, and only then
  changes anything.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from ._coroutine import Coroutine
from ._errors import Killed, NotRunning
from ._form import native
from ._frames import is_ours
from ._timers import check_seconds

if TYPE_CHECKING:
    from ._scheduler import Scheduler

TRIES: Final = 3
MOMENTS: Final = 100
MOMENT_S: Final = 0.0005
LEAST_VERDICT_S: Final = 1.0  # a busy machine may take so long to give the root a turn


class Killer:
    """Ends coroutines of one scheduler."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def kill(self, coroutine: Coroutine, grace_s: float) -> str:
        """See `Scheduler.kill`."""
        check_seconds(grace_s, "grace")
        if coroutine.ended:
            return "had ended"
        if threading.get_ident() == self._scheduler.thread_id:
            return self._kill_from_inside(coroutine, grace_s / TRIES)
        try:
            return self._kill_from_outside(coroutine, grace_s / TRIES)
        except NotRunning:  # the scheduler has ended, and nobody outlives it
            return "had ended"

    def _kill_from_inside(self, coroutine: Coroutine, grace_s: float) -> str:
        scheduler = self._scheduler
        if coroutine is scheduler.running:
            raise Killed(f"{coroutine} killed itself")
        for _ in range(TRIES):
            scheduler.interrupt(coroutine, Killed(f"{coroutine} was killed"))
            if scheduler.join(coroutine, grace_s):
                return "ended"
        scheduler.abandon(coroutine)
        return "zombie"

    def _kill_from_outside(self, coroutine: Coroutine, grace_s: float) -> str:
        scheduler, ended = self._scheduler, threading.Event()
        for _ in range(TRIES):
            scheduler.call_soon_threadsafe(self._interrupt, coroutine, ended)
            if ended.wait(grace_s / 2) or coroutine.ended:
                return "ended"
            self._shoot(coroutine)
            if ended.wait(grace_s / 2) or coroutine.ended:
                return "ended"
        verdict: SimpleQueue[str] = SimpleQueue()
        scheduler.call_soon_threadsafe(self._give_up, coroutine, verdict)
        try:
            return verdict.get(timeout=max(grace_s, LEAST_VERDICT_S))
        except Empty:  # the root has had no turn
            return "ended" if coroutine.ended else "unstoppable"

    def _give_up(self, coroutine: Coroutine, verdict: SimpleQueue[str]) -> None:
        verdict.put("ended" if coroutine.ended else "zombie")
        self._scheduler.abandon(coroutine)

    def _interrupt(self, coroutine: Coroutine, ended: threading.Event) -> None:
        if coroutine.ended:
            ended.set()
            return
        self._scheduler.watch(coroutine, lambda _: ended.set())
        self._scheduler.interrupt(coroutine, Killed(f"{coroutine} was killed"))

    def _shoot(self, coroutine: Coroutine) -> None:
        for _ in range(MOMENTS):
            if shoot(self._scheduler, coroutine, Killed) or coroutine.ended:
                return
            time.sleep(MOMENT_S)


def shoot(scheduler: Scheduler, coroutine: Coroutine, killed: type[BaseException]) -> bool:
    """Raise `killed` in the midst of what `coroutine` computes; False if it does not, or runs code of the runtime."""
    fire = ctypes.pythonapi.PyThreadState_SetAsyncExc
    thread_id, error = ctypes.c_ulong(scheduler.thread_id), ctypes.py_object(killed)
    innermost = sys._current_frames().get(scheduler.thread_id)
    if innermost is None or is_ours(innermost.f_code):
        return False
    if scheduler.exposed is not coroutine:
        return False
    fire(thread_id, error)
    return True


if not TYPE_CHECKING and native is not None:
    shoot = native.shoot
