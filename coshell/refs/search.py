"""The shortest chains from a root to one object: who holds it, and why it is not freed.

Everything happens on the scheduler's thread and in one go, so that the picture is consistent: no coroutine runs
meanwhile. It takes about 1 s for each million objects that are met before the target is, ten times as long as a
collection; what is near to a root is found sooner. Nothing that was met is held afterwards.

    roots.py      where chains begin
    walk.py       outwards from all of them at once
    links.py      how one object holds another, in the user's words
    unreached.py  why an object lives that no root leads to
    holding.py    the same question about many objects: what holds most of them
"""

from __future__ import annotations

import gc
import sys
import time
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from coloop import Coroutine
from coshell.namespace import CommandFunction
from coshell.text import plural

from .chain import Chain, chain_of
from .frames import is_shell, outwards, variables
from .roots import barred_types, closed, roots
from .unreached import explain
from .walk import Walk, collector_at_rest

if TYPE_CHECKING:
    from coshell.shell import Shell

LIMIT_S: Final = 5.0
IMMORTAL: Final = 1 << 28  # references; more than 2 GB of them
_CARRIERS: Final = frozenset(map(id, (tuple, dict, list, partial)))
_SINGLE: Final = frozenset(map(id, (type(None), bool, type(...), type(NotImplemented))))


class Probe:
    """An object that nobody else can know: how often it is referred to is how often we refer to any.

    Attributes:
        references: what was counted.
    """

    def __init__(self) -> None:
        self.references = 0


def chains(shell: Shell, target: Any, own: int, count: int = 1, limit_s: float = LIMIT_S) -> list[Chain]:
    """The shortest chains to an object, each by another holder; or one that tells why there is none.

    Args:
        shell: what is its own is left out.
        target: the object.
        own: how many references to it are whoever asks'.
        count: how many chains at most.
        limit_s: when to give up, in seconds of computing.
    """
    references = sys.getrefcount(target)
    if type(target) is Probe:
        target.references = references
        return []
    if references - own > IMMORTAL or id(type(target)) in _SINGLE:
        return [Chain("", "immortal", remark="the interpreter keeps it for ever")]
    with collector_at_rest():
        found, met = _search(shell, target, count, time.thread_time() + limit_s)
        if found:
            return found
        if met is not None:
            remark = f"gave up after {limit_s:g}s of computing: {plural(met, 'object')} looked at, and none holds it"
            return [Chain("", "gave up", remark=remark)]
        if type(target) is Coroutine and not target.ended:
            return [_only_the_scheduler(target)]
        barred = {id(kind) for kind in barred_types()}
        return [explain(target, references - own, _own_containers(target), barred)]


def _search(shell: Shell, target: Any, count: int, deadline_s: float) -> tuple[list[Chain], int | None]:
    """The chains and, if the search was given up, how many objects were met."""
    walk = Walk(roots(shell), [target], closed=closed(shell), barred=barred_types(), deadline_s=deadline_s)
    walk.run(lambda so_far: len(so_far.roots) + len(so_far.holders) >= count)
    found = [chain_of(root, [target]) for root in walk.roots[:count]]
    near = walk.holders[: max(0, count - len(found))]
    found += [chain_of(root, [*path, target]) for root, path in walk.paths(near)]
    return found, walk.looked_at if walk.gave_up else None


def _only_the_scheduler(coroutine: Coroutine) -> Chain:
    doing = f"waiting on {coroutine.waiting_on}" if coroutine.waiting_on else coroutine.state
    return Chain(
        "", "only the scheduler", remark=f"nobody holds {coroutine} but the scheduler: it lives, {doing}"
    )


# -- our own references --------------------------------------------------------------------------


def own_when_typed(shell: Shell) -> int:
    """How many references are our own if the object was found by evaluating what was typed."""
    probe = Probe()
    chains(shell, probe, 0)
    return probe.references


def own_when_called(shell: Shell, command: str) -> int:
    """The same if it was given to the command as a function."""
    probe = Probe()
    CommandFunction(shell.commands.get(command), shell.call_command)(probe)
    return probe.references - 1  # the variable is ours, here


def _own_containers(target: object) -> set[int]:
    """What carries the arguments of our own calls, from the user's to this one."""
    found: set[int] = set()
    for frame in outwards(sys._getframe()):  # noqa: SLF001 - the only way to see one's own callers
        if is_shell(frame.f_code):
            found.update(_carriers(frame, target))
    return found | _arguments_in_c(target)


def _arguments_in_c(target: object) -> set[int]:
    """The tuple and the dictionary with which C code makes a call: they hold the target, and nobody has them."""
    number = id(target)
    found = gc.get_referrers(target)
    likely = [one for one in found if _looks_like_arguments(one, number)]
    mine = (found, likely)
    return {id(one) for one in likely if all(_is_mine(holder, mine) for holder in gc.get_referrers(one))}


def _looks_like_arguments(holder: Any, number: int) -> bool:
    if type(holder) is dict:
        return any(type(key) is str and id(value) == number for key, value in holder.items())
    return type(holder) is tuple and id(holder[0]) == number


def _is_mine(holder: object, mine: tuple[object, ...]) -> bool:
    return issubclass(type(holder), FrameType) or any(holder is one for one in mine)


def _carriers(frame: FrameType, target: object) -> set[int]:
    found: set[int] = set()
    for _, value in variables(frame):
        if value is not target and id(type(value)) in _CARRIERS:
            found.add(id(value))
        if type(value) is partial:
            found.update((id(value.keywords), id(value.args)))
    return found
