"""How long a peer may be silent: closing what is idle, and finding out who is dead.

A peer whose machine has lost its power sends no end of its stream. The kernel finds out when we send,
after a quarter of an hour; while we do not send, never. So a server may ask (a heartbeat) or may not wait
for ever (idle).

There is one timer for each connection. When it fires it looks when something has moved last, and is set
again for what is left; what moves sets no timer.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ._errors import Closed

if TYPE_CHECKING:
    from ._connection import Connection
    from ._timers import Timer


class Vigil:
    """Watches over one connection, as its server's settings say.

    Attributes:
        heard_at: when something came last, on the scheduler's clock.
        sent_at: when something was last given to be sent.
    """

    __slots__ = ("_asked_at", "_connection", "_seen", "_timer", "heard_at", "sent_at")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._timer: Timer | None = None
        self._asked_at: float | None = None
        self._seen = 0
        self.heard_at = self.sent_at = connection._now()

    def begin(self) -> None:
        """Watch from now on by the settings of now; without `idle` and `heartbeat` this ends it."""
        self.end()
        due = self._next()
        if due is not None and not self._connection.closed:
            delay = max(0.0, due - self._connection._now())
            self._timer = self._connection._scheduler.call_later(delay, self._look)

    def end(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def let_go(self) -> None:
        """Watch never again."""
        self.end()
        del self._connection

    def _next(self) -> float | None:
        settings, due = self._connection.server.settings, []
        if settings.idle is not None:
            due.append(max(self.heard_at, self.sent_at) + settings.idle)
        if settings.heartbeat is not None:
            due.append(self._waited_since + settings.heartbeat)
        return min(due, default=None)

    @property
    def _waited_since(self) -> float:
        return self.heard_at if self._asked_at is None else self._asked_at

    def _look(self) -> None:
        """In the root."""
        connection = self._connection
        now = connection._now()
        if connection._working or connection._held:  # then it is we who keep the peer waiting
            self.heard_at = now
        if self._asked_at is not None and self.heard_at >= self._asked_at:
            self._asked_at = None
        if connection._socket.sent != self._seen:
            self._seen = connection._socket.sent
            if connection.queued:  # it was a slow peer that has taken this
                self.sent_at = now
        if not self._is_over(now):
            self.begin()

    def _is_over(self, now: float) -> bool:
        connection, settings = self._connection, self._connection.server.settings
        if settings.idle is not None and now >= max(self.heard_at, self.sent_at) + settings.idle:
            connection._end("idle", f"nothing moved for {settings.idle:g}s")
            return True
        if settings.heartbeat is None or now < self._waited_since + settings.heartbeat:
            return False
        if self._asked_at is not None:
            connection._end("idle", f"the heartbeat was not answered within {settings.heartbeat:g}s")
            return True
        self._asked_at = now
        with suppress(OSError, Closed):
            connection._outbox.offer(connection.framing.encode(settings.heartbeat_message))
        return connection.closed
