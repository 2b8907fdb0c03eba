"""Where chains begin: all that keeps objects alive by itself, and what it is called.

The order is that of preference: of two chains of the same length the one that begins with a name of the
user's is shown. What belongs to the shell is left out: its threads, the calls that it is in the midst of, and all that
its own objects lead to; else every answer would be "you are looking at it".
"""

from __future__ import annotations

import atexit
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from greenlet import greenlet

from coloop import Coroutine, Scheduler, Server, TimedCall, holdings
from coshell.text import printable

from .attributes import isinstance_of, module_dict
from .frames import is_runtime, is_shell, outwards, place, variables

if TYPE_CHECKING:
    from coshell.shell import Shell

GLOBAL: Final = "module global"
VARIABLE: Final = "local variable"
# Variables of the runtime's functions that only lead back to the coroutine.
_MACHINERY: Final = frozenset({"self", "cls", "me", "coroutine", "scheduler", "subject", "timer", "waiter"})


class Root(NamedTuple):
    """One beginning.

    Attributes:
        value: what it holds.
        kind: what it is: `module global`, `local variable`, `timer` ...
        owner: whose it is: a module's name, a coroutine ...
        name: what it is called there.
        at: where that stands, if it is code.
    """

    value: Any
    kind: str
    owner: Any
    name: str
    at: str = ""

    def __str__(self) -> str:
        return printable(self._text(), keep="")

    def _text(self) -> str:
        if self.kind == GLOBAL:
            return f"{self.owner}.{self.name}"
        owner = f" of {_owner_text(self.owner)}" if self.owner is not None else ""
        return f"{self.name}{owner}{f' at {self.at}' if self.at else ''}"


def _owner_text(owner: Any) -> str:
    if type(owner) is Coroutine:
        return f"{owner} {owner.name}"
    return f"{owner} {owner.name}" if type(owner) is TimedCall else str(owner)


def roots(shell: Shell) -> Iterator[Root]:
    """All beginnings, the likeliest first; on the scheduler's thread."""
    yield from _of_user(shell)
    for coroutine in shell.living():
        yield from _of_frames(coroutine, shell.scheduler.frame_of(coroutine))
    for held in holdings(shell.scheduler):
        yield Root(held.value, held.kind, held.owner, held.name)
    yield from _of_modules(shell)
    yield from _of_threads()
    yield from _of_callbacks()


def _of_user(shell: Shell) -> Iterator[Root]:
    names = sorted(
        shell.names.items(), key=lambda item: item[0] not in shell.bound
    )  # what we brought comes last
    yield from (Root(value, GLOBAL, "__main__", name) for name, value in names)
    for thing in shell.things.as_they_are():
        yield Root(thing.value, "server" if type(thing.value) is Server else "open client", None, thing.name)


def _of_frames(owner: object, innermost: FrameType | None) -> Iterator[Root]:
    for frame in outwards(innermost):
        code = frame.f_code
        if is_shell(code):
            continue
        found = variables(frame)
        if is_runtime(code):
            yield from _of_runtime(owner, found, code.co_name)
        else:
            yield from (Root(value, VARIABLE, owner, name, place(frame)) for name, value in found)


def _of_runtime(owner: object, found: list[tuple[str, Any]], function: str) -> Iterator[Root]:
    """What was handed to the runtime: the arguments of a coroutine, a value that waits to be sent."""
    for name, value in found:
        if type(value) is Server:
            yield Root(value, "server", None, value.name)
        elif name not in _MACHINERY and type(value) is not Coroutine:
            yield Root(value, "argument", owner, name, function)


# -- modules ---------------------------------------------------------------------------------------


def _modules(shell: Shell) -> list[tuple[str, Any]]:
    """What is imported, without the user's module, which comes first anyway."""
    found = list(sys.modules.items())
    return [(name, module) for name, module in found if module is not shell.interpreter.module]


def _of_modules(shell: Shell) -> Iterator[Root]:
    found = _modules(shell)
    yield from (Root(module, "module", None, f"sys.modules[{name!r}]") for name, module in found)
    for name, module in found:
        if isinstance_of(module, ModuleType):
            shown = "sys.modules['__main__']" if name == "__main__" else name
            for key, value in list(module_dict(module).items()):
                yield Root(value, GLOBAL, shown, key)


# -- threads ---------------------------------------------------------------------------------------


def _of_threads() -> Iterator[Root]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the only way to see another thread
        is_ours = any(is_shell(outer.f_code) for outer in outwards(frame))
        if ident != threading.get_ident() and not is_ours:
            yield from _of_frames(f"thread {names.get(ident, ident)}", frame)


# -- callbacks ---------------------------------------------------------------------------------------


def _of_callbacks() -> Iterator[Root]:
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if not isinstance_of(handler, (signal.Handlers, type(None))):
            yield Root(handler, "signal handler", signal.Signals(number).name, "handler")
    for callback in _at_exit():
        yield Root(callback, "atexit", None, "atexit callback")
    yield from _finalizers()


def _finalizers() -> Iterator[Root]:
    for registered in list(vars(weakref.finalize).get("_registry", {}).values()):
        yield Root(registered.func, "weakref.finalize", "a weakref.finalize", "function")
        for number, value in enumerate(registered.args):
            yield Root(value, "weakref.finalize", "a weakref.finalize", f"argument {number}")
        for name, value in (registered.kwargs or {}).items():
            yield Root(value, "weakref.finalize", "a weakref.finalize", f"argument {name}")


class _Collector:
    """Compares unequal to everything, and notes with what it was compared."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.met: list[Any] = []

    def __eq__(self, other: object) -> bool:
        self.met.append(other)
        return False


def _at_exit() -> list[Any]:
    """The functions that `atexit` will call. Nobody hands them out, but what is to be taken away is looked for.

    Their arguments remain unseen. A callback whose class redefines `==` would be asked; if it fails, so be it.
    """
    collector = _Collector()
    try:
        atexit.unregister(collector)  # type: ignore[arg-type]
    except Exception:  # noqa: S110 - a callback that cannot be compared
        pass
    return collector.met


# -- what is never entered -------------------------------------------------------------------------


def closed(shell: Shell) -> Iterator[object]:
    """Dictionaries whose values are roots themselves."""
    yield shell.names
    yield sys.modules
    for _, module in _modules(shell):
        if isinstance_of(module, ModuleType):
            yield module_dict(module)


def barred_types() -> Iterator[type]:
    """The types of what belongs to the shell and to the scheduler, which know everybody."""
    yield from (Scheduler, greenlet)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "coshell" and isinstance_of(module, ModuleType):
            yield from (found for found in list(module_dict(module).values()) if _is_shells(found))


def _is_shells(found: object) -> bool:
    if not isinstance_of(found, type):
        return False
    home = type.__dict__["__module__"].__get__(found)
    return type(home) is str and home.partition(".")[0] == "coshell"
