"""A limit is set, shown and taken away by the command; who crosses it is told, and the others go on."""

from __future__ import annotations

import pytest

from coshell.commands.limiting import COMMANDS
from tests.shell.sessions import Session, check_example, check_json

_FILLER = """\
def fill():
    suspend()
    kept = bytearray(2_000_000)
    sleep(1)
go fill() --name filler
go sleep(600) --name nap
"""


@pytest.mark.parametrize("example", COMMANDS[0].examples)
def test_every_example_runs_as_it_stands(example: str) -> None:
    check_example(COMMANDS[0], example)


@pytest.mark.parametrize("example", COMMANDS[0].examples)
def test_it_speaks_json(example: str) -> None:
    check_json(COMMANDS[0], example)


def test_who_crosses_it_fails_and_who_does_not_goes_on(at_prompt: Session) -> None:
    at_prompt.type(_FILLER)
    at_prompt.type("limit filler nap --heap 1M")
    at_prompt.type("resume filler\nsleep(2)")
    (failure,) = at_prompt.value("err")
    assert failure.error.startswith("MemoryLimitExceeded: memory limit of 1048576 bytes exhausted")
    assert {one.name: one.state for one in at_prompt.value("ps --all")}["nap"] == "waiting"


def test_the_limits_are_shown_with_what_is_used_of_them(at_prompt: Session) -> None:
    at_prompt.type(_FILLER + "limit filler --heap 4M --cancel\nlimit --all --heap 64M --warn")
    everybody, filler = at_prompt.value("limit")
    assert (everybody.id, everybody.limit, everybody.action) == (None, 64 << 20, "warn")
    assert (filler.name, filler.limit, filler.action) == ("filler", 4 << 20, "cancel")
    assert filler.used == pytest.approx(100 * filler.heap / (4 << 20))


def test_a_limit_can_be_taken_away(at_prompt: Session) -> None:
    at_prompt.type(_FILLER + "limit filler --heap 4M")
    (filler,) = at_prompt.value("limit filler --off")
    assert (filler.limit, filler.action) == (None, None)
    assert at_prompt.type("limit") == ["nobody has a limit: limit ID --heap 4M"]


def test_a_warning_is_printed_and_nothing_else_happens(at_prompt: Session) -> None:
    at_prompt.type(_FILLER + "limit filler --heap 1M --warn")
    lines = at_prompt.type("resume filler\nsleep(2)")
    assert sum("memory limit of 1048576 bytes exhausted" in line for line in lines) == 1
    assert {one.name: one.state for one in at_prompt.value("ps --all")}["filler"] == "done"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("limit nap", "limit: how much? --heap 4M, or --off for no limit"),
        ("limit --heap 4M", "limit: whose? a coroutine's number or name, or --all for all together"),
        ("limit nap --heap 4M --off", "limit: --off takes the limit away"),
        ("limit nap --heap 4M --warn --cancel", "limit: --warn says it, --cancel ends who crosses it"),
        ("limit nap --heap 0", "must be a positive number of bytes"),
        ("limit nap --heap much", "much"),
        ("limit nobody --heap 4M", "nobody"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_line(at_prompt: Session, line: str, message: str) -> None:
    at_prompt.type("go sleep(600) --name nap")
    assert message in at_prompt.refused(line)


def test_below_level_heap_it_says_what_to_do(at_prompt: Session) -> None:
    at_prompt.type("go sleep(600) --name nap\nset level counts")
    assert at_prompt.refused("limit nap --heap 4M") == "heap is not counted at level 'counts': set level heap"
