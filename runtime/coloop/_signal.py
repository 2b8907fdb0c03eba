"""Waiting for a signal of the operating system.

Python runs signal handlers on the main thread only, between any two of its instructions. So ours only
puts a note into the loop's queue of calls, and the loop hands the signal out. That the loop wakes for it is
`_main_thread.py`'s business.

While a signal has listeners its usual handler is out of office: SIGTERM does not end the program, and
Ctrl-C does not reach main. The last listener puts back what was there.
"""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Final

from ._errors import Closed, CoroutineError, NotRunning, WrongThread
from ._line import WaitQueue
from ._scheduler import Scheduler, current_scheduler

_UNCATCHABLE: Final = frozenset({signal.SIGKILL, signal.SIGSTOP})

_ids: Final = itertools.count(1)


class signals:  # noqa: N801 - reads as the statement that it is
    """`with signals(SIGHUP, SIGTERM) as inbox:` gathers those signals from here to the end of the block.

    None is lost between two calls of `receive`. As in the kernel, one that waits already is not noted twice. Every
    block that is open for a signal gets it; several coroutines that receive from one block take turns.

    Args:
        *wanted: which signals.

    Raises:
        ValueError: none is given, or what is given is no signal or cannot be caught.
        NotRunning: entered where no scheduler runs.
        WrongThread: entered on another thread than the main one.
    """

    __slots__ = ("__weakref__", "_line", "_open", "_pending", "_scheduler", "_wanted", "id")

    def __init__(self, *wanted: int) -> None:
        if not wanted:
            raise ValueError("signals takes at least one signal, such as signal.SIGHUP")
        self.id = next(_ids)
        self._wanted = tuple(dict.fromkeys(_checked(number) for number in wanted))
        self._pending: dict[signal.Signals, None] = {}
        self._line = WaitQueue()
        self._scheduler: Scheduler | None = None
        self._open = False

    def receive(self, timeout: float | None = None) -> signal.Signals:
        """The next signal; parks while none has come.

        Args:
            timeout: seconds to wait at most.

        Raises:
            Timeout: none came in time.
            Closed: the block has ended.
            WrongThread: called on another thread.
        """
        scheduler = self._checked_scheduler()
        scheduler.checkpoint()
        if not self._open:
            raise self._closed_error()
        if self._pending:
            first = next(iter(self._pending))
            del self._pending[first]
            return first
        scheduler.poller.waiting += 1  # the world outside may end this wait: no deadlock
        try:
            received: signal.Signals = self._line.wait("signal", self._names(), timeout)
        finally:
            scheduler.poller.waiting -= 1
        return received

    def __iter__(self) -> Iterator[signal.Signals]:
        """Receive until the block ends."""
        while True:
            try:
                received = self.receive()
            except Closed:
                if self._open:
                    raise
                return
            yield received

    def __enter__(self) -> signals:  # noqa: PYI034 - nobody derives from it
        if self._scheduler is not None:
            raise CoroutineError(f"{self}: a block of signals is entered once: make a new one")
        scheduler = current_scheduler()
        if threading.current_thread() is not threading.main_thread():
            raise WrongThread(
                "signals are heard on the main thread only: start this scheduler there, or wait for signals there "
                "and pass them on with scheduler.call_soon_threadsafe(...)"
            )
        self._scheduler = scheduler
        self._open = True
        try:
            _desk.add(self)
        except BaseException:
            self._open = False
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = False
        _desk.remove(self)
        self._line.interrupt_all(self._closed_error)

    def _arrive(self, number: signal.Signals) -> None:
        """In the root."""
        assert self._scheduler is not None
        waiter = self._line.first(self._scheduler)
        if waiter is not None:
            self._scheduler.wake(waiter, number)
        elif self._open:
            self._pending[number] = None

    def _checked_scheduler(self) -> Scheduler:
        scheduler = self._scheduler
        if scheduler is None:
            raise CoroutineError(f"{self} is not open: receive inside of `with signals(...) as inbox:`")
        if threading.get_ident() != scheduler.thread_id:
            raise WrongThread(
                f"{self}: its scheduler runs on another thread; use scheduler.call_soon_threadsafe(...)"
            )
        return scheduler

    def _closed_error(self) -> Closed:
        return Closed(f"{self}: its block has ended")

    def _names(self) -> str:
        return " or ".join(number.name for number in self._wanted)

    def __str__(self) -> str:
        return f"signals#{self.id}"

    def __repr__(self) -> str:
        return f"<{self} {self._names()}, {len(self._pending)} pending, {len(self._line)} waiting>"


def wait_signal(*wanted: int, timeout: float | None = None) -> signal.Signals:
    """Park until one of these signals arrives, and say which.

    Between two calls a signal does what it always does, which is to end the program, as a rule: for more
    than one use `signals`. All who wait for a signal are woken by it.

    Args:
        *wanted: which signals.
        timeout: seconds to wait at most.

    Raises:
        Timeout: none came in time.
        ValueError: none is given, or what is given is no signal or cannot be caught.
        NotRunning: called outside of a coroutine.
        WrongThread: the scheduler does not run on the main thread.
    """
    with signals(*wanted) as inbox:
        return inbox.receive(timeout)


def _checked(number: int) -> signal.Signals:
    try:
        found = signal.Signals(number)
    except ValueError:
        raise ValueError(f"{number!r} is no signal") from None
    if found in _UNCATCHABLE:
        raise ValueError(f"{found.name} cannot be caught")
    return found


class _Desk:
    """Who listens to which signal in this process, and what they put out of office."""

    def __init__(self) -> None:
        self._listeners: dict[signal.Signals, list[signals]] = {}
        self._previous: dict[signal.Signals, Any] = {}

    def add(self, inbox: signals) -> None:
        """From now on it hears of what it wants."""
        self._forget_the_dead()
        try:
            for number in inbox._wanted:
                self._listeners.setdefault(number, []).append(inbox)
                if number not in self._previous:
                    self._previous[number] = signal.getsignal(number)
                    signal.signal(number, self._heard)
        except BaseException:
            self.remove(inbox)
            raise

    def remove(self, inbox: signals) -> None:
        """It hears no more; a second time nothing happens."""
        for number in inbox._wanted:
            listeners = self._listeners.get(number, [])
            if listeners == [inbox]:
                self._put_back(number)
            if inbox in listeners:
                listeners.remove(inbox)

    def leave_to_parent(self) -> None:
        """In a forked child nobody listens, and signals do what they did before."""
        for number in list(self._previous):
            self._put_back(number)
        self._listeners.clear()

    def _put_back(self, number: signal.Signals) -> None:
        previous = self._previous.pop(number, None)
        if signal.getsignal(number) == self._heard:
            signal.signal(number, signal.SIG_DFL if previous is None else previous)

    def _forget_the_dead(self) -> None:
        """Blocks whose scheduler has ended and whose coroutine never let go, whatever was done to it."""
        for inbox in {inbox for listeners in self._listeners.values() for inbox in listeners}:
            if inbox._scheduler is not None and inbox._scheduler.over:
                self.remove(inbox)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        """The handler."""
        self._forget_the_dead()
        listeners = self._listeners.get(signal.Signals(number), ())
        for inbox in tuple(listeners):
            if inbox._scheduler is not None:
                with suppress(NotRunning):
                    inbox._scheduler.call_soon_threadsafe(inbox._arrive, signal.Signals(number))
        if not listeners:  # all were dead: it is as if nobody had listened
            signal.raise_signal(number)


_desk: Final = _Desk()


def leave_listening_to_parent() -> None:
    """In a forked child: whoever listened there is its parent's."""
    _desk.leave_to_parent()
