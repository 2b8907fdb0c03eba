"""What was seen while nobody asked, so that whoever asks gets an answer at once.

So many looks are kept and no more, evenly from the first to the last: when there are too many, every other
one goes, and from then on only every other one is kept that comes. So they cover a minute as well as a day.
"""

from __future__ import annotations

from collections.abc import Iterator
from sys import getsizeof
from typing import Final, NamedTuple

from .look import Look

MAX_LOOKS: Final = 60
MAX_BYTES: Final = 2 * 1024 * 1024


class _Kept(NamedTuple):
    number: int
    look: Look
    size: int


class History:
    """Looks, oldest first.

    Args:
        max_looks: how many are kept.
        max_bytes: how much they may take all together.
    """

    def __init__(self, max_looks: int = MAX_LOOKS, max_bytes: int = MAX_BYTES) -> None:
        self._max_looks = max_looks
        self._max_bytes = max_bytes
        self._kept: list[_Kept] = []
        self._seen = 0
        self._stride = 1

    def add(self, look: Look) -> None:
        """Remember a look; what came before another level of accounting, or a clock of another scheduler, goes."""
        if self._kept and not _continues(self._kept[-1].look, look):
            self.clear()
        if self._kept and self._kept[-1].number % self._stride:
            del self._kept[-1]  # it was there for being the last
        self._kept.append(_Kept(self._seen, look, _size_of(look)))
        self._seen += 1
        while len(self._kept) > 2 and (len(self._kept) > self._max_looks or self.bytes > self._max_bytes):
            self._stride *= 2
            *before, last = self._kept
            self._kept = [*(kept for kept in before if kept.number % self._stride == 0), last]

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
        self._seen, self._stride = 0, 1

    @property
    def bytes(self) -> int:
        """What the looks take, by a rough count."""
        return sum(kept.size for kept in self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Look]:
        return iter([kept.look for kept in self._kept.copy()])


def _continues(before: Look, after: Look) -> bool:
    same_kind = (before.total_bytes is None) == (after.total_bytes is None) and before.exact == after.exact
    return same_kind and after.at_s >= before.at_s


def _size_of(look: Look) -> int:
    size = getsizeof(look) + getsizeof(look.sites)
    for site, line in look.sites.items():
        size += getsizeof(line) + getsizeof(site) + sum(map(getsizeof, line))
    return size
