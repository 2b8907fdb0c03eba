"""A session ends on purpose in two ways: a line says so, or a signal asks for it.

Neither is a failure of the line that was running, so whatever contains failures lets both of them pass.

A signal becomes an exception in the main thread, wherever that is at the moment. In some places it is lost:
what is raised in a `__del__` or a weakref's callback Python prints and forgets. So it is looked after: when
the exception is gone and nobody has said that he has it, it is raised again.
"""

from __future__ import annotations

import signal
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

AGAIN_S: Final = 0.2


class Quit(Exception):
    """A line ends the session.

    Attributes:
        code: the exit code.
    """

    def __init__(self, code: int = 0) -> None:
        super().__init__(f"quit {code}")
        self.code = code


class Terminated(SystemExit):
    """A signal asks the process to end: raised in the main thread, whatever that does at the moment.

    A `SystemExit`, because asyncio, on which the prompt runs, lets that pass and keeps every other
    exception of a callback for its log.
    """


def is_summons(handler: Any) -> bool:
    """Whether a signal's handler is one of a `Summons`."""
    return isinstance(getattr(handler, "__self__", None), Summons)


class Summons:
    """SIGTERM and SIGHUP, raised as `Terminated` until someone has `heard` it.

    SIGALRM is its own from the first signal on. Main thread only, as Python's signals are.

    Args:
        again_s: how often to look whether the exception was lost.
    """

    def __init__(self, again_s: float = AGAIN_S) -> None:
        self._again_s = again_s
        self._raised: weakref.ref[Terminated] | None = None
        self._taken: dict[signal.Signals, Any] = {}  # the handler that SIGALRM had before

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """A body in which the signals are waited for; afterwards they do what they did before."""
        numbers = (signal.SIGTERM, signal.SIGHUP)
        previous = {number: signal.signal(number, self._come) for number in numbers}
        try:
            yield
        finally:
            self.heard()
            for number, handler in (previous | self._taken).items():
                signal.signal(number, handler)
            self._taken.clear()

    @contextmanager
    def taking_ctrl_c(self) -> Iterator[None]:
        """A body in which Ctrl-C is such a signal, too, and is not for the line that is running."""
        previous = signal.getsignal(signal.SIGINT)
        if previous is not signal.SIG_IGN:  # whoever started us does not want it to do anything
            signal.signal(signal.SIGINT, self._come)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)

    @contextmanager
    def ends_only_this(self) -> Iterator[None]:
        """A body that a signal, or Ctrl-C, cuts short; what comes behind it is done all the same."""
        try:
            yield
        except (Terminated, KeyboardInterrupt):
            self.heard()

    def heard(self) -> None:
        """Whoever caught `Terminated` says so."""
        if self._raised is not None:  # else the timer is somebody else's
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._raised = None

    def _come(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's
        previous = signal.signal(signal.SIGALRM, self._look_after)
        self._taken.setdefault(signal.SIGALRM, previous)
        self._raise()

    def _look_after(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - likewise
        if self._raised is None:
            return
        if self._raised() is None:  # nobody holds it: it was lost
            self._raise()
        else:  # still on its way; a second one would cut the `finally`s short that it passes
            signal.setitimer(signal.ITIMER_REAL, self._again_s)

    def _raise(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._again_s)
        raise self._looked_after(Terminated())

    def _looked_after(self, terminated: Terminated) -> Terminated:
        """The same; no frame of its traceback holds it, so that it goes when it is lost."""
        self._raised = weakref.ref(terminated)
        return terminated
