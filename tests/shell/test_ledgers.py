"""Two ledgers side by side, each with what it cannot tell apart."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from coshell.ledgers import ledger_lines, ledgers
from tests.shell.pictures import coroutine, snapshot


class Process(NamedTuple):
    rss: int | None
    uss: int | None
    pss: int | None


class Residue(NamedTuple):
    site: str
    coroutines: int
    heap_bytes: int


MIB = 1 << 20
LIVING = [
    coroutine(number, f"w{number}", heap_bytes=number * MIB, heap_peak=9 * MIB) for number in range(1, 5)
]
WHOLE = snapshot(
    *LIVING,
    dead_bytes=2 * MIB,
    outside_bytes=3 * MIB,
    traced_bytes=15 * MIB,
    stack_bytes=4096,
    cost="a switch 1us more",
)
PROCESS = Process(40 * MIB, 30 * MIB, None)
RESIDUES = [Residue("demo.py:3 in main", 200, 2 * MIB), Residue("demo.py:9 in f", 1, -100)]


def test_each_sum_and_its_parts_agree() -> None:
    found = ledgers(WHOLE, PROCESS, RESIDUES)
    assert (found.living, found.dead, found.attributed) == (10 * MIB, 2 * MIB, 12 * MIB)
    assert found.attributed + found.unattributed == found.traced
    assert found.traced + found.untraced == found.rss


def test_three_of_those_who_hold_most_are_named_and_debts_are_not() -> None:
    found = ledgers(WHOLE, PROCESS, RESIDUES)
    assert [holder.name for holder in found.largest] == ["co#4 w4", "co#3 w3", "co#2 w2"]
    assert [(holder.name, holder.coroutines) for holder in found.residues] == [("demo.py:3 in main", 200)]


def test_who_holds_most_is_not_guessed_from_a_part() -> None:
    part = snapshot(*LIVING, live=100_000)
    found = ledgers(part, PROCESS, [])
    assert (found.largest, found.stacks) == ((), None)
    assert any(line.startswith("stacks") and line.endswith("not counted now") for line in ledger_lines(found))


def test_what_is_exact_has_no_mark() -> None:
    lines = ledger_lines(ledgers(replace(WHOLE, exact=True), PROCESS, RESIDUES))
    assert any(line.startswith("  attributed  ") for line in lines)
    assert not any("~" in line for line in lines)


def test_the_lines_show_the_rest_of_each_ledger() -> None:
    lines = ledger_lines(ledgers(WHOLE, PROCESS, RESIDUES))
    assert [line.split("  ")[0] or line.strip().split("  ")[0] for line in lines] == [
        "managed by Python",
        "attributed ~",
        "4 living coroutines",
        "co#4 w4",
        "co#3 w3",
        "co#2 w2",
        "the dead",
        "demo.py:3 in main",
        "unattributed",
        "held by the process",
        "traced",
        "not traced",
        "stacks",
        "garbage collector",
        "cost of counting",
    ]


def test_where_the_system_does_not_say_nothing_is_made_up() -> None:
    found = ledgers(WHOLE, Process(None, None, None), [])
    assert found.untraced is None
    assert any(line.endswith("the system does not say") for line in ledger_lines(found))


def test_without_tracing_there_is_one_ledger() -> None:
    found = ledgers(
        snapshot(heap_bytes=None, dead_bytes=None, outside_bytes=None, traced_bytes=None), PROCESS, []
    )
    assert (found.living, found.attributed, found.untraced) == (None, None, None)
    assert ledger_lines(found)[0].endswith("not traced at level heap: set level heap")


def test_names_are_short_and_printable() -> None:
    long = coroutine(1, "\x1b[2J" + "x" * 200, heap_bytes=1)
    lines = ledger_lines(ledgers(snapshot(long), PROCESS, []))
    assert all(line.isprintable() for line in lines)
    assert not any("x" * 28 in line for line in lines)
