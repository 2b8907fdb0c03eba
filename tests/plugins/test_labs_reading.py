"""A lab reads like a text: a story, parts, and steps of prose, code and claims."""

from __future__ import annotations

from pathlib import Path

import pytest

from coshell_plugins.labs.reading import CURE, TROUBLE, Lab, LabStep, read_lab, title_of

TEXT = """\
# small: what it shows
#
# A story
# of two lines.

import re

# -- The trouble: it grows. As one
# can see.

def grow():
    # not a step
    return 1

grown = grow()
@assert grown == 1
figure("grown", grown)
so(
    "It is grown."
)

# What to look at.
@wait grown within 1s
@assert grown > 0

# -- Half a cure: nothing.

pass

# -- The cures: several.
done = 1
"""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    (tmp_path / "small.cosh").write_text(TEXT, encoding="utf-8")
    return read_lab(tmp_path / "small.cosh")


@pytest.fixture
def steps(lab: Lab) -> list[LabStep]:
    return lab.steps()


def test_the_first_comment_is_the_title_and_the_story(lab: Lab) -> None:
    assert (lab.name, lab.about, lab.story) == ("small", "what it shows", "A story of two lines.")


def test_each_comment_at_the_margin_begins_a_step(steps: list[LabStep]) -> None:
    assert [step.told for step in steps] == [
        "",
        "The trouble: it grows. As one can see.",
        "What to look at.",
        "Half a cure: nothing.",
        "The cures: several.",
    ]


def test_the_first_words_of_a_heading_tell_what_its_steps_show(steps: list[LabStep]) -> None:
    assert [step.kind for step in steps] == ["", TROUBLE, TROUBLE, "", CURE]


def test_steps_know_their_lines(steps: list[LabStep]) -> None:
    lines = TEXT.split("\n")
    for step in steps:
        assert tuple(lines[step.first_line - 1 : step.last_line]) == step.code


def test_a_claim_is_a_unit_of_its_own(steps: list[LabStep]) -> None:
    units = steps[2].units()
    assert [(unit.is_claim, unit.lines) for unit in units] == [
        (True, ["@wait grown within 1s"]),
        (True, ["@assert grown > 0"]),
    ]
    assert [unit.is_claim for unit in steps[1].units()] == [False, True, False]


def test_a_step_is_shown_without_what_tells_its_result(steps: list[LabStep]) -> None:
    shown = [line for line in steps[1].shown if line]
    assert shown == ["def grow():", "    # not a step", "    return 1", "grown = grow()"]
    assert steps[2].shown == []


def test_a_title_is_the_first_sentence() -> None:
    assert title_of("The trouble: it grows. As one can see.") == "The trouble: it grows"


def test_an_empty_file_has_no_steps(tmp_path: Path) -> None:
    (tmp_path / "empty.cosh").write_text("", encoding="utf-8")
    lab = read_lab(tmp_path / "empty.cosh")
    assert (lab.about, lab.story, lab.steps()) == ("", "", [])
