"""The run loop: what has happened outside, who is woken by it, and when it is all over.

The loop runs in the root, in turns: calls from other threads, descriptors, timers, then a slice of
the ready coroutines (`_switching.py`). Descriptors are asked before timers, so data that is there
beats a deadline that has just passed. When nobody is ready and nothing outside could wake anyone, that
is said instead of waited for.

What others ask of a coroutine (cancel, throw, resume, join, kill) comes here too: a coroutine is passive.
"""

from __future__ import annotations

import random
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from time import perf_counter
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from greenlet import getcurrent

from . import _snapshot
from ._clock import Clock, MonotonicClock
from ._coroutine import Coroutine, default_name
from ._coroutine_state import CANCELLED, WAITING
from ._errors import (
    Cancelled,
    Deadlock,
    Killed,
    NotRunning,
    NotSuspended,
    TooManyCoroutines,
    WaitTimeout,
    WrongThread,
)
from ._form import native
from ._frames import Site, trimmed
from ._handover import Handover
from ._kill import Killer
from ._limits import Crossing, Limit, checked, enforce
from ._losses import Losses
from ._memory import memory, stack_cost
from ._observer import Failure, Observer, describe_failure
from ._poller import Poller, open_poller

MAX_IDLE_WORKERS: Final = 256  # about 6 KB each
MAX_TIMERS_PER_TURN: Final = 10_000  # then I/O is looked at again
MAIN_ID: Final = 1
SHUTDOWN_PATIENCE_S: Final = 1.0  # real time, three times

if TYPE_CHECKING or native is None:
    from ._switching import scheduler_or_none as scheduler_or_none  # noqa: PLC0414 - mypy wants it said
    from ._switching import set_current as set_current  # noqa: PLC0414
    from ._timing import Timing
else:
    Timing, scheduler_or_none = native.Timing, native.scheduler_or_none
    set_current = native.set_current

Call = tuple[Callable[..., Any], tuple[Any, ...]]


def current_scheduler() -> Scheduler:
    """The scheduler that runs on this thread.

    Raises:
        NotRunning: there is none.
    """
    scheduler = scheduler_or_none()
    if scheduler is None:
        raise NotRunning(
            "no scheduler runs on this thread: start one with coloop.run(main), or let the one of another thread "
            "do it with scheduler.call_soon_threadsafe(...)"
        )
    return scheduler


class Scheduler(Timing):
    """Runs the coroutines of one thread. Made by `run`; the handle of a scheduler for other threads.

    Attributes:
        poller: what waits for descriptors.
        sockets: the open sockets and listeners, by their serial numbers.
        observer: who is told of failures and standstills.
        main: coroutine 1.
        over: whether it has ended.
        dice: what draws between equals; without a seed, the same draws in every run.
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
        self.dice = random.Random(0 if seed is None else seed)  # noqa: S311 - an order, not a secret
        super().__init__(
            MonotonicClock() if clock is None else clock,
            None if seed is None else self.dice,
            max_coroutines,
            self._checked_limit(memory_limit, "raise"),
        )
        self.observer = observer if observer is not None else Observer()
        self.poller: Poller = open_poller()
        self.sockets: dict[int, Any] = {}
        # Waits that something outside can end, besides timers and descriptors.
        self.threads_pending = 0
        self.inbox_waiters = 0
        self.promised = 0  # calls to come that `run` waits for
        self._calls: deque[Call] = deque()
        self._idle_waiters: list[Coroutine] = []
        # Failed, and not joined so far; behind so many switches those who were ready then have had a turn.
        self._overdue: list[tuple[int, Coroutine]] = []
        self._standstill = (0, 0)
        self._killer = Killer(self)
        self._handover = Handover()
        self.losses = Losses()
        self._ctrl_c_pending = False
        self._patience_end: float | None = None
        self.over = False
        self.main: Coroutine | None = None
        memory.schedulers.add(self)

    # -- waiting ---------------------------------------------------------------------------------

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

    def expire(self, coroutine: Coroutine, verb: str, subject: object, timeout_s: float) -> None:
        """The time of one wait is over; if it was woken a moment before, that is what counts."""
        if coroutine._state == WAITING:
            what = verb if subject is None else f"{verb} {subject}"
            self.interrupt(coroutine, WaitTimeout(f"{what}: timed out after {timeout_s:g}s"))

    # -- limits ----------------------------------------------------------------------------------

    @property
    def memory_limit(self) -> int | None:
        """Heap bytes for all coroutines together; None for no limit."""
        limit: Limit | None = self._limit
        return None if limit is None else limit.bytes

    @property
    def limit_action(self) -> str | None:
        """What happens when that limit is crossed: `raise`, `warn` or `cancel`; None without a limit."""
        limit: Limit | None = self._limit
        return None if limit is None else limit.action

    def limit_memory(
        self, heap_bytes: int | None, action: str = "raise", *, coroutine: Coroutine | None = None
    ) -> None:
        """Limit the heap of all coroutines together, or of one, from now on.

        Args:
            heap_bytes: so much may be held; None takes the limit away.
            action: what happens to who crosses it: `raise`, `warn` or `cancel`.
            coroutine: whose limit it is; None for that of all together.

        Raises:
            ValueError: a limit that is not positive, no such action, or heap is not counted at this level.
            WrongThread: called from another thread.
        """
        self.check_thread("limit_memory")
        limit = self._checked_limit(heap_bytes, action)
        if coroutine is None:
            self._limit = limit
        else:
            coroutine._limit = limit

    def check_limits(self, me: Coroutine) -> None:
        """At a safe point of `me`: do what is to be done if it, or all together, hold too much."""
        if not memory.traces_heap():
            return
        self.settle()
        held, tried = me._heap[0], max(0, me._tally.last_growth)
        if me._limit is not None:
            self._check_limit(me, me._limit.crossing(held, tried))
        if self._limit is not None:
            self._check_limit(me, self._limit.crossing(memory.held_by_coroutines(), tried))

    def _check_limit(self, me: Coroutine, crossing: Crossing | None) -> None:
        if crossing is not None:
            enforce(me, crossing, self.observer)

    def safe_point(self, me: Coroutine) -> None:
        """Where exceptions that were meant for `me` while it ran are raised."""
        if me._interrupts:
            error = me._interrupts.pop(0)
            try:
                raise error
            finally:
                del error
        if me._limit is not None or self._limit is not None:
            self.check_limits(me)

    def check_limits_of_spawn(self, memory_limit: int | None) -> Limit | None:
        """The limit of heap that is asked for; `TooManyCoroutines`, or ValueError for one that cannot be."""
        if self.max_coroutines is not None and len(self.living) >= self.max_coroutines:
            raise TooManyCoroutines(f"{self.max_coroutines} coroutines live already (max_coroutines)")
        return self._checked_limit(memory_limit, "raise")

    def _checked_limit(self, heap_bytes: int | None, action: str) -> Limit | None:
        return checked(heap_bytes, action, level=memory.level(), is_counted=memory.traces_heap())

    def refuse_the_dead(self) -> NoReturn:
        """Raise `NotRunning`, for a finalizer that runs when its coroutine has ended."""
        raise NotRunning(
            "a coroutine that has ended, or a finalizer at its end, cannot start another: "
            "use scheduler.call_soon_threadsafe(go, ...)"
        )

    def refuse_the_collector(self) -> NoReturn:
        """Raise `NotRunning`, for a finalizer that runs in the midst of anything, perhaps of a step of ours."""
        raise NotRunning(
            "a finalizer that the garbage collector runs can neither start a coroutine nor wait: "
            "use scheduler.call_soon_threadsafe(go, ...)"
        )

    def refuse_the_stranger(self) -> NoReturn:
        """Raise `NotRunning`, for a greenlet that somebody has made inside of a coroutine."""
        raise NotRunning(
            "this greenlet is none of the scheduler's: start what waits with go(...), or wait outside of it"
        )

    # -- ending others ---------------------------------------------------------------------------

    def cancel(self, coroutine: Coroutine) -> bool:
        """Raise `Cancelled` at its wait or at its next one; False if it had ended."""
        self.check_thread("cancel")
        if coroutine.ended:
            return False
        self.interrupt(coroutine, Cancelled(f"cancelled{f' by {self.running}' if self.running else ''}"))
        return True

    def throw(self, coroutine: Coroutine, error: BaseException) -> None:
        """Raise `error` at its wait or at its next one."""
        self.check_thread("throw")
        if not isinstance(error, BaseException):
            raise TypeError(f"throw takes an exception, not {error!r}")
        self.interrupt(coroutine, error)

    def resume(self, coroutine: Coroutine, value: Any) -> None:
        """End its `suspend()`; any other state is refused by name."""
        self.check_thread("resume")
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
        self.check_thread("join")
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

    # -- the root --------------------------------------------------------------------------------

    def go_early(
        self, fn: Callable[..., Any], args: tuple[Any, ...], *, name: str, spawned_at: Site | str
    ) -> Coroutine:
        """Start a coroutine before `run_main`: it runs until it first parks, and goes on in `run_main`.

        Raises:
            KeyboardInterrupt, SystemExit: it ended it at once. Nobody else is there yet whom that could end;
                Ctrl-C may strike before the first line of `fn`.
        """
        set_current(self)
        try:
            coroutine = self.go(fn, args, name=name, spawned_at=spawned_at)
        finally:
            set_current(None)
        error = coroutine._error
        if error is not None and not isinstance(error, Exception):
            coroutine._observed = True
            try:
                raise error
            finally:
                del error, coroutine  # else this frame and the traceback hold each other
        self._report_unclaimed()
        return coroutine

    def run_main(self, main: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Run `main(*args)` as a coroutine and all that it starts, until every one has ended.

        A main that ends by `KeyboardInterrupt` or `SystemExit` speaks for the whole program: the
        others are cancelled. Any other failure of main is reported if it leaves others behind, and
        raised in the end.

        Raises:
            Deadlock: all that are left wait for each other.
            BaseException: whatever ended `main`.
        """
        set_current(self)
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
                set_current(None)

    def _has_work(self) -> bool:
        return bool(self.living or self.promised or self._calls or self._unclaimed)

    def _is_called_off(self) -> bool:
        error = None if self.main is None else self.main._error
        return error is not None and not isinstance(error, Exception)

    def _turn(self) -> None:
        """One round of the root: calls from other threads, descriptors, timers, then the coroutines.

        There is one for every slice, and a slice may be short, so it asks before it calls.
        """
        if self._calls:
            self._run_calls()
        if self._unclaimed or self._overdue:
            self._report_unclaimed()
        if not (self.ready_count or self.living or self.promised):
            return
        began = perf_counter()
        woken = self._poll()
        self._handover.polled(began, perf_counter())
        if woken:
            self.wake_each(woken)
        self.fire_timers(MAX_TIMERS_PER_TURN)
        if self.ready_count:
            self._standstill = (0, 0)
            self.run_slice()
        elif self._idle_waiters and not self._calls:
            self.wake(self._idle_waiters.pop())
        self.dismiss_workers(MAX_IDLE_WORKERS)

    def _poll(self) -> list[object]:
        """Whose descriptors are ready; waits for one, or for the next timer, when nobody is ready to run."""
        if self.ready_count or self._calls or self._idle_waiters:
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
        if self.inbox_waiters:
            self._tell_standstill()
            return
        pictures = self._stuck_pictures()
        report = _snapshot.deadlock_report(pictures, sum(co._verb != "prompt" for co in self.living.values()))
        # Main's failure is often what left the others without hope, and must not go unheard.
        raise Deadlock(pictures, report) from (None if self.main is None else self.main._error)

    def _tell_standstill(self) -> None:
        """Once: while no slice is run, and as many live and the newest is the same, all the others are too.

        Nobody may look at each of them here: with a million parked, every line at the prompt ends here.
        """
        living = len(self.living), next(reversed(self.living), 0)
        if living != self._standstill:
            self._standstill = living
            pictures = self._stuck_pictures()
            if pictures:
                self.observer.stalled(pictures)

    def _stuck_pictures(self) -> tuple[_snapshot.CoroutinePicture, ...]:
        """The first of those who wait for somebody here, who will not come."""
        stuck = (co for co in self.living.values() if co._verb != "prompt")
        return tuple(_snapshot.picture_of(self, co) for co in islice(stuck, _snapshot.MAX_REPORTED))

    def _run_calls(self) -> None:
        for _ in range(len(self._calls)):
            self._guard(*self._calls.popleft())

    def _guard(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            fn(*args)
        except Exception as error:
            self.call_failed(fn, error)

    def call_failed(self, fn: Callable[..., Any], error: Exception) -> None:
        """A call that belongs to no coroutine may fail, and must not end the loop: it is told to the observer."""
        self._report(describe_failure(None, default_name(fn), trimmed(error)))

    def _report_unclaimed(self) -> None:
        """Those who failed, and whom nobody has joined by the time that the root has its turn.

        If the slice was cut short, who is going to join them may be among those that are ready still: so
        each of these has a turn first. Else it would be chance, on a busy machine, who is told of.
        """
        fresh, self._unclaimed = self._unclaimed, []
        all_had_a_turn = self.switches + 2 * self.ready_count  # the root may have one between any two
        waiting = self._overdue + [(all_had_a_turn, coroutine) for coroutine in fresh]
        is_last = self.over or not self.ready_count  # nobody will have another turn
        self._overdue = [entry for entry in waiting if not is_last and self.switches < entry[0]]
        due = [one for at, one in waiting if is_last or self.switches >= at]
        for coroutine in due:
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
        self.dismiss_workers(0)
        for held in list(self.sockets.values()):
            held.abandon()
        self.poller.close()
        # When a thread has ended, greenlet frees its root once too often if one reference is left that the
        # collector cannot see, as after gc.freeze() (3.5, TThreadState.hpp: "Highly likely that the reference is on the stack").
        self._root = None

    def _run_for_a_while(self) -> None:
        """Give those who clean up some time, also for waits, but not for ever."""
        self._patience_end = perf_counter() + SHUTDOWN_PATIENCE_S
        try:
            while self.living and perf_counter() < self._patience_end:
                self._turn()
        except Deadlock:
            return

    # -- from other threads, and for those who look ----------------------------------------------

    def call_soon_threadsafe(self, fn: Callable[..., Any], *args: Any) -> None:
        """Have the scheduler's thread call `fn(*args)` soon, in no coroutine; it must not park.

        The only way in from another thread. A call that fails is reported.

        Raises:
            NotRunning: the scheduler has ended.
        """
        if self.over:
            raise NotRunning("the scheduler has ended")
        self._calls.append((fn, args))
        self.poller.wake()

    def coroutine(self, id: int) -> Coroutine | None:  # noqa: A002 - the contract's name
        """The living coroutine of that id."""
        return self.living.get(id)

    def snapshot(
        self,
        limit: int | None = None,
        *,
        dead: bool = True,
        stuck: bool = False,
        sockets: int | None = None,
    ) -> _snapshot.Snapshot:
        """A frozen picture of everything; may be asked for from any thread.

        When the scheduler does not answer another thread at once, because a coroutine computes
        without a pause, that thread gets a light picture (`responsive` is False): stacks are left
        out, and the culprit is named in `hog`.

        Args:
            limit: picture at most so many coroutines (the totals count all).
            dead: also those that ended last.
            stuck: find out who can never be woken again; walks the whole heap.
            sockets: picture at most so many sockets, which asks the kernel about each.
        """
        if threading.get_ident() == self.thread_id:
            return _snapshot.take(self, limit, dead=dead, stuck=stuck, sockets=sockets)
        return _snapshot.ask(self, limit, dead=dead, stuck=stuck, sockets=sockets)

    def stack_of(self, coroutine: Coroutine) -> tuple[int, int]:
        """Its stack in bytes (saved C stack and data-stack chunks) and in frames; (0, 0) if it has none."""
        worker = coroutine._greenlet
        if worker is None:
            return 0, 0
        ledger = memory.tracing
        if ledger is not None:
            self.settle()
            stack_cost(self.frame_of(coroutine))
            ledger.settle(coroutine._tally)  # the objects of its frames, as in `make_objects`
        chunk_bytes, frames = stack_cost(self.frame_of(coroutine))
        return worker._stack_saved + chunk_bytes, frames  # type: ignore[attr-defined]

    def frame_of(self, coroutine: Coroutine) -> FrameType | None:
        """Its innermost frame; None if it has ended. Only on the scheduler's own thread."""
        self.check_thread("stack")
        if coroutine is self.running:
            return sys._getframe()
        return None if coroutine._greenlet is None else coroutine._greenlet.gr_frame

    def check_thread(self, what: str) -> None:
        """Raise `WrongThread`, with `what` in the message, anywhere but on the scheduler's own thread."""
        if threading.get_ident() != self.thread_id:
            raise WrongThread(
                f"{what}: this scheduler runs on another thread; use scheduler.call_soon_threadsafe(...)"
            )

    def __repr__(self) -> str:
        return f"<Scheduler {len(self.living)} living, {self.ready_count} ready, {len(self.timers)} timers>"

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


def _outcome(coroutine: Coroutine) -> Any:
    if coroutine._error is not None:
        error, coroutine._error = coroutine._error, None
        coroutine._traceback = None
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
