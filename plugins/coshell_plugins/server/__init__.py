"""Servers that outlive their handlers, in the shell or in worker processes.

To read the source, begin with `commands.py` (what can be asked for) and `coshell_plugins/serving/lifecycle.py` (what a
server's life is), which is led in the shell or, `in_workers.py`, in processes; then `pool.py` (what is to be done about
workers) and `workers.py` (how it is done). What a worker runs is `coshell_plugins/worker/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from coshell.api import Certificate, Command, ProcessPicture, Shell, Sight, hookimpl, plural
from coshell_plugins.serving import living
from coshell_plugins.serving.recipe import Recipe
from coshell_plugins.serving.starting import start

from .commands import SERVER
from .pictures import pictures_of


@hookimpl
def coshell_commands() -> list[Command]:
    """The one command."""
    return [SERVER]


@hookimpl
def coshell_processes(shell: Shell) -> Iterable[ProcessPicture]:
    """The workers, as they were when they reported last."""
    return pictures_of(living.workers(shell))


@hookimpl
def coshell_start_workers(
    shell: Shell,
    name: str,
    address: Any,
    handler: Callable[..., Any],
    workers: int,
    certificate: Certificate | None,
) -> Any:
    """What `server start NAME ADDRESS HANDLER --workers N` does."""
    return start(shell, name, Recipe(handler, certificate=certificate), address, workers=workers).server


@hookimpl
def coshell_look(shell: Shell, process: str, coroutine: int) -> Sight | None:
    """What a worker tells of one of its coroutines."""
    crews = living.workers(shell)
    if not crews:
        return None
    from .insight import look

    return look(crews, process, coroutine)


@hookimpl
def coshell_end(shell: Shell, process: str, coroutine: int, grace_s: float | None) -> tuple[str, str] | None:
    """Cancel a coroutine of a worker, or kill it."""
    crews = living.workers(shell)
    if not crews:
        return None
    from .insight import end

    return end(crews, process, coroutine, grace_s)


@hookimpl
def coshell_level_changed(shell: Shell, level: str) -> None:
    """Each worker counts what the shell does."""
    for server in living.workers(shell):
        from .insight import set_level

        shell.scheduler.call_soon_threadsafe(set_level, server, level)


@hookimpl
def coshell_unloading(shell: Shell) -> list[str]:
    """Stop all servers that were started here."""
    return [
        f"server {name} ({plural(lifecycle.stop(0.0).connections, 'connection')})"
        for name, lifecycle in list(living.of(shell).items())
        if lifecycle.kind == "server" or lifecycle.workers is not None
    ]
