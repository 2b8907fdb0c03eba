"""Who holds a container that grew: the way to it from a name that somebody would type, as `refs` finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from coshell.refs.links import INSIDE
from coshell.refs.search import chains

if TYPE_CHECKING:
    from coshell.shell import Shell

LIMIT_S: Final = 2.0


def holder_of(shell: Shell, container: Any) -> str:
    """`__main__.cache`, or nothing; on the scheduler's thread."""
    return chains(shell, container, 0, 1, LIMIT_S)[0].written.removesuffix(f" -> {INSIDE}")
