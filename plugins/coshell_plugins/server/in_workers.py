"""A server in processes of its own; imported when the first one is started, as most shells start none."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import coloop
from coshell.api import Bytes, CommandError, Count, Duration, Shell
from coshell_plugins.serving.lifecycle import Figures, Lifecycle, in_one_line, now
from coshell_plugins.serving.recipe import Recipe
from coshell_plugins.serving.records import Stopped, WorkerRecord
from coshell_plugins.serving.rules import Rules
from coshell_plugins.serving.terms import RULES, check, rules_with
from coshell_plugins.worker.shipping import NotShippable, pack

from . import insight  # noqa: F401 - the plugin's hooks ask it as soon as there is a worker
from .logs import LogLine
from .pool import Worker
from .workers import CannotStart, Mate, Version, Workers

_in_one_line: Final = partial(in_one_line, CannotStart, NotShippable)


class NeverServed(CommandError):
    """Workers that could not begin end a script as those do that were given up later."""

    exit_code = 3


class InWorkers(Lifecycle):
    """Served by processes of its own.

    Args:
        size: how many.
        rules: when they are replaced.
    """

    server: Workers

    def __init__(
        self,
        shell: Shell,
        name: str,
        recipe: Recipe,
        address: Any,
        *,
        size: int,
        rules: Rules,
        kind: str = "server",
    ) -> None:
        super().__init__(shell, name, recipe, address, kind=kind)
        self._size = size
        self._rules = rules

    @property
    def recipe(self) -> Recipe:
        """What is served, or will be when a reload is through; if that fails, what was served before."""
        return self.server.version.recipe if self._is_begun else self._first

    @recipe.setter
    def recipe(self, recipe: Recipe) -> None:
        if self._is_begun:
            self.server.version = replace(self.server.version, recipe=recipe)
        else:
            self._first = recipe

    @property
    def reloads(self) -> int:
        """Counted where they happen: whoever has asked for one may have gone."""
        return self.server.reloads if self._is_begun else 0

    @property
    def _is_begun(self) -> bool:
        return hasattr(self, "server")

    def serve(self, listener: coloop.Listener) -> None:
        """Start the workers; parks until all of them serve."""
        version = self._version(self.recipe)
        self.server = Workers(
            self.name,
            listener,
            version,
            size=self._size,
            rules=self._rules,
            chance=random.Random(self.shell.settings.seed),  # noqa: S311 - it only spreads
            say=self.shell.notice,
            given_up=lambda why: self.shell.given_up(self.name, why),
        )
        with _in_one_line():
            try:
                self.server.start()
            except CannotStart as error:
                raise NeverServed(str(error)) from None

    def again(self) -> InWorkers:
        """Another one with as many workers."""
        return InWorkers(
            self.shell,
            self.name,
            self.recipe,
            self.server.address,
            size=self.server.pool.size,
            rules=self.server.pool.rules,
            kind=self.kind,
        )

    def reload(self, recipe: Recipe) -> None:
        """Replace one worker after the other; parks until that is done."""
        version = self._version(recipe)
        with _in_one_line():
            self.server.reload(version)

    def rerun(self, recipe: Recipe, size: int | None, rules: Rules) -> None:
        """With other rules and another number of workers, if the file says so."""
        self.server.pool.rules = rules
        self.reload(recipe)
        if size not in {None, self.server.pool.size}:
            self.scale(size or 1)

    def on(self, event: str, given: Any) -> None:
        """In each worker, and in those that will replace them."""
        call = self.recipe.with_callback(event, given).offer(self.shell).callbacks.get(event)
        with _in_one_line():
            self.server.change(
                "on", event, call, lambda recipe: self._version(recipe.with_callback(event, given))
            )

    def set(self, key: str, value: Any) -> None:
        """Likewise; a rule of replacement holds for those that are born from now on."""
        if key in RULES:
            self.server.pool.rules = rules_with(self.server.pool.rules, key, value)
            return
        check(key, value)
        with _in_one_line():
            self.server.change(
                "set", key, value, lambda recipe: self._version(recipe.with_setting(key, value))
            )

    def scale(self, size: int) -> None:
        """Have so many workers; parks until that is so."""
        with _in_one_line():
            self.server.scale(size)

    def stop(self, drain_s: float) -> Stopped:
        """End all of them; who is connected is counted now, and not when they reported last."""
        self.server.refresh()
        with _in_one_line():
            return super().stop(drain_s)

    def _version(self, recipe: Recipe) -> Version:
        offer = recipe.offer(self.shell)
        try:
            return Version(pack(offer), recipe)
        except NotShippable as error:
            raise CommandError(f"{recipe.name}: {error}") from None

    @property
    def connections(self) -> int:
        """How many were open when the workers reported last."""
        return self.server.connections

    @property
    def workers(self) -> Workers:
        """Those that serve it."""
        return self.server

    @property
    def answers(self) -> Mapping[int, int] | None:
        """What all of them have told."""
        return self.server.totals().answers

    def log_lines(self, worker: int | None) -> list[LogLine]:
        """What one of them has printed, or all, and what was said of them."""
        return self.server.log_lines(worker)

    def figures(self) -> Figures:
        """How they are, each of them asked."""
        self.server.refresh()
        mates = self.server.mates
        heaps = [mate.report.heap for mate in mates if mate.report.heap is not None]
        troubles = [mate.report.trouble for mate in mates if mate.report.trouble]
        return Figures(
            self.server.totals(),
            sum(heaps) if heaps else None,
            troubles[0] if troubles else self.server.pool.why,
            self.server.pool.restarts,
            tuple(self._worker(mate) for mate in mates),
        )

    def _worker(self, mate: Mate) -> WorkerRecord:
        worker: Worker | None = self.server.pool.workers.get(mate.serial)
        ready_at = None if worker is None else worker.ready_at
        report = mate.report
        return WorkerRecord(
            name=f"{self.name}/w{mate.number}",
            pid=mate.pid,
            state="killed" if worker is None else worker.state,
            connections=Count(report.connections),
            requests=Count(report.requests),
            heap=None if report.heap is None else Bytes(report.heap),
            rss=None if report.rss is None else Bytes(report.rss),
            age=None if ready_at is None else Duration(now() - ready_at),
        )
