"""What a line is, and its words."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coshell.lines import Expression, LineError, ShadowedCommand, classify, expand_units, split_raw, words

COMMANDS = {"ps", "go", "nc", "set", "close", "run", "help", "send", "echo", "connect"}


@pytest.mark.parametrize(
    "line",
    [
        "ps", "ps --tree", "ps -n 3", "go f(1)", "go -n 1000 f(x)", "go:", "go lambda: 1", "nc :40213", "nc [::1]:80",
        "run ./a.cosh", "run /tmp/a.cosh", "run ../a", "set level heap", "close {c}", "send c 'a = b'", "help",
        "connect e as c", ":ps = 3", "  ps  ", "echo 127.0.0.1:0 --as e",
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
    ],
)  # fmt: skip
def test_this_is_python(line: str) -> None:
    assert classify(line, COMMANDS).kind == "python"


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

    def expression(source: str) -> Expression:
        return Expression(source, text.index(source) + 1)

    assert [word.parts for word in words(text)] == [
        ("send",),
        ("c",),
        ("hi\nA ", expression("c.x")),
        ("raw {\\n",),
        (expression("name"),),
        ("a", expression("1+1"), "b"),
        ("{x}",),
    ]


def test_an_expression_may_contain_braces_and_quotes() -> None:
    assert words("""{ {"a}": 1}["a}"] }""")[0].parts == (Expression("""{"a}": 1}["a}"]""", 2),)


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


def test_a_huge_line_is_refused_at_once() -> None:
    began = time.process_time()
    with pytest.raises(LineError, match="at most"):
        words("x" * 10**6)
    words("'" + "x" * 60_000 + "'" + "{a}" * 1000)
    assert time.process_time() - began < 30  # shlex needs minutes for the like


@pytest.mark.parametrize(
    ("text", "source", "flags"),
    [
        ('-n 1000 f(x, "--name") --name leaky', 'f(x, "--name")', {"-n": "1000", "--name": "leaky"}),
        ("f(a --name, b)", "f(a --name, b)", {}),
        ("f(1) --all", "f(1)", {"--all": True}),
        ("a - -n", "a -", None),
        ("--name=x f()", "f()", {"--name": "x"}),
        ("x --other y", "x --other y", {}),
        ("f() --name 'two words'", "f()", {"--name": "two words"}),
    ],
)
def test_options_stand_before_or_behind_a_python_argument(
    text: str, source: str, flags: dict[str, str | bool] | None
) -> None:
    known = {"-n": True, "--name": True, "--all": False}
    if flags is None:
        with pytest.raises(LineError, match="-n needs a value"):
            split_raw(text, known)
    else:
        assert split_raw(text, known) == (source, flags)


@pytest.mark.parametrize(
    ("expression", "expanded"),
    [
        ('heap("64K") < 64K', 'heap("64K") < 65536'),
        ("t < 300ms + 5s", "t < 0.3 + 5"),
        ("x64K + 0x1F + 1e5 + 2M", "x64K + 0x1F + 1e5 + 2097152"),
        ("a.b5s == 'it\\'s 5s' and f'{5s}'", "a.b5s == 'it\\'s 5s' and f'{5s}'"),
        ("1.5M and 1_000K", "1572864 and 1024000"),
    ],
)
def test_units_become_numbers_outside_of_strings_and_names(expression: str, expanded: str) -> None:
    assert expand_units(expression) == expanded
