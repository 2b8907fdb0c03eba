"""What tests of coroutine programs need instead of sleeping: part of the product.

* `MockClock`: time that passes when nobody has anything else to do, or when told to.
* `wait_until_idle`: go on when all the others have come to rest.
* `Sequencer`: blocks in several coroutines that run in the order of their numbers.
* `socket_pair`: two connected sockets without an address.
"""

from __future__ import annotations

import math
import socket
from typing import Final

from ._errors import WaitTimeout
from ._scheduler import current_scheduler
from ._sequencer import Sequencer
from ._socket import Socket, adopt_socket
from ._timers import check_seconds

AUTOJUMP_PATIENCE_S: Final = 0.01  # real time for which sockets must be silent before the clock jumps

__all__ = ["MockClock", "Sequencer", "socket_pair", "wait_until_idle"]


class MockClock:
    """A clock for `run(clock=...)`; starts at 0.

    Args:
        autojump: wind forward to the next timer whenever all are parked and I/O is silent. Without
            it, time stands still until `advance`.
    """

    def __init__(self, *, autojump: bool = True) -> None:
        self.autojump = autojump
        self._now = 0.0

    def now(self) -> float:
        """Seconds since the start, on this clock."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Wind forward; call it from a coroutine. What is due by then runs at the next turn."""
        self._now += check_seconds(seconds, "advance")

    def real_seconds_until(self, deadline: float) -> float:
        """Either none, or all there are: time does not pass by itself here."""
        return 0.0 if deadline <= self._now else math.inf

    def skip_to(self, deadline: float) -> None:
        """Nothing can happen before that."""
        self._now = max(self._now, deadline)

    @property
    def patience_s(self) -> float | None:
        """How long sockets must be silent before the clock jumps."""
        return AUTOJUMP_PATIENCE_S if self.autojump else None


def wait_until_idle(timeout: float | None = None) -> bool:
    """Park until every other coroutine is parked and no descriptor is ready.

    Args:
        timeout: seconds to wait at most.

    Returns:
        True when all have come to rest, False when the time was over first.
    """
    try:
        current_scheduler().wait_until_idle(timeout)
    except WaitTimeout:
        return False
    return True


def socket_pair() -> tuple[Socket, Socket]:
    """Two sockets that are connected to each other, owned by the running coroutine."""
    current_scheduler()  # where there is none, nothing is opened
    left, right = socket.socketpair()
    return adopt_socket(left), adopt_socket(right)
