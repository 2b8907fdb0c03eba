"""What a user calls a coroutine may be dead; then the answer is about its end, not that there is none.

Numbers are small and never used again, so `2` and `co#2` mean one coroutine for all time. Whoever waits
for it, or asks where it stands, may come a moment too late, and that is no mistake of his.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from coloop import Coroutine, CoroutinePicture

from .command import CommandError

if TYPE_CHECKING:
    from .shell import Shell

MAX_RUNS_NAMED: Final = 8
_NUMBER: Final = re.compile(r"\s*(?:co#)?(\d+)\s*")


def find(shell: Shell, ref: Any) -> Coroutine | CoroutinePicture:
    """The coroutine that is meant: its handle if it can be had, else a picture of a dead one.

    Args:
        shell: where to look.
        ref: a `Coroutine`, a number, `co#2`, a coroutine's name, or a name of the user's for one.

    Raises:
        CommandError: there is none, or several; the message names the living, or the nearest.
    """
    try:
        return shell.find_coroutine(ref)
    except CommandError as error:
        number = number_in(ref)
        dead = [p for p in shell.snapshot(0).dead if p.id == number or p.name == ref]
        if dead:
            return dead[-1]
        if number is None:
            raise
        living = ranges(coroutine.id for coroutine in shell.living())
        raise CommandError(f"{error}; living: {living}") from None


def find_all(shell: Shell, refs: Iterable[Any]) -> list[Coroutine | CoroutinePicture]:
    """All that are meant; a reference may also be a list of coroutines, as `go -n` binds it."""
    return [find(shell, ref) for ref in flat(refs)]


def flat(refs: Iterable[Any]) -> list[Any]:
    """References, those in lists among them."""
    return [one for ref in refs for one in (ref if isinstance(ref, (list, tuple, set)) else [ref])]


def number_in(ref: Any) -> int | None:
    """The number that a reference is; None if it is a name."""
    found = _NUMBER.fullmatch(str(ref))
    return int(found[1]) if found else None


def ranges(numbers: Iterable[int]) -> str:
    """Numbers, neighbours joined: `1-4, 7`; the first few, if there are many."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in runs]
    more = ["..."] if len(shown) > MAX_RUNS_NAMED else []
    return ", ".join(shown[:MAX_RUNS_NAMED] + more)
