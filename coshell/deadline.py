"""A run ends in time, whatever it does.

When the time is over, whatever the shell waits for is interrupted, as by Ctrl-C, and again and again until it has
ended: a coroutine may catch the first exception, and one that computes must be killed. What does not
wait for a coroutine at all, such as a program of the system's shell, hears a real signal.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

PUSH_S: Final = 1.0


class Deadline:
    """A context that is interrupted when its time is over.

    Args:
        limit_s: real seconds.
        expire: called then, on another thread, before anything is interrupted.
        interrupt: interrupts what is waited for; False if nothing is.
        push_s: how long to wait for the end before it is interrupted again.

    Attributes:
        expired: the time was over first.
    """

    def __init__(
        self,
        limit_s: float,
        expire: Callable[[], None],
        interrupt: Callable[[], bool],
        push_s: float = PUSH_S,
    ) -> None:
        self._limit_s = limit_s
        self._expire = expire
        self._interrupt = interrupt
        self._push_s = push_s
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="coshell deadline", daemon=True)
        self.expired = False

    def __enter__(self) -> Self:
        try:
            self._watcher.start()
        except BaseException:  # its first push, if it came before this thread had its next turn
            self._over.set()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with suppress(KeyboardInterrupt):  # the last push, if it came too late
            self._watcher.join()

    def _watch(self) -> None:
        if self._over.wait(self._limit_s):
            return
        self.expired = True
        self._expire()
        while not self._over.is_set():
            if not self._interrupt() and not self._over.wait(self._push_s):
                _signal_main_thread()
            self._over.wait(self._push_s)


def _signal_main_thread() -> None:
    """Ctrl-C for the main thread, if Python would raise something there."""
    main = threading.main_thread().ident
    if main is not None and callable(signal.getsignal(signal.SIGINT)):
        signal.pthread_kill(main, signal.SIGINT)
