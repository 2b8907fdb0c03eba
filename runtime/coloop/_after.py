"""Calls that are due later: `after` makes one, `every` makes them to a beat.

Each call runs in a coroutine of its own, so it may park, and fail, as any other. What waits is only a timer.

`run` waits for an `after`, as for a coroutine that has not begun: `after(1, f)` as main's last line is
a wish to see `f` run. It does not wait for an `every`, which would make it endless: the beat ends with
the last coroutine and the last `after`, and a call that is under way then is one of those coroutines.
While either is pending there is hope, and no deadlock: the call may wake whoever waits.

A beat is `start + k * s`, multiplied and never added up, so lateness does not pile up. When the loop was
held up for several beats there is one call for all of them; when the last call still runs there is
none. Both are counted as skipped. Bursts to make up for lost beats would hit a program that is slow already.
"""

from __future__ import annotations

import contextvars
import itertools
import threading
from collections.abc import Callable
from typing import Any, Final

from ._coroutine import Coroutine, default_name
from ._errors import WrongThread
from ._frames import Site, calling_site, trimmed
from ._observer import describe_failure
from ._scheduler import Scheduler, current_scheduler
from ._timers import Timer, check_seconds

MIN_PERIOD_S: Final = 1e-6  # less than one turn of the loop

_ids: Final = itertools.count(1)


class TimedCall:
    """What `after` and `every` return.

    Attributes:
        id: a serial number, never used again.
        name: the name of the coroutines that it starts.
        period_s: seconds from beat to beat; None for `after`.
        calls: how many were started so far.
        skipped: beats without a call, because the loop was held up or the call before still ran.
    """

    __slots__ = (
        "__weakref__",
        "_args",
        "_call_id",
        "_context",
        "_fn",
        "_next_beat",
        "_scheduler",
        "_site",
        "_start",
        "_timer",
        "calls",
        "id",
        "name",
        "period_s",
        "skipped",
    )

    def __init__(
        self,
        scheduler: Scheduler,
        delay_s: float,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        name: str,
        site: Site | None,
        *,
        repeats: bool,
    ) -> None:
        self.id = next(_ids)
        self.name = name
        self.period_s = delay_s if repeats else None
        self.calls = self.skipped = 0
        self._scheduler = scheduler
        self._fn: Callable[..., Any] | None = fn
        self._args = args
        self._context: contextvars.Context | None = contextvars.copy_context()
        self._site = site
        self._call_id = 0
        self._next_beat = 1
        self._start = scheduler.clock.now()
        # No owner: whoever set it may have ended long before it fires, and must not be held.
        self._timer: Timer = scheduler.timers.add(self._start + delay_s, self._fire)
        if not repeats:
            scheduler.promised += 1

    @property
    def active(self) -> bool:
        """Whether a call is still to come."""
        return self._timer.active

    @property
    def coroutine(self) -> Coroutine | None:
        """The call that is under way; None if none is."""
        return self._scheduler.living.get(self._call_id)

    def cancel(self) -> bool:
        """Make no further call; one that is under way goes on (`coroutine.cancel()` ends that).

        Returns:
            False if there was nothing left to cancel.

        Raises:
            WrongThread: called on another thread.
        """
        if threading.get_ident() != self._scheduler.thread_id:
            raise WrongThread(
                f"{self}: its scheduler runs on another thread; use scheduler.call_soon_threadsafe(...)"
            )
        if not self._timer.active:
            return False
        self._timer.cancel()
        self._retire()
        return True

    def _retire(self) -> None:
        """No call is to come: hold nothing any more."""
        if self.period_s is None:
            self._scheduler.promised -= 1
        self._fn = self._context = None
        self._args = ()

    def _fire(self) -> None:
        """In the root: the time has come."""
        fn, args, context = self._fn, self._args, self._context
        assert fn is not None
        assert context is not None
        if self.period_s is None or self._scheduler.ending:
            self._retire()
        else:
            self._set_next_beat(self.period_s)
        if self._scheduler.ending:
            return
        if self.coroutine is not None:
            self.skipped += 1
            return
        try:
            call = context.run(
                self._scheduler.go,
                fn,
                args,
                name=self.name,
                spawned_at="?" if self._site is None else self._site,
            )
        except Exception as error:  # too many coroutines, as a rule: the next beat may fare better
            self._scheduler._report(describe_failure(None, self.name, trimmed(error)))
            return
        self.calls += 1
        self._call_id = call.id

    def _set_next_beat(self, period_s: float) -> None:
        now = self._scheduler.clock.now()
        last = max(self._next_beat, int((now - self._start) / period_s))
        if last > self._next_beat and self._start + last * period_s > now:  # the division rounded up
            last -= 1
        elif self._start + (last + 1) * period_s <= now:  # ... or down
            last += 1
        self.skipped += last - self._next_beat
        self._next_beat = last + 1
        self._timer = self._scheduler.timers.add(self._start + self._next_beat * period_s, self._fire)

    def __str__(self) -> str:
        return f"{'after' if self.period_s is None else 'every'}#{self.id}"

    def __repr__(self) -> str:
        counts = f"{self.calls} calls, {self.skipped} skipped"
        return f"<{self} {self.name} {'pending' if self.active else 'over'}, {counts}>"


def after(seconds: float, fn: Callable[..., Any], *args: Any, name: str | None = None) -> TimedCall:
    """Have `fn(*args)` called once, in a coroutine of its own; `run` does not end before.

    It sees the context variables as they are now.

    Args:
        seconds: from now, on the scheduler's clock; with 0 it begins at the loop's next turn.
        fn: a plain function; it may park.
        *args: its arguments.
        name: of its coroutine; the function's own by default.

    Returns:
        The handle to cancel it with.

    Raises:
        ValueError: seconds is negative, infinite or NaN.
        NotRunning: no scheduler runs on this thread.
    """
    return _timed("after", check_seconds(seconds, "after"), fn, args, name, repeats=False)


def every(seconds: float, fn: Callable[..., Any], *args: Any, name: str | None = None) -> TimedCall:
    """Have `fn(*args)` called every so many seconds, each time in a coroutine of its own, until cancelled.

    The first call comes after `seconds`. A call that fails is reported, and the next comes all the same. No
    two calls overlap, and beats that were missed are not made up for: see `TimedCall.skipped`. `run` does not
    wait for it.

    Args:
        seconds: from beat to beat, on the scheduler's clock; a microsecond or more.
        fn: a plain function; it may park.
        *args: its arguments.
        name: of its coroutines; the function's own by default.

    Returns:
        The handle to cancel it with.

    Raises:
        ValueError: seconds is infinite, NaN or less than a microsecond.
        NotRunning: no scheduler runs on this thread.
    """
    if check_seconds(seconds, "every") < MIN_PERIOD_S:
        raise ValueError(f"every must be at least {MIN_PERIOD_S:g} seconds, not {seconds!r}")
    return _timed("every", float(seconds), fn, args, name, repeats=True)


def _timed(
    verb: str,
    seconds: float,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    name: str | None,
    *,
    repeats: bool,
) -> TimedCall:
    if not callable(fn):
        raise TypeError(f"{verb} takes seconds, a function and its arguments, not {fn!r}")
    name = default_name(fn) if name is None else name
    return TimedCall(current_scheduler(), seconds, fn, args, name, calling_site(2), repeats=repeats)
