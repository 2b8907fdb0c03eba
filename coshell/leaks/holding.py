"""Who holds a container: the name under which it can be reached, if it is one that somebody would type."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coshell.shell import Shell


def holder_of(shell: Shell, container: Any) -> str:
    """`__main__.cache`, or nothing."""
    for name, value in list(shell.names.items()):
        if value is container and name in shell.bound:
            return f"__main__.{name}"
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            for name, value in list(vars(module).items()):
                if value is container:
                    return f"{module.__name__}.{name}"
    return ""
