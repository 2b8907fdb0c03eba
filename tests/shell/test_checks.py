import pytest

from coshell.checks import Checker, Condition, condition_of, included_file, required_plugin, setting_of
from coshell.steps import Grammar, LineSplitter, SessionError

GRAMMAR = Grammar(
    commands={"echo", "connect", "send", "go", "ps", "plugin", "say"},
    python_commands={"go"},
    text_commands={"say"},
    directives={"fault"},
)


def check(*lines):
    splitter, checker = LineSplitter(GRAMMAR, "x.cosh"), Checker(GRAMMAR)
    for line in lines:
        for step in splitter.feed(line):
            checker.check(step)
    for step in splitter.close():
        checker.check(step)


def refusal_of(*lines):
    with pytest.raises(SessionError) as caught:
        check(*lines)
    return str(caught.value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['send c "abc'], "x.cosh:1:8: quote opened here is never closed"),
        (["ps", ":send c 'abc"], "x.cosh:2:9: quote opened here is never closed"),
        (["x = 'abc"], "x.cosh:1:5: quote opened here is never closed"),
        (["f(", "  [1,"], "x.cosh:2:3: bracket opened here is never closed"),
        (["go f(1"], "x.cosh:1:5: bracket opened here is never closed"),
        (["go:", "    f('a)"], "x.cosh:2:7: quote opened here is never closed"),
        (["x = 1 + \\"], "x.cosh:1:9: backslash at the end, and no line follows"),
        (["x = = 1"], "x.cosh:1:5: invalid syntax"),
        (["def f():", "    x", "    y = = 1"], "x.cosh:3:9: invalid syntax"),
        (["return 1"], "x.cosh:1:1: 'return' outside function"),
        (["f(1))"], "x.cosh:1:5: unmatched ')'"),
        (["@assert"], "x.cosh:1:8: an expression must follow"),
        (["@assert 1 +* 2"], "x.cosh:1:12: invalid syntax"),
        (["@assert (x"], "x.cosh:1:9: bracket opened here is never closed"),
        (["@assert x < 64K <"], "x.cosh:1:9: invalid syntax"),
        (["@wait within 5s"], "x.cosh:1:7: an expression must follow"),
        (["@wait x within 5 parsecs"], "x.cosh:1:9: invalid syntax"),
        (["@wait x within 5parsecs"], "x.cosh:1:9: not a duration: '5parsecs' (as in 300ms)"),
        (["@idle now"], "x.cosh:1:7: only a time may follow, as in @idle within 5s"),
        (["@set x"], "x.cosh:1:6: a key and a value must follow, as in @set timeout 5s"),
        (["@require echo"], "x.cosh:1:10: it must read @require plugin NAME"),
        (["@include"], "x.cosh:1:9: a file name must follow"),
        (["@asert x"], "x.cosh:1:1: no directive @asert, did you mean @assert?"),
        (["@zzz"], "x.cosh:1:1: no directive @zzz"),
    ],
)
def test_what_is_wrong_as_it_stands_is_refused_with_its_place(lines, message):
    assert refusal_of(*lines) == message


def test_what_looks_like_a_misspelt_command_is_told_to_be_one():
    assert refusal_of("conect e as c") == (
        "x.cosh:1:8: invalid syntax; no command 'conect', did you mean 'connect'?"
    )


def test_a_misspelt_command_that_is_an_annotation_to_python_is_refused_too():
    assert refusal_of("ecoh :0") == "x.cosh:1:1: no command 'ecoh', did you mean 'echo'?"
    check("total: int")


@pytest.mark.parametrize(
    "line",
    [
        "echo :0 --as e",
        "send c 'a (' \"b\"",
        "say it's (fine",
        "!echo it's (fine",
        "?go",
        "x = await f()",
        "'\\d'",
        "@assert heap('e') < 64K  # why",
        "@wait x == 1 within 300ms  # why",
        "@idle  # why",
        "@idle within 5s",
        "@fault anything (",
    ],
)
def test_what_may_be_right_passes(line):
    check(line)


def test_brackets_without_end_are_an_error_and_no_crash():
    assert "too many nested parentheses" in refusal_of("(" * 30_000 + ")" * 30_000)
    assert "x.cosh:1:" in refusal_of("x = " + "-" * 50_000 + "1")


def test_behind_a_line_that_loads_a_plugin_unknown_words_may_be_right():
    check("plugin load ./chaos.py", "disturb e 0.5", "@disturb 0.5", "ps")
    assert "never closed" in refusal_of("plugin load ./chaos.py", "send c 'abc")


def test_a_condition_may_have_a_time_of_its_own():
    assert condition_of("x == 1") == Condition("x == 1", None)
    assert condition_of("x within 300ms") == Condition("x", 0.3)
    assert condition_of("'within 5s' in x") == Condition("'within 5s' in x", None)
    assert condition_of("within 2s") == Condition("", 2)


def test_the_parts_of_directives_can_be_taken_out():
    assert required_plugin("plugin echo") == "echo"
    assert required_plugin("plugin") is None
    assert setting_of("level sites") == ("level", "sites")
    assert setting_of("prompt  a b") == ("prompt", "a b")
    assert included_file("a b.cosh") == "a b.cosh"
    assert included_file("'a b.cosh'") == "a b.cosh"
