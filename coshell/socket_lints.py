"""What is wrong with sockets is seen in a picture of all of them, and said of the coroutine whose they are.

As with the lints of coroutines, nothing is asked of the running thing, and nothing kept between two looks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from coloop import CoroutinePicture, Snapshot, SocketPicture

from .lints import BUILT_IN, MEMORABLE, Finding
from .text import plural

NOT_ACCEPTING: Final = "not-accepting"
SHARED_CONNECTION: Final = "shared-connection"
LINT_NAMES: Final = (*(lint.name for lint in BUILT_IN), NOT_ACCEPTING, SHARED_CONNECTION, *MEMORABLE)


def socket_findings(snapshot: Snapshot) -> list[Finding]:
    """What is to be said about the sockets of those that live, by the number of the coroutine."""
    living = {picture.id: picture for picture in snapshot.coroutines}
    found = [*_not_accepting(snapshot, living), *_shared(snapshot, living)]
    return sorted(found, key=lambda finding: finding.coroutine)


def _not_accepting(snapshot: Snapshot, living: dict[int, CoroutinePicture]) -> Iterator[Finding]:
    """Clients have connected, and whoever listens waits for something else: they think that they are served."""
    for held in snapshot.sockets:
        owner = living.get(held.owner)
        if held.reader is not None or not held.waiting or owner is None:
            continue
        if owner.state == "waiting":
            sentence = (
                f"lets {plural(held.waiting, 'client')} wait at {held.local}: it waits on {owner.waiting_on},"
                " and nobody accepts"
            )
            yield Finding(NOT_ACCEPTING, owner.id, owner.name, sentence)


def _shared(snapshot: Snapshot, living: dict[int, CoroutinePicture]) -> Iterator[Finding]:
    """Two sockets are one connection, as after a `dup`: whoever reads first takes the other's answer."""
    by_ends: dict[tuple[str, str | None], list[SocketPicture]] = defaultdict(list)
    for held in snapshot.sockets:
        if held.kind == "tcp" and held.peer is not None and held.kernel not in {None, "CLOSE"}:
            by_ends[held.local, held.peer].append(held)
    for same in (sockets for sockets in by_ends.values() if len(sockets) > 1):
        for held, other in zip(same, same[1:] + same[:1], strict=True):
            owner = living.get(held.owner)
            if owner is None:
                continue
            sentence = (
                f"has socket#{held.id}, and socket#{other.id} is the same connection to {held.peer}:"
                " who reads first takes the other's answer"
            )
            yield Finding(SHARED_CONNECTION, owner.id, owner.name, sentence)
