"""How a session begins."""

import io
import sys

import pytest

from coshell.arguments import session_options
from coshell.console import Capture
from coshell.opening import current_folder, open_shell, start, usual_rc, wants_color


class Screen(io.StringIO):
    """A stream that may be a terminal."""

    def __init__(self, *, terminal=True, encoding="utf-8"):
        super().__init__()
        self.terminal = terminal
        self._encoding = encoding

    @property
    def encoding(self):
        return self._encoding

    def isatty(self):
        return self.terminal


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home, which is the current folder as well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    (tmp_path / "config/coshell").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def opened(home, monkeypatch):
    """Opens and starts a shell; gives the shell and the exit code."""
    shells = []

    def opened(*arguments, screen=None, with_rc=False, **more):
        monkeypatch.setattr(sys, "stdout", screen or Screen())
        monkeypatch.setattr(sys, "stderr", screen or Screen())
        options = session_options(["--level", "off", "--no-plugins", *arguments])
        shell = open_shell(options, interactive=False)
        shells.append(shell)
        shell.output.errors = Capture()
        return shell, start(shell, options, lambda name: len(name), with_rc=with_rc)

    yield opened
    for shell in reversed(shells):  # each puts the level back to what it found
        shell.close()


@pytest.mark.parametrize(
    ("environ", "setting", "terminal", "wanted"),
    [
        ({"TERM": "xterm"}, "auto", True, True),
        ({"TERM": "xterm"}, "auto", False, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, "auto", True, False),
        ({"TERM": "dumb"}, "auto", True, False),
        ({}, "auto", True, False),
        ({"NO_COLOR": "1"}, "always", False, True),
        ({"TERM": "xterm"}, "never", True, False),
    ],
)
def test_there_are_colours_where_they_can_be_seen_and_are_wanted(
    monkeypatch, environ, setting, terminal, wanted
):
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert wants_color(Screen(terminal=terminal), setting) is wanted


def test_an_output_that_is_not_utf_8_gets_ascii(opened):
    shell, _ = opened(screen=Screen(encoding="ascii"))
    assert shell.settings.ascii
    assert shell.origins["ascii"] == "an output in ascii"
    assert not opened()[0].settings.ascii


def test_what_is_typed_is_the_main_module(opened):
    shell, _ = opened()
    assert sys.modules["__main__"] is shell.interpreter.module


def test_flags_become_settings(opened):
    shell, code = opened("--seed", "7")
    assert (shell.settings.seed, shell.origins["seed"], code) == (7, "the command line", 0)


def test_the_usual_beginning_is_run_at_a_prompt(home, opened):
    (home / "config/coshell/rc.py").write_text("x = 1\n")
    assert "x" not in opened()[0].names
    shell, code = opened(with_rc=True)
    assert (shell.names["x"], code) == (1, 0)
    assert "x" not in opened("--no-rc", with_rc=True)[0].names


def test_a_beginning_that_others_may_write_is_not_run(home):
    rc = home / "config/coshell/rc.py"
    assert usual_rc() is None
    rc.write_text("x = 1\n")
    assert usual_rc() == str(rc)
    rc.chmod(0o666)
    assert usual_rc() is None


def test_a_beginning_can_be_named(home, opened):
    (home / "mine.py").write_text("x = 1\n")
    assert opened("--rc", "mine.py")[0].names["x"] == 1
    assert opened("--rc", "abc.cosh")[1] == len("abc.cosh")


def test_a_beginning_that_fails_is_told(home, opened):
    (home / "mine.py").write_text("def f():\n    1 / 0\nf()\n")
    shell, code = opened("--rc", "mine.py")
    assert code == 1
    assert shell.output.errors.lines()[-1] == "mine.py: ZeroDivisionError: division by zero"
    assert "    1 / 0" in shell.output.errors.lines()
    shell, code = opened("--rc", "nowhere.py")
    assert code == 2
    assert shell.output.errors.lines() == [
        "coshell: nowhere.py: [Errno 2] No such file or directory: 'nowhere.py'"
    ]


def test_a_plugin_that_cannot_be_loaded_ends_it(opened):
    shell, code = opened("--plugin", "nowhere.py")
    assert code == 2
    assert shell.output.errors.lines()[0].startswith("coshell: ")


def test_a_folder_that_is_gone_is_the_root(home):
    gone = home / "gone"
    gone.mkdir()
    import os

    os.chdir(gone)
    gone.rmdir()
    assert str(current_folder()) == "/"
    os.chdir(home)
    assert current_folder() == home
