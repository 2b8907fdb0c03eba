"""A list that is too long to read is made short: by choosing, by ordering, by putting like with like.

A leak of coroutines is often one line once they are counted by where they were started: a thousand of
a thousand and four are the same. The other ways are those of every list: an expression says which rows
to keep, a column says which come first, and who started whom makes a tree of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any, Final

from .command import CommandError
from .lines import expand_units
from .render import Column
from .roster import ByteRate, Row, filled, key_of
from .text import nearest
from .values import Bytes, Count, Duration


def matching(chosen: Iterable[Row], expression: str, names: dict[str, Any]) -> list[Row]:
    """The rows for which a Python expression over their columns is true: `heap > 64*1024 and age > 5`.

    Columns hide the user's names. A row on which the expression fails because it compares what is
    not known (`None > 5`) does not match.

    Raises:
        CommandError: it is no expression, or fails otherwise.
    """
    chosen = list(chosen)
    if not chosen:
        return []
    parameters = [entry.name for entry in fields(chosen[0])]
    try:
        test = eval(f"lambda {', '.join(parameters)}: (\n{expand_units(expression)}\n)", names)  # noqa: S307 - what the user typed
        return [row for row in chosen if _holds(test, [getattr(row, name) for name in parameters])]
    except Exception as error:
        raise CommandError(f"--where {expression}: {type(error).__name__}: {error}") from error


def _holds(test: Callable[..., object], values: list[Any]) -> bool:
    try:
        return bool(test(*values))
    except TypeError as error:
        if "NoneType" in str(error):
            return False
        raise


def ordered(chosen: Iterable[Any], by: str, columns: Sequence[Column]) -> list[Any]:
    """Sorted by a column, as it is headed or as the attribute is called; sizes and times biggest first.

    A `-` before the name turns the order round. What is not known comes last.

    Raises:
        CommandError: no such column.
    """
    chosen = list(chosen)
    reverse, wanted = by.startswith("-"), by.lstrip("-")
    attribute = _attribute(wanted, columns)
    known = [row for row in chosen if getattr(row, attribute) is not None]
    unknown = [row for row in chosen if getattr(row, attribute) is None]
    biggest_first = any(isinstance(getattr(row, attribute), (Bytes, Duration, Count)) for row in known)
    return sorted(known, key=attrgetter(attribute), reverse=biggest_first != reverse) + unknown


def _attribute(wanted: str, columns: Sequence[Column]) -> str:
    known = {key_of(column.header): column.field for column in columns}
    known |= {column.field: column.field for column in columns}
    found = known.get(key_of(wanted))
    if found is None:
        hint = nearest(key_of(wanted), known)
        rest = f", did you mean {hint!r}?" if hint else f"; there are {' '.join(known)}"
        raise CommandError(f"no column {wanted!r}{rest}")
    return found


@dataclass(frozen=True)
class Group:
    """Coroutines that were started at the same place, as one row.

    Attributes:
        count: how many.
        name: their name, `*` in place of a number at its end.
        states: how many in which state.
        oldest: the greatest age.
        busy: how long they have run, together.
        switches: likewise.
        stack: bytes of their stacks.
        heap: bytes of their heaps.
        heap_rate: how fast these grow, in bytes a second.
        spawned_at: where they were started.
    """

    count: Count
    name: str
    states: str
    oldest: Duration
    busy: Duration
    switches: Count
    stack: Bytes
    heap: Bytes | None
    heap_rate: ByteRate | None
    spawned_at: str


OFTEN_EMPTY: Final = frozenset({"heap", "heap_rate"})
GROUP_COLUMNS: Final = (
    Column("count", "COUNT", ">"),
    Column("name", "NAME", minimum=6),
    Column("states", "STATES", drop=2),
    Column("oldest", "OLDEST", ">", drop=3),
    Column("busy", "BUSY", ">", drop=4),
    Column("switches", "SWITCHES", ">", drop=5),
    Column("stack", "STACK", ">", drop=1),
    Column("heap", "HEAP", ">"),
    Column("heap_rate", "dHEAP/s", ">"),
    Column("spawned_at", "SPAWNED-AT", minimum=12),
)


def group_columns(shown: Sequence[Group]) -> tuple[Column, ...]:
    """The columns of `ps --group`, without those that have nothing in them."""
    return tuple(c for c in GROUP_COLUMNS if c.field not in OFTEN_EMPTY or filled(c.field, shown))


def grouped(chosen: Iterable[Row]) -> list[Group]:
    """One row for each name and place of birth, the most numerous first."""
    together: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in chosen:
        together[_family(row.name), row.spawned_at].append(row)
    groups = [_group(name, spawned_at, members) for (name, spawned_at), members in together.items()]
    return sorted(groups, key=lambda group: -group.count)


def _family(name: str) -> str:
    return re.sub(r"\d+$", "*", name)


def _group(name: str, spawned_at: str, members: list[Row]) -> Group:
    heaps = [row.heap for row in members if row.heap is not None]
    rates = [row.heap_rate for row in members if row.heap_rate is not None]
    return Group(
        count=Count(len(members)),
        name=name if len(members) > 1 else members[0].name,
        states=states_of(row.state for row in members),
        oldest=Duration(max(row.age for row in members)),
        busy=Duration(sum(row.busy for row in members)),
        switches=Count(sum(row.switches for row in members)),
        stack=Bytes(sum(row.stack or 0 for row in members)),
        heap=Bytes(sum(heaps)) if heaps else None,
        heap_rate=ByteRate(sum(rates)) if rates else None,
        spawned_at=spawned_at,
    )


def states_of(states: Iterable[str]) -> str:
    """How many are in which state: `3 waiting, 1 running`."""
    counts: dict[str, int] = defaultdict(int)
    for state in states:
        counts[state] += 1
    return ", ".join(
        f"{count:,} {state}" for state, count in sorted(counts.items(), key=lambda item: -item[1])
    )


def tree(chosen: Iterable[Row]) -> list[Row]:
    """Children below those who started them; whose parent is not there stands at the left."""
    chosen = list(chosen)
    present = {(row.process, row.id) for row in chosen}
    children: dict[tuple[str | None, int] | None, list[Row]] = defaultdict(list)
    for row in chosen:
        parent = None if row.parent is None else (row.process, row.parent)
        children[parent if parent in present else None].append(row)
    arranged: list[Row] = []
    waiting = [(row, 0) for row in reversed(children[None])]
    while waiting:  # no recursion: a chain may be as long as there are coroutines
        row, depth = waiting.pop()
        arranged.append(replace(row, depth=depth))
        waiting.extend((child, depth + 1) for child in reversed(children[row.process, row.id]))
    return arranged
