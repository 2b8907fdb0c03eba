"""What a scheduler takes over while it runs on the main thread: Ctrl-C, and the descriptor that tells of signals.

Python notes a signal in the C handler and runs the handler in Python between two instructions of the main
thread. A poller that is just about to sleep, or a signal that the kernel has given to another thread, would
leave it waiting until something else happens. So CPython itself rings the poller's bell at each signal
(`signal.set_wakeup_fd`), as it does for asyncio and trio.

What somebody else has set meanwhile is his, and stays. A forked child gets back what was there before.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from ._scheduler import Scheduler


class _Taken:
    """What is taken over at this moment. One scheduler at a time can run on the main thread."""

    scheduler: Scheduler | None = None
    rope = -1


@contextmanager
def signals_for(scheduler: Scheduler) -> Iterator[None]:
    """Until the end of the block signals wake `scheduler`, and Ctrl-C is for its main coroutine.

    On any other thread than the main one, and in a guest interpreter, nothing is taken over. A handler of SIGINT that
    is not Python's own stays.

    Raises:
        OSError: no descriptor is left.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _rung_at_signals(scheduler), _interrupts_for_main(scheduler):
        yield


@contextmanager
def _rung_at_signals(scheduler: Scheduler) -> Iterator[None]:
    try:
        # A copy: the scheduler closes its own before this ends, and CPython must not ring a stranger's.
        rope = os.dup(scheduler.poller.rope)
    except OSError:
        scheduler._shut_down()  # it never runs, and would count as one that does until it is collected
        raise
    previous = None
    with suppress(ValueError):  # a guest interpreter has a main thread too, but hears of no signal
        previous = signal.set_wakeup_fd(rope, warn_on_full_buffer=False)
        _Taken.rope = rope
    try:
        yield
    finally:
        if previous is not None:
            _put_back(rope, previous)
            _Taken.rope = -1
        os.close(rope)


def _put_back(rope: int, previous: int) -> None:
    now = signal.set_wakeup_fd(previous)
    if now != rope:  # somebody else has set his meanwhile
        signal.set_wakeup_fd(now)


@contextmanager
def _interrupts_for_main(scheduler: Scheduler) -> Iterator[None]:
    """Python would raise Ctrl-C in whichever coroutine happens to run."""
    if signal.getsignal(signal.SIGINT) not in (signal.default_int_handler, _interrupt_main):
        yield
        return
    _Taken.scheduler = scheduler
    signal.signal(signal.SIGINT, _interrupt_main)
    try:
        yield
    finally:
        _Taken.scheduler = None
        _put_back_interrupts()


def _interrupt_main(number: int, frame: FrameType | None) -> None:
    """The handler. Somebody who has kept it may put it back when no scheduler runs any more."""
    if _Taken.scheduler is None:
        signal.default_int_handler(number, frame)
    else:
        _Taken.scheduler.interrupt_main()


def _put_back_interrupts() -> None:
    if signal.getsignal(signal.SIGINT) is _interrupt_main:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def leave_signals_to_parent() -> None:
    """In a forked child, whichever thread forked: it has no scheduler, and must not ring its parent's bell."""
    _Taken.scheduler = None
    _put_back_interrupts()
    rope, _Taken.rope = _Taken.rope, -1
    if rope != -1:
        with suppress(ValueError, OSError):  # a stranger's descriptor may be no good in a child
            _put_back(rope, -1)
