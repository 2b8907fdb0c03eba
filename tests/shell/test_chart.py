"""A curve with its axes."""

from __future__ import annotations

import pytest

from coshell.pictures.chart import chart, size_scale, time_scale
from coshell.pictures.curve import Point
from coshell.text import width_of
from coshell.values import Bytes

RISING = [Point(100.0 + n, 40_000 * n) for n in range(41)]


def test_a_rising_heap_rises_and_its_sizes_and_seconds_stand_at_the_axes() -> None:
    assert chart(RISING, 44, 5, first_s=100, last_s=140, ascii_only=True) == [
        " 2.0M+",
        "     |                               ....'''",
        " 1.0M+                   ......''''''",
        "     |        ......'''''",
        "    0+...'''''",
        "     +---------+-------------+-------------+",
        "             -30s          -15s          now",
    ]


@pytest.mark.parametrize("width", [20, 33, 40, 60, 80, 200])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_is_wider_than_the_screen(width: int, ascii_only: bool) -> None:
    lines = chart(RISING, width, 8, first_s=100, last_s=140, ascii_only=ascii_only)
    assert len(lines) == 10
    assert all(width_of(line) <= width for line in lines)
    assert all(line.isascii() for line in lines) or not ascii_only


def test_there_is_no_chart_where_there_is_no_room() -> None:
    assert chart(RISING, 12, 5, first_s=100, last_s=140) == []


def test_a_single_point_is_a_dot() -> None:
    lines = chart([Point(5.0, 1024)], 40, 4, first_s=5.0, last_s=5.0)
    assert sum(0x2801 <= ord(char) <= 0x28FF for line in lines for char in line) == 1


def test_now_stands_at_the_right_end() -> None:
    assert chart(RISING, 60, 4, first_s=100, last_s=140)[-1].endswith("now")


def test_who_was_born_later_begins_further_to_the_right() -> None:
    late = chart(RISING[-5:], 60, 4, first_s=100, last_s=140, ascii_only=True)
    assert [line[8:50].strip(" |+.") for line in late[:4]] == [""] * 4


@pytest.mark.parametrize(
    ("lowest", "highest"),
    [
        (0, 0),
        (0, 1),
        (5, 5),
        (-3000, 1_000_000),
        (10**9, 10**9 + 5),
        (0, 2**50),
        (990_000, 1_000_000),
        (-9, -3),
    ],
)
def test_all_values_lie_on_the_axis_and_no_two_ticks_are_called_the_same(lowest: int, highest: int) -> None:
    scale = size_scale(lowest, highest)
    assert scale.low <= lowest <= highest <= scale.high
    names = [str(Bytes(round(tick))) for tick in scale.ticks]
    assert 2 <= len(names) == len(set(names)) <= 6


def test_an_axis_begins_at_zero_unless_that_would_flatten_everything() -> None:
    assert size_scale(100_000, 400_000).low == 0
    assert size_scale(304, 304).low == 0
    assert size_scale(990_000, 1_000_000).low > 900_000


@pytest.mark.parametrize("span_s", [0.0, 0.003, 0.9, 7, 61, 3_600, 10**6, 10**9])
def test_seconds_are_marked_at_round_steps_as_many_as_there_is_room_for(span_s: float) -> None:
    scale = time_scale(50, 50 + span_s, most=5)
    assert 1 <= len(scale.ticks) <= 6
    assert scale.ticks[-1] == 0
    assert scale.low <= scale.ticks[0]
