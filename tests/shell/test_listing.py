"""Records that know how they want to be shown."""

from __future__ import annotations

from dataclasses import dataclass

from coshell.listing import Listing, fitted, lines_of
from coshell.render import Column
from coshell.values import Bytes


@dataclass(frozen=True)
class Fish:
    name: str
    weight: Bytes


CATCH = [Fish("cod", Bytes(2048)), Fish("eel", Bytes(300))]


def test_it_is_a_list_of_the_records() -> None:
    shown = Listing(CATCH, footer=["2 fish"])
    assert shown == CATCH
    assert [fish.name for fish in shown if fish.weight > 1000] == ["cod"]


def test_the_footer_stands_below_the_table() -> None:
    assert Listing(CATCH, footer=["2 fish"]).lines(80) == [
        "NAME  WEIGHT",
        "cod     2.0K",
        "eel      300",
        "2 fish",
    ]


def test_columns_and_settings_are_its_own() -> None:
    shown = Listing(CATCH, [Column("weight", "BYTES", ">")], bytes_exact=True)
    assert lines_of(shown, 80) == ["BYTES", " 2048", "  300"]


def test_an_empty_one_has_only_its_footer() -> None:
    assert Listing([], footer=["no fish"]).lines(80) == ["no fish"]


def test_at_the_prompt_it_looks_like_its_table() -> None:
    assert repr(Listing(CATCH)).splitlines()[0] == "NAME  WEIGHT"
    assert repr(Listing([])) == "[]"


def test_lines_that_are_no_table_are_cut() -> None:
    assert fitted(["short", "0123456789"], 6) == ["short", "01234~"]
