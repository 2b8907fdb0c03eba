"""Ending a coroutine that may not want to end, from any thread.

One that waits gets `Killed` at its wait. One that computes without end can only be stopped by an
exception from another thread, and CPython delivers that to whichever Python code runs next on
the scheduler's thread. So a shot has a victim, and three rules keep it from hitting a bystander:

* The victim is noted *before* the thread looks whether it runs; after every switch the scheduler
  looks at the note, and takes the exception back if somebody else runs now.
* If it was delivered in the very switch, to the one that the victim left for, it is swallowed.
* A coroutine that ends gives up its greenlet first; nobody shoots at one without.

Noting, looking and shooting happen under a lock, taking back too; a switch without a note costs
one comparison.
"""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, Final

from ._coroutine import Coroutine
from ._errors import Killed
from ._timers import check_seconds

if TYPE_CHECKING:
    from ._scheduler import Scheduler

TRIES: Final = 3


class Killer:
    """Ends coroutines of one scheduler.

    Attributes:
        victim: at whom a shot is on its way; None nearly always.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.victim: Coroutine | None = None
        self._scheduler = scheduler
        self._lock = threading.Lock()

    def kill(self, coroutine: Coroutine, grace_s: float) -> str:
        """See `Scheduler.kill`."""
        check_seconds(grace_s, "grace")
        if coroutine.ended:
            return "had ended"
        if threading.get_ident() == self._scheduler.thread_id:
            return self._kill_from_inside(coroutine, grace_s / TRIES)
        return self._kill_from_outside(coroutine, grace_s / TRIES)

    def take_back(self) -> None:
        """After a switch: a shot at anybody but the one that runs now is no longer wanted."""
        with self._lock:
            if self._scheduler.running is not self.victim:
                _raise_asynchronously(self._scheduler.thread_id, None)
                self.victim = None

    def disarm(self) -> None:
        """The victim is ending by itself."""
        with self._lock:
            _raise_asynchronously(self._scheduler.thread_id, None)
            self.victim = None

    def is_meant_for_runner(self) -> bool:
        """In a switch that ended with `Killed`: whether it hit the right one; if not, it is forgotten."""
        if self._scheduler.running is self.victim:
            return True
        self.victim = None
        return False

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
            if scheduler.over:
                return "had ended"
            scheduler.call_soon_threadsafe(self._interrupt, coroutine, ended)
            if ended.wait(grace_s / 2):
                return "ended"
            self._shoot(coroutine)
            if ended.wait(grace_s / 2):
                return "ended"
        if coroutine.ended:
            return "ended"
        if scheduler.running is coroutine:
            return "unstoppable"
        scheduler.call_soon_threadsafe(scheduler.abandon, coroutine)
        return "zombie"

    def _interrupt(self, coroutine: Coroutine, ended: threading.Event) -> None:
        if coroutine.ended:
            ended.set()
            return
        self._scheduler.watch(coroutine, lambda _: ended.set())
        self._scheduler.interrupt(coroutine, Killed(f"{coroutine} was killed"))

    def _shoot(self, coroutine: Coroutine) -> None:
        with self._lock:
            self.victim = coroutine
            if self._scheduler.running is coroutine and coroutine._greenlet is not None:
                _raise_asynchronously(self._scheduler.thread_id, Killed)
            else:
                self.victim = None


def _raise_asynchronously(thread_id: int, kind: type[BaseException] | None) -> None:
    """Have CPython raise `kind` in the Python code that runs next on that thread; None takes it back."""
    exception = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), exception)
