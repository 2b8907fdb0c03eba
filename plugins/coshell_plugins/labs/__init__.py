"""The labs: experiments that show a trouble, measure it, show the cure, and claim both.

Each is a session file beside this one. `reading` finds its story and its steps, `guide` leads through them at
the prompt, `clearing` takes away what they made, `checking` runs all of them and draws up the table, and `telling`
is what they say themselves. The defects that some of them need live here too, and never in the runtime.
"""

from __future__ import annotations

from collections.abc import Iterable

from coshell.api import Command, Shell, hookimpl

from .commands import all_labs as all_labs
from .commands import close_lab, command
from .reading import Lab as Lab


@hookimpl
def coshell_commands() -> list[Command]:
    """The one command."""
    return [command()]


@hookimpl
def coshell_unloading(shell: Shell) -> Iterable[str]:
    """Close the last lab."""
    return ["the last lab"] if close_lab(shell) else []
