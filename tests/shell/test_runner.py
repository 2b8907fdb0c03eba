import pytest

from coshell.console import Capture
from coshell.runner import run_here
from tests.shell.sessions import session


@pytest.fixture
def opened():
    with session() as opened:
        opened.shell.output.errors = Capture()
        yield opened


def told(opened):
    return opened.shell.output.errors.lines()


def write(folder, **files):
    for stem, text in files.items():
        (folder / f"{stem}.cosh").write_text(text)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_file_binds_and_opens_stays(opened, folder):
    write(folder, a="x = 7\ngo sleep(3600) --name sleeper\n")
    assert run_here(opened.shell, "a.cosh") == 0
    assert opened.value("x") == 7
    assert opened.shell.find_coroutine("sleeper").id == 2


def test_what_it_prints_is_shown_and_nothing_else(opened, folder):
    write(folder, a="print('a')\n1 + 1\n@assert True\n")
    opened.shell.output.install()
    run_here(opened.shell, "a.cosh")
    assert opened.shell.output.console.lines() == ["a", "2"]
    assert told(opened) == []


def test_what_goes_wrong_is_told_with_its_place_and_ends_the_file(opened, folder):
    write(folder, a="x = 1\n@assert x == 2\nx = 3\n")
    assert run_here(opened.shell, "a.cosh") == 1
    assert told(opened) == ["a.cosh:2: @assert x == 2 failed: 1"]
    assert opened.value("x") == 1


def test_a_file_that_cannot_be_run_is_told_and_nothing_of_it_runs(opened, folder):
    write(folder, a="x = 1\nf(\n")
    assert run_here(opened.shell, "a.cosh") == 2
    assert run_here(opened.shell, "none.cosh") == 2
    assert told(opened) == [
        "a.cosh:2:2: bracket opened here is never closed",
        "none.cosh: no such file or directory",
    ]
    assert "x" not in opened.shell.names


def test_a_transcript_is_compared(opened, folder):
    write(folder, a="co> 1 + 1\n3\n")
    assert run_here(opened.shell, "a.cosh") == 1
    assert told(opened) == ["a.cosh:1: the output is not as expected", "    2 - 3", "      + 2"]


def test_a_file_may_run_another(opened, folder):
    write(folder, a="run b.cosh\n@assert x == 7\n", b="x = 7\n")
    assert run_here(opened.shell, "a.cosh") == 0


def test_a_file_that_runs_itself_is_stopped(opened, folder):
    write(folder, a="run b.cosh\n", b="run a.cosh\n")
    assert run_here(opened.shell, "a.cosh") != 0
    assert told(opened)[0] == "a.cosh: run loop a.cosh -> b.cosh -> a.cosh"


def test_a_name_of_the_users_hides_no_command_in_a_file(opened, folder):
    opened.type("ps = 3")
    write(folder, a="ps\n")
    assert run_here(opened.shell, "a.cosh") == 2
    assert told(opened)[0].startswith("a.cosh:1: 'ps' is a command and a name of yours")
