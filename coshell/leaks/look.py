"""What is seen at one moment: numbers by place of birth, and nothing that would keep anything alive.

A look that was *collected* was taken behind a full collection, so what it shows is held by somebody. It also
knows what the collector has found, and on whose account that was. Others show garbage and free lists too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from coloop import SpawnSite


@dataclass(frozen=True, slots=True)
class Look:
    """All places of birth at one moment. Sizes in bytes.

    Attributes:
        at_s: when, on the scheduler's clock.
        sites: what was born where, by place.
        exact: whether heaps are counted block by block.
        collected: whether it was taken behind a full collection.
        garbage: what that collection has freed of each place's accounts, where that is known exactly.
        garbage_bytes: all that it has freed; free lists do not count.
        spare_bytes: what CPython had kept for later in its free lists, and gave back for this look.
        garbage_objects: how many objects that were.
        garbage_types: how many of each type; the most frequent.
        found_unasked: objects that the collector has ever found when nobody asked it to.
        total_bytes: all that the ledger counts; None below level `heap`.
        outside_bytes: what of that was allocated in no coroutine.
        unattended: open connections that nobody reads from and nobody writes to, by who made them.
        places: live heap by place of allocation, at level `sites`.
        pause_s: for how long nobody ran because of this look.
        lived_s: for how long coroutines could run since the watching began: the pauses of looks, and what the
            machine was late by, do not count. None for a look in passing.
    """

    at_s: float
    sites: Mapping[str, SpawnSite]
    exact: bool = False
    collected: bool = False
    garbage: Mapping[str, int] = field(default_factory=dict)
    garbage_bytes: int = 0
    spare_bytes: int = 0
    garbage_objects: int = 0
    garbage_types: Mapping[str, int] = field(default_factory=dict)
    found_unasked: int = 0
    total_bytes: int | None = None
    outside_bytes: int = 0
    unattended: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)
    pause_s: float = 0.0
    lived_s: float | None = None

    @property
    def age_s(self) -> float:
        """The time against which growth is set: what was lived, where that is known, else the clock's."""
        return self.at_s if self.lived_s is None else self.lived_s

    @property
    def finished(self) -> int:
        """How many coroutines have ended, of all places."""
        return sum(line.finished for line in self.sites.values())


def heap_of(line: SpawnSite) -> int:
    """What the living and the dead of a place hold together."""
    return (line.live_bytes or 0) + (line.residue_bytes or 0)
