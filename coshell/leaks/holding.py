"""Who holds a container that grew: the way from a name that somebody would type, as `refs` finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from coshell.refs.holding import held_by

if TYPE_CHECKING:
    from coshell.shell import Shell

LIMIT_S: Final = 1.0


def holder_of(shell: Shell, container: Any) -> str:
    """`__main__.cache`, or nothing; on the scheduler's thread, in a coroutine."""
    found = held_by(shell, (container,), LIMIT_S)
    return "" if found is None else found.root
