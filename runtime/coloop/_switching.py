"""Who runs next, and the only file that switches greenlets.

Three kinds of greenlet exist. The *root* is the one that called `run`: it polls, fires timers,
and hands the thread to whoever is ready (`_scheduler.py`). A *worker* runs one coroutine after
another: making a greenlet costs five times what running a short coroutine does, so those that are
free are kept for the next job. A coroutine that parks goes straight to the next ready one, without a
hop through the root; the root gets its turn when nobody is ready, or after `SLICE_SWITCHES` switches
or `SLICE_S` seconds, so that neither timers nor I/O can be starved.

All that waits goes through `park`; all that ends a wait goes through `wake` or `interrupt`:

* A wait ends exactly once. Whoever comes second finds the coroutine not waiting: `wake` says so,
  `interrupt` keeps its exception for the next wait.
* State first, switch after: when `_leave` is entered, every field of the one who leaves is set. If
  it fails before it could switch, at the recursion limit, its caller takes back what it set.
* `go` runs the new coroutine at once and puts its spawner on `_callers`, which is asked before
  the ready queue. So the first park of the new one leads back to the spawner, and `go` returns.
* The garbage collector begins anywhere, also in the midst of a step of this file, and runs anybody's
  finalizers, callbacks of weak references and `finally` of generators. None of these may start a
  coroutine or wait: it would enter the scheduler a second time. It says when it begins and has done.
* A greenlet that somebody has made inside of a coroutine must not wait: it is the coroutine's own that is
  switched back to. Here a yield does not ask, for which that would be three percent; the native one does.
* `exposed` is set while a coroutine runs code that is not this file's. Only then may an exception
  strike out of nowhere (`kill`, Ctrl-C); here it would leave half a switch behind. See `_kill.py`.
"""

from __future__ import annotations

import ctypes
import gc
import random
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from threading import get_ident
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NoReturn

from greenlet import GreenletExit, getcurrent, greenlet

from . import _snapshot
from ._clock import Clock
from ._coroutine import Coroutine, default_name
from ._coroutine_state import CANCELLED, DONE, FAILED, READY, WAITING
from ._errors import Cancelled, Killed, NotRunning
from ._frames import Site, calling_site, make_objects, trimmed
from ._limits import Limit
from ._memory import memory
from ._timers import Timer, Timers, check_seconds

if TYPE_CHECKING:
    from ._scheduler import Scheduler

SLICE_SWITCHES: Final = 256
TURN_OPERATIONS: Final = 64  # of one coroutine in a row, that did not have to wait
SLICE_S: Final = 0.001
KEPT_DEAD: Final = 256

Job = tuple[Coroutine, Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class _Local(threading.local):
    scheduler: Scheduler | None = None


_local: Final = _Local()


def set_current(scheduler: Scheduler | None) -> None:
    """From now on `scheduler` is the one of this thread."""
    if scheduler is not None:
        _hear_of_collections()
    _local.scheduler = scheduler


def scheduler_or_none() -> Scheduler | None:
    """The scheduler of this thread."""
    return _local.scheduler


def _hear_of_collections() -> None:
    """Others whom the collector tells may do anything, as finalizers may: so be the first and the last."""
    told = gc.callbacks
    if told[:1] != [_collection_begins] or told[-1:] != [_collection_ends]:
        others = [each for each in told if each not in (_collection_begins, _collection_ends)]
        told[:] = [_collection_begins, *others, _collection_ends]


def _collection_begins(phase: str, _: object) -> None:
    """Told on the thread that collects; while a finalizer runs, others run as well."""
    scheduler = _local.scheduler
    if phase == "start" and scheduler is not None:
        scheduler._collecting = True


def _collection_ends(phase: str, _: object) -> None:
    scheduler = _local.scheduler
    if phase == "stop" and scheduler is not None:
        scheduler._collecting = False


class Switching:
    """The coroutines of one thread, and which of them runs. `Scheduler` adds when to wake whom.

    Attributes:
        clock: what tells the time.
        timers: what is due when.
        running: the coroutine that runs at this moment; None while the root does.
        exposed: the same, except that it is None while the scheduler works for it.
        living: the coroutines that have not ended, by id.
        graves: what is known of the last that have ended (bounded; they hold nothing).
        thread_id: the thread that it runs on, as `threading.get_ident` counts.
        spawned, peak, failures, switches: how many coroutines there were in all, there were at once at
            most, and have failed; how often one was switched to.
        running_since, charged_at: when the running one was switched to, and was last charged for its time.
        max_coroutines: how many may live at once; None for no bound.
        limit: heap for all of them together; None for no limit.

    Args:
        dice: what draws the next from the ready; None: first come, first served.
    """

    def __init__(
        self, clock: Clock, dice: random.Random | None, max_coroutines: int | None, limit: Limit | None
    ) -> None:
        self.clock = clock
        self.timers = Timers()
        self.max_coroutines = max_coroutines
        self._limit = limit
        self.running: Coroutine | None = None
        self.exposed: Coroutine | None = None
        self.living: dict[int, Coroutine] = {}
        self.graves: deque[tuple[object, ...]] = deque(maxlen=KEPT_DEAD)
        self.thread_id = get_ident()
        self.spawned = self.peak = self.failures = self.switches = 0
        self.running_since = self.charged_at = perf_counter()  # real time: a hog is a hog on any clock
        self._dice = dice
        self._root: Any = getcurrent()  # None once all is over
        self._ready: deque[Coroutine] = deque()
        self._callers: list[Coroutine | None] = []
        self._workers: list[greenlet] = []
        self._hirer: greenlet | None = None
        self._job: Job | None = None
        self._slice_left = self._turn_left = 0
        self._slice_end = 0.0
        self._collecting = False
        self._unclaimed: list[Coroutine] = []

    # -- what a scheduler adds ---------------------------------------------------------------------

    def call_later(self, delay_s: float, fn: Callable[..., Any], *args: Any) -> Timer:
        """Call `fn(*args)` in the root after so many seconds; it must not park."""
        raise NotImplementedError

    def expire(self, coroutine: Coroutine, verb: str, subject: object, timeout_s: float) -> None:
        """The time of one wait is over."""
        raise NotImplementedError

    def safe_point(self, me: Coroutine) -> None:
        """Raise what was meant for `me` while it ran."""
        raise NotImplementedError

    def check_limits_of_spawn(self, memory_limit: int | None) -> Limit | None:
        """The limit of heap that is asked for; `TooManyCoroutines`, or ValueError for one that cannot be."""
        raise NotImplementedError

    def refuse_the_dead(self) -> NoReturn:
        """NotRunning, for what a finalizer asks that runs when a coroutine has ended: nobody is left to return to."""
        raise NotImplementedError

    def refuse_the_collector(self) -> NoReturn:
        """NotRunning, for what the garbage collector runs."""
        raise NotImplementedError

    def refuse_the_stranger(self) -> NoReturn:
        """NotRunning, in a greenlet that is none of ours: it would be the coroutine's own that is switched back to."""
        raise NotImplementedError

    def check_limits(self, me: Coroutine) -> None:
        """At a safe point of `me`: raise `MemoryLimitExceeded` if it, or all together, hold too much."""
        raise NotImplementedError

    def check_thread(self, what: str) -> None:
        """WrongThread anywhere but on the scheduler's own thread."""
        raise NotImplementedError

    # -- spawning --------------------------------------------------------------------------------

    def go(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        name: str | None = None,
        memory_limit: int | None = None,
        spawned_at: Site | str | None = None,
    ) -> Coroutine:
        """Start `fn(*args, **kwargs)` now; return when it first parks or has ended.

        Args:
            fn: a plain function.
            args: its positional arguments.
            kwargs: its keyword arguments.
            name: the coroutine's name; the function's own by default.
            memory_limit: heap bytes above which it gets `MemoryLimitExceeded`; needs level `heap`.
            spawned_at: the place to show instead of the caller's.

        Raises:
            TooManyCoroutines: `max_coroutines` live already.
            NotRunning: called by a finalizer at the end of a coroutine, or one that the garbage collector runs.
            ValueError: a limit that is not positive, or at a level that could not tell.
            WrongThread: called from another thread.
        """
        if get_ident() != self.thread_id:
            self.check_thread("go")
        if self._collecting:
            self._check_collector()
        spawner = self.running
        if spawner is not None:
            if getcurrent() is not spawner._greenlet:
                self.refuse_the_stranger()
            self.checkpoint()
        elif getcurrent() is not self._root:
            self.refuse_the_dead()
        limit = None
        if memory_limit is not None or self.max_coroutines is not None:
            limit = self.check_limits_of_spawn(memory_limit)
        if not callable(fn):
            raise TypeError(f"go takes a function and its arguments, not {fn!r}")
        self.spawned = number = self.spawned + 1  # at once: whatever follows may start another
        coroutine = Coroutine(
            self,  # type: ignore[arg-type]  # a Scheduler: nobody else derives from this
            number,
            default_name(fn) if name is None else name,
            None if spawner is None else spawner.id,
            calling_site(1) if spawned_at is None else spawned_at,
            limit,
            self.clock.now(),
        )
        if memory.tracing is not None:
            self.settle()  # the handle is the spawner's; what follows is freed by the scheduler
        self.exposed = None
        now = perf_counter()
        coroutine.context = copy_context()
        worker = self._workers.pop() if self._workers else self._hire()
        self.living[coroutine.id] = coroutine
        if len(self.living) > self.peak:  # noqa: PLR1730 - on the path of every spawn, where max() is slow
            self.peak = len(self.living)
        coroutine._greenlet = worker
        worker.gr_context = coroutine.context
        self._job = (coroutine, fn, args, kwargs if kwargs is not None else {})
        self._callers.append(spawner)
        try:
            if memory.tracing is not None:
                self._charge_switch()
            self._leave(now, coroutine)
        except Exception:  # it has not begun; at the recursion limit no function can be called to say so
            del self.living[coroutine.id], self._callers[-1]
            self._workers += [worker]
            self._job = None
            raise
        finally:
            self.exposed = spawner
        if spawner is None:
            self._serve_hirers()
        return coroutine

    def _hire(self) -> greenlet:
        """A new worker. The root starts it: a greenlet inherits the recursion depth of its starter."""
        me = getcurrent()
        if me is self._root:
            return self._start_worker()
        self._hirer = me
        self._root.switch()
        return self._workers.pop()

    def _start_worker(self) -> greenlet:
        worker = greenlet(self._work, self._root)
        worker.switch()
        return worker

    def _work(self) -> None:
        """The life of a worker: one job after the other, until it is woken without one."""
        self._root.switch()
        self._charge_switch()
        while self._job is not None:
            self._run_job()
            getcurrent().gr_context = None  # it would hold what the dead one has set there
            self._workers.append(getcurrent())
            self._leave(perf_counter())

    # The traceback of a failure holds the frames of these three. What they held in turn would be kept as
    # long as the failure, and the coroutine for ever: it holds the failure.

    def _run_job(self) -> None:
        """Run one coroutine from its first line to its last deferred call."""
        assert self._job is not None
        (coroutine, fn, args, kwargs), self._job = self._job, None
        if memory.tracing is not None:
            make_objects(sys._getframe())
            self._charge_switch()
        try:
            coroutine._value = self._call(coroutine, fn, args, kwargs)
        except BaseException as error:
            coroutine._error = trimmed(error)
        while coroutine._defers:
            self._run_defer(coroutine)
        self._end(coroutine)
        del coroutine, fn, args, kwargs

    def _call(
        self, coroutine: Coroutine, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call what is not ours, exposed."""
        self.exposed = coroutine
        try:
            return fn(*args, **kwargs)
        finally:
            self.exposed = None
            perf_counter()  # any call: see the head of `_kill.py`
            del coroutine, fn, args, kwargs

    def _run_defer(self, coroutine: Coroutine) -> None:
        assert coroutine._defers is not None
        try:
            self._call(coroutine, *coroutine._defers.pop())
        except BaseException as error:
            if error.__context__ is None and error is not coroutine._error:
                error.__context__ = coroutine._error
            coroutine._error = trimmed(error)
        del coroutine

    def _end(self, coroutine: Coroutine) -> None:
        """It has run to its end: tell those who wait for it, and let go of all it held."""
        self.settle()
        error = coroutine._error
        if error is None:
            coroutine._state = DONE
        elif isinstance(error, (Cancelled, GreenletExit)):
            coroutine._state = CANCELLED
            coroutine._error = error = None  # its traceback would hold every frame it passed
        else:
            coroutine._state = FAILED
            coroutine._traceback = error.__traceback__
            self.failures += 1
        coroutine._ended_at = self.clock.now()
        coroutine._greenlet = coroutine.context = coroutine._interrupts = coroutine._defers = None
        self.living.pop(coroutine.id, None)
        self.graves.append(_snapshot.grave_of(coroutine))
        ledger = memory.tracing
        if ledger is not None:
            ledger.bury(coroutine._tally, coroutine._site or "?")
        watchers, coroutine._watchers = coroutine._watchers, None
        if watchers is not None:
            for watcher in watchers:
                watcher(coroutine)
        if error is not None and not coroutine._observed:
            self._unclaimed.append(coroutine)
        self.running = None

    def abandon(self, coroutine: Coroutine) -> None:
        """Never schedule it again: it ignored every request to end. What it holds stays where it is."""
        if coroutine.ended or coroutine is self.running:
            return
        if coroutine in self._ready:
            self._ready.remove(coroutine)
        if coroutine._greenlet is not None:
            # Freeing a greenlet raises GreenletExit in it. Whoever swallows that runs on, here, for ever.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine._greenlet))
        coroutine._error = Killed("abandoned")
        self.settle()
        running, self.running = self.running, None
        self._end(coroutine)
        self.running = running

    # -- switching -------------------------------------------------------------------------------

    def _leave(self, now: float, target: Coroutine | None = None) -> None:
        """Charge the one that has run until `now`; switch to `target` or, by default, to whose turn it is.

        Returns when somebody switches back. What may fail comes first, and what it takes out of a
        queue comes last, so that nothing is lost.
        """
        me = self.running
        if me is not None:
            me.busy_s += now - self.charged_at
        self.charged_at = self.running_since = now
        ledger = memory.tracing
        if ledger is not None:
            make_objects(sys._getframe())
            ledger.settle(ledger.outside if me is None else me._tally)
        if target is None:
            if self._callers:
                target = self._pop_caller()
            elif self._ready and self._slice_left > 0 and now < self._slice_end:
                self._slice_left -= 1
                self._turn_left = TURN_OPERATIONS
                target = self._ready.popleft() if self._dice is None else self._pop_any()
        if target is me is not None:
            return
        self.running = target
        self.switches += 1
        worker: Any = self._root
        if target is not None:
            target.switches += 1
            worker = target._greenlet
        del target  # else this frame, switched out, would hold it until long after its end
        worker.switch()
        if ledger is not None:
            try:
                self._charge_switch()
            except RecursionError:
                pass  # it has left and come back all the same; the next settlement takes it

    def _pop_caller(self) -> Coroutine | None:
        """The spawner to which the running one returns; None is the root."""
        while self._callers:
            caller = self._callers.pop()
            if caller is None or caller._ended_at is None:
                return caller
        return None

    def _pop_any(self) -> Coroutine:
        """One of the ready, as the seed decides."""
        assert self._dice is not None
        place = self._dice.randrange(len(self._ready))
        self._ready.rotate(-place)
        chosen = self._ready.popleft()
        self._ready.rotate(place)
        return chosen

    def settle(self) -> None:
        """Charge the running coroutine up to this moment, so that its figures can be read."""
        now, me = perf_counter(), self.running
        if me is not None:
            me.busy_s += now - self.charged_at
        self.charged_at = now
        ledger = memory.tracing
        if ledger is not None:
            ledger.settle(ledger.outside if me is None else me._tally)

    @staticmethod
    def _charge_switch() -> None:
        """What the scheduler itself takes is nobody's heap, nor are the copies of C stacks that a switch makes."""
        ledger = memory.tracing
        if ledger is not None:
            ledger.settle(ledger.outside)

    def _serve_hirers(self) -> None:
        """In the root: somebody asked for a worker, and waits for it."""
        while self._hirer is not None:
            hirer, self._hirer = self._hirer, None
            self._workers.append(self._start_worker())
            hirer.switch()

    def _check_collector(self) -> None:
        """A collection was heard to begin. That it is over was not heard if somebody has emptied the list meanwhile.

        Then another one tells; inside of one nothing happens.
        """
        _hear_of_collections()
        gc.collect(0)
        if self._collecting:
            self.refuse_the_collector()

    # -- waiting ---------------------------------------------------------------------------------

    def park(self, verb: str, subject: object = None, timeout_s: float | None = None) -> Any:
        """The running coroutine waits until `wake` or `interrupt` ends its wait.

        Args:
            verb: what it does, for those who look: `recv`, `sleep`, `channel receive` ...
            subject: what it does that with; shown as text behind the verb.
            timeout_s: raise `Timeout` after so many seconds.

        Returns:
            What was given to `wake`.

        Raises:
            NotRunning: no coroutine runs, or a finalizer that the garbage collector runs asks.
            WrongThread: called from another thread.
            BaseException: what was given to `interrupt`: `Timeout`, `Cancelled` ...
        """
        if get_ident() != self.thread_id:
            self.check_thread("park")
        if self._collecting:
            self._check_collector()
        me = self.running
        if me is None:
            raise NotRunning("only a coroutine can wait: call this inside coloop.run(main) or go(...)")
        if getcurrent() is not me._greenlet:
            self.refuse_the_stranger()
        if me._interrupts or me._limit is not None or self._limit is not None:
            self.safe_point(me)
        timer = None
        self.exposed = None
        try:
            now = perf_counter()
            if timeout_s is not None:
                seconds = check_seconds(timeout_s, "timeout")
                timer = self.call_later(seconds, self.expire, me, verb, subject, timeout_s)
            me._state = WAITING
            me._verb = verb
            me._subject = subject
            self._leave(now)
        except Exception:  # it could not leave
            me._state = READY
            me._verb = me._subject = None
            raise
        finally:
            if timer is not None:
                timer.cancel()
            self.exposed = me
        error, me._raise = me._raise, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # else this frame and the traceback hold each other
        value, me._value = me._value, None
        return value

    def wake(self, coroutine: Any, value: Any = None) -> bool:
        """End the wait of `coroutine` normally; False if it does not wait (any more).

        Raises:
            WrongThread: called from another thread.
        """
        if get_ident() != self.thread_id:
            self.check_thread("wake")
        if coroutine._state != WAITING:
            return False
        coroutine._value = value
        self._make_ready(coroutine)
        return True

    def wake_each(self, coroutines: list[Any]) -> None:
        """End the waits of them all normally, in order."""
        for coroutine in coroutines:
            self.wake(coroutine)

    def interrupt(self, coroutine: Coroutine, error: BaseException) -> None:
        """Raise `error` at the wait of `coroutine`, or at its next one if it does not wait now.

        Raises:
            WrongThread: called from another thread.
        """
        if get_ident() != self.thread_id:
            self.check_thread("interrupt")
        if coroutine._state == WAITING:
            coroutine._raise = error
            self._make_ready(coroutine)
        elif coroutine._ended_at is None:
            if coroutine._interrupts is None:
                coroutine._interrupts = []
            coroutine._interrupts.append(error)

    def _make_ready(self, coroutine: Coroutine) -> None:
        coroutine._state = READY
        coroutine._verb = coroutine._subject = None
        self._ready.append(coroutine)

    def yield_now(self) -> None:
        """Let the other ready ones run, then go on.

        Raises:
            NotRunning: no coroutine runs, or a finalizer that the garbage collector runs asks.
            WrongThread: called from another thread.
        """
        if get_ident() != self.thread_id:
            self.check_thread("yield_now")
        if self._collecting:
            self._check_collector()
        me = self.running
        if me is None:
            raise NotRunning("only a coroutine can yield: call this inside coloop.run(main) or go(...)")
        if me._interrupts or me._limit is not None or self._limit is not None:
            self.safe_point(me)
        self.exposed = None
        now = perf_counter()
        self._ready.append(me)
        try:
            self._leave(now)
        except Exception:  # it could not leave
            del self._ready[-1]
            raise
        finally:
            self.exposed = me

    def checkpoint(self) -> None:
        """For operations that succeed without waiting: yield when many of them came in a row."""
        me = self.running
        if me is None or self._collecting:
            return
        self._turn_left -= 1
        if self._turn_left <= 0:
            self.yield_now()
        elif me._limit is not None or self._limit is not None:
            self.check_limits(me)

    # -- for the root ----------------------------------------------------------------------------

    def run_slice(self) -> None:
        """Let the ready ones run, for `SLICE_SWITCHES` switches or `SLICE_S` seconds."""
        self._slice_left = SLICE_SWITCHES
        now = perf_counter()
        self._slice_end = now + SLICE_S
        self._leave(now)
        self._serve_hirers()

    def dismiss_workers(self, kept: int) -> None:
        """Let all but so many of the idle workers end."""
        while len(self._workers) > kept:
            worker = self._workers.pop()
            self._job = None
            worker.switch()

    @property
    def idle_workers(self) -> int:
        """How many greenlets are kept for the coroutines to come."""
        return len(self._workers)

    @property
    def ready_count(self) -> int:
        """How many coroutines could run at this moment."""
        return len(self._ready)
