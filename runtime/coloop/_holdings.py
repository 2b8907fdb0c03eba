"""What the runtime holds on behalf of its users, and who wanted it held.

Whoever asks why an object is still alive must hear "a call that co#3 has deferred" or "every#1", and not
"a list in a slot of a C structure". So everything that was entrusted to a scheduler is told here, one
by one, with its owner. Frames are not among it: `Scheduler.frame_of` gives those.

Nothing is told twice, and nothing of what the runtime keeps for itself.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import suppress
from contextvars import Context
from types import BuiltinMethodType, MethodType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ._after import TimedCall
from ._coroutine import Coroutine
from ._form import native
from ._type_names import type_module

if TYPE_CHECKING or native is None:
    from ._timers import Timer
else:
    Timer = native.Timer

if TYPE_CHECKING:
    from ._scheduler import Scheduler

NO_ARGUMENTS: Final[Mapping[str, Any]] = {}


class Entrusted(NamedTuple):
    """One thing that is held.

    Attributes:
        kind: `deferred call`, `context variable`, `awaited`, `value on its way`, `timer`, `queued call` or
            `open socket`.
        owner: the `Coroutine` or `TimedCall` that it is held for; None if it is nobody's.
        name: what it is there: `function`, `argument 0`, a context variable's name.
        value: the thing itself.
    """

    kind: str
    owner: Coroutine | TimedCall | None
    name: str
    value: Any


def holdings(scheduler: Scheduler) -> Iterator[Entrusted]:
    """What a scheduler holds for others; on its own thread.

    Raises:
        WrongThread: called from another thread.
    """
    scheduler.check_thread("holdings")
    for coroutine in list(scheduler.living.values()):
        yield from _of_coroutine(coroutine)
    for timer in list(scheduler.timers):
        yield from _of_timer(timer)
    for fn, args in tuple(scheduler._calls):
        yield from _call("queued call", None, fn, args)
    for socket in list(scheduler.sockets.values()):
        yield Entrusted("open socket", None, str(socket), socket)


def _of_coroutine(coroutine: Coroutine) -> Iterator[Entrusted]:
    for fn, args, kwargs in list(coroutine._defers or ()):
        yield from _call("deferred call", coroutine, fn, args, kwargs)
    for context in _contexts(coroutine):
        for variable, value in context.items():
            yield Entrusted("context variable", coroutine, variable.name, value)
    subject = coroutine._subject
    if subject is not None and not isinstance(subject, Timer):  # a sleep's timer is nobody else's
        yield Entrusted("awaited", coroutine, coroutine._verb or "", subject)
    if coroutine._value is not None:
        yield Entrusted("value on its way", coroutine, "value", coroutine._value)


def _contexts(coroutine: Coroutine) -> list[Context]:
    """Its context, if it has one; `coroutine.context` would make one."""
    found = [one for one in gc.get_referents(coroutine) if type(one) is Context]
    with suppress(ValueError):  # of a greenlet that is in C code and nothing else
        its = None if coroutine._greenlet is None else coroutine._greenlet.gr_context
        found += [its] if its is not None else []
    return found[:1]


def _of_timer(timer: Any) -> Iterator[Entrusted]:
    fn = timer.fn
    master = fn.__self__ if issubclass(type(fn), (MethodType, BuiltinMethodType)) else None
    if type(master) is TimedCall:
        yield from _call("timer", master, master._fn, master._args)
        yield from (Entrusted("timer", master, name, value) for name, value in _variables(master))
    elif fn is not None and not _is_own(master):
        yield from _call("timer", timer.owner, fn, timer.args)


def _variables(call: TimedCall) -> Iterator[tuple[str, Any]]:
    if call._context is not None:
        yield from ((f"context variable {variable.name}", value) for variable, value in call._context.items())


def _is_own(master: object) -> bool:
    """Whether a timer only wakes somebody, or interrupts him."""
    return type_module(type(master)).startswith("coloop.")


def _call(
    kind: str,
    owner: Coroutine | TimedCall | None,
    fn: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] = NO_ARGUMENTS,
) -> Iterator[Entrusted]:
    yield Entrusted(kind, owner, "function", fn)
    for place, value in enumerate(args):
        yield Entrusted(kind, owner, f"argument {place}", value)
    for name, value in kwargs.items():
        yield Entrusted(kind, owner, f"argument {name}", value)
