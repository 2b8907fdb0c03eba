"""Who has dropped what was not sent yet, and how much: numbers only, of the last coroutines that did.

A send returns when the kernel has a copy. A close that resets the connection drops what the other side has not
confirmed by then, and nobody hears of it: neither the sender, for whom all went well, nor its peer, who cannot know
what else was to come.
"""

from __future__ import annotations

from typing import Final, NamedTuple

KEPT: Final = 256  # coroutines, as of the dead


class Loss(NamedTuple):
    """What a coroutine has dropped.

    Attributes:
        name: how that coroutine was called.
        size: bytes that were not confirmed, of all connections together.
        at_s: when it last did so, on the scheduler's clock.
    """

    name: str
    size: int
    at_s: float


class Losses:
    """By coroutine, bounded."""

    def __init__(self) -> None:
        self._by_coroutine: dict[int, Loss] = {}

    def add(self, coroutine: int, name: str, size: int, now_s: float) -> None:
        """Note that a coroutine has dropped `size` bytes."""
        before = self._by_coroutine.pop(coroutine, None)
        self._by_coroutine[coroutine] = Loss(name, size + (before.size if before else 0), now_s)
        if len(self._by_coroutine) > KEPT:
            del self._by_coroutine[next(iter(self._by_coroutine))]

    def by_coroutine(self) -> dict[int, Loss]:
        """All that is remembered, by the number of the coroutine; from any thread."""
        return self._by_coroutine.copy()

    def of(self, coroutine: int) -> Loss | None:
        """What that coroutine has dropped; None if nothing, or if that is forgotten."""
        return self._by_coroutine.get(coroutine)
