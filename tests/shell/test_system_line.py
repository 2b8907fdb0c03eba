"""Lines for the system's shell."""

import pytest

from coshell.command import CommandError, UsageError
from coshell.system_line import run


def said_by(line):
    said = []
    run(line, at_terminal=False, say=said.append)
    return said


def test_what_it_prints_is_said_line_by_line():
    assert said_by("echo one; echo two >&2; printf three") == ["one", "two", "three"]


def test_what_is_no_text_is_said_all_the_same():
    assert said_by("printf 'a\\377b'") == ["a\\xffb"]


def test_it_does_not_read_our_input():
    assert said_by("cat") == []


def test_another_status_than_0_is_a_failure():
    with pytest.raises(CommandError, match="exit status 3"):
        said_by("exit 3")


def test_an_empty_line_is_misuse():
    with pytest.raises(UsageError, match="! needs a command"):
        said_by("")


def test_at_a_terminal_it_has_the_terminal(capfd):
    said = []
    run("echo there", at_terminal=True, say=said.append)
    assert said == []
    assert capfd.readouterr().out == "there\n"
    with pytest.raises(CommandError, match="exit status 1"):
        run("false", at_terminal=True, say=said.append)
