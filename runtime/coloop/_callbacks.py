"""What a server calls, and how its connections are treated: two frozen tables, replaced as a whole.

Both can be changed while the server runs (`Server.on`, `Server.set`). A name that is not known is refused
with the one that was probably meant, because a misspelled callback would otherwise be one that is never
called.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from ._framing import Framing, Raw, framing_of
from ._timers import check_seconds

if TYPE_CHECKING:
    from ._connection import Connection
    from ._server import Server

HIGH_WATER_BYTES: Final = 256 * 1024
LOW_WATER_BYTES: Final = 64 * 1024

_RAW: Final = Raw()

Overflow: TypeAlias = Literal["suspend", "fail"]


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What a server calls; None for what nobody wants to hear of.

    A function, a method, a static method, a lambda or anything else that can be called will do.

    Attributes:
        on_start: `(server)`, before the first connection is accepted.
        on_worker_start: `(server, number)`, then, in each process that serves.
        on_connect: `(connection)`, first of all that is said of a connection.
        on_receive: `(connection, message)`, once for each message.
        on_close: `(connection)`, last and exactly once, whoever has closed it.
        on_worker_stop: `(server, number)`, when all connections have ended.
        on_shutdown: `(server)`, last of all.
        on_message: `(server, sender, data)`, for what another worker of the server has sent.
    """

    on_start: Callable[[Server], object] | None = None
    on_worker_start: Callable[[Server, int], object] | None = None
    on_connect: Callable[[Connection], object] | None = None
    on_receive: Callable[[Connection, bytes], object] | None = None
    on_close: Callable[[Connection], object] | None = None
    on_worker_stop: Callable[[Server, int], object] | None = None
    on_shutdown: Callable[[Server], object] | None = None
    on_message: Callable[[Server, int, Any], object] | None = None

    def __post_init__(self) -> None:
        for event in EVENTS:
            call = getattr(self, event)
            if call is not None and not callable(call):
                raise TypeError(f"{event} must be a function, not {call!r}")

    @property
    def of_connections(self) -> tuple[Callable[..., object], ...]:
        """Those that are called for connections, `on_receive` first."""
        each = (self.on_receive, self.on_connect, self.on_close)
        return tuple(call for call in each if call is not None)

    def having(self, event: str, call: Callable[..., object] | None) -> Callbacks:
        """The same with one replaced.

        Args:
            event: its name, with or without `on_`.
            call: None for nobody.

        Raises:
            ValueError: there is no such event.
            TypeError: it cannot be called.
        """
        name = event if event.startswith("on_") else f"on_{event}"
        check_known(name, EVENTS, f"event {event!r}")
        changed: Callbacks = replace(self, **{name: call})
        return changed

    def check_beside(self, handler: object) -> None:
        """Whether a server can have these and this handler, or None: one of the two is for connections.

        Raises:
            ValueError: both are.
            TypeError: none is.
        """
        if handler is not None and self.of_connections:
            raise ValueError("a server has a handler or on_connect, on_receive and on_close, not both")
        if handler is None and not self.of_connections:
            raise TypeError(
                "handler must be a function of one connection, or there must be on_receive: nobody would answer"
            )


EVENTS: Final = tuple(field.name for field in fields(Callbacks))


@dataclass(frozen=True, slots=True)
class Settings:
    """How the connections of a server with callbacks are treated.

    Attributes:
        framing: how messages are told apart; it holds for connections that come.
        high_water: bytes; when more are queued for a peer, who sends to it is suspended, or refused.
        low_water: bytes; when no more than that are queued, sending goes on.
        overflow: what becomes of who sends above `high_water`: `suspend`, or `fail` with `OutputFull`.
        idle: seconds; a connection on which nothing has moved for so long, in either direction, is closed;
            None for never.
        heartbeat: seconds; a peer that was silent for so long is sent `heartbeat_message`, and taken for dead
            when it is silent for as long again; None for no heartbeat.
        heartbeat_message: what it is sent, put in the framing.
    """

    framing: Framing = _RAW
    high_water: int = HIGH_WATER_BYTES
    low_water: int = LOW_WATER_BYTES
    overflow: Overflow = "suspend"
    idle: float | None = None
    heartbeat: float | None = None
    heartbeat_message: bytes = b""

    def __post_init__(self) -> None:
        for name in ("high_water", "low_water"):
            size = getattr(self, name)
            if isinstance(size, bool) or not isinstance(size, int):
                raise TypeError(f"{name} must be a number of bytes, not {size!r}")
        if not 0 <= self.low_water <= self.high_water or not self.high_water:
            raise ValueError(
                "low_water must be 0 or more and not above high_water, "
                f"not {self.low_water} and {self.high_water}"
            )
        if self.overflow not in ("suspend", "fail"):
            raise ValueError(f"overflow must be 'suspend' or 'fail', not {self.overflow!r}")
        for name in ("idle", "heartbeat"):
            seconds = getattr(self, name)
            if seconds is not None and check_seconds(seconds, name) == 0:
                raise ValueError(f"{name} must be more than 0 seconds; None is for never")
        if self.heartbeat is not None and not self.framing.encode(self.heartbeat_message):
            raise ValueError("a heartbeat needs a heartbeat_message: raw framing has no empty one")

    def having(self, key: str, value: object) -> Settings:
        """The same with one changed.

        Raises:
            ValueError: there is no such setting, or not with this value.
        """
        check_known(key, KEYS, f"setting {key!r}")
        if key == "framing":
            value = as_framing(value)
        changed: Settings = replace(self, **{key: value})  # type: ignore[arg-type]
        return changed

    def check_beside(self, handler: object) -> None:
        """Whether somebody would heed these: a handler has its connection to itself.

        Raises:
            ValueError: one was changed, and there is a handler.
        """
        usual = Settings()
        changed = [key for key in KEYS if getattr(self, key) != getattr(usual, key)]
        if handler is not None and changed:
            raise ValueError(
                f"{changed[0]} is for connections with on_receive, and this server has a handler"
            )


KEYS: Final = tuple(field.name for field in fields(Settings))


def as_framing(given: object) -> Framing:
    """A framing, or what its name stands for; None is for no framing.

    Raises:
        ValueError, TypeError: it is none.
    """
    if given is None:
        return Raw()
    if isinstance(given, str):
        return framing_of(given)
    if not (hasattr(given, "encode") and hasattr(given, "decoder")):
        raise TypeError(
            f"framing must be Raw(), Lines(), Delimited(b'...') or LengthPrefixed(), not {given!r}"
        )
    framing: Framing = given  # type: ignore[assignment]
    return framing


def check_known(name: str, known: Iterable[str], what: str) -> None:
    """Whether it is one of those that there are.

    Raises:
        ValueError: it is none; the nearest one is named.
    """
    names = tuple(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, 1, 0.5)
    advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
    raise ValueError(f"no such {what}: {advice}")
