"""Blocking calls on worker threads, so that the loop goes on meanwhile.

Threads are kept for reuse and are daemons: a name server that never answers must not keep the
process from ending. At most `MAX_THREADS` run at once per process; further calls wait in line.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, Final

from ._errors import NotRunning
from ._scheduler import Scheduler, current_scheduler

MAX_THREADS: Final = 32
IDLE_SECONDS: Final = 10.0

Work = Callable[[], None]


class _Pool:
    """Threads that take work from one line, made when all are busy and gone when idle for long."""

    def __init__(self) -> None:
        self.start_afresh()

    def start_afresh(self) -> None:
        """In a forked child too: the threads are its parent's, and one may have held the lock at the fork."""
        self._work: deque[Work] = deque()
        self._changed = threading.Condition()
        self._idle = self._threads = 0

    def submit(self, work: Work) -> None:
        with self._changed:
            self._work.append(work)
            if self._idle >= len(self._work) or self._threads >= MAX_THREADS:
                self._changed.notify()
                return
            self._threads += 1
        try:
            threading.Thread(target=self._serve, name="coloop-worker", daemon=True).start()
        except RuntimeError:
            self._take_back(work)
            raise

    def _take_back(self, work: Work) -> None:
        with self._changed:
            self._threads -= 1
            self._work.remove(work)

    def _serve(self) -> None:
        while (work := self._next()) is not None:
            work()
            del work  # it may hold what the caller wants to see freed

    def _next(self) -> Work | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: bool(self._work), IDLE_SECONDS)
            self._idle -= 1
            if self._work:
                return self._work.popleft()
            self._threads -= 1
            return None


_pool: Final = _Pool()


def leave_threads_to_parent() -> None:
    """In a forked child: calls are for threads of its own from now on."""
    _pool.start_afresh()


class _Errand:
    """One call on a thread, and the coroutine that waits for its outcome."""

    def __init__(self, scheduler: Scheduler, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.scheduler = scheduler
        self.coroutine = scheduler.running
        self.fn = fn
        self.args = args
        self.context: Context | None = copy_context()
        self.finished = False
        self.value: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """On the thread."""
        try:
            assert self.context is not None
            self.value = self.context.run(self.fn, *self.args)
        except BaseException as error:
            self.error = error
        self.context = None  # what was set in there is freed here, not when the coroutine gets round to it
        with suppress(NotRunning):  # the scheduler has ended meanwhile: nobody waits for this
            self.scheduler.call_soon_threadsafe(self.finish)

    def finish(self) -> None:
        """On the scheduler's thread; the coroutine may have gone away, cancelled."""
        self.finished = True
        self.scheduler.threads_pending -= 1
        if self.coroutine is not None:
            self.scheduler.wake(self.coroutine)


def to_thread(fn: Callable[..., Any], *args: Any) -> Any:
    """Call `fn(*args)` on a worker thread; park until it has returned.

    It sees the context variables of this coroutine; what it sets there, nobody else sees.

    When this coroutine is cancelled meanwhile, it goes its way; the call runs to its end on its
    thread and the outcome is dropped.

    Returns:
        What `fn` returned.

    Raises:
        BaseException: what `fn` raised.
        NotRunning: called outside of a coroutine.
    """
    scheduler = current_scheduler()
    if scheduler.running is None:
        raise NotRunning("to_thread works inside a coroutine only")
    scheduler.safe_point(scheduler.running)  # who was cancelled before begins nothing
    errand = _Errand(scheduler, fn, args)
    _pool.submit(errand.run)
    scheduler.threads_pending += 1
    try:
        scheduler.park("thread", getattr(fn, "__name__", type(fn).__name__))
    finally:
        errand.coroutine = None
    assert errand.finished
    if errand.error is not None:
        try:
            raise errand.error
        finally:
            errand.error = None
    return errand.value
