"""What the heap of each coroutine was, and of all that were born at one place, from the first look to the last.

The monitor looks, and a timeline remembers. All that it keeps is bounded: the more there are to remember, the
fewer points each of them gets; then the dead are forgotten, those that ended first before the others, and at
last the small. The curves of everything together are never touched by that.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from coloop import Snapshot

from .curve import MAX_POINTS, MIN_POINTS, Curve, Point

LIMIT_BYTES: Final = 512 * 1024
NAME_LENGTH: Final = 120
TRACK_BYTES: Final = 600  # a curve's objects, its names, and their places in two dicts
POINT_BYTES: Final = 18  # a time and a value, with what their arrays have to spare


@dataclass(frozen=True)
class Trace:
    """How the heap of somebody went.

    Attributes:
        name: the coroutine's, or the place of birth.
        id: the coroutine's number; None for a place, and for all together.
        site: where it was born.
        points: bytes over time, oldest first.
    """

    name: str
    id: int | None
    site: str
    points: tuple[Point, ...]

    @property
    def label(self) -> str:
        """`co#2 leaky`, or the place."""
        return self.name if self.id is None else f"co#{self.id} {self.name}"


@dataclass(frozen=True, slots=True)
class Track:
    """What is remembered of a coroutine, or of all that were born at one place; see `Trace`."""

    name: str
    site: str
    id: int | None
    curve: Curve

    def trace(self) -> Trace:
        """As it is now."""
        return Trace(self.name, self.id, self.site, self.curve.points())

    @property
    def own_bytes(self) -> int:
        """What it takes to remember it."""
        return self.curve.own_bytes + sum(map(sys.getsizeof, (self, self.name, self.site)))


class Timeline:
    """Remembers what the pictures of one scheduler showed; may be read while another thread adds to it.

    Args:
        limit_bytes: what all of it may take.

    Attributes:
        limit_bytes: likewise.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._heap, self._coroutines, self._connections = Curve(), Curve(), Curve()
        self._of: dict[int, Track] = {}
        self._sites: dict[str, Track] = {}

    def clear(self) -> None:
        """Forget everything: there is another scheduler, with another clock."""
        with self._lock:
            self._forget()

    def add(self, snapshot: Snapshot, by_site: Mapping[str, int] | None = None) -> None:
        """Note what a picture shows; a light one, of a hogged scheduler, shows too little.

        Args:
            snapshot: the picture.
            by_site: the heap by place of birth, in bytes, with what the dead have left; None if nobody knows, and
                then the picture is added up, if it shows everybody.
        """
        if not snapshot.responsive:
            return
        with self._lock:
            at_s = snapshot.taken_at
            self._coroutines.add(at_s, snapshot.live)
            self._connections.add(at_s, sum(held.role != "listener" for held in snapshot.sockets))
            if snapshot.heap_bytes is None:
                return
            self._heap.add(at_s, snapshot.heap_bytes)
            self._add_coroutines(snapshot)
            held = _added_up(snapshot) if by_site is None else by_site
            if held:
                self._add_sites(at_s, held)

    def _add_coroutines(self, snapshot: Snapshot) -> None:
        room, sites = self._room(), {track.site: track.site for track in self._of.values()}
        for picture in snapshot.coroutines:
            track = self._of.pop(picture.id, None)  # to the end: what stands first has been gone for longest
            if track is None:
                site = picture.spawned_at[:NAME_LENGTH]
                site = sites.setdefault(site, site)
                track = Track(picture.name[:NAME_LENGTH], site, picture.id, Curve())
            self._of[picture.id] = track
            track.curve.add(snapshot.taken_at, picture.heap_bytes or 0, room)
        self._make_room(self._of, {picture.id for picture in snapshot.coroutines})

    def _add_sites(self, at_s: float, held: Mapping[str, int]) -> None:
        room = self._room()
        for site, heap_bytes in held.items():
            name = site[:NAME_LENGTH]
            track = self._sites.pop(name, None) or Track(name, name, None, Curve())
            self._sites[name] = track
            track.curve.add(at_s, heap_bytes, room)
        present = {site[:NAME_LENGTH] for site in held}
        for name, track in self._sites.items():
            if name not in present and _size(track) != 0:
                track.curve.add(at_s, 0, room)
        self._make_room(self._sites, present)

    def _room(self) -> int:
        """How many points each curve may have."""
        tracks = len(self._of) + len(self._sites) + 1
        return max(MIN_POINTS, min(MAX_POINTS, (self.limit_bytes // tracks - TRACK_BYTES) // POINT_BYTES))

    def _make_room(self, tracks: dict[Any, Track], present: set[Any]) -> None:
        """Forget some, if there are so many that not even short curves of all of them fit."""
        most = self.limit_bytes // 2 // (TRACK_BYTES + MIN_POINTS * POINT_BYTES)
        excess = len(tracks) - most
        if excess <= 0:
            return
        gone = [key for key in tracks if key not in present]
        small = sorted((key for key in tracks if key in present), key=lambda key: _size(tracks[key]))
        for key in [*gone, *small][:excess]:
            del tracks[key]

    # -- what is remembered ------------------------------------------------------------------------

    @property
    def heap(self) -> tuple[Point, ...]:
        """The heap of all coroutines together, in bytes."""
        with self._lock:
            return self._heap.points()

    @property
    def coroutines(self) -> tuple[Point, ...]:
        """How many lived."""
        with self._lock:
            return self._coroutines.points()

    @property
    def connections(self) -> tuple[Point, ...]:
        """How many sockets were open that are no listeners."""
        with self._lock:
            return self._connections.points()

    def of(self, id: int) -> Trace | None:  # noqa: A002 - the contract's name
        """The heap of a coroutine, living or dead; None if nothing is remembered of it."""
        with self._lock:
            track = self._of.get(id)
            return None if track is None else track.trace()

    def named(self, name: str) -> list[Trace]:
        """The heap of each coroutine of that name, as far as they are remembered."""
        with self._lock:
            return [track.trace() for track in self._of.values() if track.name == name]

    def recent(self, count: int) -> dict[int, tuple[int, ...]]:
        """The last values of the heap of each coroutine, by its number, oldest first."""
        with self._lock:
            return {number: track.curve.recent(count) for number, track in self._of.items()}

    def sites(self) -> list[Trace]:
        """The heap by place of birth; the largest comes first."""
        with self._lock:
            tracks = sorted(self._sites.values(), key=lambda track: (-_size(track), track.name))
            return [track.trace() for track in tracks]

    @property
    def own_bytes(self) -> int:
        """What the timeline itself takes."""
        with self._lock:
            tracks = (*self._of.values(), *self._sites.values())
            curves = (self._heap, self._coroutines, self._connections)
            tables = sys.getsizeof(self._of) + sys.getsizeof(self._sites)
            return (
                tables + sum(track.own_bytes for track in tracks) + sum(curve.own_bytes for curve in curves)
            )


def _added_up(snapshot: Snapshot) -> Mapping[str, int]:
    held: Counter[str] = Counter()
    if len(snapshot.coroutines) == snapshot.live:
        for picture in snapshot.coroutines:
            held[picture.spawned_at] += picture.heap_bytes or 0
    return held


def _size(track: Track) -> int:
    return 0 if track.curve.last is None else track.curve.last.value
