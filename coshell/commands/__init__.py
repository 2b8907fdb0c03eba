"""The commands that the shell brings itself; each module holds those that belong together."""

from __future__ import annotations

from collections.abc import Iterator

from coshell.command import Command


def built_in() -> Iterator[Command]:
    """All of them."""
    from . import coroutines, limiting, looking, memory, netcat, network, session, status

    for module in (session, status, coroutines, limiting, looking, network, netcat, memory):
        yield from module.COMMANDS
