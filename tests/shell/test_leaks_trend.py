"""A rise is what every repeat shows, and nothing else."""

import pytest

from coshell.leaks.trend import REPEATS, least_squares, lowest, trend


def straight(count=12, slope=10.0):
    return [(float(x), slope * x) for x in range(count)]


def test_a_straight_rise_grows_in_every_repeat():
    found = trend(straight())
    assert (found.times, found.repeats, found.always) == (REPEATS, REPEATS, True)
    assert found.slope == pytest.approx(10)
    assert found.r2 == pytest.approx(1)
    assert not (found.falls)
    assert not (found.slowing)
    assert found.confidence > 0.99


def test_the_first_step_is_for_warming_up():
    points = [(0.0, 0.0), *((float(x), 5000.0) for x in range(1, 12))]
    found = trend(points)
    assert (found.growth, found.times) == (0, 0)


def test_one_repeat_without_a_rise_is_enough_to_doubt():
    points = [(x, y if x < 6 else y - 20) for x, y in straight()]
    found = trend(points)
    assert not found.always


def test_a_rise_that_comes_to_rest_is_slowing():
    points = [(float(x), 1000 * (1 - 0.5**x)) for x in range(12)]
    assert trend(points).slowing
    assert not trend(straight()).slowing


def test_what_goes_up_and_down_falls():
    found = trend([(float(x), float(x % 2)) for x in range(12)])
    assert found.falls
    assert not found.always


def test_a_rise_of_crumbs_beside_a_large_one_does_not_count():
    points = [(0.0, 0.0), (1.0, 0.0), (2.0, 1000.0), (3.0, 1001.0), (4.0, 1002.0), (5.0, 1003.0)]
    assert trend(points).times == 1


@pytest.mark.parametrize("points", [[], [(1.0, 2.0)], [(1.0, 2.0), (1.0, 3.0)]])
def test_fewer_than_two_moments_tell_nothing(points):
    assert trend(points) is None


def test_of_one_moment_the_last_value_counts():
    assert trend([(0.0, 1.0), (1.0, 5.0), (1.0, 2.0)]).growth == 1


def test_too_few_repeats_are_never_always():
    assert not trend([(0.0, 0.0), (1.0, 9.0), (2.0, 18.0)]).always


def test_nothing_at_all_has_no_slope():
    found = trend([(float(x), 7.0) for x in range(12)])
    assert (found.slope, found.r2, found.times, found.rate) == (0, 0, 0, 0)
    assert found.confidence == 0


def test_the_lowest_points_are_what_the_collector_leaves():
    saw = [(float(x), 100 * (x // 10) + 50.0 * (x % 10)) for x in range(60)]
    found = lowest(saw, 6)
    assert [y for _, y in found[:-1]] == [0, 100, 200, 300, 400, 500]
    assert found[-1] == saw[-1]


def test_few_points_are_all_kept():
    assert lowest(straight(4)) == straight(4)


def test_least_squares_of_one_place_has_no_slope():
    assert least_squares([(1.0, 1.0), (1.0, 2.0)]) == (0, 0)
