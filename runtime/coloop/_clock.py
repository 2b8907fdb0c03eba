"""Time is handed in: a clock tells the scheduler what time it is and how long it may sleep.

Only the top of a program chooses a clock. Everything below reads `scheduler.clock`, which is
why a test can wind a day forward in a microsecond (`coloop.testing.MockClock`).
"""

from __future__ import annotations

import time
from typing import Final, Protocol


class Clock(Protocol):
    """What the scheduler needs of time. All figures are seconds, as floats."""

    def now(self) -> float:
        """The time on this clock; it never goes back."""

    def real_seconds_until(self, deadline: float) -> float:
        """How long the thread may really sleep before it must look at `deadline` again; >= 0."""

    def skip_to(self, deadline: float) -> None:
        """Nothing can happen before `deadline`: go there at once."""

    @property
    def patience_s(self) -> float | None:
        """How many real seconds I/O must be silent before `skip_to` is called; None: this clock cannot skip."""


class MonotonicClock:
    """The machine's monotonic clock; a changed wall clock does not move it."""

    patience_s: Final = None

    now = staticmethod(time.monotonic)

    def real_seconds_until(self, deadline: float) -> float:
        """The plain difference."""
        return max(0.0, deadline - time.monotonic())

    def skip_to(self, deadline: float) -> None:
        """Real time cannot be skipped."""
