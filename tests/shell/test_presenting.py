"""How values are seen."""

import pytest

from coshell.command import Command
from coshell.config import Settings
from coshell.presenting import json_lines, lines_of
from coshell.render import Column
from coshell.values import Bytes

TIDES = [{"port": "Brest", "size": Bytes(70_000)}, {"port": "Hull", "size": Bytes(7)}]


def seen(value, *, width=80, as_json=False, settings=None, **more):
    command = Command("tide", "tell the tide", lambda shell: None, **more)
    return list(lines_of(command, value, settings or Settings(), width, as_json=as_json))


def test_records_are_a_table():
    assert seen(TIDES) == ["PORT    SIZE", "Brest  68.4K", "Hull       7"]
    assert seen(tuple(TIDES)) == seen(TIDES)
    assert seen(TIDES[0]) == ["PORT    SIZE", "Brest  68.4K"]
    assert seen([]) == []


def test_a_command_may_choose_columns_or_a_form_of_its_own():
    assert seen(TIDES, columns=(Column("port", "HARBOUR"),)) == ["HARBOUR", "Brest", "Hull"]
    assert seen(TIDES, show=lambda value, width: [f"{len(value)} of {width}"]) == ["2 of 80"]


def test_sizes_can_be_exact():
    assert seen(TIDES, settings=Settings(bytes=True))[1] == "Brest  70000"


@pytest.mark.parametrize(("value", "lines"), [(None, []), ("", []), ("a\nb", ["a", "b"])])
def test_text_is_text_and_nothing_is_nothing(value, lines):
    assert seen(value) == lines


def test_json_has_a_line_for_each_record():
    lines = ['{"port": "Brest", "size": 70000}', '{"port": "Hull", "size": 7}']
    assert seen(TIDES, as_json=True, show=lambda value, width: ["never"]) == lines
    assert json_lines(TIDES[0]) == lines[:1]
    assert json_lines("é") == ['"\\u00e9"']
    assert json_lines(None) == []
