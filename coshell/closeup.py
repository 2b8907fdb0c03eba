"""One coroutine among a hundred thousand is looked at without making all of them stand still.

A picture of everybody takes the scheduler's thread tens of microseconds for each, and nobody runs
meanwhile. Whoever asks for one gets that one: its handle tells what it is from any thread, and only its
stack and its account must be read on the scheduler's own thread, which is asked to do that in between.
If it does not come to it, because somebody lets nobody run, a light picture has to do, and the stack of
the culprit is all that can be seen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from coloop import Account, Coroutine, CoroutinePicture, Snapshot

from .elsewhere import meant, sight_of
from .naming import find
from .portrait import MAX_ANCESTORS, Place, Surroundings, place_of, places
from .processes import Sight

if TYPE_CHECKING:
    from .shell import Shell

ANSWER_PATIENCE_S: Final = 0.25

T = TypeVar("T")
Stack = tuple[Place, ...]


@dataclass(frozen=True)
class CloseUp:
    """What is seen of one coroutine.

    Attributes:
        picture: the coroutine.
        snapshot: what is around it; of the living only itself and its ancestors.
        stack: its calls, the outermost first; None if they cannot be read.
        children: the living coroutines that it started.
    """

    picture: CoroutinePicture
    snapshot: Surroundings
    stack: Stack | None
    children: tuple[int, ...]


def close_up(shell: Shell, ref: Any) -> CloseUp:
    """Look at the coroutine that is meant, living or dead, here or in another process.

    Raises:
        CommandError: there is none.
    """
    elsewhere = meant(shell, ref)
    if elsewhere is not None:
        return _from_sight(sight_of(shell, elsewhere))
    return close_up_here(shell, ref)


def close_up_here(shell: Shell, ref: Any) -> CloseUp:
    """The same for one of ours; raises CommandError."""
    found = find(shell, ref)
    snapshot = shell.snapshot(0)
    picture, stack = _seen(shell, found, snapshot)
    around = replace(snapshot, coroutines=(*_self(picture), *_ancestors(shell, picture, snapshot)))
    children = tuple(other.id for other in shell.living() if other.parent_id == picture.id)
    return CloseUp(picture, around, stack, children)


def _from_sight(sight: Sight) -> CloseUp:
    """A line that was typed has its source here as well."""
    stack = sight.stack
    told = None if stack is None else tuple(Place(at, source or place_of(at).source) for at, source in stack)
    return CloseUp(sight.picture, sight, told, sight.children)


def _seen(
    shell: Shell, found: Coroutine | CoroutinePicture, snapshot: Snapshot
) -> tuple[CoroutinePicture, Stack | None]:
    if isinstance(found, Coroutine) and not found.ended:
        near = asked(shell, partial(_near, found)) if snapshot.responsive else None
        return near if near is not None else _from_afar(shell, found)
    known = (picture for picture in snapshot.dead if picture.id == found.id)
    picture = next(known, None) or (found if isinstance(found, CoroutinePicture) else _sketch(found))
    return picture, None


def _near(coroutine: Coroutine) -> tuple[CoroutinePicture, Stack]:
    """On the scheduler's thread."""
    return _sketch(coroutine, coroutine.account), places(coroutine.stack())


def _from_afar(shell: Shell, coroutine: Coroutine) -> tuple[CoroutinePicture, Stack | None]:
    snapshot = shell.snapshot()
    everybody = (*snapshot.coroutines, *snapshot.dead)
    picture = next((picture for picture in everybody if picture.id == coroutine.id), None)
    return picture or _sketch(coroutine), _stack_of_hog(snapshot).get(coroutine.id)


def _sketch(coroutine: Coroutine, account: Account | None = None) -> CoroutinePicture:
    """What a handle tells, and its account if that is known."""
    return CoroutinePicture(
        id=coroutine.id,
        name=coroutine.name,
        state=coroutine.state,
        parent_id=coroutine.parent_id,
        spawned_at=coroutine.spawned_at,
        waiting_on=coroutine.waiting_on,
        where=None,
        age_s=coroutine.age_s,
        busy_s=coroutine.busy_s,
        switches=coroutine.switches,
        running_for_s=0.0,
        heap_bytes=account.heap_bytes if account else None,
        heap_peak=account.heap_peak if account else None,
        allocated_total=account.allocated_total if account else None,
        stack_bytes=account.stack_bytes if account else 0,
        frames=account.frames if account else 0,
        sockets=account.sockets if account else 0,
        timers=account.timers if account else 0,
        defers=account.defers if account else 0,
        limit=account.limit if account else None,
        dropped_bytes=account.dropped_bytes if account else 0,
        dropped_ago_s=account.dropped_ago_s if account else None,
        outcome=coroutine.outcome,
    )


def _self(picture: CoroutinePicture) -> tuple[CoroutinePicture, ...]:
    return () if picture.outcome is not None else (picture,)


def _ancestors(shell: Shell, picture: CoroutinePicture, snapshot: Snapshot) -> Iterator[CoroutinePicture]:
    """The living among those who started it, who started that one, and so on."""
    dead = {gone.id: gone for gone in snapshot.dead}
    for _ in range(MAX_ANCESTORS):
        if picture.parent_id is None:
            return
        parent = shell.scheduler.coroutine(picture.parent_id)
        if parent is not None:
            picture = _sketch(parent)
            yield picture
        elif picture.parent_id in dead:
            picture = dead[picture.parent_id]
        else:
            return


def stacks(shell: Shell, coroutines: Iterable[Coroutine]) -> dict[int, Stack]:
    """The stacks of some coroutines by number, as far as they can be read now."""
    snapshot = shell.snapshot(0)
    if not snapshot.responsive:
        return _stack_of_hog(snapshot)
    wanted = list(coroutines)
    return asked(shell, lambda: {one.id: places(one.stack()) for one in wanted}) or {}


def _stack_of_hog(snapshot: Snapshot) -> dict[int, Stack]:
    hog = snapshot.hog
    return {} if hog is None else {hog.id: tuple(map(place_of, snapshot.hog_stack))}


def asked(shell: Shell, question: Callable[[], T]) -> T | None:
    """What a function gives that must run on the scheduler's thread; None if somebody lets nobody else run, or it has ended.

    The function must not park.
    """
    scheduler = shell.scheduler
    if threading.get_ident() == scheduler.thread_id:
        return question()
    answers: list[T] = []
    answered = threading.Event()

    def answer() -> None:
        try:
            answers.append(question())
        finally:
            answered.set()

    scheduler.call_soon_threadsafe(answer)
    while not answered.wait(ANSWER_PATIENCE_S) and shell.bridge.running and shell.bridge.hog() is None:
        pass  # nobody holds it: the machine is slow, and the answer will come
    return answers[0] if answers else None
