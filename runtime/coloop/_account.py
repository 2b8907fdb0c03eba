"""What is counted for a coroutine, and the picture of it that others see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LIMIT_HEADROOM_BYTES: Final = 64 * 1024  # room to handle a MemoryLimitExceeded


@dataclass(frozen=True, slots=True)
class Account:
    """A coroutine's account at one moment. Sizes in bytes; None where the level does not tell.

    Attributes:
        heap_bytes: live heap that it has allocated. Without the native ledger: allocated less freed while it ran;
            what it allocated and another one freed still counts.
        heap_blocks: live blocks; None without the native ledger.
        heap_peak: the largest `heap_bytes` so far; without the native ledger the largest seen at a switch.
        allocated_total: all that it has ever allocated; without the native ledger the sum of all growth between
            switches, a lower bound.
        stack_bytes: saved C stack plus data-stack chunks.
        frames: depth of the Python stack.
        sockets: open sockets that it made.
        timers: timers that are set for it.
        defers: calls that wait for its end.
        limit: its heap limit, if it has one.
    """

    heap_bytes: int | None
    heap_blocks: int | None
    heap_peak: int | None
    allocated_total: int | None
    stack_bytes: int
    frames: int
    sockets: int
    timers: int
    defers: int
    limit: int | None


class Tally:
    """What the ledger counts for one coroutine."""

    __slots__ = (
        "allocated_total",
        "crossings",
        "heap_bytes",
        "heap_peak",
        "last_growth",
        "limit",
        "tripwire",
    )

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.limit = limit_bytes
        self.tripwire = limit_bytes  # what is looked at; moved up each time that it was crossed
        self.crossings = 0
        self.heap_bytes = self.heap_peak = self.allocated_total = self.last_growth = 0

    def reset(self) -> None:
        """Count from zero."""
        self.heap_bytes = self.heap_peak = self.allocated_total = self.last_growth = 0

    def add(self, growth_bytes: int) -> None:
        """Charge what the heap grew by, or credit what it shrank by, while this one ran."""
        self.last_growth = growth_bytes
        self.heap_bytes += growth_bytes
        if growth_bytes > 0:
            self.allocated_total += growth_bytes
            self.heap_peak = max(self.heap_peak, self.heap_bytes)

    def become(self, heap_bytes: int, heap_peak: int, allocated_total: int) -> None:
        """Take over figures that were counted elsewhere."""
        self.last_growth = heap_bytes - self.heap_bytes
        self.heap_bytes, self.heap_peak, self.allocated_total = heap_bytes, heap_peak, allocated_total

    def crosses_limit(self) -> bool:
        """Whether it has, and has not been told: once for the limit, then for each headroom above that.

        `crossings` counts how often; it begins anew when the figure is back below the limit.
        """
        if self.limit is None or self.tripwire is None:
            return False
        if self.heap_bytes <= self.limit:
            self.tripwire, self.crossings = self.limit, 0
            return False
        if self.heap_bytes <= self.tripwire:
            return False
        self.tripwire = self.heap_bytes + LIMIT_HEADROOM_BYTES
        self.crossings += 1
        return True
