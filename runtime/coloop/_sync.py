"""An event: a flag that coroutines wait for."""

from __future__ import annotations

import itertools
from typing import Final

from ._errors import WaitTimeout
from ._line import WaitQueue

_ids: Final = itertools.count(1)


class Event:
    """A flag that coroutines can wait for. `set` wakes all who wait; it stays set until `clear`."""

    __slots__ = ("__weakref__", "_is_set", "_waiters", "id")

    def __init__(self) -> None:
        self.id = next(_ids)
        self._is_set = False
        self._waiters = WaitQueue()

    def is_set(self) -> bool:
        """Whether the flag is up."""
        return self._is_set

    def set(self) -> None:
        """Raise the flag and wake all who wait."""
        if self._waiters:
            self._waiters.wake_all()
        self._is_set = True  # at last: whoever is killed in the midst of this has not set it

    def clear(self) -> None:
        """Take the flag down: who waits from now on, waits."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Park until the flag is up.

        Args:
            timeout: seconds to wait at most.

        Returns:
            True when it is up, False when the time was over first (as `threading.Event.wait`).
        """
        if self._is_set:
            return True
        try:
            self._waiters.wait("wait for", self, timeout)
        except WaitTimeout:
            return self._is_set
        return True

    def __str__(self) -> str:
        return f"event#{self.id}"

    def __repr__(self) -> str:
        return f"<Event#{self.id} {'set' if self._is_set else 'clear'}, {len(self._waiters)} waiting>"
