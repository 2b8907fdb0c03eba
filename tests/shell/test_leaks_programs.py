"""Ten leaks, ten cycles and ten clean servers under traffic, and the verdict on each is right.

Here each fifth is tried, unless `EVERY_PROGRAM` is set: the checks do that.
"""

import pytest

from coloop import FORM
from tests.shell.leaking import CLEAN, CYCLES, LEAKS, Program
from tests.thorough import sample

WINDOW_S = 3


@pytest.fixture
def verdicts(aside):
    def of(program: Program):
        with aside.session(clock="virtual") as opened:
            opened.type("import coloop\nfrom coloop import *")
            opened.type(program.source)
            return opened.value(f"leaks(window={WINDOW_S})")

    return of


def named(programs):
    programs = sample(programs, 5)
    return pytest.mark.parametrize("program", programs, ids=[program.name for program in programs])


@named(LEAKS)
def test_a_leak_is_a_leak(verdicts, program):
    found = verdicts(program)
    assert found.leaked >= 1
    assert found.cycles == 0
    kinds = {leak.kind for leak in found}
    assert program.kind in kinds or (FORM == "pure" and "keys" in kinds)


@named(CYCLES)
def test_a_cycle_is_a_cycle(verdicts, program):
    found = verdicts(program)
    assert [leak.verdict for leak in found] == ["cycle"]


@named(CLEAN)
def test_a_clean_server_is_clean(verdicts, program):
    assert list(verdicts(program)) == []
