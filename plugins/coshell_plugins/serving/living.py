"""Which servers each shell has started, by whichever plugin, until they are stopped, by whomever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from coshell.api import CommandError, Shell

if TYPE_CHECKING:
    from coshell_plugins.server.workers import Workers

    from .lifecycle import Lifecycle

_lifecycles: Final[WeakKeyDictionary[Shell, dict[str, Lifecycle]]] = WeakKeyDictionary()


def of(shell: Shell) -> dict[str, Lifecycle]:
    """Those that are not stopped, and those that have failed; the others are forgotten."""
    known = _lifecycles.setdefault(shell, {})
    for name in [name for name, lifecycle in known.items() if lifecycle.state == "stopped"]:
        del known[name]
    return known


def workers(shell: Shell) -> list[Workers]:
    """The workers of those that have any; from any thread."""
    known = _lifecycles.get(shell, {})
    return [crew for one in list(known.values()) if (crew := one.workers) is not None]


def known(shell: Shell, name: str) -> Lifecycle:
    """The server of that name; raises CommandError."""
    found = of(shell)
    if name not in found:
        raise CommandError(f"no server {name!r} was started here; there is {', '.join(found) or 'none'}")
    return found[name]


def remember(shell: Shell, lifecycle: Lifecycle) -> None:
    """One more."""
    _lifecycles.setdefault(shell, {})[lifecycle.name] = lifecycle


def forget(shell: Shell, lifecycle: Lifecycle) -> None:
    """It was stopped."""
    known = _lifecycles.get(shell, {})
    if known.get(lifecycle.name) is lifecycle:
        del known[lifecycle.name]
