"""A mark is numbers, and what two of them do not have in common is what happened in between."""

from coshell.leaks.marks import MAX_COROUTINES, Mark, Marks, changes, elapsed, mark_of
from coshell.values import Bytes, Count
from tests.shell.looks import line, look
from tests.shell.pictures import coroutine


def mark(name="a", at_s=0.0, level="heap", process=(), sites=(), coroutines=(), places=()):
    return Mark(name, at_s, level, dict(process), dict(sites), dict(coroutines), dict(places))


def told(before, after):
    return [(one.of, one.name, int(one.change)) for one in changes(before, after, frozenset({"live"}))]


def test_a_mark_holds_what_a_look_has_seen():
    seen = look(
        3.0,
        line("a.py:1 in f", live=1, finished=2, live_bytes=10, residue_bytes=5),
        places={"a.py:2 in f": 9},
    )
    made = mark_of("m", seen, "sites", {"RSS": 7}, (coroutine(4, "w", heap_bytes=30),))
    assert made == mark(
        "m", 3.0, "sites", {"RSS": 7}, {"a.py:1 in f": (15, 3)}, {"co#4 w": 30}, {"a.py:2 in f": 9}
    )


def test_of_a_crowd_only_the_largest_are_kept():
    crowd = tuple(coroutine(number, "w", heap_bytes=number) for number in range(2 * MAX_COROUTINES))
    made = mark_of("m", look(0.0), "heap", {}, crowd)
    assert len(made.coroutines) == MAX_COROUTINES
    assert f"co#{2 * MAX_COROUTINES - 1} w" in made.coroutines


def test_the_process_is_told_always_and_the_rest_if_it_has_changed():
    before = mark(
        process={"RSS": 100, "live": 3}, sites={"x": (10, 1), "y": (10, 1)}, coroutines={"co#2 w": 5}
    )
    after = mark("b", process={"RSS": 100, "live": 4}, sites={"x": (10, 1), "y": (90, 4)}, coroutines={})
    assert told(before, after) == [
        ("process", "RSS", 0),
        ("process", "live", 1),
        ("born at", "y", 80),
        ("coroutine", "co#2 w", -5),
    ]


def test_sizes_are_sizes_and_numbers_are_numbers():
    first, second, site = changes(
        mark(process={"RSS": 1, "live": 3}),
        mark(process={"RSS": 2, "live": 3}, sites={"y": (90, 4)}),
        frozenset({"live"}),
    )
    assert (type(first.change), type(second.change), type(site.change)) == (Bytes, Count, Bytes)
    assert (site.born, first.signed, second.signed) == (4, "+1", "0")


def test_the_largest_changes_come_first():
    after = mark(places={"a": 10, "b": -500, "c": 90})
    assert [name for _, name, _ in told(mark(), after)] == ["b", "c", "a"]


def test_heaps_of_different_levels_are_not_compared():
    assert told(mark(level="counts"), mark(process={"RSS": 5}, sites={"x": (9, 1)})) == [
        ("process", "RSS", 5)
    ]


def test_there_are_so_many_marks_and_no_more():
    marks = Marks(limit=2)
    assert [marks.add(mark(name)) for name in "aba"] == ["", "", ""]
    assert list(marks) == ["b", "a"]
    assert marks.add(mark("c")) == "b"
    assert (len(marks), marks.get("b")) == (2, None)
    assert marks.get("c") == mark("c")


def test_the_time_between():
    assert str(elapsed(mark(at_s=1.0), mark(at_s=3.5))) == "2.5s"
