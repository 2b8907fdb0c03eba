"""What a lab has made at the prompt can be cleared away, so that it can be begun again, or another one.

A lab leaves traffic running, servers open and names bound: that is what one looks at. But begun a second time among
the remains of the first it would count them too. What is a lab's own is told by when it came: coroutines
carry a mark that they inherit from the step that started them; sockets and names are those that
were not there before a step, and were after it. What the user had bound to such a name is kept, and gets it back.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import coloop
from coloop import Coroutine
from coshell.api import CommandError, Shell

END_TIMEOUT_S: Final = 2.0
SHELL_ID: Final = 1
_NOTHING: Final = object()

_of_a_lab: Final = contextvars.ContextVar[bool]("coshell_lab", default=False)


def _mark() -> contextvars.Context:
    """Whatever is started by whoever calls this is a lab's; returns where that is noted."""
    me = coloop.current()
    assert me is not None
    assert me.context is not None
    _of_a_lab.set(True)
    return me.context


def _mark_all(coroutines: list[Coroutine]) -> None:
    """These, and whomever they start from now on, are a lab's."""
    for coroutine in coroutines:
        if coroutine.context is not None:
            coroutine.context.run(_of_a_lab.set, True)


@contextmanager
def patience_without_end(shell: Shell) -> Iterator[None]:
    """In this block a call is not given up because a coroutine lets nobody run: some labs are about just that."""
    before = shell.bridge.hog_patience_s
    shell.bridge.hog_patience_s = None
    try:
        yield
    finally:
        shell.bridge.hog_patience_s = before


class Belongings:
    """What one lab has made in a shell.

    Args:
        shell: the shell.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._names: set[str] = set()
        self._hidden: dict[str, Any] = {}  # what had such a name before
        self._sockets: set[int] = set()
        self._settings = {key: getattr(shell.settings, key) for key in ("level", "clock")}

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Whatever is made in this block is the lab's."""
        shell = self._shell
        scheduler, sockets = shell.scheduler, set(shell.scheduler.sockets)
        # What the lab itself has bound is not held here: it must be able to let go of that.
        names = {name: value for name, value in shell.names.items() if name not in self._names}
        with patience_without_end(shell):
            marked = shell.bridge.call(_mark)
        try:
            with patience_without_end(shell):
                yield
        finally:
            if shell.scheduler is scheduler:
                # This is not waited for: a hog would be heard of, and not what went wrong.
                scheduler.call_soon_threadsafe(marked.run, _of_a_lab.set, False)
                self._sockets |= set(scheduler.sockets) - sockets
            else:
                self._take_all()
            self._note_names(names)

    def _take_all(self) -> None:
        """The block has set the clock: whoever lives by the new one has come since, and so is the lab's."""
        shell = self._shell
        others = [one for one in shell.living() if one.id != SHELL_ID]
        shell.scheduler.call_soon_threadsafe(_mark_all, others)
        self._sockets = set(shell.scheduler.sockets)

    def _note_names(self, before: dict[str, Any]) -> None:
        """Note which names were bound since, and what those were that the user had bound otherwise."""
        now = self._shell.names
        for name in set(now) - set(before):
            self._names.add(name)
        for name, value in before.items():
            if now.get(name, _NOTHING) is not value:
                self._names.add(name)
                self._hidden[name] = value

    def clear(self) -> None:
        """End the coroutines, close what is open, and set names and settings back."""
        shell = self._shell
        shell.bridge.call(self._end)
        for name in self._names & set(shell.names):
            del shell.names[name]
        shell.names.update(self._hidden)
        self._names.clear()
        self._hidden.clear()
        self._sockets.clear()
        for key, value in self._settings.items():
            if getattr(shell.settings, key) != value:
                with suppress(CommandError):  # somebody else lives by that clock now
                    shell.change_setting(key, value, "labs")

    def _end(self) -> None:
        scheduler = coloop.current_scheduler()
        theirs = [one for one in self._shell.living() if one.context and one.context.get(_of_a_lab)]
        for coroutine in theirs:
            if coroutine is not coloop.current():
                coroutine.cancel()
        for number in self._sockets:
            held = scheduler.sockets.get(number)
            if held is not None:
                held.close()
        for coroutine in theirs:
            if coroutine is not coloop.current():
                coroutine.join(timeout=END_TIMEOUT_S)
