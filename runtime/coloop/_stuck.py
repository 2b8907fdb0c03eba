"""Who can never be woken again: coroutines that wait for what nothing alive can reach.

A coroutine that waits for a timer, a descriptor, a thread or the prompt can be woken from outside.
One that waits on a channel, an event or to be resumed can be woken only by somebody who can get
hold of that channel. So this is the question that a garbage collector asks, with coroutines as
a kind of root that has to prove itself (Go calls it a goroutine leak profile): mark everything
reachable from the modules, the threads and the coroutines that can be woken from outside; a
coroutine whose wait was marked counts as alive, and what *it* can reach is marked too; and so on
until nothing is added. Those left over are stuck.

Objects that only C code refers to, or that lie on a value stack in the midst of an expression,
are not seen, so the answer may, rarely, name one too many. The walk takes about 0.2 s per million
objects, during which nothing else runs: ask on demand.
"""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Container, Iterable
from types import FrameType, GeneratorType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from greenlet import greenlet

from ._coroutine import Coroutine
from ._coroutine_state import WAITING
from ._frames import is_ours
from ._group import Group

if TYPE_CHECKING:
    from ._scheduler import Scheduler

OUR_REFERENCES: Final = 3  # the frame's, the variable's and the argument's
FROM_OUTSIDE: Final = frozenset(
    {"sleep", "recv", "send", "accept", "connect", "thread", "prompt", "idle", "close", "child", "signal"}
)


def find_stuck(scheduler: Scheduler) -> list[Coroutine]:
    """The living coroutines that nothing can wake any more, by id; on the scheduler's own thread."""
    timed = {timer.owner for timer in scheduler.timers}
    doubtful = {co for co in scheduler.living.values() if _can_only_be_woken_from_inside(co, timed)}
    if not doubtful:
        return []
    marked = {id(scheduler)}  # it knows every coroutine, and wakes none by itself
    alive = [co for co in scheduler.living.values() if co not in doubtful]
    _mark(_roots(scheduler, alive), marked)
    while True:
        proven = [co for co in doubtful if _reachable(co, marked)]
        if not proven:
            return sorted(doubtful, key=lambda co: co.id)
        doubtful.difference_update(proven)
        _mark([value for co in proven for value in _held_by(scheduler, co)], marked)


def _can_only_be_woken_from_inside(coroutine: Coroutine, timed: Container[object]) -> bool:
    return coroutine._state == WAITING and coroutine._verb not in FROM_OUTSIDE and coroutine not in timed


def _reachable(coroutine: Coroutine, marked: set[int]) -> bool:
    """Whether what it waits for was marked: the object itself or, to be resumed, its handle."""
    if coroutine._verb == "suspend":
        return id(coroutine) in marked
    subject = coroutine._subject
    if isinstance(subject, Coroutine):
        return id(subject._greenlet) in marked
    if isinstance(subject, Group):
        return any(id(child._greenlet) in marked for child in subject.children)
    return id(subject) in marked


def _roots(scheduler: Scheduler, alive: Iterable[Coroutine]) -> list[Any]:
    roots: list[Any] = list(sys.modules.values())
    for frame in sys._current_frames().values():
        roots.extend(_locals_of(_past_ours(frame)))
    # One that is being iterated over is on the value stack of a frame, where nobody can look. One that
    # runs is among its coroutine's frames.
    roots.extend(found for found in gc.get_objects() if type(found) is GeneratorType and not found.gi_running)
    roots.extend((scheduler.observer, scheduler.clock, scheduler._calls))
    for timer in scheduler.timers:
        roots.extend((timer.fn, timer.args))
    for coroutine in alive:
        roots.extend(_held_by(scheduler, coroutine))
    return roots


def _held_by(scheduler: Scheduler, coroutine: Coroutine) -> list[Any]:
    """What its frames hold, its context and deferred calls, what it waits for, and the mark that it is alive."""
    held: list[Any] = [coroutine._defers, coroutine._value, coroutine.context, coroutine._subject]
    if coroutine._greenlet is not None:
        held.append(coroutine._greenlet)
    frame = scheduler.frame_of(coroutine)
    held.extend(_locals_of(_past_ours(frame) if coroutine is scheduler.running else frame))
    return held


def _past_ours(frame: FrameType | None) -> FrameType | None:
    """The frames that asked for this search know everybody; they do not count."""
    while frame is not None and is_ours(frame.f_code):
        frame = frame.f_back
    return frame


def _locals_of(frame: FrameType | None) -> list[Any]:
    values: list[Any] = []
    while frame is not None:
        names = frame.f_locals
        values.extend(names.values())
        # Up to CPython 3.12 a function's is a copy that stays with the frame, and would keep the values
        # alive. It is also what `locals()` returned: then a third reference is the program's own.
        is_copy = frame.f_code.co_flags & inspect.CO_OPTIMIZED and type(names) is dict
        if is_copy and sys.getrefcount(names) == OUR_REFERENCES:
            names.clear()
        frame = frame.f_back
    return values


def _mark(roots: list[Any], marked: set[int]) -> None:
    """Mark what can be reached, without looking into coroutines: those must prove themselves."""
    front = roots
    while front:
        fresh = []
        for found in front:
            if id(found) not in marked:
                marked.add(id(found))
                kind = type(found)  # `isinstance` would ask for `__class__`, which may be a property
                if issubclass(kind, ModuleType):
                    # Its names, and not what its C code holds: asyncio's held freed objects until CPython
                    # 3.12.6 (gh-122695), and looking at one of them ruined the heap.
                    fresh.append(vars(found))
                elif not issubclass(kind, (Coroutine, greenlet)):
                    fresh.append(found)
        front = gc.get_referents(*fresh)
