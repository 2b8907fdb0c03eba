"""What memory is held, by whom, and what of it is garbage."""

from __future__ import annotations

import json

import pytest

from coloop import FORM, memory
from coshell.commands.memory import COMMANDS
from tests.shell.sessions import Session, check_example, check_json, each_example, hogged_session, session

HELD_BYTES = 5_000_000
_HOLDER = f"""\
def hold():
    kept = bytearray({HELD_BYTES})
    sleep(60)
go hold() --name holder
"""


@each_example(*COMMANDS)
def test_every_example_runs_as_it_stands(command, example) -> None:
    check_example(command, example)


@each_example(*COMMANDS)
def test_every_command_speaks_json(command, example) -> None:
    check_json(command, example)


# -- mem ---------------------------------------------------------------------------------------------


def test_what_is_attributed_and_what_is_not_are_all_that_is_traced(at_prompt: Session) -> None:
    at_prompt.type(_HOLDER)
    found = at_prompt.value("mem")
    assert found.living + found.dead == found.attributed
    assert found.attributed + found.unattributed == found.traced
    assert found.traced + found.untraced == found.rss
    assert found.living == pytest.approx(HELD_BYTES, rel=0.02)


def test_those_who_hold_most_are_named(at_prompt: Session) -> None:
    at_prompt.type(_HOLDER)
    first = at_prompt.value("mem").largest[0]
    assert first.name == "co#2 holder"
    assert first.heap == pytest.approx(HELD_BYTES, rel=0.02)
    assert first.peak >= first.heap


def test_what_the_dead_left_is_told_by_where_they_were_born(at_prompt: Session) -> None:
    at_prompt.type(f"kept = []\ndef leak():\n    kept.append(bytearray({HELD_BYTES}))\ngo -n 3 leak()")
    found = at_prompt.value("mem")
    residue = found.residues[0]
    assert (residue.name, residue.coroutines) == ("<co:3>:1 in go", 3)
    assert residue.heap == pytest.approx(3 * HELD_BYTES, rel=0.02)
    assert found.dead == pytest.approx(3 * HELD_BYTES, rel=0.02)


def test_the_lines_show_both_ledgers_and_the_rest_of_each(at_prompt: Session) -> None:
    at_prompt.type(_HOLDER)
    names = [line[:22].strip() for line in at_prompt.type("mem")]
    for name in (
        "managed by Python",
        "attributed" if memory.exact else "attributed ~",
        "unattributed",
        "held by the process",
        "not traced",
        "stacks",
    ):
        assert name in names
    assert any(line.startswith("      co#2 holder") for line in at_prompt.type("mem"))


def test_without_tracing_the_heap_is_not_guessed() -> None:
    with session(level="counts") as at_prompt:
        assert at_prompt.type("mem")[0].endswith("not traced at level counts: set level heap")
        found = at_prompt.value("mem")
        assert (found.living, found.attributed, found.traced) == (None, None, None)
        assert found.rss > 0


def test_json_has_plain_numbers(at_prompt: Session) -> None:
    (line,) = at_prompt.type("mem --json")
    record = json.loads(line)
    assert isinstance(record["traced"], int)
    assert {"living", "dead", "attributed", "unattributed", "rss", "uss", "pss", "collections"} <= set(record)


def test_mem_answers_while_somebody_lets_nobody_run() -> None:
    with hogged_session() as hogged:
        assert hogged.value("mem").coroutines == 3


# -- gc ----------------------------------------------------------------------------------------------


def test_a_cycle_is_collected_and_its_bytes_are_told(at_prompt: Session) -> None:
    at_prompt.type(
        "import gc as collector\ncollector.disable()\nclass Node: pass\na, b = Node(), Node()\na.other, b.other = b, a"
    )
    at_prompt.type(f"a.size = bytearray({HELD_BYTES})\ndel a, b")
    try:
        found = at_prompt.value("gc")
    finally:
        at_prompt.type("collector.enable()")
    assert found.objects >= 2
    assert found.freed == pytest.approx(HELD_BYTES, rel=0.1)
    assert sum(found.by_coroutine.values()) + sum(found.by_birth.values()) + found.unknown == found.freed


@pytest.mark.skipif(FORM == "pure", reason="only the native ledger knows whose a freed block was")
def test_garbage_of_the_dead_is_told_by_where_they_were_born(at_prompt: Session) -> None:
    at_prompt.type("import gc as collector\ncollector.disable()\ngc")
    at_prompt.type(f"def work():\n    page = [bytearray({HELD_BYTES})]\n    page.append(page)\n\ngo work()")
    try:
        lines = at_prompt.type("gc")
    finally:
        at_prompt.type("collector.enable()")
    assert any(line.startswith("  4.8M  the dead of <co:") for line in lines)


def test_gc_says_how_many_bytes_were_freed(at_prompt: Session) -> None:
    (line, *_) = at_prompt.type("gc")
    assert line.startswith("ok  ")
    assert line.endswith(" freed")


def test_without_tracing_only_objects_are_counted() -> None:
    with session(level="counts") as at_prompt:
        assert at_prompt.type("gc")[0].endswith("bytes are not traced (set level heap)")
