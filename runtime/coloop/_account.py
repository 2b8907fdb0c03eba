"""What is counted for a coroutine, and the picture of it that others see."""

from __future__ import annotations

from dataclasses import dataclass


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
        dropped_bytes: what it has dropped by closes that reset the connection: bytes that the other side had not
            confirmed.
        dropped_ago_s: since when; None if it has dropped nothing.
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
    dropped_bytes: int = 0
    dropped_ago_s: float | None = None


class Tally:
    """What the ledger counts for one coroutine."""

    __slots__ = (
        "allocated_total",
        "heap_bytes",
        "heap_peak",
        "last_growth",
    )

    def __init__(self) -> None:
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
