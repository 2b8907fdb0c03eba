"""What came of a line."""

import pytest

import coloop
from coshell.bridge import Hogged
from coshell.command import CommandError, UsageError
from coshell.ending import Quit, Terminated
from coshell.lines import LineError
from coshell.result import Result, failure


def test_nothing_is_wrong_unless_it_is_said():
    assert Result().ok
    assert Result().exit_code == 0


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (KeyboardInterrupt(), "interrupted", 130),
        (CommandError("no socket 'x'"), "no socket 'x'", 1),
        (UsageError("ps: no option '--x'", "usage: ps"), "ps: no option '--x': usage: ps", 2),
        (LineError("quote \x1b opened here", 3), r"quote \x1b opened here", 2),
        (coloop.Deadlock((), "deadlock: nobody\n  co#1"), "deadlock: nobody", 3),
        (SyntaxError("invalid syntax"), "SyntaxError: invalid syntax", 2),
        (ValueError("bad"), "ValueError: bad", 1),
        (SystemExit(3), "SystemExit: 3", 1),
    ],
)
def test_a_failure_has_a_line_and_an_exit_code(error, line, code):
    result = failure(error, "python")
    assert (result.ok, result.error, result.exit_code, result.kind) == (False, line, code, "python")


def test_a_traceback_is_told_where_it_helps():
    assert failure(CommandError("x")).traceback is None
    assert failure(KeyboardInterrupt()).traceback is None
    assert failure(coloop.Deadlock((), "deadlock\n  co#1\n  co#2")).traceback == "  co#1\n  co#2"
    assert failure(ValueError("bad")).traceback == "ValueError: bad"


def test_who_holds_the_scheduler_is_named_to_who_pressed_ctrl_c():
    def main():
        hog = coloop.current()
        for interrupted in (True, False):
            result = failure(Hogged(hog, started=False, interrupted=interrupted))
            assert result.error == "not run: co#1 main lets nobody else run (kill 1)"
            assert result.hog is (hog if interrupted else None)

    coloop.run(main)


@pytest.mark.parametrize("end", [Quit(3), Terminated()])
def test_an_end_on_purpose_is_no_failure(end):
    with pytest.raises(type(end)):
        failure(end)
