import pytest

from coshell import statements
from coshell.statements import Flaw, Statement
from tests.shell.counting import CountedPattern, check_linear


def split(*lines, **options):
    """The statements that lines make, each as a list of its lines."""
    found, statement = [], None
    for line in lines:
        if statement is not None and statement.takes(line):
            statement.add(line)
            continue
        if statement is not None:
            found.append(statement.lines)
        statement = Statement(line, **options)
    return [*found, statement.lines]


def statement_of(*lines, **options):
    statement = Statement(lines[0], **options)
    for line in lines[1:]:
        assert statement.takes(line)
        statement.add(line)
    return statement


@pytest.mark.parametrize(
    "line",
    [
        "x = 1",
        "f(')')",
        "x: int = 3",
        "s = 'a:'",
        "d = {1: 2}",
        "x = 1  # why:",
        "'''a'''",
        "del x[1:]",
        r"'\''",
    ],
)
def test_a_simple_line_is_complete_at_once(line):
    assert Statement(line).complete


@pytest.mark.parametrize("line", ["def f():", "f(", "x = '''a", "x = 1 + \\", "if x: y", "@cache", "'a\\"])
def test_a_line_that_something_may_follow_is_not_complete(line):
    assert not Statement(line).complete


def test_a_block_goes_on_over_empty_lines_and_comments_to_the_next_line_at_the_margin():
    assert split("def f():", "  a", "", "# c", "  b", "", "x = 1") == [
        ["def f():", "  a", "", "# c", "  b"],
        ["x = 1"],
    ]


def test_an_empty_line_ends_a_block_as_at_the_prompt_if_asked_for():
    statement = statement_of("def f():", "  a", blank_ends=True)
    assert not statement.takes("")
    assert statement_of("x = '''a", "", blank_ends=True).takes("b'''")


def test_clauses_at_the_margin_belong_to_the_block_before():
    assert split("try:", "  a", "except* E:", "  b", "else:", "  c", "finally:", "  d", "e") == [
        ["try:", "  a", "except* E:", "  b", "else:", "  c", "finally:", "  d"],
        ["e"],
    ]
    assert split("if a: b", "elif c: d", "x") == [["if a: b", "elif c: d"], ["x"]]


def test_a_clause_belongs_to_no_function():
    assert split("def f():", "  a", "else:") == [["def f():", "  a"], ["else:"]]


def test_brackets_quotes_and_backslashes_join_lines_whatever_these_look_like():
    assert split("f(1,  # (", "2)", "g") == [["f(1,  # (", "2)"], ["g"]]
    assert split("x = '''a", "", "# b", "# c'''", "y") == [["x = '''a", "", "# b", "# c'''"], ["y"]]
    assert split("a + \\", "b", "c") == [["a + \\", "b"], ["c"]]
    assert split("'a\\", "b'", "c") == [["'a\\", "b'"], ["c"]]


def test_decorators_belong_to_what_they_decorate():
    assert split("@a(1,", " 2)", "", "# why", "@b", "def f(x,", "  y):", "  pass", "z") == [
        ["@a(1,", " 2)", "", "# why", "@b", "def f(x,", "  y):", "  pass"],
        ["z"],
    ]


def test_decorators_that_decorate_nothing_are_told():
    statement = Statement("@a")
    assert not statement.takes("x = 1")
    assert statement.awaits_definition
    assert "decorator" in statement.flaw.message


def test_what_stands_left_of_the_python_is_not_looked_at():
    assert Statement("it's f(1)", offset=5).complete
    assert not Statement("go:", offset=2).complete
    assert split("go:", "  a", "b", offset=0) == [["go:", "  a"], ["b"]]


@pytest.mark.parametrize(
    ("lines", "flaw"),
    [
        (["x = 'abc"], Flaw(0, 5, "quote opened here is never closed")),
        (["f(", '  "abc'], Flaw(1, 3, "quote opened here is never closed")),
        (["x = '''", "abc"], Flaw(0, 5, "quote opened here is never closed")),
        (["f(1, [2"], Flaw(0, 6, "bracket opened here is never closed")),
        (["f(1,", "  {"], Flaw(1, 3, "bracket opened here is never closed")),
        (["x = 1 + \\"], Flaw(0, 9, "backslash at the end, and no line follows")),
        (["x = 1 + \\", "  1 + \\"], Flaw(1, 7, "backslash at the end, and no line follows")),
        (["f(1)"], None),
        (["f(1))"], None),
    ],
)
def test_what_is_never_closed_is_told_with_the_place_where_it_was_opened(lines, flaw):
    assert statement_of(*lines).flaw == flaw


def test_a_quote_that_is_not_closed_ends_with_its_line():
    assert split("x = 'abc", "y = 1") == [["x = 'abc"], ["y = 1"]]


LONG_LINES = {
    "backslashes": lambda size: "'" + "\\" * size,
    "brackets": lambda size: "(" * size,
    "strings": lambda size: "'a'" * size,
    "quotes": lambda size: '"' * (3 * size) + '"',
    "comment": lambda size: "#" * size,
}


@pytest.mark.parametrize("make", LONG_LINES.values(), ids=LONG_LINES)
def test_a_line_twice_as_long_takes_twice_the_steps(monkeypatch, make):
    marks = CountedPattern(statements._INTERESTING, begins="")
    strings = {
        quote: CountedPattern(rest, begins=make(1)) for quote, rest in statements._REST_OF_STRING.items()
    }
    monkeypatch.setattr(statements, "_INTERESTING", marks)
    monkeypatch.setattr(statements, "_REST_OF_STRING", strings)
    check_linear(lambda size: lambda: Statement(make(size)).flaw, 1000, [marks, *strings.values()])


@pytest.mark.parametrize("make", LONG_LINES.values(), ids=LONG_LINES)
def test_a_line_may_be_very_long(make):
    assert not Statement(make(20_000)).awaits_definition
