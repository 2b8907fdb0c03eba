"""How a server begins, whichever command asks for it: `server start`, `http start`, `echo --workers`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import coloop
from coloop.testing import MockClock
from coshell.api import CommandError, Shell, is_name

from . import living
from .in_shell import InShell
from .lifecycle import Lifecycle, in_one_line
from .recipe import Recipe
from .rules import Rules

MAX_WORKERS: Final = 256


def start(
    shell: Shell,
    name: str,
    recipe: Recipe,
    address: Any,
    *,
    workers: int | None = None,
    rules: Rules | None = None,
) -> Lifecycle:
    """Start a server under a Python name; while a file is run again, have the one that runs serve this.

    Args:
        shell: where.
        name: what it is called and bound to.
        recipe: what it serves.
        address: where; it may be listened on.
        workers: how many processes serve it; None for this one.
        rules: when those are replaced.

    Raises:
        CommandError: it cannot be.
    """
    rules = Rules() if rules is None else rules
    if shell.rerunning and is_running(shell, name):
        return rerun(living.known(shell, name), recipe, address, workers, rules)
    if not is_name(name):
        raise CommandError(f"a server's name must be a Python name, and {name!r} is none")
    expressions = [one for one in (recipe.handler, *recipe.callbacks.values()) if isinstance(one, str)]
    if name in expressions:
        raise CommandError(
            f"{name} is what it serves: the server needs another name, or a reload finds the server"
        )
    refuse_if_running(shell, name)
    lifecycle: Lifecycle
    if workers is None:
        lifecycle = InShell(shell, name, recipe, address)
    else:
        size = checked_size(workers)
        lifecycle = _in_workers()(shell, name, recipe, address, size=size, rules=rules)
    recipe.offer(shell)  # whatever is wrong with it is said before anything is opened
    return begin(lifecycle)


def rerun(lifecycle: Lifecycle, recipe: Recipe, address: Any, workers: int | None, rules: Rules) -> Lifecycle:
    """The file that has started it is run again; what a server that runs cannot change is said."""
    lifecycle.rerun(recipe, None if workers is None else checked_size(workers), rules)
    name, notice = lifecycle.name, lifecycle.shell.notice
    if str(address) != str(lifecycle.asked):
        notice(f"{name}: it still serves {lifecycle.asked}, and not {address}: server stop {name} first")
    if (workers is None) != (lifecycle.workers is None):
        who = "the shell itself serves" if lifecycle.workers is None else "workers serve"
        notice(f"{name}: {who} it as before: server stop {name} first")
    return lifecycle


def begin(lifecycle: Lifecycle) -> Lifecycle:
    """Have it serve, and known by its name; parks until it does."""
    with in_one_line():
        listener = lifecycle.listener = lifecycle.listen()
    try:
        with in_one_line():
            lifecycle.serve(listener)
    except BaseException:
        listener.close()
        raise
    shell = lifecycle.shell
    if lifecycle.is_bound:
        try:
            shell.bind(lifecycle.name, lifecycle.server)
        except BaseException:
            lifecycle.stop(0.0)
            raise
    shell.things.add(lifecycle.kind, lifecycle.server)
    living.remember(shell, lifecycle)
    return lifecycle


def begin_again(old: Lifecycle, stop: Callable[[], object]) -> Lifecycle:
    """Another one like it, in its place; parks until it serves. What is wrong with it is said before `stop` is called.

    Raises:
        CommandError: it cannot begin; then the old one is known as failed, and can be begun again.
    """
    new = old.again()
    new.recipe.offer(old.shell)
    new.recipe.context()
    with in_one_line():
        new.take_place_of(old)
    try:
        stop()
        return begin(new)
    except BaseException as error:
        new.give_up_place()
        if old.state == "stopped":
            old.failure = str(error) or type(error).__name__
            living.remember(old.shell, old)
        raise


def refuse_if_running(shell: Shell, name: str) -> None:
    """Raises CommandError if a server of that name serves."""
    if is_running(shell, name):
        kind = living.known(shell, name).kind
        what, or_else = (
            ("server", f", or server reload {name}") if kind == "server" else (f"{kind} server", "")
        )
        raise CommandError(f"{what} {name!r} is running: {kind} stop {name}{or_else}")


def is_running(shell: Shell, name: str) -> bool:
    """Whether a server of that name serves."""
    found = living.of(shell).get(name)
    return found is not None and not found.closed


def checked_size(size: int) -> int:
    """A number of workers that can be had; raises CommandError."""
    if not 1 <= size <= MAX_WORKERS:
        raise CommandError(f"there can be 1 to {MAX_WORKERS} workers, not {size}")
    if isinstance(coloop.current_scheduler().clock, MockClock):
        raise CommandError("workers are processes, and live in real time: set clock real")
    return size


def _in_workers() -> Callable[..., Lifecycle]:
    """On a thread, so that no coroutine pays for what stays imported: half a megabyte, most of it cloudpickle."""
    module = coloop.to_thread(import_module, "coshell_plugins.server.in_workers")
    made: Callable[..., Lifecycle] = module.InWorkers
    return made
