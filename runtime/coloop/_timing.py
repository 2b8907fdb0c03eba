"""When to wake whom: calls that are due later, and sleep.

The root fires what is due, a bounded number in each turn. A timer that outlives the wait it was set for
would end a later one; so from the moment when it is set nobody is killed until `park` has seen to that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ._switching import Switching
from ._timers import Timer, check_seconds


class Timing(Switching):
    """A `Switching` that knows when to wake whom."""

    def sleep(self, seconds: float) -> None:
        """Park for so many seconds of the scheduler's clock; 0 only yields."""
        if check_seconds(seconds, "sleep") == 0:
            self.yield_now()
            return
        self.check_thread("sleep")
        me, timer = self.running, None
        exposed, self.exposed = self.exposed, None
        try:
            timer = self.call_later(seconds, self.wake, me)
            self.park("sleep", timer)
        finally:
            self.exposed = None
            if timer is not None:
                timer.cancel()
            self.exposed = exposed

    def call_later(self, delay_s: float, fn: Callable[..., Any], *args: Any) -> Timer:
        """Call `fn(*args)` once, `delay_s` seconds from now, in no coroutine; it must not park.

        Returns:
            The timer, with `cancel()`.

        Raises:
            ValueError: delay_s is negative, infinite or NaN.
            WrongThread: called from another thread.
        """
        if threading.get_ident() != self.thread_id:
            self.check_thread("call_later")
        deadline = self.clock.now() + check_seconds(delay_s, "delay")
        return self.timers.add(deadline, fn, *args, owner=self.running)

    def fire_timers(self, at_most: int) -> None:
        """In the root: make the calls that are due."""
        now = self.clock.now()
        for _ in range(at_most):
            call = self.timers.pop_expired(now)
            if call is None:
                return
            fn, args = call
            try:
                fn(*args)
            except Exception as error:
                self.call_failed(fn, error)

    def call_failed(self, fn: Callable[..., Any], error: Exception) -> None:
        """A call that belongs to no coroutine may fail, and must not end the loop."""
        raise NotImplementedError
