"""A server in the shell's own process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import coloop
from coloop import Server
from coshell.api import CommandError

from .lifecycle import Figures, Lifecycle, in_one_line
from .recipe import Recipe
from .records import Stopped
from .terms import RULES


class InShell(Lifecycle):
    """Served by the shell's own scheduler."""

    server: Server
    reloads = 0

    def listen(self) -> coloop.Listener:
        """Over TLS, if that is asked for."""
        tls = self.recipe.context()
        return coloop.listen(self.where(), tls=tls)

    def serve(self, listener: coloop.Listener) -> None:
        """Begin, here and now."""
        offer = self.recipe.offer(self.shell)
        try:
            self.server = offer.serve(listener, self.name)
        except Exception as error:
            raise CommandError(f"{self.name}: {type(error).__name__}: {error}") from error
        snapshot = coloop.snapshot()
        listener.owner = next(
            (one.id for one in snapshot.coroutines if one.name == self.name), listener.owner
        )

    def again(self) -> InShell:
        """Another one that is served here."""
        return InShell(
            self.shell, self.name, self.recipe, self.server.address, kind=self.kind, is_bound=self.is_bound
        )

    def stop(self, drain_s: float) -> Stopped:
        """It stops whatever its last callbacks do; their failure is told as anybody's is."""
        last = self.server.callbacks
        self.server.callbacks = replace(
            last,
            on_worker_stop=self._told_if_it_fails(last.on_worker_stop),
            on_shutdown=self._told_if_it_fails(last.on_shutdown),
        )
        return super().stop(drain_s)

    def _told_if_it_fails(self, call: Callable[..., object] | None) -> Callable[..., None] | None:
        def guarded(*args: Any) -> None:
            assert call is not None
            try:
                call(*args)
            except Exception as error:
                coloop.go(_fail, error, name=f"{self.name}/stop")

        return None if call is None else guarded

    def reload(self, recipe: Recipe) -> None:
        """Connections that come from now on get the new handler, and those of HTTP with their next request."""
        with in_one_line():
            recipe.offer(self.shell).take_over(self.server)
        self.recipe = recipe
        self.reloads += 1

    def on(self, event: str, given: Any) -> None:
        """Connections that are open hear of it, too."""
        recipe = self.recipe.with_callback(event, given)
        with in_one_line():
            self.server.on(event, recipe.offer(self.shell).callbacks.get(event))
        self.recipe = recipe

    def set(self, key: str, value: Any) -> None:
        """For connections that are open, too, but for their framing."""
        if key in RULES:
            raise CommandError(f"{key} is for worker processes, and server {self.name!r} has none")
        with in_one_line():
            self.server.set(key, value)
        self.recipe = self.recipe.with_setting(key, value)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self.server.connections)

    @property
    def answers(self) -> Mapping[int, int] | None:
        """What its handler tells."""
        tell = getattr(self.server.handler, "answers_at", None)
        return None if tell is None else cast("Mapping[int, int]", tell(self.server))

    def figures(self) -> Figures:
        """How it is."""
        told = self.server.statistics()
        return Figures(told, _heap_of(self.name), told.last_trouble)


def _heap_of(name: str) -> int | None:
    snapshot = coloop.snapshot()
    if snapshot.heap_bytes is None:
        return None
    pictures = snapshot.coroutines
    return sum(one.heap_bytes or 0 for one in pictures if one.name == name or one.name.startswith(f"{name}/"))


def _fail(error: Exception) -> None:
    raise error
