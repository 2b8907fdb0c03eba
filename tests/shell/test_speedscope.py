"""The file has the form that speedscope publishes."""

from __future__ import annotations

import json
from typing import Any

from coloop import HeapStack
from coshell.pictures.flame_tree import BY_COROUTINE, BY_STACK
from coshell.pictures.speedscope import SCHEMA, speedscope

MAIN, LOAD = "a.py:1 in main", "a.py:9 in load"
STACKS = (HeapStack(2, (MAIN, LOAD), 300, 3), HeapStack(3, (MAIN,), 500, 5), HeapStack(0, ("?",), 7, 1))


def written(by: str, stacks=STACKS) -> dict[str, Any]:
    text = speedscope(stacks, by, "live heap", "coshell 1", "co#{}".format)
    found: dict[str, Any] = json.loads(text)
    return found


def check_form(file: dict[str, Any]) -> None:
    """What the published schema demands of a file with sampled profiles."""
    assert set(file) <= {"$schema", "shared", "profiles", "name", "activeProfileIndex", "exporter"}
    assert file["$schema"] == SCHEMA
    assert 0 <= file["activeProfileIndex"] < len(file["profiles"])
    for frame in file["shared"]["frames"]:
        assert isinstance(frame["name"], str)
        assert set(frame) <= {"name", "file", "line", "col"}
    for profile in file["profiles"]:
        assert set(profile) == {"type", "name", "unit", "startValue", "endValue", "samples", "weights"}
        assert (profile["type"], profile["unit"]) == ("sampled", "bytes")
        assert len(profile["samples"]) == len(profile["weights"])
        assert profile["endValue"] - profile["startValue"] == sum(profile["weights"])
        assert all(
            0 <= place < len(file["shared"]["frames"]) for sample in profile["samples"] for place in sample
        )


def test_by_stack_there_is_one_profile_with_everything() -> None:
    file = written(BY_STACK)
    check_form(file)
    (profile,) = file["profiles"]
    assert (profile["name"], profile["weights"]) == ("live heap", [300, 500, 7])


def test_by_coroutine_each_has_one_the_largest_first() -> None:
    file = written(BY_COROUTINE)
    check_form(file)
    assert [(p["name"], p["endValue"]) for p in file["profiles"]] == [
        ("co#3", 500),
        ("co#2", 300),
        ("no coroutine", 7),
    ]


def test_frames_are_listed_once_with_file_and_line() -> None:
    file = written(BY_STACK)
    assert file["shared"]["frames"] == [
        {"name": "main", "file": "a.py", "line": 1},
        {"name": "load", "file": "a.py", "line": 9},
        {"name": "?"},
    ]
    assert file["profiles"][0]["samples"] == [[0, 1], [0], [2]]


def test_of_nothing_there_is_an_empty_profile() -> None:
    file = written(BY_STACK, ())
    check_form(file)
    assert file["profiles"][0]["endValue"] == 0
