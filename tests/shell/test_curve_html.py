"""A curve on a page."""

from __future__ import annotations

import re

from coshell.pictures.curve import Point
from coshell.pictures.curve_html import MOST_POINTS, Moment, Span, count_scale, curve

SPAN = Span(100.0, 110.0)
POINTS = (Point(100.0, 0), Point(105.0, 1024), Point(110.0, 2048))


def drawn(points=POINTS, kind="heap", moments=(), title="heap") -> str:
    return "\n".join(curve(title, points, kind, SPAN, moments))


def test_the_line_goes_from_corner_to_corner() -> None:
    assert '<path class="line" d="M0.0 100.00 L500.0 50.00 L1000.0 0.00"' in drawn()


def test_numbers_of_things_go_in_steps() -> None:
    assert 'd="M0.0 100.00 H500.0V' in drawn((Point(100.0, 0), Point(105.0, 3)), "count")


def test_figures_stand_in_words_above_and_sizes_beside() -> None:
    made = drawn()
    assert "now 2.0K, highest seen 2.0K" in made
    assert re.findall(r'<span class="tick" style="top:(.*?)%">(.*?)</span>', made)[-1] == ("0.0", "2.0K")


def test_what_failed_is_marked_where_it_did() -> None:
    made = drawn(moments=[Moment(105.0, "assert <x>"), Moment(10**6, "later")])
    assert '<line class="moment" x1="500.0" x2="500.0"' in made
    assert "<title>assert &lt;x&gt;</title>" in made
    assert 'x1="1000.0"' in made


def test_a_title_is_text_and_a_moment_of_one_point_is_no_error() -> None:
    made = "\n".join(curve("<script>", (Point(5.0, 7),), "heap", Span(5.0, 5.0)))
    assert "<script>" not in made
    assert "nan" not in made


def test_a_long_curve_has_a_bounded_number_of_points() -> None:
    made = drawn(tuple(Point(100 + n / 1000, n) for n in range(10_000)))
    assert made.count(";") < MOST_POINTS + 60
    assert "highest seen 9.8K" in made


def test_of_nothing_nothing_is_shown() -> None:
    assert drawn(()) == ""


def test_counts_have_round_ticks_from_zero() -> None:
    assert count_scale(0, 0).ticks == (0, 1)
    assert count_scale(3, 123).ticks == (0, 50, 100, 150)
    assert count_scale(0, 10**6).ticks[-1] == 10**6
