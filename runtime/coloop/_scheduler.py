"""The run loop, and the only file that switches greenlets.

Three kinds of greenlet exist. The *root* is the one that called `run`: it polls, fires timers,
and hands the thread to whoever is ready. A *worker* runs one coroutine after another: making a
greenlet costs five times what running a short coroutine does, so those that are free are kept
for the next job. A coroutine that parks goes straight to the next ready one, without a hop
through the root; the root gets its turn when nobody is ready, or after `SLICE_SWITCHES` switches
or `SLICE_S` seconds, so that neither timers nor I/O can be starved.

All that waits goes through `park`; all that ends a wait goes through `wake` or `interrupt`:

* A wait ends exactly once. Whoever comes second finds the coroutine not waiting: `wake` says so,
  `interrupt` keeps its exception for the next wait.
* State first, switch after: when `_leave` is entered, every field of the one who leaves is set. If
  it fails before it could switch, at the recursion limit, its caller takes back what it set.
* `go` runs the new coroutine at once and puts its spawner on `_callers`, which is asked before
  the ready queue. So the first park of the new one leads back to the spawner, and `go` returns.
* `exposed` is set while a coroutine runs code that is not this file's. Only then may an exception
  strike out of nowhere (`kill`, Ctrl-C); here it would leave half a switch behind. See `_kill.py`.
"""

from __future__ import annotations

import ctypes
import random
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from time import perf_counter
from types import FrameType
from typing import Any, Final

from greenlet import GreenletExit, getcurrent, greenlet

from . import _snapshot
from ._clock import Clock, MonotonicClock
from ._coroutine import CANCELLED, DONE, FAILED, READY, WAITING, Coroutine, default_name
from ._errors import (
    Cancelled,
    Deadlock,
    Killed,
    MemoryLimitExceeded,
    NotRunning,
    NotSuspended,
    TooManyCoroutines,
    WaitTimeout,
    WrongThread,
)
from ._frames import Site, calling_site, make_objects, top_site, trimmed
from ._handover import Handover
from ._kill import Killer
from ._memory import Tally, memory, stack_cost
from ._observer import Failure, Observer, describe_failure
from ._poller import Poller, open_poller
from ._timers import Timer, Timers, check_seconds

SLICE_SWITCHES: Final = 64
SLICE_S: Final = 0.001
MAX_IDLE_WORKERS: Final = 256  # about 6 KB each
MAX_TIMERS_PER_TURN: Final = 10_000  # then I/O is looked at again
MAIN_ID: Final = 1
KEPT_DEAD: Final = 256
SHUTDOWN_PATIENCE_S: Final = 1.0  # real time, three times

Call = tuple[Callable[..., Any], tuple[Any, ...]]
Job = tuple[Coroutine, Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class _Local(threading.local):
    """Of each thread: the scheduler that runs there; the attribute is missing where none does."""

    scheduler: Scheduler


_local = _Local()


def current_scheduler() -> Scheduler:
    """The scheduler that runs on this thread.

    Raises:
        NotRunning: there is none.
    """
    try:
        return _local.scheduler
    except AttributeError:
        raise NotRunning(
            "no scheduler runs on this thread: start one with coloop.run(main), or let the one of another thread "
            "do it with scheduler.call_soon_threadsafe(...)"
        ) from None


class Scheduler:
    """Runs the coroutines of one thread. Made by `run`; the handle of a scheduler for other threads.

    Attributes:
        clock: what tells the time.
        poller: what waits for descriptors.
        timers: what is due when.
        running: the coroutine that runs at this moment; None while the root does.
        exposed: the same, except that it is None while the scheduler works for it.
        living: the coroutines that have not ended, by id.
        graves: what is known of the last that have ended (bounded; they hold nothing).
        sockets: the open sockets and listeners, by their serial numbers.
        thread_id: the thread that it runs on, as `threading.get_ident` counts.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int | None = None,
        max_coroutines: int | None = None,
        memory_limit: int | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.clock: Clock = clock if clock is not None else MonotonicClock()
        self.observer = observer if observer is not None else Observer()
        self.max_coroutines = max_coroutines
        self.memory_limit = memory_limit
        self._check_memory_limit(memory_limit)
        self._all_together = Tally(memory_limit)
        self.poller: Poller = open_poller()
        self.timers = Timers()
        self.running: Coroutine | None = None
        self.exposed: Coroutine | None = None
        self.living: dict[int, Coroutine] = {}
        self.graves: deque[tuple[object, ...]] = deque(maxlen=KEPT_DEAD)
        self.sockets: dict[int, Any] = {}
        self.thread_id = threading.get_ident()
        self.spawned = self.peak = self.failures = self.switches = 0
        self.running_since = self.charged_at = perf_counter()  # real time: a hog is a hog on any clock
        # Waits that something outside can end, besides timers and descriptors.
        self.threads_pending = 0
        self.inbox_waiters = 0
        self.promised = 0  # calls to come that `run` waits for
        self._random = None if seed is None else random.Random(seed)  # noqa: S311 - an order, not a secret
        self._root = getcurrent()
        self._ready: deque[Coroutine] = deque()
        self._callers: list[Coroutine | None] = []
        self._workers: list[greenlet] = []
        self._hirer: greenlet | None = None
        self._job: Job | None = None
        self._slice_left = 0
        self._slice_end = 0.0
        self._calls: deque[Call] = deque()
        self._idle_waiters: list[Coroutine] = []
        self._unclaimed: list[Coroutine] = []
        self._stall_told: frozenset[int] = frozenset()
        self._killer = Killer(self)
        self._handover = Handover()
        self._ctrl_c_pending = False
        self._patience_end: float | None = None
        self.over = False
        self.main: Coroutine | None = None
        memory.schedulers.add(self)

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
            ValueError: a limit that is not positive, or at a level that could not tell.
            WrongThread: called from another thread.
        """
        if threading.get_ident() != self.thread_id:
            self._check_thread("go")
        spawner = self.running
        if spawner is not None:
            self.checkpoint()
        if memory_limit is not None or self.max_coroutines is not None:
            self._check_limits_of_spawn(memory_limit)
        if not callable(fn):
            raise TypeError(f"go takes a function and its arguments, not {fn!r}")
        coroutine = Coroutine(
            self,
            self.spawned + 1,
            default_name(fn) if name is None else name,
            None if spawner is None else spawner.id,
            calling_site(1) if spawned_at is None else spawned_at,
            memory_limit,
        )
        if memory.ledger is not None:
            self.settle()  # the handle is the spawner's; what follows is freed by the scheduler
        self.exposed = None
        now = perf_counter()
        coroutine.context = copy_context()
        worker = self._workers.pop() if self._workers else self._hire()
        self.spawned += 1
        self.living[coroutine.id] = coroutine
        if len(self.living) > self.peak:  # noqa: PLR1730 - on the path of every spawn, where max() is slow
            self.peak = len(self.living)
        coroutine._greenlet = worker
        worker.gr_context = coroutine.context
        self._job = (coroutine, fn, args, kwargs if kwargs is not None else {})
        self._callers.append(spawner)
        try:
            if memory.ledger is not None:
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

    def _check_limits_of_spawn(self, memory_limit: int | None) -> None:
        if self.max_coroutines is not None and len(self.living) >= self.max_coroutines:
            raise TooManyCoroutines(f"{self.max_coroutines} coroutines live already (max_coroutines)")
        self._check_memory_limit(memory_limit)

    @staticmethod
    def _check_memory_limit(limit_bytes: int | None) -> None:
        if limit_bytes is None:
            return
        if limit_bytes <= 0:
            raise ValueError(f"memory_limit must be a positive number of bytes, not {limit_bytes!r}")
        if not memory.traces_heap():
            raise ValueError(
                f"memory_limit needs level heap, not {memory.level()}: call memory.set_level('heap')"
            )

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
        if memory.ledger is not None:
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
            self.failures += 1
        coroutine._ended_at = self.clock.now()
        coroutine._greenlet = coroutine.context = coroutine._interrupts = coroutine._defers = None
        self.living.pop(coroutine.id, None)
        self.graves.append(_snapshot.grave_of(coroutine))
        if memory.ledger is not None:
            memory.bury(coroutine._tally, coroutine._site or "?")
        watchers, coroutine._watchers = coroutine._watchers, None
        if watchers is not None:
            for watcher in watchers:
                watcher(coroutine)
        if error is not None and not coroutine._observed:
            self._unclaimed.append(coroutine)
        self.running = None

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
        ledger = memory.ledger
        if ledger is not None:
            make_objects(sys._getframe())
            ledger.settle(memory.outside if me is None else me._tally)
        if target is None:
            if self._callers:
                target = self._pop_caller()
            elif self._ready and self._slice_left > 0 and now < self._slice_end:
                self._slice_left -= 1
                target = self._ready.popleft() if self._random is None else self._pop_any()
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
        assert self._random is not None
        place = self._random.randrange(len(self._ready))
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
        ledger = memory.ledger
        if ledger is not None:
            ledger.settle(memory.outside if me is None else me._tally)

    @staticmethod
    def _charge_switch() -> None:
        """What the scheduler itself takes is nobody's heap, nor are the copies of C stacks that a switch makes."""
        ledger = memory.ledger
        if ledger is not None:
            ledger.settle(memory.outside)

    def _serve_hirers(self) -> None:
        """In the root: somebody asked for a worker, and waits for it."""
        while self._hirer is not None:
            hirer, self._hirer = self._hirer, None
            self._workers.append(self._start_worker())
            hirer.switch()

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
            NotRunning: no coroutine runs.
            BaseException: what was given to `interrupt`: `Timeout`, `Cancelled` ...
        """
        me = self.running
        if me is None:
            raise NotRunning("only a coroutine can wait: call this inside coloop.run(main) or go(...)")
        if me._interrupts or me._tally.tripwire is not None or self.memory_limit is not None:
            self._safe_point(me)
        timer = None
        self.exposed = None
        try:
            now = perf_counter()
            if timeout_s is not None:
                timer = self.call_later(timeout_s, self._expire, me, verb, subject, timeout_s)
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

    def _safe_point(self, me: Coroutine) -> None:
        """Where exceptions that were meant for `me` while it ran are raised."""
        if me._interrupts:
            error = me._interrupts.pop(0)
            try:
                raise error
            finally:
                del error
        if me._tally.tripwire is not None or self.memory_limit is not None:
            self._check_limits(me)

    def wake(self, coroutine: Any, value: Any = None) -> bool:
        """End the wait of `coroutine` normally; False if it does not wait (any more)."""
        if coroutine._state != WAITING:
            return False
        coroutine._value = value
        self._make_ready(coroutine)
        return True

    def interrupt(self, coroutine: Coroutine, error: BaseException) -> None:
        """Raise `error` at the wait of `coroutine`, or at its next one if it does not wait now."""
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

    def _expire(self, coroutine: Coroutine, verb: str, subject: object, timeout_s: float) -> None:
        """The time of one wait is over; if it was woken a moment before, that is what counts."""
        if coroutine._state == WAITING:
            what = verb if subject is None else f"{verb} {subject}"
            self.interrupt(coroutine, WaitTimeout(f"{what}: timed out after {timeout_s:g}s"))

    def yield_now(self) -> None:
        """Let the other ready ones run, then go on."""
        me = self.running
        if me is None:
            raise NotRunning("only a coroutine can yield: call this inside coloop.run(main) or go(...)")
        if me._interrupts or me._tally.tripwire is not None or self.memory_limit is not None:
            self._safe_point(me)
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
        self._slice_left -= 1
        me = self.running
        if me is None:
            return
        if self._slice_left <= 0:
            self.yield_now()
        elif me._tally.tripwire is not None or self.memory_limit is not None:
            self._check_limits(me)

    def sleep(self, seconds: float) -> None:
        """Park for so many seconds of the scheduler's clock; 0 only yields."""
        if check_seconds(seconds, "sleep") == 0:
            self.yield_now()
            return
        me = self.running
        timer = self.call_later(seconds, self.wake, me)
        try:
            self.park("sleep", timer)
        finally:
            timer.cancel()

    def call_later(self, delay_s: float, fn: Callable[..., Any], *args: Any) -> Timer:
        """Call `fn(*args)` in the root after so many seconds; it must not park."""
        if threading.get_ident() != self.thread_id:
            self._check_thread("call_later")
        deadline = self.clock.now() + check_seconds(delay_s, "delay")
        return self.timers.add(deadline, fn, *args, owner=self.running)

    def wait_until_idle(self, timeout_s: float | None = None) -> None:
        """Park until every other coroutine is parked and no descriptor is ready."""
        me = self.running
        assert me is not None
        self._idle_waiters.append(me)
        try:
            self.park("idle", None, timeout_s)
        finally:
            if me in self._idle_waiters:
                self._idle_waiters.remove(me)

    # -- limits ----------------------------------------------------------------------------------

    def _check_limits(self, me: Coroutine) -> None:
        if not memory.traces_heap():
            return
        self.settle()
        if me._tally.crosses_limit():
            self._raise_about_limit(me, me._tally)
        if self.memory_limit is not None:
            self._all_together.heap_bytes = memory.held_by_coroutines()
            if self._all_together.crosses_limit():
                self._raise_about_limit(me, self._all_together)

    @staticmethod
    def _raise_about_limit(me: Coroutine, tally: Tally) -> None:
        assert tally.limit is not None
        where = (top_site(sys._getframe()) or "?").partition(" in ")[0]
        error = MemoryLimitExceeded(tally.limit, tally.heap_bytes, max(0, me._tally.last_growth), where)
        if tally is me._tally and tally.crossings > 1:
            raise Cancelled(f"{me} went on above its limit: {error}")
        try:
            raise error
        finally:
            del error  # else this frame and the traceback hold each other

    # -- ending others ---------------------------------------------------------------------------

    def cancel(self, coroutine: Coroutine) -> bool:
        """Raise `Cancelled` at its wait or at its next one; False if it had ended."""
        self._check_thread("cancel")
        if coroutine.ended:
            return False
        self.interrupt(coroutine, Cancelled(f"cancelled{f' by {self.running}' if self.running else ''}"))
        return True

    def throw(self, coroutine: Coroutine, error: BaseException) -> None:
        """Raise `error` at its wait or at its next one."""
        self._check_thread("throw")
        if not isinstance(error, BaseException):
            raise TypeError(f"throw takes an exception, not {error!r}")
        self.interrupt(coroutine, error)

    def resume(self, coroutine: Coroutine, value: Any) -> None:
        """End its `suspend()`; any other state is refused by name."""
        self._check_thread("resume")
        if coroutine._state != WAITING or coroutine._verb != "suspend":
            raise NotSuspended(f"{coroutine} cannot be resumed: {_why_not_suspended(coroutine)}")
        self.wake(coroutine, value)

    def join(self, coroutine: Coroutine, timeout_s: float | None) -> bool:
        """Park until it has ended; False if the time was over first."""
        try:
            self.join_or_timeout(coroutine, timeout_s)
        except WaitTimeout:
            return coroutine.ended
        return True

    def join_or_timeout(self, coroutine: Coroutine, timeout_s: float | None) -> None:
        """Park until it has ended, or raise `Timeout`."""
        if coroutine.ended:
            coroutine._observed = True
            return
        self._check_thread("join")
        me = self.running
        if me is coroutine:
            raise RuntimeError(f"{me} cannot wait for its own end")

        def ended(_: Coroutine) -> None:
            self.wake(me)

        self.watch(coroutine, ended)
        try:
            self.park("join", coroutine, timeout_s)
        finally:
            if coroutine._watchers is not None:
                coroutine._watchers.remove(ended)
            if coroutine._ended_at is None and not coroutine._watchers:
                coroutine._observed = False  # nobody is left to hear of its failure

    @staticmethod
    def watch(coroutine: Coroutine, watcher: Callable[[Coroutine], None]) -> None:
        """Call `watcher(coroutine)` at its end; it must not park. Its failure then counts as seen."""
        coroutine._observed = True
        if coroutine._watchers is None:
            coroutine._watchers = []
        coroutine._watchers.append(watcher)

    def adopt(self, coroutine: Coroutine, watcher: Callable[[Coroutine], None]) -> None:
        """As `watch`; called at once for one that has ended already."""
        if coroutine.ended:
            coroutine._observed = True
            watcher(coroutine)
        else:
            self.watch(coroutine, watcher)

    def kill(self, coroutine: Coroutine, grace_s: float = 1.0) -> str:
        """End a coroutine that may not want to end; callable from any thread.

        `Killed` is raised at its wait or, if it computes without end, in the midst of that. When it
        has swallowed that three times it is never scheduled again, and its `finally` never runs.

        Args:
            coroutine: whom to end.
            grace_s: seconds to wait for its end, in real time, before it is given up.

        Returns:
            `ended`; `had ended`; `zombie` (it ignored three kills); or `unstoppable` (it computes,
            and does not come back to Python code).
        """
        return self._killer.kill(coroutine, grace_s)

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

    # -- the root --------------------------------------------------------------------------------

    def go_early(
        self, fn: Callable[..., Any], args: tuple[Any, ...], *, name: str, spawned_at: Site | str
    ) -> Coroutine:
        """Start a coroutine before `run_main`: it runs until it first parks, and goes on in `run_main`."""
        _local.scheduler = self
        try:
            return self.go(fn, args, name=name, spawned_at=spawned_at)
        finally:
            del _local.scheduler
            self._report_unclaimed()

    def run_main(self, main: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Run `main(*args)` as a coroutine and all that it starts, until every one has ended.

        A main that ends by `KeyboardInterrupt` or `SystemExit` speaks for the whole program: the
        others are cancelled. Any other failure of main is reported if it leaves others behind, and
        raised in the end.

        Raises:
            Deadlock: all that are left wait for each other.
            BaseException: whatever ended `main`.
        """
        _local.scheduler = self
        try:
            self.observer.started(self)
            self.main = self.go(main, args)
            while self._has_work() and not self._is_called_off():
                self._turn()
            return _outcome(self.main)
        finally:
            try:
                self._cancel_those_left()
            finally:
                self._shut_down()
                del _local.scheduler

    def _has_work(self) -> bool:
        return bool(self.living or self.promised or self._calls or self._unclaimed)

    def _is_called_off(self) -> bool:
        error = None if self.main is None else self.main._error
        return error is not None and not isinstance(error, Exception)

    def _turn(self) -> None:
        """One round of the root: calls from other threads, descriptors, timers, then the coroutines."""
        self._run_calls()
        self._report_unclaimed()
        if not (self._ready or self.living or self.promised):
            return
        began = perf_counter()
        woken = self._poll()
        self._handover.polled(began, perf_counter())
        for waiter in woken:
            self.wake(waiter)
        self._fire_timers()
        if self._ready:
            self._stall_told = frozenset()
            self._slice_left = SLICE_SWITCHES
            now = perf_counter()
            self._slice_end = now + SLICE_S
            self._leave(now)
            self._serve_hirers()
        elif self._idle_waiters and not self._calls:
            self.wake(self._idle_waiters.pop())
        while len(self._workers) > MAX_IDLE_WORKERS:
            self._dismiss(self._workers.pop())

    def _poll(self) -> list[object]:
        """Whose descriptors are ready; waits for one, or for the next timer, when nobody is ready to run."""
        if self._ready or self._calls or self._idle_waiters:
            return self.poller.poll(0.0)
        deadline = self.timers.next_deadline()
        if deadline is None:
            self._check_hope()
            return self._wait(None)
        if self.clock.patience_s is None:
            return self._wait(self.clock.real_seconds_until(deadline))
        return self._wait_or_skip(deadline, self.clock.patience_s)

    def _wait(self, timeout_s: float | None) -> list[object]:
        if self._patience_end is not None:
            left_s = max(0.0, self._patience_end - perf_counter())
            timeout_s = left_s if timeout_s is None else min(timeout_s, left_s)
        return self.poller.poll(timeout_s)

    def _wait_or_skip(self, deadline: float, patience_s: float) -> list[object]:
        """With a clock that winds itself forward: only when threads are done and I/O is silent."""
        if self.threads_pending:
            return self._wait(None)
        woken = self._wait(patience_s if self.poller.waiting else 0.0)
        if not (woken or self._calls):
            self.clock.skip_to(deadline)
        return woken

    def _check_hope(self) -> None:
        """Nobody is ready and no timer is set: say so if nobody outside can wake anyone either."""
        if self.poller.waiting or self.threads_pending:
            return
        stuck = [co for co in self.living.values() if co._verb != "prompt"]
        if not self.inbox_waiters:
            pictures = self._pictures(stuck)
            report = _snapshot.deadlock_report(pictures, len(stuck))
            # Main's failure is often what left the others without hope, and must not go unheard.
            raise Deadlock(pictures, report) from (None if self.main is None else self.main._error)
        ids = frozenset(co.id for co in stuck)
        if ids and ids != self._stall_told:
            self._stall_told = ids
            self.observer.stalled(self._pictures(stuck))

    def _pictures(self, coroutines: list[Coroutine]) -> tuple[_snapshot.CoroutinePicture, ...]:
        return tuple(_snapshot.picture_of(self, co) for co in coroutines[: _snapshot.MAX_REPORTED])

    def _fire_timers(self) -> None:
        now = self.clock.now()
        for _ in range(MAX_TIMERS_PER_TURN):
            call = self.timers.pop_expired(now)
            if call is None:
                return
            self._guard(*call)

    def _run_calls(self) -> None:
        for _ in range(len(self._calls)):
            self._guard(*self._calls.popleft())

    def _guard(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """A call that belongs to no coroutine may fail, and must not end the loop."""
        try:
            fn(*args)
        except Exception as error:
            self._report(describe_failure(None, default_name(fn), trimmed(error)))

    def _report_unclaimed(self) -> None:
        """Those who failed, and whom nobody has joined by the time that the root has its turn."""
        unclaimed, self._unclaimed = self._unclaimed, []
        for coroutine in unclaimed:
            run_tells = coroutine is self.main and (
                self._is_called_off() or not (self.living or self.promised)
            )
            if not (coroutine._observed or run_tells) and coroutine._error is not None:
                self._report(describe_failure(coroutine, coroutine.name, coroutine._error))

    def _report(self, failure: Failure) -> None:
        with suppress(Exception):  # standard error may be closed; the loop goes on
            self.observer.failed(failure)

    def _cancel_those_left(self) -> None:
        """So that their `finally` runs."""
        for kind in (Cancelled, Killed, Killed):
            for coroutine in list(self.living.values()):
                self.interrupt(coroutine, kind("the scheduler ends"))
            self._run_for_a_while()

    def _shut_down(self) -> None:
        """Let go of everything."""
        for coroutine in list(self.living.values()):
            self.abandon(coroutine)
        self.over = True
        self._run_calls()
        self._report_unclaimed()
        while self._workers:
            self._dismiss(self._workers.pop())
        for held in list(self.sockets.values()):
            held.abandon()
        self.poller.close()

    def _run_for_a_while(self) -> None:
        """Give those who clean up some time, also for waits, but not for ever."""
        self._patience_end = perf_counter() + SHUTDOWN_PATIENCE_S
        try:
            while self.living and perf_counter() < self._patience_end:
                self._turn()
        except Deadlock:
            return

    def _dismiss(self, worker: greenlet) -> None:
        self._job = None
        worker.switch()

    # -- from other threads, and for those who look ----------------------------------------------

    def call_soon_threadsafe(self, fn: Callable[..., Any], *args: Any) -> None:
        """Have the scheduler's thread call `fn(*args)` soon, in no coroutine; it must not park.

        The only way in from another thread. Raises `NotRunning` once the scheduler has ended.
        """
        if self.over:
            raise NotRunning("the scheduler has ended")
        self._calls.append((fn, args))
        self.poller.wake()

    def coroutine(self, id: int) -> Coroutine | None:  # noqa: A002 - the contract's name
        """The living coroutine of that id."""
        return self.living.get(id)

    def snapshot(
        self, limit: int | None = None, *, dead: bool = True, stuck: bool = False
    ) -> _snapshot.Snapshot:
        """A frozen picture of everything; may be asked for from any thread.

        When the scheduler does not answer another thread at once, because a coroutine computes
        without a pause, that thread gets a light picture (`responsive` is False): stacks are left
        out, and the culprit is named in `hog`.

        Args:
            limit: picture at most so many coroutines (the totals count all).
            dead: also those that ended last.
            stuck: find out who can never be woken again; walks the whole heap.
        """
        if threading.get_ident() == self.thread_id:
            return _snapshot.take(self, limit, dead=dead, stuck=stuck)
        return _snapshot.ask(self, limit, dead=dead, stuck=stuck)

    def stack_of(self, coroutine: Coroutine) -> tuple[int, int]:
        """Its stack in bytes (saved C stack and data-stack chunks) and in frames; (0, 0) if it has none."""
        worker = coroutine._greenlet
        if worker is None:
            return 0, 0
        ledger = memory.ledger
        if ledger is not None:
            self.settle()
            stack_cost(self.frame_of(coroutine))
            ledger.settle(coroutine._tally)  # the objects of its frames, as in `make_objects`
        chunk_bytes, frames = stack_cost(self.frame_of(coroutine))
        return worker._stack_saved + chunk_bytes, frames  # type: ignore[attr-defined]

    def frame_of(self, coroutine: Coroutine) -> FrameType | None:
        """Its innermost frame; None if it has ended. Only on the scheduler's own thread."""
        self._check_thread("stack")
        if coroutine is self.running:
            return sys._getframe()
        return None if coroutine._greenlet is None else coroutine._greenlet.gr_frame

    def _check_thread(self, what: str) -> None:
        if threading.get_ident() != self.thread_id:
            raise WrongThread(
                f"{what}: this scheduler runs on another thread; use scheduler.call_soon_threadsafe(...)"
            )

    def __repr__(self) -> str:
        return f"<Scheduler {len(self.living)} living, {len(self._ready)} ready, {len(self.timers)} timers>"

    def interrupt_main(self) -> None:
        """From a signal handler: `KeyboardInterrupt` is for main, whoever runs at this moment.

        It is raised at main's wait. If the next one comes before that, because somebody computes
        without a pause, it is raised right there.
        """
        in_root = self.running is None and getcurrent() is self._root
        impatient = self._ctrl_c_pending and (self.exposed is not None or in_root)
        if impatient or self.over or (self.exposed is not None and self.exposed.id == MAIN_ID):
            self._ctrl_c_pending = False
            raise KeyboardInterrupt
        self._ctrl_c_pending = True
        self.call_soon_threadsafe(self._raise_in_main)

    def _raise_in_main(self) -> None:
        if not self._ctrl_c_pending:
            return
        self._ctrl_c_pending = False
        main = self.living.get(MAIN_ID)
        if main is None:
            raise KeyboardInterrupt
        self.interrupt(main, KeyboardInterrupt())

    def reset_tallies(self) -> None:
        """Count heaps from zero: the ledger has been replaced."""
        for coroutine in list(self.living.values()):
            coroutine._tally.reset()

    @property
    def ending(self) -> bool:
        """Whether those that are left are being cancelled: nothing new begins."""
        return self._patience_end is not None

    @property
    def ready_count(self) -> int:
        """How many coroutines could run at this moment."""
        return len(self._ready)


def _outcome(coroutine: Coroutine) -> Any:
    if coroutine._error is not None:
        error, coroutine._error = coroutine._error, None
        try:
            raise error
        finally:
            del error
    if coroutine._state == CANCELLED:
        raise Cancelled("main was cancelled")
    return coroutine._value


def _why_not_suspended(coroutine: Coroutine) -> str:
    if coroutine.ended:
        return f"it has ended ({coroutine.state})"
    if coroutine._state == WAITING:
        return f"it is not suspended but waits on {coroutine.waiting_on}"
    return "it is running" if coroutine.state == "running" else "it is ready to run already"
