"""Saying how much heap a coroutine may hold, or all together, and what happens to who holds more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from coloop import Coroutine, memory
from coshell.command import Arg, Command, CommandError, UsageError
from coshell.listing import Listing, lines_of, listing
from coshell.naming import find_all
from coshell.values import Bytes, Percent

if TYPE_CHECKING:
    from coshell.shell import Shell

ALL: Final = "(all together)"


@dataclass(frozen=True)
class Limited:
    """Somebody who may hold so much heap and not more.

    Attributes:
        id: the coroutine's number; None for all together.
        name: its name.
        heap: what it holds.
        limit: what it may hold; None if its limit was taken away.
        used: how much of that it holds.
        action: what happens when it holds more: `raise`, `warn` or `cancel`.
    """

    id: int | None
    name: str
    heap: Bytes
    limit: Bytes | None
    used: Percent | None
    action: str | None


def limit(
    shell: Shell,
    coroutine: tuple[Any, ...],
    heap: int | None,
    warn: bool,
    cancel: bool,
    off: bool,
    all: bool,  # noqa: A002 - the option's name
) -> Listing[Limited]:
    """Set limits, take them away, or show them."""
    if warn and cancel:
        raise UsageError("limit: --warn says it, --cancel ends who crosses it: give one of them")
    if off and (heap is not None or warn or cancel):
        raise UsageError("limit: --off takes the limit away: it goes with no other option but --all")
    if heap is None and not off:
        if coroutine or all or warn or cancel:
            raise UsageError("limit: how much? --heap 4M, or --off for no limit")
        return listing(shell, _limited(shell))
    if not (coroutine or all):
        raise UsageError("limit: whose? a coroutine's number or name, or --all for all together")
    if not memory.traces_heap():
        raise CommandError(f"heap is not counted at level {memory.level()!r}: set level heap")
    action = "warn" if warn else "cancel" if cancel else "raise"
    return listing(shell, _set(shell, coroutine, None if off else heap, action, all))


def _set(
    shell: Shell, coroutine: tuple[Any, ...], heap: int | None, action: str, is_for_all: bool
) -> list[Limited]:
    chosen = [_living(one) for one in find_all(shell, coroutine)]
    try:
        if is_for_all:
            shell.scheduler.limit_memory(heap, action)
        for one in chosen:
            one.limit_memory(heap, action)
    except ValueError as error:
        raise CommandError(str(error)) from None
    return ([_all_together(shell)] if is_for_all else []) + [_one(found) for found in chosen]


def _living(one: Any) -> Coroutine:
    if not isinstance(one, Coroutine) or one.ended:
        raise CommandError(f"co#{one.id} {one.name} has ended: it holds what it left, and takes no more")
    return one


def _limited(shell: Shell) -> Iterator[Limited]:
    if shell.scheduler.memory_limit is not None:
        yield _all_together(shell)
    for one in list(shell.scheduler.living.values()):
        if one.limit_action is not None:
            yield _one(one)


def _all_together(shell: Shell) -> Limited:
    scheduler = shell.scheduler
    return _record(None, ALL, memory.held_by_coroutines(), scheduler.memory_limit, scheduler.limit_action)


def _one(one: Coroutine) -> Limited:
    account = one.account
    return _record(one.id, one.name, account.heap_bytes or 0, account.limit, one.limit_action)


def _record(number: int | None, name: str, heap: int, most: int | None, action: str | None) -> Limited:
    used = None if most is None else Percent(100 * heap / most)
    return Limited(number, name, Bytes(heap), None if most is None else Bytes(most), used, action)


def _limit_lines(value: Listing[Limited], width: int) -> list[str]:
    return lines_of(value, width) if value else ["nobody has a limit: limit ID --heap 4M"]


COMMANDS: Final = (
    Command(
        "limit",
        "limit the heap of coroutines, or of all together; alone: show the limits",
        limit,
        (
            Arg(
                "coroutine",
                "number, co#number or name; several, or a list put in",
                "coroutine",
                repeat=True,
                optional=True,
            ),
            Arg("--heap", "so much may be held", "size"),
            Arg("--warn", "only say when it is crossed", "flag"),
            Arg("--cancel", "cancel who crosses it, instead of raising MemoryLimitExceeded there", "flag"),
            Arg("--off", "take the limit away", "flag"),
            Arg("--all", "for all coroutines together", "flag"),
        ),
        (
            "go sleep(60) --name nap\nlimit nap --heap 4M",
            "limit --all --heap 64M --warn\nlimit\nlimit --all --off",
        ),
        show=_limit_lines,
        details=(
            "Who crosses its limit gets MemoryLimitExceeded where it computes, or at its next wait without the native"
            " core; then there is room for 64K more, to handle that. Who goes on nevertheless is cancelled."
        ),
    ),
)
