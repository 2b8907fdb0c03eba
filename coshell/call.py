"""A call is a function on its way to another thread, and its answer on the way back.

Whoever waits for the answer waits for one of three things: the answer, Ctrl-C, or the end of his patience. They come
through one queue, because a thread that waits in two places waits in none. Either side may be first: a
call that was given up before it began is never made, and a call that has begun goes on without an audience.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Final

import coloop
from coloop import Coroutine, Killed

from .ending import is_summons

DONE: Final = "done"
INTERRUPT: Final = "interrupt"
TICK: Final = "tick"


class Call:
    """One call.

    Args:
        fn: a plain function; it may park.
        args: its arguments.
        name: what the coroutine is called that makes it.
        patience_s: how long whoever waits for it bears with somebody who does not let it come to its turn.

    Attributes:
        name: as given.
        patience_s: as given.
        coroutine: who makes it, as soon as it is being made.
        finished: the answer is there.
        given_up: nobody waits for it any more.
        interrupts: how often Ctrl-C has come for it.
    """

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...], name: str, patience_s: float = math.inf
    ) -> None:
        self.name = name
        self.patience_s = patience_s
        self.coroutine: Coroutine | None = None
        self.finished = False
        self.given_up = False
        self.interrupts = 0
        self.value: Any = None
        self.error: BaseException | None = None
        self._fn = fn
        self._args = args
        self._events: SimpleQueue[str] = SimpleQueue()
        self._beginning = threading.Lock()

    # -- by whoever makes it ---------------------------------------------------------------------

    def make(self) -> None:
        """In a coroutine: make the call and keep what comes of it, unless it was given up."""
        with self._beginning:
            if self.given_up:
                return
            self.coroutine = coloop.current()
        try:
            self.value = self._fn(*self._args)
        except BaseException as error:
            self.error = _without_head(error)
        self.finish()

    def fail(self, error: BaseException) -> None:
        """It ends without having been made, or before it could answer."""
        if not self.finished:
            self.error = error
            self.finish()

    def finish(self) -> None:
        """The answer is there."""
        self.finished = True
        self._events.put(DONE)

    # -- by whoever waits for it -------------------------------------------------------------------

    def next_event(self, patience_s: float) -> str:
        """`DONE`, `INTERRUPT`, or `TICK` when so much time has passed.

        The wait is never without an end: a signal that comes just before the thread blocks does not wake it.
        """
        try:
            return self._events.get(timeout=patience_s)
        except Empty:
            return TICK
        except KeyboardInterrupt:  # raised by a handler of SIGINT that is not ours
            return INTERRUPT

    def interrupt(self) -> None:
        """Ctrl-C has come for it; from any thread, and from a signal handler."""
        self._events.put(INTERRUPT)

    def give_up(self) -> bool:
        """Wait for it no longer; returns whether it had begun, and so goes on."""
        with self._beginning:
            self.given_up = True
            return self.coroutine is not None

    def answer(self) -> Any:
        """Give what it returned, or raise what it raised; once."""
        value, error = self.value, self.error
        self.value = self.error = None
        if isinstance(error, Killed) and self.interrupts:
            error = KeyboardInterrupt()
        if error is None:
            return value
        try:
            raise error
        finally:
            del error  # else the traceback holds this frame, which holds the error

    @contextmanager
    def taking_ctrl_c(self) -> Iterator[None]:
        """On the main thread Ctrl-C becomes an event of this call in this block, and raises nothing anywhere.

        Not if it is ignored, or asks for the end of the session.
        """
        is_main = threading.current_thread() is threading.main_thread()
        previous = signal.getsignal(signal.SIGINT) if is_main else None
        if previous in {None, signal.SIG_IGN} or is_summons(previous):
            yield
            return

        def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's
            self.interrupt()

        signal.signal(signal.SIGINT, handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)


def _without_head(error: BaseException) -> BaseException:
    """Without the frame that caught it, which holds the call, which holds the error."""
    return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
