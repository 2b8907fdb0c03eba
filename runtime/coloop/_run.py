"""The verbs: `run` a program of coroutines, and what a coroutine can do wherever it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ._clock import Clock
from ._coroutine import Coroutine
from ._errors import AlreadyRunning, NotRunning
from ._form import native
from ._frames import calling_site
from ._main_thread import signals_for
from ._observer import Observer
from ._scheduler import Scheduler, current_scheduler, scheduler_or_none
from ._snapshot import Snapshot

T = TypeVar("T")


def run(
    main: Callable[..., T],
    *args: Any,
    clock: Clock | None = None,
    seed: int | None = None,
    max_coroutines: int | None = None,
    memory_limit: int | None = None,
    observer: Observer | None = None,
) -> T:
    """Run `main(*args)` as coroutine 1, and the scheduler until every coroutine has ended.

    Args:
        main: a plain function.
        *args: its arguments.
        clock: what tells the time; the machine's monotonic clock by default.
        seed: let the ready ones run in an order that this number decides, instead of first come first served.
        max_coroutines: how many may live at once.
        memory_limit: heap bytes for all of them together; needs level `heap`.
        observer: who is told of failures and standstills.

    Returns:
        What `main` returned.

    Raises:
        AlreadyRunning: a scheduler runs on this thread.
        Deadlock: all that are left wait for each other; they are cancelled before this is raised.
        BaseException: what ended `main`.
    """
    if scheduler_or_none() is not None:
        raise AlreadyRunning(
            "a scheduler runs on this thread already: start coroutines with go(fn), not with run(fn)"
        )
    scheduler = Scheduler(
        clock=clock, seed=seed, max_coroutines=max_coroutines, memory_limit=memory_limit, observer=observer
    )
    with signals_for(scheduler):
        result: T = scheduler.run_main(main, args)
    return result


def go(
    fn: Callable[..., Any],
    /,
    *args: Any,
    name: str | None = None,
    memory_limit: int | None = None,
    **kwargs: Any,
) -> Coroutine:
    """Start `fn(*args, **kwargs)` now: it runs at once until it first parks or ends, then `go` returns.

    Args:
        fn: a plain function.
        *args: its positional arguments.
        name: the coroutine's name; the function's own by default.
        memory_limit: heap bytes above which it gets `MemoryLimitExceeded`; needs level `heap`.
        **kwargs: its keyword arguments.

    Raises:
        NotRunning: no scheduler runs on this thread, or a finalizer that the garbage collector runs asks.
        TooManyCoroutines: `max_coroutines` live already.
    """
    return current_scheduler().go(
        fn, args, kwargs, name=name, memory_limit=memory_limit, spawned_at=calling_site(1)
    )


def current() -> Coroutine | None:
    """The coroutine that runs; None outside of one."""
    scheduler = scheduler_or_none()
    return None if scheduler is None else scheduler.running


def sleep(seconds: float) -> None:
    """Park for so many seconds of the scheduler's clock; 0 only lets the others run.

    Raises:
        ValueError: seconds is negative, infinite or NaN.
        TypeError: seconds is no number.
        NotRunning: no scheduler runs on this thread, or no coroutine.
    """
    current_scheduler().sleep(seconds)


def yield_now() -> None:
    """Let the other ready coroutines run, then go on."""
    current_scheduler().yield_now()


def suspend() -> Any:
    """Park until somebody calls `resume(value)` on this coroutine.

    Returns:
        That value.

    Raises:
        NotRunning: called outside of a coroutine.
    """
    return current_scheduler().park("suspend")


def defer(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Have `fn(*args, **kwargs)` called at this coroutine's end, last in first out.

    Also after an error or a cancel. A deferred call may park, and may defer. If it fails, the others are
    called all the same, and the coroutine has failed.

    Raises:
        NotRunning: called outside of a coroutine.
        TypeError: fn cannot be called.
    """
    me = current_scheduler().running
    if me is None:
        raise NotRunning("only a coroutine can defer: there is no end to wait for here")
    if not callable(fn):
        raise TypeError(f"defer takes a function and its arguments, not {fn!r}")
    if me._defers is None:
        me._defers = []
    me._defers.append((fn, args, kwargs))


def call_soon_threadsafe(fn: Callable[..., Any], *args: Any) -> None:
    """Have this thread's scheduler call `fn(*args)` soon, in no coroutine; it must not park.

    From another thread take the method of that name of the scheduler itself, which `current_scheduler()`
    gives inside; that is the only way in.

    Raises:
        NotRunning: no scheduler runs on this thread.
    """
    current_scheduler().call_soon_threadsafe(fn, *args)


def snapshot(limit: int | None = None, *, stuck: bool = False) -> Snapshot:
    """A frozen picture of this thread's scheduler; from another thread use `Scheduler.snapshot`.

    Args:
        limit: picture at most so many coroutines (the totals count all).
        stuck: find out who can never be woken again; walks the whole heap, 0.2 s for a million objects.

    Raises:
        NotRunning: no scheduler runs on this thread.
    """
    return current_scheduler().snapshot(limit, stuck=stuck)


if not TYPE_CHECKING and native is not None:
    go, sleep, yield_now, current = native.go, native.sleep, native.yield_now, native.current
