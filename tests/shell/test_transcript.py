import pytest

from coshell.transcript import as_expected, difference, filled, match, typed, updated
from tests.shell.counting import check_linear


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        (["a  "], ["a"]),
        (["a"], ["a  ", "", "  "]),
        (["a", ""], ["a"]),
        (["", "a"], ["", "a"]),
        (["..."], []),
        (["..."], ["a", "b"]),
        (["a", "...", "d"], ["a", "b", "c", "d"]),
        (["a", "...", "d"], ["a", "d"]),
        (["...", "b", "...", "c", "..."], ["a", "b", "b", "c", "c"]),
        (["  ..."], ["a"]),
        (["a [..] c"], ["a b c"]),
        (["a[..]"], ["a"]),
        (["[..]a[..]b[..]"], ["xaxbx"]),
        (["(co#[N])"], ["(co#12)"]),
        (["a.b*"], ["a.b*"]),
    ],
)
def test_output_as_expected_matches(expected, actual):
    assert match(expected, actual, {}) is not None


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (["a"], []),
        ([], ["a"]),
        (["a"], ["b"]),
        (["a"], ["a", "b"]),
        (["", "a"], ["a"]),
        (["a", "...", "d"], ["a", "b"]),
        (["a", "...", "a"], ["a"]),
        (["...", "b"], ["b", "a"]),
        (["a [..] c"], ["a c"]),
        (["a[X]"], ["a"]),
        (["a.b"], ["axb"]),
        (["[x]"], ["y"]),
    ],
)
def test_any_other_output_does_not_match(expected, actual):
    assert match(expected, actual, {}) is None


def test_a_hole_must_repeat_with_the_same_text():
    assert match(["a [X]", "b [X]"], ["a 1", "b 1"], {}) == {"X": "1"}
    assert match(["a [X]", "b [X]"], ["a 1", "b 2"], {}) is None
    assert match(["[X] and [X]"], ["ab and ab"], {}) == {"X": "ab"}
    assert match(["[X] and [X]"], ["ab and ba"], {}) is None


def test_a_hole_known_from_above_stands_for_its_text_literally():
    assert match(["port [PORT]"], ["port 1.2"], {"PORT": "1.2"}) == {"PORT": "1.2"}
    assert match(["port [PORT]"], ["port 1x2"], {"PORT": "1.2"}) is None


def test_a_hole_ends_where_the_text_behind_it_first_fits():
    assert match(["[A]:[B]"], ["1:2:3"], {}) == {"A": "1", "B": "2:3"}


def test_what_stands_for_any_lines_ends_where_the_lines_behind_it_first_fit():
    assert match(["...", "x [A]", "..."], ["x 1", "x 2"], {}) == {"A": "1"}


def test_where_a_hole_ends_is_never_taken_back():
    assert match(["[A],[B];[A]"], ["1,2;1"], {}) == {"A": "1", "B": "2"}
    assert match(["[A],[B];[A]"], ["1,2,3;1,2"], {}) is None  # A could be "1,2", had it not ended before


def test_a_pattern_full_of_holes_comes_to_an_end():
    """To try all the places where each of them could end would take longer than anybody lives."""
    assert match(["[..]a" * 40 + "b"], ["a" * 60_000], {}) is None
    assert match(["[A]a[B]a[C]a[D]a[E]b"], ["a" * 60_000], {}) is None


def test_a_difference_shows_numbered_lines_with_what_was_printed_instead():
    assert difference(["head", "a", "b", "tail"], ["head", "a", "c", "tail"], {}, 12) == [
        "   12   head",
        "   13   a",
        "   14 - b",
        "      + c",
        "   15   tail",
    ]


def test_a_difference_counts_the_lines_of_the_file_and_not_those_that_dots_stand_for():
    assert difference(["a", "...", "b", "c"], ["a", "1", "2", "b", "d"], {}, 1) == [
        "        2",
        "    3   b",
        "    4 - c",
        "      + d",
    ]


def test_a_difference_names_what_a_known_hole_stands_for():
    shown = difference(["port [PORT]"], ["port 8000"], {"PORT": "7000"}, 3)
    assert shown == ["    3 - port [PORT]", "      + port 8000", "      [PORT] is '7000'"]


def test_a_hole_with_two_meanings_in_one_output_is_shown_where_it_changes():
    assert difference(["a [X]", "b [X]"], ["a 1", "b 2"], {}, 1) == [
        "    1   a [X]",
        "    2 - b [X]",
        "      + b 2",
    ]


def test_distant_differences_are_parted_and_a_long_one_is_cut():
    same = [f"line {number}" for number in range(20)]
    assert difference(["a", *same, "b"], ["c", *same, "d"], {}, 1).count("      --") == 1
    shown = difference([f"a{n}" for n in range(50)], [f"b{n}" for n in range(50)], {}, 1)
    assert len(shown) == 25
    assert shown[-1] == "      76 more"


def test_very_long_outputs_are_not_compared_line_by_line_with_all_others():
    def make(size):
        return lambda: difference([f"a {n}" for n in range(size)], [f"b {n}" for n in range(size)], {}, 1)

    assert make(600)()[0] == "    1 - a 0"
    check_linear(make, 600)


@pytest.mark.parametrize(
    ("expected", "actual", "result"),
    [
        ((), ["a", "b", ""], ("a", "b")),
        (("a",), [], ()),
        (("a", "b"), ["a", "c"], ("a", "c")),
        (("a [..]", "b"), ["a 1", "c"], ("a [..]", "c")),
        (("port [PORT]", "b"), ["port 7", "c"], ("port [PORT]", "c")),
        (
            ("ok  e on 127.0.0.1:[PORT]",),
            ["ok  echo#1 on 127.0.0.1:4711"],
            ("ok  echo#1 on 127.0.0.1:[PORT]",),
        ),
        (("e on [ADDRESS]",), ["echo on 127.0.0.1:80 (co#2)"], ("echo on [ADDRESS] (co#2)",)),
        (("e on [..]",), ["echo on 127.0.0.1:80 (co#2)"], ("echo on [..]",)),
        (("at [ADDRESS] now",), ["at 127.0.0.1:80 then"], ("at [ADDRESS] then",)),
        (("a", "...", "z"), ["a", "1", "2", "y"], ("a", "...", "y")),
        (("a", "...", "z", "b"), ["a", "1", "z", "c"], ("a", "...", "z", "c")),
        (("it is [X]",), ["something quite different"], ("something quite different",)),
    ],
)
def test_new_expectations_keep_the_holes_that_still_match(expected, actual, result):
    assert updated(expected, actual, {}) == result


def test_new_expectations_always_match():
    nasty = [
        "[X] [Y]",
        "...",
        "[..]",
        "[A]",
        "co> x",
        "..> y",
        "# z",
        "@assert 1",
        "```",
        "  ```",
        "a [N] b",
        "",
    ]
    for old in ((), ("a [X]", "[X]"), ("...",), ("[..]",), ("[A]", "[A]", "b")):
        for actual in (nasty, nasty[::-1], ["", "", "a"], ["a 1", "2"]):
            assert match(updated(old, actual, {"N": "7"}), actual, {"N": "7"}) is not None


@pytest.mark.parametrize(
    "line", ["co> x", "co>", "..> y", "# z", "@wait x", "```", "~~~ cosh", "...", "  ..."]
)
def test_output_that_looks_like_a_part_of_the_file_is_written_so_that_it_does_not(line):
    assert as_expected(line) == "[..]" + line


def test_output_that_looks_like_a_hole_is_written_as_any_text():
    assert as_expected("[INFO] up [..]  ") == "[..] up [..]"


def test_the_text_of_a_known_hole_is_filled_in_where_its_name_is_typed():
    assert filled("nc :[PORT] --name [NAME]", {"PORT": "4711"}) == "nc :4711 --name [NAME]"


def test_a_name_in_brackets_within_an_expression_is_python():
    assert filled("send c {table[N]}[N]", {"N": "1"}) == "send c {table[N]}1"


def test_what_is_typed_is_written_with_prompts():
    assert typed("def f():\n    a\n\n    b") == ["co> def f():", "..>     a", "..>", "..>     b"]
