"""Errors in a line and in a traceback."""

import pytest

import coloop
from coshell.command import CommandError
from coshell.evaluate import Interpreter
from coshell.mishaps import MAX_TRACEBACK_LINES, one_line, told


def raised_by(source):
    interpreter = Interpreter()
    try:
        interpreter.run(source)
    except Exception as error:
        yield error
    finally:
        interpreter.forget_all()


@pytest.fixture
def error_of():
    runs = []

    def error_of(source):
        runs.append(raised_by(source))
        return next(runs[-1])

    yield error_of
    for run in runs:
        run.close()


class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("bad size"), "ValueError: bad size"),
        (ValueError(), "ValueError"),
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError("\x1b]0;x\x07"), r"ValueError: \x1b]0;x\x07"),
        (CommandError("no socket 'x'"), "no socket 'x'"),
        (coloop.Closed("gone"), "Closed: gone"),
        (Silent(), "Silent: <its __str__ raised RuntimeError>"),
        (ValueError("x" * 9999), f"ValueError: {'x' * 500}..."),
    ],
)
def test_an_error_in_one_printable_line(error, line):
    assert one_line(error) == line


def test_a_syntax_error_tells_its_line(error_of):
    assert one_line(error_of("x = 1\ny = = 2")) == "SyntaxError: invalid syntax (line 2)"


def test_a_traceback_has_only_the_users_lines(error_of):
    error = error_of("def f():\n    coloop.sleep(-1)\nimport coloop\ndef main():\n    f()\ncoloop.run(main)")
    text = told(error)
    assert "ValueError: sleep must be finite and not negative" in text
    assert 'File "<co:1>", line 2, in f\n    coloop.sleep(-1)' in text
    assert "coloop/_" not in text
    assert "evaluate.py" not in text


def test_the_cause_loses_our_frames_too(error_of):
    source = "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('x') from e"
    text = told(error_of(source))
    assert "ZeroDivisionError" in text
    assert "direct cause" in text
    assert "evaluate.py" not in text


def test_all_frames_are_shown_if_they_are_wanted(error_of):
    assert "evaluate.py" in told(error_of("1 / 0"), "verbose")


def test_a_plain_telling_has_no_frames(error_of):
    assert told(error_of("1 / 0"), "plain") == "ZeroDivisionError: division by zero"


def test_a_recursion_that_ran_away_is_short(error_of):
    source = "def a(n):\n    b(n)\ndef b(n):\n    c(n)\ndef c(n):\n    a(n)\na(1)"
    lines = told(error_of(source)).split("\n")
    assert len(lines) <= MAX_TRACEBACK_LINES + 1
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith("RecursionError")


def test_nothing_unprintable_is_told(error_of):
    text = told(error_of("raise ValueError('\\x1b[2J\\u202e')"))
    assert text.endswith("ValueError: \\x1b[2J\\u202e")
    assert "\x1b" not in text


def test_a_group_of_errors_is_told_whole(error_of):
    text = told(error_of("raise ExceptionGroup('two', [ValueError('a'), TypeError('b')])"))
    assert "ValueError: a" in text
    assert "TypeError: b" in text
