"""What `refs` is asked about: an expression, or what a coroutine, a server or a client is called in `ps` and `conns`."""

from __future__ import annotations

import gc
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from coloop import Coroutine, CoroutinePicture
from coshell.command import CommandError
from coshell.naming import find, number_in

if TYPE_CHECKING:
    from coshell.shell import Shell

_NUMBERED: Final = re.compile(r"[\w.-]+#\d+(/\w+)?")


@dataclass(frozen=True)
class Gone:
    """A coroutine that has ended, asked for by its number."""

    picture: CoroutinePicture


def meant(shell: Shell, text: str) -> Any:
    """The object that is meant: names of the user's come first, then what is open, coroutines, any expression.

    Raises:
        CommandError: what is meant has never been, or is closed.
        BaseException: whatever the expression raises.
    """
    text = text.strip()
    if number_in(text) is not None:
        return _coroutine(shell, text)
    if text in shell.bound:
        return shell.names[text]
    if text in shell.things:
        return shell.things[text].value
    if any(coroutine.name == text for coroutine in shell.living()):
        return shell.find_coroutine(text)
    if _NUMBERED.fullmatch(text):
        return _socket(shell, text)
    return shell.evaluate(text)


def _socket(shell: Shell, text: str) -> Any:
    """An open one, as `socket#7`; anything else of that form is no more, and no Python either."""
    found = next((socket for socket in list(shell.scheduler.sockets.values()) if str(socket) == text), None)
    if found is None:
        raise CommandError(f"nothing is called {text!r} (ps and conns tell what is)")
    return found


def _coroutine(shell: Shell, text: str) -> Coroutine | Gone:
    found = find(shell, text)
    return found if isinstance(found, Coroutine) else Gone(found)


def handle_of(shell: Shell, gone: Gone) -> Coroutine | None:
    """The handle of a dead one, if somebody has it still."""
    for one in gc.get_objects():
        if type(one) is Coroutine and one.id == gone.picture.id and _is_of(one, shell):
            return one
    return None


def _is_of(coroutine: Coroutine, shell: Shell) -> bool:
    return any(one is shell.scheduler for one in gc.get_referents(coroutine))
