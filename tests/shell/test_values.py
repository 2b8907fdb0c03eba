"""Numbers that know their unit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coshell.values import Bytes, Count, Duration, Percent, parse_duration, parse_size


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0"), (1023, "1023"), (1024, "1.0K"), (-72909, "-71.2K"), (1024**2 - 1, "1.0M"),
        (1536 * 1024, "1.5M"), (3 * 1024**3, "3.0G"), (1024**4, "1.0T"),
    ],
)  # fmt: skip
def test_a_size_is_shown_in_units_of_1024(size: int, shown: str) -> None:
    assert str(Bytes(size)) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"), (418e-6, "418us"), (0.0021, "2ms"), (0.9996, "1s"), (1.25, "1.2s"), (7, "7s"),
        (59.96, "1m00s"), (43 * 60 + 2, "43m02s"), (14 * 3600 + 32 * 60, "14h32m"), (12 * 86400 + 3 * 3600, "12d03h"),
        (102.4 * 86400, "102d"), (-2, "-2s"), (math.nan, "nan"), (-math.inf, "-inf"),
    ],
)  # fmt: skip
def test_a_duration_is_shown_with_two_units_at_most(seconds: float, shown: str) -> None:
    assert str(Duration(seconds)) == shown


def test_a_percentage_and_a_count_are_shown_as_people_write_them() -> None:
    assert (str(Percent(3.14)), str(Count(1204)), str(Count(413986))) == ("3.1%", "1204", "413,986")


def test_a_format_that_only_pads_keeps_the_unit() -> None:
    assert f"{Bytes(2048):>6}" == "  2.0K"
    assert f"{Bytes(2048):,}" == "2,048"
    assert f"{Duration(0.5):.2f}" == "0.50"


def test_a_typed_cell_computes_as_the_number_that_it_is() -> None:
    assert Bytes(1024) + 1 == 1025
    assert max(Duration(1), Duration(2)) == 2


@pytest.mark.parametrize(("text", "size"), [("64K", 65536), ("1.5M", 1572864), ("7", 7), ("2g", 2 * 1024**3)])
def test_a_size_can_be_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("300ms", 0.3), ("5s", 5), ("2m", 120), ("1h", 3600), ("0.5", 0.5), ("43m02s", 2582)],
)
def test_a_duration_can_be_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "K", "5 parsecs", "-1", "nan", "inf", "1e400", "0x10", "9" * 100, "02s43m", "1m2m", "m02s"]
)
def test_what_is_no_size_or_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=2**60))
def test_a_size_that_is_read_back_is_off_by_less_than_its_last_digit(size: int) -> None:
    assert math.isclose(parse_size(str(Bytes(size))), size, rel_tol=0.05)


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_a_duration_that_is_read_back_is_off_by_less_than_its_last_digit(seconds: float) -> None:
    assert math.isclose(parse_duration(str(Duration(seconds))), seconds, rel_tol=0.35)


@given(st.floats(), st.integers())
def test_every_number_can_be_shown(number: float, whole: int) -> None:
    for shown in (Duration(number), Percent(number), Bytes(whole), Count(whole)):
        assert str(shown).isprintable()
