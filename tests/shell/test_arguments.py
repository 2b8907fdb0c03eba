"""The command line."""

import shlex
from pathlib import Path

import pytest

from coshell.arguments import as_line, run_options, session_options, settings_in
from coshell.lines import words


def test_flags_are_settings():
    options = session_options(
        shlex.split("--level sites --seed 7 --clock virtual --no-color --ascii --json a.cosh -c ps -i")
    )
    assert settings_in(options) == {
        "level": "sites",
        "seed": 7,
        "clock": "virtual",
        "color": "never",
        "ascii": True,
        "json": True,
    }
    assert (options.file, options.command, options.stay) == (["a.cosh"], ["ps"], True)


def test_what_is_not_given_is_no_setting():
    options = session_options([])
    assert settings_in(options) == {}
    assert (options.file, options.command, options.plugin, options.plugins, options.with_rc) == (
        [],
        [],
        [],
        True,
        True,
    )


def test_a_run_has_options_of_its_own():
    options = run_options(
        shlex.split(
            "a.cosh b.md --json --keep-going --update --timeout 300ms --set vi=on --set x=a=b --deny stuck"
        )
    )
    assert options.file == ["a.cosh", "b.md"]
    assert (options.events, options.keep_going, options.update, options.timeout) == (True, True, True, 0.3)
    assert options.set == [("vi", "on"), ("x", "a=b")]
    assert options.deny == ["stuck"]
    assert settings_in(options) == {}


def test_a_run_may_leave_a_page():
    options = run_options(["a.cosh", "--report", "out.html", "-f"])
    assert (options.report, options.force) == (Path("out.html"), True)
    options = run_options(["a.cosh"])
    assert (options.report, options.force) == (None, False)


@pytest.mark.parametrize(
    ("parse", "line", "error"),
    [
        (session_options, "--levle heap", "unrecognized arguments: --levle"),
        (session_options, "--level loud", "invalid choice: 'loud'"),
        (session_options, "--seed x", "invalid int value: 'x'"),
        (run_options, "", "the following arguments are required: FILE"),
        (run_options, "a --timeout soon", "not a duration: 'soon'"),
        (run_options, "a --set x", "'x' is not KEY=VALUE"),
    ],
)
def test_what_is_wrong_is_told_with_exit_code_2(capsys, parse, line, error):
    with pytest.raises(SystemExit) as raised:
        parse(shlex.split(line))
    assert raised.value.code == 2
    assert error in capsys.readouterr().err


@pytest.mark.parametrize("parse", [session_options, run_options])
def test_help_is_an_end_that_went_well(capsys, parse):
    with pytest.raises(SystemExit) as raised:
        parse(["--help"])
    assert raised.value.code == 0
    assert "usage: coshell" in capsys.readouterr().out


@pytest.mark.parametrize(
    "given", ["plain", "two words", "it's", '"quoted"', "{x} $y", "it's {x} $y \\n", "", "a=b", "-n", "😀"]
)
def test_a_word_of_the_command_line_is_the_same_word_in_a_line(given):
    (word,) = words(as_line([given]))
    assert word.parts == (given,)


def test_words_stay_apart():
    assert as_line(["labs", "receive buffer", "--check"]) == "labs 'receive buffer' --check"
