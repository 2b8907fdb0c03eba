"""Records become tables that fit, and JSON that any program can read."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coshell.render import Column, cell, json_line, sparkline, table
from coshell.text import width_of
from coshell.values import Bytes, Duration


@dataclass(frozen=True)
class Row:
    id: int
    name: str
    heap: Bytes | None
    age: Duration


COLUMNS = [
    Column("id", "ID", ">"),
    Column("name", "NAME", minimum=6),
    Column("heap", "HEAP", ">", drop=1),
    Column("age", "AGE", ">", drop=2),
]


def test_a_table_is_aligned_and_shows_units() -> None:
    assert table(
        [Row(7, "leaky", Bytes(72909), Duration(41)), Row(12, "x", None, Duration(0.002))], COLUMNS
    ) == [
        "ID  NAME    HEAP  AGE",
        " 7  leaky  71.2K  41s",
        "12  x          -  2ms",
    ]


def test_a_narrow_table_drops_the_columns_that_matter_least() -> None:
    assert table([Row(7, "leaky", Bytes(72909), Duration(41))], COLUMNS, 18) == [
        "ID  NAME    HEAP",
        " 7  leaky  71.2K",
    ]
    assert table([Row(7, "leaky", Bytes(72909), Duration(41))], COLUMNS, 10) == ["ID  NAME", " 7  leaky"]


def test_a_long_name_is_cut_in_its_middle() -> None:
    assert table([Row(1, "worker-of-echo#1/c1234", None, Duration(1))], COLUMNS, 16)[1] == " 1  worker…c1234"


def test_no_records_make_no_table() -> None:
    assert table([]) == []


@settings(max_examples=60)
@given(
    st.lists(
        st.builds(Row, st.integers(), st.text(), st.builds(Bytes, st.integers()), st.just(Duration(1))),
        max_size=4,
    ),
    st.integers(min_value=1, max_value=300),
    st.booleans(),
)
def test_no_line_is_ever_wider_than_the_screen(rows: list[Row], width: int, ascii_only: bool) -> None:
    for line in table(rows, COLUMNS, width, ascii_only=ascii_only):
        assert width_of(line) <= width
        assert line.isprintable()
        assert line.isascii() or not ascii_only


def test_a_number_stays_whole_as_long_as_a_name_can_give() -> None:
    columns = [Column("id", "ID", ">"), Column("name", "NAME", minimum=2)]
    assert table([Row(1234567, "leaky", None, Duration(1))], columns, 11)[1] == "1234567  l…"


def test_wide_characters_keep_the_columns_aligned() -> None:
    assert table([{"name": "日本", "id": 1}, {"name": "ab", "id": 2}]) == [
        "NAME  ID",
        "日本   1",
        "ab     2",
    ]


def test_without_columns_the_fields_speak_for_themselves() -> None:
    assert table([{"free_bytes": Bytes(1024), "up": True}]) == ["FREE-BYTES  UP", "      1.0K  yes"]


def test_a_mapping_shows_all_its_keys_safely() -> None:
    assert table([{1: "one", "\x1b[2J": "x"}]) == ["1    \\x1b[2J", "one  x"]


def test_sizes_can_be_shown_exactly() -> None:
    assert cell(Bytes(72909), bytes_exact=True) == "72909"


def test_hostile_text_in_a_cell_is_written_out() -> None:
    assert cell("\x1b[2J\n") == "\\x1b[2J\\x0a"


def test_json_has_plain_numbers_and_ascii_only() -> None:
    line = json_line(Row(1, "\u00e9\x1b", Bytes(2048), Duration(0.25)))
    assert line.isascii()
    assert json.loads(line) == {"id": 1, "name": "\u00e9\x1b", "heap": 2048, "age": 0.25}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_knows_no_nan_and_no_infinity(value: float) -> None:
    assert json.loads(json_line({"value": value})) == {"value": None}


class Stubborn:
    def __str__(self) -> str:
        raise OSError


SCALARS = st.none() | st.binary() | st.text() | st.integers() | st.floats() | st.builds(Stubborn)


@given(
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=9,
    )
)
def test_anything_can_be_shown_and_made_json_of(value: object) -> None:
    json.loads(json_line({"value": value}))
    assert cell(value).isprintable()


def test_an_integer_too_long_for_decimals_is_shown_all_the_same() -> None:
    assert json.loads(json_line([16**5000]))[0] == hex(16**5000)
    assert cell(16**5000) == "<int: its str raised ValueError>"


def test_in_json_what_holds_itself_ends() -> None:
    held: list[object] = [1]
    held += [held, {"again": held}]
    assert json.loads(json_line(held)) == [1, "...", {"again": "..."}]


def test_a_sparkline_goes_from_the_smallest_to_the_largest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1, 1], ascii_only=True) == ".."
