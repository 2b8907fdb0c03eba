"""One message for many: nobody waits for the slowest, who is left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ._connection import Connection
from ._framing import Bytes, Framing


class Broadcast(NamedTuple):
    """What became of a message for many.

    Attributes:
        sent: to how many it was given, or is queued.
        skipped: who was left out, because too much was queued, or because it is closed.
    """

    sent: int
    skipped: tuple[Connection, ...]


def broadcast(message: Bytes, connections: Iterable[Connection]) -> Broadcast:
    """Send it to each, in order; who may not have more queued is left out. Never parks."""
    frames: dict[Framing, bytes] = {}
    sent, skipped = 0, []
    for connection in connections:
        framing = connection.framing
        if framing not in frames:
            frames[framing] = framing.encode(message)
        if connection._offer(frames[framing]):
            sent += 1
        else:
            skipped.append(connection)
    return Broadcast(sent, tuple(skipped))
