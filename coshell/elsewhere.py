"""A coroutine in another process is asked for when somebody wants to know more of it, or wants it to end.

What its process has told of itself is enough for lists, and is half a second old. Where one stands now only that
process knows, and it may not answer; so whoever asks waits for a moment, in a coroutine, and is told in one line what
hinders. What comes is shown as of one of ours, with numbers that bear the name of the process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from coloop import CoroutinePicture

from .bridge import Hogged
from .command import CommandError
from .command_error import did_you_mean
from .processes import Number, Sight

if TYPE_CHECKING:
    from .shell import Shell

PATIENCE_S: Final = 1.0  # with one of ours who lets nobody run: the question goes by way of our scheduler

T = TypeVar("T")


def meant(shell: Shell, ref: Any) -> Number | None:
    """The coroutine of another process that is meant; None if it must be one of ours.

    Raises:
        CommandError: there is no such process.
    """
    number = Number.parse(ref)
    if number is None or any(one.name == ref for one in shell.living()):
        return None
    names = [process.name for process in shell.plugins.processes()]
    if number.process not in names:
        hint = did_you_mean(number.process, names) or " (ps --all lists what there is)"
        raise CommandError(f"no process {number.process!r} works for this shell{hint}")
    return number


def sight_of(shell: Shell, one: Number) -> Sight:
    """What its process tells of it now; raises CommandError."""
    return _numbered(_asked(shell, one, partial(shell.plugins.look, one.process, int(one))), one.process)


def end(shell: Shell, one: Number, grace_s: float | None) -> tuple[str, str]:
    """Have it cancelled, or killed; its name, and how that went; raises CommandError."""
    return _asked(shell, one, partial(shell.plugins.end, one.process, int(one), grace_s))


def _asked(shell: Shell, one: Number, question: Callable[[], T | None]) -> T:
    try:
        answer: T | None = shell.bridge.call(question, patience_s=PATIENCE_S)
    except Hogged as hogged:
        hog = hogged.hog
        why = f"while co#{hog.id} {hog.name} lets nobody run here (where {hog.id}, kill {hog.id})"
        raise CommandError(f"{one} cannot be asked for {why}") from None
    if answer is None:
        raise CommandError(f"{one}: its process has just ended, or tells no more than ps --all shows")
    return answer


def _numbered(sight: Sight, process: str) -> Sight:
    """The same, with numbers that tell where they belong."""

    def named(picture: CoroutinePicture) -> CoroutinePicture:
        parent = picture.parent_id
        return replace(
            picture,
            id=Number.of(picture.id, process),
            parent_id=None if parent is None else Number.of(parent, process),
        )

    return replace(
        sight,
        picture=named(sight.picture),
        coroutines=tuple(map(named, sight.coroutines)),
        dead=tuple(map(named, sight.dead)),
        children=tuple(Number.of(child, process) for child in sight.children),
        hog=None if sight.hog is None else named(sight.hog),
    )
