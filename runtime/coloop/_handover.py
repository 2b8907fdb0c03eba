"""Other threads get the interpreter, however busy the coroutines are.

A poll that does not wait gives the interpreter up for a microsecond. That is too short for another thread
to wake up and take it, and yet it starts that thread's wait for a forced hand-over (5 ms, see
`sys.getswitchinterval`) anew. A loop that polls more often than that starves all other threads: measured on
two cores with CPython 3.11, a thread that slept 300 times for 1 ms beside it was done after 90 s instead of
0.4 s, and once 3 s late. So a loop that has not waited for 5 ms stands back for 50 us, which costs it one
or two per cent, and brings that thread down to 1.5 s and 10 ms. The native poller keeps the interpreter when
it does not wait; it is told of here all the same, as 5 ms are long for a thread that waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

CHANCE_S: Final = 50e-6  # in which a thread that waits can wake up
EVERY_S: Final = 0.005  # CPython's own switch interval


class Handover:
    """Remembers when other threads last had a chance.

    Args:
        others: whether there are other threads.
        pause: waits for so many seconds, with the interpreter free for others.
    """

    __slots__ = ("_last_s", "_others", "_pause")

    def __init__(
        self,
        others: Callable[[], bool] = lambda: threading.active_count() > 1,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._others = others
        self._pause = pause
        self._last_s = float("-inf")

    def polled(self, began_s: float, ended_s: float) -> None:
        """To be told of every poll; stands back if no thread has had a chance for long."""
        if ended_s - began_s >= CHANCE_S:
            self._last_s = ended_s
        elif ended_s - self._last_s >= EVERY_S:
            self._last_s = ended_s
            if self._others():
                self._pause(CHANCE_S)
