"""What happens when a coroutine, or all of them together, hold more heap than they may.

Nobody is refused what he asks for: a finalizer of somebody else's may be running just then, and not all C code stands a
refusal well. So it is granted, and the error is raised in the coroutine that has asked: at its next wait, or
with the native core at the next instruction of its own code, wherever it computes. Then there is room for some
`HEADROOM_BYTES` more, to handle it. Who swallows it and goes on is cancelled.

With the native core a request of more than 64 MiB that would cross the limit is refused at once. CPython
raises a plain MemoryError then; where it ends the coroutine it is given its right name.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ._errors import Cancelled, MemoryLimitExceeded
from ._form import native
from ._frames import top_site

if TYPE_CHECKING:
    from ._coroutine import Coroutine
    from ._observer import Observer

core: Any = native  # only with it does an error strike in the midst of a computation

ACTIONS: Final = ("raise", "warn", "cancel")
HEADROOM_BYTES: Final = 64 * 1024  # room to handle a MemoryLimitExceeded


class Crossing(NamedTuple):
    """A limit was crossed.

    Attributes:
        limit_bytes: the limit.
        used_bytes: what was held then.
        tried_bytes: the request that crossed it; without the native core what was allocated since the last switch.
        where: where that was; None if it is to be looked for.
        times: how often, since less than the limit was held.
        action: what is to be done: `raise`, `warn` or `cancel`.
    """

    limit_bytes: int
    used_bytes: int
    tried_bytes: int
    where: object
    times: int
    action: str

    def error(self) -> MemoryLimitExceeded:
        """What it says to whoever has crossed it."""
        where = str(self.where or top_site(sys._getframe()) or "?").partition(" in ")[0]
        return MemoryLimitExceeded(self.limit_bytes, self.used_bytes, self.tried_bytes, where)


class Limit:
    """So much heap, and not more.

    Args:
        bytes: the limit.
        action: one of `ACTIONS`.
    """

    __slots__ = ("_times", "_wire", "action", "bytes")

    def __init__(self, bytes: int, action: str = "raise") -> None:  # noqa: A002 - as the native one has it
        self.bytes = bytes
        self.action = action
        self._wire = bytes  # what is looked at; moved up each time that it was crossed
        self._times = 0

    def crossing(self, used_bytes: int, tried_bytes: int) -> Crossing | None:
        """What is to be told, if so much is held now; None if there is nothing, or it was told already."""
        if used_bytes <= self.bytes:
            self._wire, self._times = self.bytes, 0
            return None
        if used_bytes <= self._wire:
            return None
        self._wire = used_bytes + HEADROOM_BYTES
        self._times += 1
        return Crossing(self.bytes, used_bytes, tried_bytes, None, self._times, self.action)

    def refusal(self) -> Crossing | None:
        """The request that was refused since somebody asked; None if there was none."""
        return None


class Struck(MemoryLimitExceeded):
    """As CPython raises it in the midst of what a coroutine computes: it is told of the class alone."""

    def __init__(self) -> None:
        error = core.last_crossing().error()
        MemoryError.__init__(self, str(error))
        self.limit_bytes, self.used_bytes = error.limit_bytes, error.used_bytes


class StruckDown(Cancelled):
    """Likewise, for who goes on above its limit."""

    def __init__(self) -> None:
        super().__init__(went_on(core.current(), core.last_crossing()))


# What a user sees of them is what he catches.
for _private, _public in ((Struck, MemoryLimitExceeded), (StruckDown, Cancelled)):
    _private.__name__, _private.__qualname__ = _public.__name__, _public.__qualname__
    _private.__module__ = "coloop"  # as `__init__.py` calls the others


def went_on(coroutine: Coroutine, crossing: Crossing) -> str:
    """Why it is cancelled."""
    return f"{coroutine} went on above its limit: {crossing.error()}"


def enforce(coroutine: Coroutine, crossing: Crossing, observer: Observer) -> None:
    """Do what the limit says: warn of it once, raise, or cancel; who was told and goes on is cancelled too."""
    if crossing.action == "warn":
        if crossing.times == 1:
            observer.warned(f"{coroutine} holds {crossing.used_bytes} bytes: {crossing.error()}")
        return
    if crossing.action == "cancel" or crossing.times > 1:
        raise Cancelled(went_on(coroutine, crossing))
    error = crossing.error()
    try:
        raise error
    finally:
        del error  # else this frame and the traceback hold each other


def rightly_named(error: BaseException, *limits: Limit | None) -> BaseException:
    """The `MemoryLimitExceeded` that a MemoryError is if one of these limits has refused the request."""
    if type(error) is not MemoryError:
        return error
    for limit in limits:
        refusal = None if limit is None else limit.refusal()
        if refusal is not None:
            return refusal.error().with_traceback(error.__traceback__)
    return error


def checked(heap_bytes: object, action: str, *, level: str, is_counted: bool) -> Limit | None:
    """The limit that is asked for; None for none.

    Raises:
        ValueError: it is not a positive number, there is no such action, or nobody counts heap at this level.
    """
    if heap_bytes is None:
        return None
    if action not in ACTIONS:
        raise ValueError(f"no such action: {action!r} (one of {', '.join(ACTIONS)})")
    if isinstance(heap_bytes, bool) or not isinstance(heap_bytes, int) or heap_bytes <= 0:
        raise ValueError(f"memory_limit must be a positive number of bytes, not {heap_bytes!r}")
    if not is_counted:
        raise ValueError(f"memory_limit needs level heap, not {level}: call memory.set_level('heap')")
    return Limit(heap_bytes, action)


if not TYPE_CHECKING and native is not None:
    Limit: Any = native.Limit
