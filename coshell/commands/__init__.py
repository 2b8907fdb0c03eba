"""The commands that the shell brings itself; each module holds those that belong together."""

from __future__ import annotations

from collections.abc import Iterator

from coshell.command import Command


def built_in() -> Iterator[Command]:
    """All of them."""
    from . import (
        coroutines,
        leaking,
        limiting,
        looking,
        memory,
        netcat,
        network,
        pictures,
        refs,
        session,
        status,
    )

    talking = (session, status, network, netcat)
    for module in (*talking, coroutines, limiting, looking, memory, leaking, refs, pictures):
        yield from module.COMMANDS
