"""Two threads: one belongs to the coroutines, the other to the keyboard, and here one waits for the other.

A coroutine that computes without end holds its thread, and the prompt must not be on it. So whoever types
hands a call over and waits for the answer, and remains able to give up the wait: at Ctrl-C, or when
somebody else does not let the call come to its turn.

Ctrl-C is for the call that is waited for, and for nobody else. What it raises is raised where that call
waits; if the call computes, in the midst of that. It never survives into the next call: a request that
comes too late for its own call is dropped.

Calls are made by one coroutine, number 1, one after the other: it has the account to which everything
is charged that is made at the prompt. A call that comes while it is busy gets a coroutine of its own.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Any, Final

import coloop
from coloop import Clock, Coroutine, CoroutinePicture, Killed, NotRunning, Scheduler
from coloop.testing import MockClock

from .call import INTERRUPT, TICK, Call

SHELL: Final = "shell"
LOOK_S: Final = 0.1  # how often a wait looks for somebody who holds the scheduler
# Who holds the scheduler for so long after Ctrl-C is not about to let go: a busy machine takes 0.2 s.
HOGGED_S: Final = 0.5
KILL_GRACE_S: Final = 1.0
START_TIMEOUT_S: Final = 10.0
STOP_TIMEOUT_S: Final = 5.0  # coloop gives those who clean up 3 x 1 s


class Hogged(Exception):
    """A coroutine holds the scheduler, and the call was not waited for any longer.

    Attributes:
        hog: who it is.
        started: whether the call had begun; if so it goes on behind the hog, else it is never made.
        interrupted: whether Ctrl-C ended the wait; else it was the end of patience.
    """

    def __init__(self, hog: Coroutine, *, started: bool, interrupted: bool) -> None:
        what = "goes on later" if started else "not run"
        super().__init__(f"{what}: {hog} {hog.name} lets nobody else run (kill {hog.id})")
        self.hog = hog
        self.started = started
        self.interrupted = interrupted


class _Stop(BaseException):
    """Ends the scheduler, from its root."""


class _Watcher(coloop.Observer):
    """Hands what the scheduler tells on to the bridge, and from there to whoever wants to know."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def started(self, scheduler: Scheduler) -> None:
        self._bridge._adopt(scheduler)  # noqa: SLF001 - a part of the bridge

    def failed(self, failure: coloop.Failure) -> None:
        self._bridge.on_failure(failure)

    def stalled(self, coroutines: tuple[CoroutinePicture, ...]) -> None:
        self._bridge._stalled(coroutines)  # noqa: SLF001

    def warned(self, text: str) -> None:
        self._bridge.on_warning(text)


class Bridge:
    """Owns the scheduler's thread, and makes calls there.

    Args:
        clock: what tells the coroutines the time. A `MockClock` winds itself forward only while a call is
            waited for, so that nothing happens between two lines.
        seed: decides the order in which coroutines run.

    Attributes:
        on_failure: called on the scheduler's thread for an exception that nobody joined.
        on_warning: called there for a line of warning.
        on_stall: called there when all coroutines wait for each other; not if a call of ours is among
            them and `deadlock_fails`.
        on_late: called there with the value and the error of a call that was no longer waited for.
        deadlock_fails: a call that waits while nothing can wake anyone raises `Deadlock`: in a script nobody
            else will come to help.
        hog_patience_s: give up a call when another coroutine has held the scheduler for so long; None waits.
    """

    def __init__(self, *, clock: Clock | None = None, seed: int | None = None) -> None:
        self._clock = clock
        self._seed = seed
        self._scheduler: Scheduler | None = None
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._waiting: list[Call] = []
        self._shell: Coroutine | None = None
        self._idle = False
        self._active = 0
        self._stopping = False
        self.on_failure: Callable[[coloop.Failure], None] = coloop.Observer().failed
        self.on_warning: Callable[[str], None] = coloop.Observer().warned
        self.on_stall: Callable[[tuple[CoroutinePicture, ...]], None] = lambda _: None
        self.on_late: Callable[[Any, BaseException | None], None] = lambda _value, _error: None
        self.deadlock_fails = False
        self.hog_patience_s: float | None = None

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler; raises `NotRunning` before `start` and after `stop`."""
        if self._scheduler is None:
            raise NotRunning("the shell's scheduler does not run")
        return self._scheduler

    @property
    def running(self) -> bool:
        """Whether calls can be made."""
        return self._scheduler is not None

    @property
    def clock_is_virtual(self) -> bool:
        """Whether time passes only while a call waits."""
        return isinstance(self._clock, MockClock)

    def start(self) -> None:
        """Start the thread and its scheduler; returns when calls can be made."""
        self._thread = threading.Thread(target=self._run, name="coshell scheduler", daemon=True)
        self._thread.start()
        if not self._started.wait(START_TIMEOUT_S) or self._failure is not None:
            raise NotRunning(f"the scheduler did not start: {self._failure!r}")

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Cancel all coroutines, so that their `finally` runs, and end the scheduler.

        Args:
            timeout_s: how long to wait for that.

        Returns:
            False if somebody cannot be stopped; the thread is left behind then.
        """
        if self._thread is None or self._scheduler is None:
            return True
        self._stopping = True
        with suppress(NotRunning):
            self.scheduler.call_soon_threadsafe(_raise_stop)
        self._thread.join(LOOK_S)
        if self._thread.is_alive():
            held = self.hog()
            if held is not None:
                self.scheduler.kill(held[0], KILL_GRACE_S)
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def call(
        self, fn: Callable[..., Any], *args: Any, name: str = SHELL, patience_s: float = math.inf
    ) -> Any:
        """Make `fn(*args)` in a coroutine, wait for it, and return or raise what it does.

        On the scheduler's own thread it is an ordinary call.

        Args:
            fn: a plain function; it may park.
            *args: its arguments.
            name: the coroutine's name; any but `shell` gets a new one.
            patience_s: give up when another coroutine has held the scheduler for so long, if that is less than
                `hog_patience_s`.

        Raises:
            KeyboardInterrupt: it was interrupted.
            Hogged: another coroutine holds the scheduler, for half a second and Ctrl-C has come, or for as
                long as is borne.
            NotRunning: there is no scheduler.
        """
        scheduler = self.scheduler
        if threading.get_ident() == scheduler.thread_id:
            return fn(*args)
        call = Call(fn, args, name, patience_s)
        self._waiting.append(call)
        try:
            with call.taking_ctrl_c():
                scheduler.call_soon_threadsafe(self._begin, call)
                self._wait_for(call)
        finally:
            self._waiting.remove(call)
        return call.answer()

    def interrupt(self) -> bool:
        """Do what Ctrl-C does, from any thread; False if no call is waited for."""
        waiting = self._waiting[-1:]
        for call in waiting:
            call.interrupt()
        return bool(waiting)

    def hog(self) -> tuple[Coroutine, float] | None:
        """The coroutine that has run for the last tenth of a second without a pause, and for how long."""
        scheduler = self._scheduler
        running = None if scheduler is None else scheduler.running
        if scheduler is None or running is None:
            return None
        held_s = perf_counter() - scheduler.running_since
        return (running, held_s) if held_s >= LOOK_S else None

    # -- on the waiting thread ---------------------------------------------------------------------

    def _wait_for(self, call: Call) -> None:
        while not call.finished:
            event = call.next_event(LOOK_S)
            if event == INTERRUPT:
                self._interrupt(call)
            elif event == TICK:
                self._look_for_hog(call)

    def _interrupt(self, call: Call) -> None:
        call.interrupts += 1
        if call.interrupts == 1:
            self.scheduler.call_soon_threadsafe(self._raise_in, call)
        elif call.coroutine is not None:
            self._end_by_force(call, call.coroutine)

    def _look_for_hog(self, call: Call) -> None:
        found = self.hog()
        if found is None:
            return
        hog, held_s = found
        if hog is call.coroutine:
            if call.interrupts:
                self._end_by_force(call, hog)
        elif held_s >= self._patience_s(call):
            self._give_up(call, hog)

    def _patience_s(self, call: Call) -> float:
        usual_s = math.inf if self.hog_patience_s is None else self.hog_patience_s
        patience_s = min(call.patience_s, usual_s)
        return min(patience_s, HOGGED_S) if call.interrupts else patience_s

    @staticmethod
    def _give_up(call: Call, hog: Coroutine) -> None:
        started = call.give_up()
        if not call.finished:
            raise Hogged(hog, started=started, interrupted=call.interrupts > 0)

    def _end_by_force(self, call: Call, coroutine: Coroutine) -> None:
        """The call does not listen: kill its coroutine."""
        verdict = self.scheduler.kill(coroutine, KILL_GRACE_S)
        held = self.hog()
        if verdict == "unstoppable" and held is not None:
            self._give_up(call, held[0])
        else:
            call.fail(KeyboardInterrupt())

    # -- on the scheduler's thread -----------------------------------------------------------------

    def _run(self) -> None:
        try:
            coloop.run(self._serve, clock=self._clock, seed=self._seed, observer=_Watcher(self))
        except _Stop:
            pass
        except BaseException as error:
            self._failure = error
        finally:
            self._scheduler = None
            self._started.set()
            for call in list(self._waiting):
                call.fail(NotRunning("the scheduler has ended"))

    def _adopt(self, scheduler: Scheduler) -> None:
        scheduler.inbox_waiters += 1  # whoever types may still act: that is hope, also while a call waits
        self._scheduler = scheduler
        self._count_active(0)

    def _serve(self) -> None:
        """The life of the shell's coroutine: one call after the other."""
        self._shell = me = self.scheduler.running
        assert me is not None
        me.name = SHELL
        self.scheduler.watch(me, self._shell_ended)
        self._started.set()
        while (call := self._next_call()) is not None:
            self._make(call)
            if isinstance(call.error, Killed):
                break

    def _shell_ended(self, _: Coroutine) -> None:
        """It was killed, or has been given up: a successor takes the next call."""
        if not self._stopping:
            self.scheduler.call_soon_threadsafe(self._succeed)

    def _succeed(self) -> None:
        self.scheduler.go(self._serve, name=SHELL)

    def _next_call(self) -> Call | None:
        while not self._stopping:
            self._idle = True
            try:
                found: Call = self.scheduler.park("prompt")
            except Killed:
                return None
            except BaseException:  # noqa: S112 - meant for a call that has ended, or for nobody
                continue
            else:
                return found
            finally:
                self._idle = False
        return None

    def _begin(self, call: Call) -> None:
        if call.name == SHELL and self._idle and self._shell is not None:
            self._idle = False
            self.scheduler.wake(self._shell, call)
        else:
            self.scheduler.go(self._make, (call,), name=call.name)

    def _make(self, call: Call) -> None:
        self._count_active(+1)
        call.make()
        self._count_active(-1)
        if call.given_up and call.coroutine is not None:
            self.on_late(call.value, call.error)

    def _count_active(self, change: int) -> None:
        """Virtual time stands still while no call is being made."""
        self._active += change
        if isinstance(self._clock, MockClock):
            self._clock.autojump = self._active > 0

    def _raise_in(self, call: Call) -> None:
        if call.coroutine is None:
            call.give_up()
            call.fail(KeyboardInterrupt())
        elif not call.finished:
            self.scheduler.interrupt(call.coroutine, KeyboardInterrupt())

    def _stalled(self, coroutines: tuple[CoroutinePicture, ...]) -> None:
        waiting = {picture.id for picture in coroutines}
        ours = [call for call in self._waiting if call.coroutine and call.coroutine.id in waiting]
        if not (ours and self.deadlock_fails):
            self.on_stall(coroutines)
            return
        self.scheduler.call_soon_threadsafe(self._fail, ours, coroutines)

    def _fail(self, calls: list[Call], coroutines: tuple[CoroutinePicture, ...]) -> None:
        report = deadlock_report(coroutines)
        for call in calls:
            if call.coroutine is not None and not call.finished:
                self.scheduler.interrupt(call.coroutine, coloop.Deadlock(coroutines, report))


def deadlock_report(coroutines: tuple[CoroutinePicture, ...]) -> str:
    """Who waits for what, and where: a line, and one more for each."""
    lines = [f"  co#{p.id} {p.name} waits on {p.waiting_on} at {p.where}" for p in coroutines]
    return "\n".join(["deadlock: nothing can wake any of these", *lines])


def _raise_stop() -> None:
    raise _Stop
