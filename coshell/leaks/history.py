"""What was seen while nobody asked, so that whoever asks gets an answer at once.

The looks are thinned out as they grow old: when there are too many, every other one of the older half goes.
So a fixed number of them covers a minute as well as a day, and the ends are never lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from sys import getsizeof
from typing import Final

from .look import Look

MAX_LOOKS: Final = 60
MAX_BYTES: Final = 2 * 1024 * 1024


class History:
    """Looks, oldest first.

    Args:
        max_looks: how many are kept.
        max_bytes: how much they may take all together.
    """

    def __init__(self, max_looks: int = MAX_LOOKS, max_bytes: int = MAX_BYTES) -> None:
        self._looks: list[Look] = []
        self._max_looks = max_looks
        self._max_bytes = max_bytes
        self._sizes: list[int] = []

    def add(self, look: Look) -> None:
        """Remember a look; what came before another level of accounting, or a clock of another scheduler, goes."""
        if self._looks and not _continues(self._looks[-1], look):
            self.clear()
        self._looks.append(look)
        self._sizes.append(_size_of(look))
        while len(self._looks) > 2 and (len(self._looks) > self._max_looks or self.bytes > self._max_bytes):
            self._thin_out()

    def clear(self) -> None:
        """Forget all."""
        self._looks.clear()
        self._sizes.clear()

    @property
    def bytes(self) -> int:
        """What the looks take, by a rough count."""
        return sum(self._sizes)

    def _thin_out(self) -> None:
        """Every other one of the older half, but not the first."""
        half = max(2, len(self._looks) // 2)
        kept = [place for place in range(len(self._looks)) if place >= half or place % 2 == 0]
        self._looks = [self._looks[place] for place in kept]
        self._sizes = [self._sizes[place] for place in kept]

    def __len__(self) -> int:
        return len(self._looks)

    def __iter__(self) -> Iterator[Look]:
        return iter(list(self._looks))


def _continues(before: Look, after: Look) -> bool:
    same_kind = (before.total_bytes is None) == (after.total_bytes is None) and before.exact == after.exact
    return same_kind and after.at_s >= before.at_s


def _size_of(look: Look) -> int:
    size = getsizeof(look) + getsizeof(look.sites)
    for site, line in look.sites.items():
        size += getsizeof(line) + getsizeof(site) + sum(map(getsizeof, line))
    return size
