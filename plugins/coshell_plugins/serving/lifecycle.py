"""A server lives longer than any one version of its handler.

`server start` keeps the expression that the handler came from. `server reload` evaluates it again, so a function
that was defined anew in the meantime takes over without the listener ever being closed. Connections that are
open live on with the handler that they began with, as a function that runs cannot be exchanged under
its feet; every new one gets the new handler. `server stop` closes the listener first, then gives the
open connections time to end by themselves.

Whether the shell itself serves or worker processes do, it is the same life. With workers, a reload is a change of
workers, and connections that are open keep theirs for as long as it is given to drain.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import coloop
from coshell.api import Bytes, CommandError, Count, Duration, Shell

from .recipe import Recipe
from .records import ServerRecord, Stopped, WorkerRecord
from .rules import Rules

if TYPE_CHECKING:
    from coshell_plugins.server.logs import LogLine
    from coshell_plugins.server.workers import Workers


class Counts(Protocol):
    """What is counted from the start of a server."""

    @property
    def accepted(self) -> int:
        """How many connections there were."""

    @property
    def rejected(self) -> int:
        """How many were turned away."""

    @property
    def failed(self) -> int:
        """How many handlers failed."""

    @property
    def requests(self) -> int:
        """How many requests were served."""


@dataclass(frozen=True)
class Figures:
    """What a record tells of a server, as far as it depends on who serves; see `ServerRecord`."""

    counts: Counts
    heap: int | None
    trouble: str | None
    restarts: int = 0
    workers: tuple[WorkerRecord, ...] = ()


class Lifecycle(ABC):
    """A server, and what is remembered of its start.

    Args:
        shell: whose it is.
        name: what it is called.
        recipe: what it serves.
        address: as it was asked for.
        kind: which command has started it.
        is_bound: whether its name is one of Python's, too.

    Attributes:
        server: what is bound to its name.
        asked: the address as it was typed, also behind a restart, which keeps a port that was free by chance.
        listener: where it listens, as soon as it has begun.
        failure: why there is no more server, if that is so and nobody wanted it.
    """

    server: Any
    listener: coloop.Listener

    def __init__(
        self,
        shell: Shell,
        name: str,
        recipe: Recipe,
        address: Any,
        *,
        kind: str = "server",
        is_bound: bool = True,
    ) -> None:
        self.shell = shell
        self.name = name
        self.recipe = recipe
        self.address = address
        self.kind = kind
        self.is_bound = is_bound
        self.asked = address
        self.failure: str | None = None
        self._place: int | None = None
        self.started_at = now()

    def listen(self) -> coloop.Listener:
        """Open what it serves; parks only while a name is looked up."""
        return coloop.listen(self.where())

    def where(self) -> Any:
        """What to listen on: its address, or for once the place that it has taken."""
        place, self._place = self._place, None
        return self.address if place is None else f"fd:{place}"

    def take_place_of(self, other: Lifecycle) -> None:
        """Listen where that one does, by the same socket.

        Who connects meanwhile waits; and a socket that was handed over to this process cannot be opened again.

        Raises:
            OSError: no descriptor is left.
        """
        self.asked = other.asked
        listener = other.listener
        if not listener.closed and not str(listener.address).startswith(
            "unix:"
        ):  # a path goes with its server
            self._place = os.dup(listener.fileno())

    def give_up_place(self) -> None:
        """It will not begin."""
        if self._place is not None:
            os.close(self._place)
            self._place = None

    @abstractmethod
    def serve(self, listener: coloop.Listener) -> None:
        """Begin, on a listener that belongs to it from now on; parks until it serves."""

    @abstractmethod
    def again(self) -> Lifecycle:
        """Another one like it, at the same address, that has not begun."""

    @abstractmethod
    def reload(self, recipe: Recipe) -> None:
        """Serve this from now on.

        Raises:
            CommandError: it cannot be served; the old one stays.
        """

    def rerun(self, recipe: Recipe, size: int | None, rules: Rules) -> None:  # noqa: ARG002
        """The file that has started it is run again; raises as `reload` does."""
        self.reload(recipe)

    @abstractmethod
    def on(self, event: str, given: Any) -> None:
        """Have something else called for an event; None for nothing; raises CommandError."""

    @abstractmethod
    def set(self, key: str, value: Any) -> None:
        """Change a setting; raises CommandError."""

    def scale(self, size: int) -> None:  # noqa: ARG002
        """Have so many workers; raises CommandError if it has none."""
        raise CommandError(f"server {self.name!r} is served by the shell itself: start it with --workers N")

    def log_lines(self, worker: int | None) -> list[LogLine]:  # noqa: ARG002
        """What its workers have printed; raises CommandError if it has none."""
        raise CommandError(f"server {self.name!r} has no workers: what its handlers print is seen here")

    @abstractmethod
    def figures(self) -> Figures:
        """How it is; may park for a moment."""

    @property
    @abstractmethod
    def answers(self) -> Mapping[int, int] | None:
        """How many answers of each hundred its handler has given, if it speaks HTTP: 2 for 200 to 299."""

    @property
    @abstractmethod
    def reloads(self) -> int:
        """How often another version took over."""

    @property
    @abstractmethod
    def connections(self) -> int:
        """How many are open."""

    @property
    def workers(self) -> Workers | None:
        """Its workers, if it has any."""
        return None

    @property
    def state(self) -> str:
        """That of its server; `failed` if there should be one, and is none."""
        state: str = self.server.state
        return state if self.failure is None else "failed"

    @property
    def closed(self) -> bool:
        """Whether it serves no more."""
        return self.state in {"stopped", "failed"}

    def record(self) -> ServerRecord:
        """How it is; parks for a moment if there are workers to be asked."""
        figures = self.figures()
        counts = figures.counts
        return ServerRecord(
            name=self.name,
            state=self.state,
            address=str(self.server.address),
            handler=self.recipe.name,
            connections=Count(self.connections),
            accepted=Count(counts.accepted),
            rejected=Count(counts.rejected),
            failed=Count(counts.failed),
            requests=Count(counts.requests),
            reloads=Count(self.reloads),
            restarts=Count(figures.restarts),
            heap=None if figures.heap is None else Bytes(figures.heap),
            age=Duration(now() - self.started_at),
            trouble=self.failure or figures.trouble,
            certificate=None if self.recipe.certificate is None else str(self.recipe.certificate.cert),
            workers=figures.workers,
        )

    def stop(self, drain_s: float) -> Stopped:
        """Let nobody in any more, give those who are there some time, then cut them off; parks."""
        connections = self.connections
        drained = self.server.stop(drain=drain_s)
        self.shell.things.remove(self.server)
        return Stopped(self.name, connections, drained)


def now() -> float:
    """The time on the scheduler's clock."""
    return coloop.current_scheduler().clock.now()


@contextmanager
def in_one_line(*also: type[Exception]) -> Iterator[None]:
    """What is no bug of anybody's: an address that cannot be had, and whatever else is said to be none."""
    faultless: tuple[type[Exception], ...] = (OSError, ValueError, TypeError, coloop.CoroutineError, *also)
    try:
        yield
    except faultless as error:
        raise CommandError(str(error)) from None
