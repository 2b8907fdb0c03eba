"""The commands that the shell brings itself; each module holds those that belong together."""

from __future__ import annotations

from collections.abc import Iterator

from coshell.command import Command


def built_in() -> Iterator[Command]:
    """All of them."""
    from . import (
        coroutines,
        echo,
        heap,
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
        top,
    )

    own = (
        session,
        status,
        coroutines,
        looking,
        top,
        echo,
        network,
        netcat,
        memory,
        heap,
        limiting,
        leaking,
        refs,
        pictures,
    )
    for module in own:
        yield from module.COMMANDS
