"""What happens while nobody asks for it is told as a line: a death, a standstill, a call that ends late.

Everything here is called on the scheduler's thread, in no coroutine, and must return at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coloop import CoroutinePicture, Failure

from .bridge import Bridge, deadlock_report
from .failures import Failures, death_of
from .mishaps import one_line
from .output import Output


class Herald:
    """Hears from a bridge, and tells on an output.

    Args:
        output: where it is told.
        failures: where deaths are kept.
        ascii_only: whether nothing but ASCII may be shown.
        lines_of: what is shown of the value of a call that ended late.
    """

    def __init__(
        self,
        output: Output,
        failures: Failures,
        ascii_only: Callable[[], bool],
        lines_of: Callable[[Any], tuple[str, ...]],
    ) -> None:
        self._output = output
        self._failures = failures
        self._ascii_only = ascii_only
        self._lines_of = lines_of
        self._told: set[int] = set()

    def listen_to(self, bridge: Bridge, *, standstills: bool) -> None:
        """Be told from now on what happens there; of standstills only where somebody could end them."""
        bridge.on_failure = self.tell_death
        bridge.on_warning = self._output.notice
        bridge.on_late = self.tell_late
        if standstills:
            bridge.on_stall = self.tell_standstill

    def tell_death(self, failure: Failure) -> None:
        """An exception has ended a coroutine, and nobody joins it."""
        death = death_of(failure)
        self._failures.add(death)
        self._output.report(death.line(ascii_only=self._ascii_only()))

    def tell_standstill(self, coroutines: tuple[CoroutinePicture, ...]) -> None:
        """Only somebody outside can wake any of these.

        Whoever waits alone may well be waiting for what is typed next, and who is suspended has asked for
        it. But several wait for each other; that is told once, not again while one of them still waits.
        """
        waiting = {picture.id for picture in coroutines if picture.waiting_on != "suspend"}
        if len(waiting) > 1 and not waiting & self._told:
            self._told = waiting
            self._output.notice(deadlock_report(coroutines))

    def tell_late(self, value: Any, error: BaseException | None) -> None:
        """A call that nobody waited for any more has ended."""
        if error is not None:
            self._output.notice(one_line(error), "error")
            return
        for line in self._lines_of(value):
            self._output.notice(line, "")
