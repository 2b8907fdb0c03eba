"""One word for each place of birth, from looks alone."""

import pytest

from coshell.leaks.verdict import judge, too_few
from tests.shell.looks import SITE, line, look, series


def verdicts(looks, **known):
    return [(one.verdict, one.kind) for one in judge(looks, **known)]


# -- the dead ----------------------------------------------------------------------------------------


def test_what_every_one_that_ends_leaves_is_a_leak():
    looks = series(finished=lambda at: 10 * at, residue_bytes=lambda at: 10 * at * 600)
    (found,) = judge(looks)
    assert (found.verdict, found.kind, found.per_finished) == ("LEAK", "residue", 600)
    assert found.finished == 110
    assert found.trend.times == 5


def test_traffic_that_comes_and_goes_makes_no_difference():
    ended = [0, 3, 90, 91, 92, 200, 200, 200, 201, 350, 351, 360]
    looks = series(finished=ended.__getitem__, residue_bytes=lambda at: ended[at] * 600)
    assert verdicts(looks) == [("LEAK", "residue")]


def test_who_leaves_nothing_is_steady():
    assert verdicts(series(finished=lambda at: 100 * at, residue_bytes=lambda _: 0)) == [
        ("steady", "residue")
    ]


def test_what_is_needed_once_is_no_leak():
    looks = series(finished=lambda at: 10 * at, residue_bytes=lambda at: 50_000 if at else 0)
    assert verdicts(looks) == [("steady", "residue")]


def test_a_cache_that_fills_and_is_full_is_warming_up():
    looks = series(finished=lambda at: 10 * at, residue_bytes=lambda at: min(at, 5) * 10_000)
    assert verdicts(looks) == [("warming up", "residue")]


def test_a_rise_that_ebbs_is_warming_up():
    looks = series(finished=lambda at: 10 * at, residue_bytes=lambda at: round(1e6 * (1 - 0.75**at)))
    assert verdicts(looks) == [("warming up", "residue")]


def test_dust_is_no_leak():
    """The runtime remembers the last dead, and until it remembers as many as it will, their names look like a leak."""
    looks = series(finished=lambda at: 10 * at, residue_bytes=lambda at: 10 * at * 48)
    assert verdicts(looks) == [("steady", "residue")]


def test_where_every_byte_is_counted_a_straight_line_of_crumbs_is_a_leak():
    looks = series(finished=lambda at: 1000 + 100 * at, residue_bytes=lambda at: 100 * at * 48)
    assert verdicts(looks) == [("LEAK", "residue")]
    assert verdicts(
        series(finished=lambda at: 1000 + 100 * at, residue_bytes=lambda at: 100 * at * 48, exact=False)
    ) == [("steady", "residue")]


def test_less_than_a_kilobyte_is_not_worth_a_word():
    looks = series(finished=lambda at: at // 3, residue_bytes=lambda at: at // 3 * 300)
    assert verdicts(looks) == [("steady", "residue")]


def test_two_that_ended_prove_nothing():
    looks = series(finished=lambda at: at // 5, residue_bytes=lambda at: at // 5 * 5000)
    assert verdicts(looks) == [("warming up", "residue")]


def test_heaps_that_are_counted_from_zero_again_begin_a_new_series():
    ended = [*range(500, 560, 10), *range(0, 60, 10)]
    looks = series(finished=ended.__getitem__, residue_bytes=lambda at: ended[at] * 600)
    (found,) = judge(looks)
    assert (found.finished, found.verdict) == (50, "LEAK")


# -- the living --------------------------------------------------------------------------------------


def test_one_without_an_end_whose_heap_rises_is_a_leak():
    (found,) = judge(series(live=lambda _: 1, live_bytes=lambda at: 20_000 * at))
    assert (found.verdict, found.kind) == ("LEAK", "heap")
    assert found.slope == pytest.approx(200_000 / 11)


def test_more_of_them_with_as_much_each_is_none():
    looks = series(live=lambda at: 1 + at, live_bytes=lambda at: 20_000 * (1 + at))
    assert verdicts(looks) == [("steady", "heap")]


def test_a_heap_that_goes_up_and_down_is_steady():
    looks = series(live=lambda _: 1, live_bytes=lambda at: 50_000 * (at % 3))
    assert verdicts(looks)[0][0] in {"steady", "warming up"}


def test_a_spawner_keeps_the_names_of_the_last_dead():
    looks = [
        look(float(at), line(live=1, live_bytes=2000 * at), line("b.py:1 in child", finished=10 * at))
        for at in range(12)
    ]
    assert ("LEAK", "heap") not in verdicts(looks)


@pytest.mark.parametrize(("exact", "told"), [(False, "steady"), (True, "LEAK")])
def test_an_acceptor_whose_connections_end_elsewhere_leaks_only_if_bytes_are_counted(exact, told):
    looks = [
        look(
            float(at),
            line(live=1, live_bytes=3500 * at),
            line("b.py:1 in child", finished=10 * at),
            exact=exact,
        )
        for at in range(12)
    ]
    assert (told, "heap") in verdicts(looks)


def test_it_is_watched_from_its_birth():
    looks = series(live=lambda at: int(at > 3), live_bytes=lambda at: 20_000 * max(0, at - 3))
    assert verdicts(looks) == [("LEAK", "heap")]


def test_more_and_more_that_nobody_wakes_are_a_leak():
    looks = series(live=lambda at: 5 * at, waiting=lambda at: 5 * at, parked=lambda at: 5 * at)
    (found,) = judge(looks)
    assert (found.verdict, found.kind, found.growth) == ("LEAK", "parked", 50)


def test_more_and_more_that_something_outside_may_wake_are_warming_up():
    looks = series(live=lambda at: 5 * at, waiting=lambda at: 5 * at)
    assert verdicts(looks) == [("warming up", "parked")]


def test_a_crowd_that_was_started_at_once_is_none():
    looks = series(
        live=lambda at: 100 * (at > 1), waiting=lambda at: 100 * (at > 1), parked=lambda at: 100 * (at > 1)
    )
    assert all(verdict != "LEAK" for verdict, _ in verdicts(looks))


def test_deferred_calls_that_pile_up_are_a_leak_of_their_own_kind():
    looks = series(live=lambda _: 1, defers=lambda at: 10 * at, live_bytes=lambda at: 9000 * at)
    assert verdicts(looks) == [("LEAK", "defers")]


# -- garbage -----------------------------------------------------------------------------------------


def test_what_only_the_collector_frees_is_a_cycle():
    looks = series(
        finished=lambda at: 10 * at, garbage=lambda at: {SITE: 5000 * (at > 0)}, garbage_objects=lambda _: 20
    )
    (found,) = judge(looks)
    assert (found.verdict, found.freed, found.per_finished) == ("cycle", 55_000, 500)


def test_what_the_collector_found_unasked_is_added_in_proportion():
    looks = series(
        finished=lambda at: 10 * at,
        garbage=lambda at: {SITE: 5000 * (at > 0)},
        garbage_objects=lambda _: 20,
        found_unasked=lambda at: 20 * at,
    )
    assert judge(looks)[0].freed == 110_000


def test_garbage_of_one_look_is_an_accident():
    looks = series(
        finished=lambda at: 10 * at,
        garbage=lambda at: {SITE: 50_000 * (at == 4)},
        garbage_objects=lambda _: 9,
    )
    assert verdicts(looks) == [("steady", "residue")]


def test_a_place_may_be_both():
    looks = series(
        finished=lambda at: 10 * at,
        residue_bytes=lambda at: 6000 * at,
        garbage=lambda at: {SITE: 5000 * (at > 0)},
        garbage_objects=lambda _: 20,
    )
    assert verdicts(looks) == [("LEAK", "residue"), ("cycle", "garbage")]


# -- all ---------------------------------------------------------------------------------------------


def test_the_worst_come_first_and_among_them_the_largest():
    looks = [
        look(
            float(at),
            line("a.py:1 in calm", finished=10 * at),
            line("b.py:1 in small", finished=10 * at, residue_bytes=5000 * at),
            line("c.py:1 in large", finished=10 * at, residue_bytes=50_000 * at),
        )
        for at in range(12)
    ]
    assert [one.line.function for one in judge(looks)] == ["large", "small", "calm"]


def test_whoever_looks_is_not_judged():
    looks = series(live=lambda _: 1, live_bytes=lambda at: 20_000 * at)
    assert verdicts(looks, left_out={SITE}) == []


def test_connections_that_nobody_attends_to_and_ever_more_are_a_leak():
    looks = [look(float(at), unattended={"server :80": 3 * at}) for at in range(12)]
    (found,) = judge(looks)
    assert (found.verdict, found.kind, found.growth) == ("LEAK", "connections", 30)


def test_a_few_connections_that_nobody_attends_to_are_none():
    assert judge([look(float(at), unattended={"server :80": 40 + at % 2}) for at in range(12)]) == []


def test_in_passing_only_the_lowest_points_count():
    """Garbage that the collector has not come to is no leak."""
    seen = series(60, finished=lambda at: 10 * at, residue_bytes=lambda at: 9000 * (at % 10), collected=False)
    seen.append(look(60.0, line(finished=600, residue_bytes=0)))
    assert verdicts(seen) == [("steady", "residue")]
    leaking = series(60, finished=lambda at: 10 * at, residue_bytes=lambda at: 9000 * at, collected=False)
    leaking.append(look(60.0, line(finished=600, residue_bytes=540_000)))
    assert verdicts(leaking) == [("LEAK", "residue")]


def test_nothing_is_judged_by_one_look():
    assert judge(series(1, finished=lambda _: 5)) == []
    assert too_few(series(3, finished=lambda _: 5))
    assert not too_few(series(4, finished=lambda _: 5))
