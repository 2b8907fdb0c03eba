"""The two ways in which a session ends on purpose."""

import pytest

from coshell.config import Settings
from coshell.console import Capture
from coshell.ending import Quit, Terminated
from coshell.shell import Shell


def test_quit_has_an_exit_code():
    assert Quit().code == 0
    assert Quit(3).code == 3


def test_a_request_to_end_is_not_caught_by_those_who_catch_errors():
    assert not issubclass(Terminated, Exception)


@pytest.mark.parametrize("end", [Quit(3), Terminated()])
def test_neither_is_a_failure_of_the_line_that_runs(end):
    shell = Shell(Settings(level="off"), console=Capture())
    with pytest.raises(type(end)):
        shell.result_of(end)
