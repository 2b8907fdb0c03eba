"""Lines that come through a pipe."""

import io
import os
import threading

import pytest

from coshell.config import Settings
from coshell.console import Capture
from coshell.script import run_lines, run_stream
from coshell.shell import Shell
from tests.patience import wait_for


@pytest.fixture
def shell():
    with Shell(Settings(level="off"), console=Capture(), errors=Capture()) as shell:
        yield shell


def run(shell, text):
    data = text if isinstance(text, bytes) else text.encode()
    return run_stream(shell, io.BytesIO(data))


def test_all_went_well(shell):
    assert run(shell, "x = 1\nx + 1\n") == 0
    assert shell.output.console.lines() == ["2"]
    assert shell.output.errors.lines() == []


def test_the_first_failure_stops_a_script_and_is_told_with_its_line(shell):
    assert run(shell, "# a remark\nx = 1\n\n@assert x == 2\nx = 3\n") == 1
    assert shell.output.errors.lines() == ["<stdin>:4: @assert x == 2 failed: 1"]
    assert shell.names["x"] == 1


@pytest.mark.parametrize(
    ("text", "code", "error"),
    [
        ("1 / 0", 1, "<stdin>:1: ZeroDivisionError: division by zero"),
        ("x = = 1", 2, "<stdin>:1: SyntaxError: invalid syntax (line 1)"),
        ("\nps --trea", 2, "<stdin>:2: ps: no option '--trea', did you mean '--tree'?: usage: ps"),
        ("  x = 1", 2, "<stdin>:1:1: unexpected indent"),
        ("Channel().receive()", 3, "<stdin>:1: deadlock: nothing can wake any of these"),
        ("!false", 1, "<stdin>:1: exit status 1"),
        ("x = 'never closed", 2, "<stdin>:1: SyntaxError: unterminated string literal"),
        ("@assert nothing", 1, "<stdin>:1: @assert nothing failed: NameError: name 'nothing' is not defined"),
        ("ps = 1\nps", 2, "<stdin>:2: 'ps' is a command and a name of yours: write :ps for the command"),
    ],
)
def test_what_goes_wrong_has_a_place_and_an_exit_code(shell, text, code, error):
    assert run(shell, text) == code
    assert shell.output.errors.lines()[0].startswith(error)


def test_an_error_in_a_function_is_told_with_its_lines(shell):
    assert run(shell, "def f():\n    return 1 / 0\nf()\n") == 1
    assert '  File "<co:1>", line 2, in f' in shell.output.errors.lines()


def test_a_block_ends_at_the_next_line_that_is_not_indented(shell):
    text = (
        "for i in range(2):\n    if i:\n\n        print('odd')\n    else:\n        i\nelse:\n    y = 7\ny\n"
    )
    assert run(shell, text) == 0
    assert shell.output.console.lines() == ["7"]


def test_a_block_may_end_with_the_script(shell):
    assert run(shell, "def f():\n    return 7") == 0
    assert shell.evaluate("f()") == 7


def test_endings_and_marks_of_other_systems_do_not_matter(shell):
    assert run(shell, b"\xef\xbb\xbfx = 1\r\nif x:\r\n    y = 2\r\ny\r\n") == 0
    assert shell.output.console.lines() == ["2"]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"x = 1\ny = '\xff'\n", "<stdin>: not a session file (byte 0xff at line 2)"),
        (b"x\0y\n", "<stdin>: not a session file (byte 0x00 at line 1)"),
        (b"x = '" + b"a" * 70_000 + b"'\n", "<stdin>:1: line too long, the limit is 64 KiB"),
    ],
)
def test_what_is_no_text_is_refused(shell, data, error):
    assert run(shell, data) == 2
    assert shell.output.errors.lines()[-1] == error


def test_quit_ends_a_script_with_its_code(shell):
    assert run(shell, "quit 5\nx = 1\n") == 5
    assert "x" not in shell.names


def test_a_step_runs_as_soon_as_its_line_is_there(shell):
    reading, writing = os.pipe()
    codes = []
    with open(reading, "rb") as stream:  # noqa: PTH123 - not a path
        thread = threading.Thread(target=lambda: codes.append(run_stream(shell, stream)))
        thread.start()
        came = threading.Event()
        shell.names["came"] = came
        os.write(writing, b"came.set()\n")
        wait_for(came)
        os.close(writing)
        thread.join()
    assert codes == [0]


def test_nothing_more_is_run_for_a_reader_who_has_left(shell):
    def lines():
        yield "x = 1"
        shell.output.broken = True
        yield "x = 2"
        yield "x = 3"

    assert run_lines(shell, lines(), "-c") == 0
    assert shell.names["x"] < 3


def test_words_that_a_plugin_brings_are_known_in_the_next_line(shell, tmp_path):
    plugin = tmp_path / "tides.py"
    plugin.write_text(
        "from coshell.api import Command, hookimpl\n"
        "@hookimpl\n"
        "def coshell_commands():\n"
        "    return [Command('tide', 'tell the tide', lambda shell: 'high')]\n"
    )
    assert run(shell, f"plugin load {plugin}\ntide\n") == 0
    assert shell.output.console.lines()[-1] == "high"
