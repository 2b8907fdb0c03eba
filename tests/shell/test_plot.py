"""Curves, one below the other."""

from __future__ import annotations

from coshell.pictures.curve import Point
from coshell.pictures.plot import ROWS_OF_ONE, ROWS_OF_SEVERAL, Plot, Plotted
from coshell.pictures.timeline import Trace
from coshell.text import width_of


def plotted(name: str = "leaky", id: int | None = 2, points=((0.0, 0), (10.0, 40_960))) -> Plotted:
    found = Plotted.of(Trace(name, id, "<co:1>:1 in go", tuple(Point(*point) for point in points)))
    assert found is not None
    return found


def test_a_title_tells_the_figures() -> None:
    assert Plot([plotted()]).lines(80)[0] == "co#2 leaky  now 40.0K, peak 40.0K, +4.0K/s over 10s"
    fallen = plotted("<co:1>:1 in go", None, ((0.0, 10_240), (5.0, 0)))
    assert Plot([fallen]).lines(80)[0] == "<co:1>:1 in go  now 0, peak 10.0K, -2.0K/s over 5s"


def test_of_one_point_no_rate_is_told() -> None:
    assert Plot([plotted(points=((1.0, 5),))]).lines(80)[0] == "co#2 leaky  now 5, peak 5"


def test_one_curve_is_high_and_several_share_the_screen_and_the_seconds() -> None:
    one = Plot([plotted()])
    two = Plot([plotted(), plotted("late", 3, ((9.0, 5), (10.0, 6)))], ascii_only=True)
    assert len(one.lines(60)) == 1 + ROWS_OF_ONE + 2
    lines = two.lines(60)
    assert len(lines) == 2 * (1 + ROWS_OF_SEVERAL + 2)
    assert "-10s" in lines[7]
    assert "-10s" in lines[15]


def test_the_width_that_was_asked_for_counts() -> None:
    lines = Plot([plotted("a very long name indeed")], width=30).lines(200)
    assert max(map(width_of, lines)) <= 30


def test_a_name_cannot_reach_the_terminal_raw_and_ascii_is_ascii() -> None:
    lines = Plot([plotted("\x1b[2J\u202eü\n")], ascii_only=True, footer=["more"]).lines(80)
    assert all(line.isascii() and line.isprintable() for line in lines)


def test_only_what_is_in_the_window_counts() -> None:
    trace = Trace("x", 1, "", (Point(0.0, 100), Point(5.0, 1), Point(6.0, 2)))
    found = Plotted.of(trace, since_s=4.0)
    assert found is not None
    assert (found.peak, found.seconds) == (2, (5.0, 6.0))
    assert Plotted.of(trace, since_s=7.0) is None


def test_at_a_python_prompt_it_is_a_picture() -> None:
    assert repr(Plot([plotted()])).startswith("co#2 leaky  now")
