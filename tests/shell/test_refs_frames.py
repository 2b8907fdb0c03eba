"""The variables of a frame are read without leaving a trace in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import coloop
from coshell import text
from coshell.refs.frames import is_runtime, is_shell, outwards, place, variables


def suspended(value: object) -> Iterator[None]:
    other = value
    yield
    del other


def test_names_and_values() -> None:
    value = object()
    made: Any = suspended(value)
    next(made)
    assert dict(variables(made.gi_frame)) == {"value": value, "other": value}


def test_nothing_is_held_by_having_looked() -> None:
    value = object()
    made: Any = suspended(value)
    next(made)
    before = sys.getrefcount(value)
    variables(made.gi_frame)
    assert sys.getrefcount(value) == before


def test_what_locals_has_returned_stays_as_it_is() -> None:
    def look() -> dict[str, object]:
        mine = 1
        kept = locals()
        variables(sys._getframe())
        assert mine == 1
        return kept

    assert look()["mine"] == 1


def test_the_globals_of_a_module_are_none() -> None:
    found: list[FrameType] = []
    exec("found.append(get())", {"found": found, "get": lambda: sys._getframe(1)})
    assert variables(found[0]) == []


def test_whose_code_it_is() -> None:
    assert is_shell(text.printable.__code__)
    assert is_runtime(coloop.run.__code__)
    mine = sys._getframe()
    assert not is_shell(mine.f_code)
    assert not is_runtime(mine.f_code)
    assert next(iter(outwards(mine))) is mine
    assert place(mine).startswith("test_refs_frames.py:")
