"""A curve is bounded, and true."""

from __future__ import annotations

from itertools import pairwise

import pytest

from coshell.pictures.curve import MAX_POINTS, MIN_POINTS, Curve, Point, resampled


def curve(*values: int) -> Curve:
    made = Curve()
    for at_s, value in enumerate(values):
        made.add(at_s, value)
    return made


def test_what_was_added_is_there_in_its_order() -> None:
    assert curve(5, 7, 6).points() == ((0.0, 5), (1.0, 7), (2.0, 6))
    assert curve(5, 7, 6).last == Point(2.0, 6)
    assert Curve().last is None


def test_another_value_for_the_same_moment_takes_the_place_of_the_first() -> None:
    made = curve(5, 7)
    made.add(1.0, 9)
    assert made.points() == ((0.0, 5), (1.0, 9))


def test_what_comes_too_late_is_not_taken() -> None:
    made = curve(5, 7)
    made.add(0.5, 9)
    assert made.points() == ((0.0, 5), (1.0, 7))


def test_a_million_values_take_no_more_room_than_a_thousand() -> None:
    made = Curve()
    sizes = set()
    for n in range(100_000):
        made.add(n, n)
        if n > 1000:
            sizes.add(len(made))
    assert max(sizes) <= MAX_POINTS
    assert made.own_bytes < 20 * MAX_POINTS


@pytest.mark.parametrize("peak_at", [77, 4321, 6543, 8888])
def test_thinning_keeps_both_ends_and_every_peak(peak_at: int) -> None:
    made = Curve()
    for n in range(10_000):
        made.add(n, 1_000_000 if n == peak_at else n % 10)
    points = made.points()
    assert points[0].at_s == 0
    assert points[-1].at_s == 9_999
    assert [point.at_s for point in points] == sorted({point.at_s for point in points})
    assert Point(float(peak_at), 1_000_000) in points


def test_what_has_just_happened_is_kept_in_full() -> None:
    made = curve(*range(MAX_POINTS * 3))
    assert [point.at_s for point in made.points()[-20:]] == list(range(MAX_POINTS * 3 - 20, MAX_POINTS * 3))


def test_what_is_old_is_kept_with_the_same_detail_from_the_beginning_on() -> None:
    points = curve(*range(100_000)).points()[: -MAX_POINTS // 4]
    gaps = [later.at_s - earlier.at_s for earlier, later in pairwise(points)]
    assert len(points) > MAX_POINTS // 4
    assert max(gaps) <= 8 * sorted(gaps)[len(gaps) // 2]


def test_less_room_thins_at_the_next_value() -> None:
    made = curve(*range(200))
    made.add(200, 0, room=50)
    assert len(made) <= 50


def test_no_curve_gets_less_than_a_few_points() -> None:
    made = Curve()
    for n in range(1000):
        made.add(n, n, room=0)
    assert MIN_POINTS // 4 <= len(made) <= MIN_POINTS


def test_points_from_a_moment_on() -> None:
    assert curve(5, 7, 6).points(since_s=1.0) == ((1.0, 7), (2.0, 6))


def test_resampling_keeps_ends_and_peak_within_the_number() -> None:
    points = tuple(Point(float(n), 99 if n == 500 else 1) for n in range(1000))
    fewer = resampled(points, 60)
    assert len(fewer) <= 60
    assert fewer[0] == points[0]
    assert fewer[-1] == points[-1]
    assert Point(500.0, 99) in fewer
    assert resampled(points[:10], 60) == points[:10]
