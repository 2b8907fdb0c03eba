"""What a line is, and its words."""

from __future__ import annotations

import contextlib
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coshell import lines
from coshell.lines import (
    MAX_LINE_CHARS,
    Expression,
    LineError,
    ShadowedCommand,
    classify,
    expand_units,
    is_name,
    split_raw,
    words,
)
from tests.shell.counting import CountedPattern, check_linear

COMMANDS = {"ps", "go", "nc", "set", "close", "run", "help", "send", "echo", "connect"}


@pytest.mark.parametrize(
    "line",
    [
        "ps", "ps --tree", "ps -n 3", "go f(1)", "go -n 1000 f(x)", "go:", "go lambda: 1", "nc :40213", "nc [::1]:80",
        "run ./a.cosh", "run /tmp/a.cosh", "run ../a", "set level heap", "close {c}", "send c 'a = b'", "help",
        "connect e as c", ":ps = 3", "  ps  ", "echo 127.0.0.1:0 --as e", "nc :{port}", "nc :$port", "nc :http", "ps # all",
        "go -n 3:", "go not x", "go f'{x}'", "ps --tree --json", "close c --reset", "run ~/a", "nc unix:/tmp/s", "set x = 3",
    ],
)  # fmt: skip
def test_this_is_a_command(line: str) -> None:
    assert classify(line, COMMANDS).kind == "command"


@pytest.mark.parametrize(
    "line",
    [
        "ps = 3", "ps == 3", "ps(1)", "ps (1)", "ps.x", "ps [0]", "ps, go = 1, 2", "ps - 1", "ps -1", "ps / 2", "ps in x",
        "ps is None", "ps and 1", "ps or 1", "ps if x else y", "ps not in x", "ps: int = 3", "ps != 2", "ps | go", "pst",
        "x", "for ps in y: pass", "ps += 1", "ps @ m", "1 + 1", "ps * 2", "ps < 3",
        "ps;go", "ps : int", "ps := 1", "ps -1 + x", "ps - x", "ps.x = 1", "ps[0]", "help(ps)", "go: int = 3", "ps and",
    ],
)  # fmt: skip
def test_this_is_python(line: str) -> None:
    assert classify(line, COMMANDS).kind == "python"


@given(st.text())
def test_whatever_is_typed_is_something(text: str) -> None:
    assert classify(text, COMMANDS).kind in {
        "command",
        "python",
        "os",
        "help",
        "directive",
        "comment",
        "blank",
    }
    assert classify(f":ps {text}", COMMANDS, COMMANDS, strict=True).name == "ps"


def test_a_name_of_the_users_wins_unless_the_line_says_command() -> None:
    assert classify("ps", COMMANDS, {"ps"}).kind == "python"
    assert classify(":ps", COMMANDS, {"ps"}).kind == "command"


def test_in_a_file_a_shadowed_command_is_an_error() -> None:
    with pytest.raises(ShadowedCommand, match="write :ps"):
        classify("ps", COMMANDS, {"ps"}, strict=True)


@pytest.mark.parametrize(
    ("line", "kind", "name", "rest"),
    [
        ("!ls -l", "os", "", "ls -l"), ("?ps", "help", "ps", ""), ("@assert x == 1", "directive", "assert", "x == 1"),
        ("# no", "comment", "", "no"), ("", "blank", "", ""), (":go f(1)", "command", "go", "f(1)"),
    ],
)  # fmt: skip
def test_the_first_character_can_decide(line: str, kind: str, name: str, rest: str) -> None:
    found = classify(line, COMMANDS)
    assert (found.kind, found.name, found.rest) == (kind, name, rest)


def test_words_are_split_quoted_and_filled_in() -> None:
    text = r"""send c "hi\n\x41 {c.x}" 'raw {\n' $name a{1+1}b {{x}}"""

    assert [word.parts for word in words(text)] == [
        ("send",),
        ("c",),
        ("hi\nA ", Expression("c.x")),
        ("raw {\\n",),
        (Expression("name"),),
        ("a", Expression("1+1"), "b"),
        ("{x}",),
    ]


def test_an_expression_may_contain_braces_and_quotes() -> None:
    assert words("""{ {"a}": 1}["a}"] }""")[0].parts == (Expression("""{"a}": 1}["a}"]"""),)


@pytest.mark.parametrize(
    ("text", "column"), [('send "hi', 6), ("send 'hi", 6), ("close {c", 7), ("close {}", 7)]
)
def test_what_is_never_closed_is_told_with_its_column(text: str, column: int) -> None:
    with pytest.raises(LineError) as caught:
        words(text)
    assert caught.value.column == column


@given(st.text())
def test_whatever_is_typed_is_split_or_refused(text: str) -> None:
    with contextlib.suppress(LineError):
        assert all(0 <= word.start < word.end <= len(text) for word in words(text))


@given(st.text().filter(lambda text: "'" not in text))
def test_single_quotes_keep_everything(text: str) -> None:
    (word,) = words(f"'{text}'")
    assert (word.parts, word.quoted) == ((text,), True)


def test_a_hash_that_stands_alone_begins_a_comment() -> None:
    assert [word.parts for word in words("co#3 #4 '#' # don't {")] == [("co#3",), ("#4",), ("#",)]
    assert split_raw("f(1) --all # don't", {"--all": False}) == ("f(1)", {"--all": True})


def test_a_huge_line_is_refused() -> None:
    with pytest.raises(LineError, match="at most"):
        words("x" * 10**6)


LONG_LINES = [
    ("", "x"), ("", "x "), ("", "{"), ("", "{a}"), ('{"', '\\"'), ("{'''", "\\'"), ("{'", "\\'"), ("{", "'''"), ('"', "\\x4"),
    ("", "-a "), ("f(", "'\\'"), ("", "9_"), ("", "1."), ("", "#"), ("", "$"),
]  # fmt: skip


def read(text: str) -> None:
    with contextlib.suppress(LineError):
        words(text)
    with contextlib.suppress(LineError):
        split_raw(text, {"-a": False})
    expand_units(text)


@pytest.mark.parametrize(("begin", "more"), LONG_LINES)
def test_a_line_twice_as_long_takes_twice_the_steps(
    monkeypatch: pytest.MonkeyPatch, begin: str, more: str
) -> None:
    quotes = "#'\""
    begins = {"_NOT_CODE": quotes, "_WITH_UNIT": f"{quotes}_{ascii_letters}{digits}", "_FLAG": "-"}
    counted = [CountedPattern(getattr(lines, name), each) for name, each in begins.items()]
    for name, pattern in zip(begins, counted, strict=True):
        monkeypatch.setattr(lines, name, pattern)
    check_linear(lambda size: lambda: read(begin + more * size), 500, counted)


@pytest.mark.parametrize(("begin", "more"), LONG_LINES)
def test_the_longest_line_is_read(begin: str, more: str) -> None:
    read(begin + more * ((MAX_LINE_CHARS - len(begin)) // len(more)))


@pytest.mark.parametrize(
    ("text", "source", "flags"),
    [
        ('-n 1000 f(x, "--name") --name leaky', 'f(x, "--name")', {"-n": "1000", "--name": "leaky"}),
        ("f(a --name, b)", "f(a --name, b)", {}),
        ("f(1) --all", "f(1)", {"--all": True}),
        ("a - -n", "a -", "-n needs a value"),
        ("--name=x f()", "f()", {"--name": "x"}),
        ("x --other y", "x --other y", {}),
        ("f() --name 'two words'", "f()", {"--name": "two words"}),
        ("f('x)  # don't --all", "f('x)  # don't --all", {}),
        ("f(1,  # not --all\n  2) --all", "f(1,  # not --all\n  2)", {"--all": True}),
        ("-n 3 --all", "", {"-n": "3", "--all": True}),
        ("co#3 --all", "co#3", {"--all": True}),
        ("echo#1/c2 --all", "echo#1/c2", {"--all": True}),
        ("f()#3 --all", "f()#3 --all", {}),
        ("x --all=3", "x", "only options can follow"),
        ("f() --all g()", "f()", "only options can follow"),
        ("-n 'a", "", "never closed"),
    ],
)
def test_options_stand_before_or_behind_a_python_argument(
    text: str, source: str, flags: dict[str, str | bool] | str
) -> None:
    known = {"-n": True, "--name": True, "--all": False}
    if isinstance(flags, str):
        with pytest.raises(LineError, match=flags):
            split_raw(text, known)
    else:
        assert split_raw(text, known) == (source, flags)


def test_the_column_of_an_open_quote_counts_from_the_beginning_of_the_text() -> None:
    with pytest.raises(LineError) as caught:
        split_raw("f(1) --name 'leaky", {"--name": True})
    assert caught.value.column == 13


@pytest.mark.parametrize(
    ("expression", "expanded"),
    [
        ('heap("64K") < 64K', 'heap("64K") < 65536'),
        ("t < 300ms + 5s", "t < 0.3 + 5"),
        ("x64K + 0x1F + 1e5 + 2M", "x64K + 0x1F + 1e5 + 2097152"),
        ("a.b5s == 'it\\'s 5s' and f'{5s}'", "a.b5s == 'it\\'s 5s' and f'{5s}'"),
        ("1.5M and 1_000K", "1572864 and 1024000"),
        (".5m + .3ms - 1h", "30 + 0.0003 - 3600"),
        ("x # 5s", "x # 5s"),
        ("'5s", "'5s"),
    ],
)
def test_units_become_numbers_outside_of_strings_and_names(expression: str, expanded: str) -> None:
    assert expand_units(expression) == expanded


@given(st.text(), st.text(), st.integers(min_value=0, max_value=10**9))
def test_no_string_is_ever_touched(text: str, other: str, number: int) -> None:
    before, after = repr(text), repr(other)
    assert expand_units(f"{before} < {number}K < {after}") == f"{before} < {number * 1024} < {after}"


@given(st.text(alphabet="0123456789.KMGTmsh_'\"#\\ a٣²") | st.text())
def test_units_are_expanded_or_left_in_whatever_is_typed(text: str) -> None:
    expand_units(text)


@pytest.mark.parametrize(
    ("text", "is_one"), [("e", True), ("naïve", True), ("if", False), ("a b", False), ("", False)]
)
def test_a_name_can_be_bound(text: str, is_one: bool) -> None:
    assert is_name(text) is is_one
