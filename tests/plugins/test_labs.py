"""The labs are listed, run and checked; and every one of them holds.

Here each seventh lab is run, unless `EVERY_PROGRAM` is set: the checks do that.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coshell.console import Capture
from coshell.shell import Result, Shell
from coshell_plugins import labs
from coshell_plugins.labs import checking
from coshell_plugins.labs.reading import CURE, TROUBLE
from tests.patience import PATIENCE_S
from tests.plugins.labs_in_processes import PATHS, PLUGINS
from tests.thorough import sample

NAMES = [lab.name for lab in labs.all_labs()]


@pytest.fixture
def shell(console: Capture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    with Shell(console=console) as shell:
        shell.plugins.load("coshell_plugins.labs")
        shell.plugins.load("coshell_plugins.server")  # statics has workers
        yield shell


@pytest.fixture
def small_labs(tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two labs of a line or two, instead of those that we ship."""
    (tmp_path / "good.cosh").write_text(
        "# good: it holds\n#\n# A story\n# of two lines.\n\nx = 41\n@assert x == 41\n"
    )
    (tmp_path / "wrong.cosh").write_text("# wrong: it does not hold\nx = 41\n@assert x == 42\n")
    monkeypatch.setattr(sys.modules["coshell_plugins.labs.commands"], "FOLDER", tmp_path)
    return tmp_path


def do(shell: Shell, line: str) -> Result:
    result = shell.execute(line)
    assert result.ok, result.error
    return result


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", sample(NAMES, 7))
def test_a_lab_holds(shell: Shell, name: str) -> None:
    (result,) = do(shell, f"labs {name} --check").value
    assert (result.state, result.why) == ("passed", "")
    assert (result.trouble, result.cure) == ("shown", "shown")
    assert result.asserts >= 8
    assert result.figures
    assert result.cpu < 20, "a lab takes no more than 20 s, on a machine that has nothing else to do"


@pytest.mark.parametrize("lab", labs.all_labs(), ids=NAMES)
def test_a_lab_tells_its_story(lab: labs.Lab) -> None:
    assert lab.about
    assert len(lab.story) > 200


@pytest.mark.parametrize("kind", [TROUBLE, CURE])
@pytest.mark.parametrize("lab", labs.all_labs(), ids=NAMES)
def test_a_lab_explains_what_came_of_its_trouble_and_of_its_cure(lab: labs.Lab, kind: str) -> None:
    code = [line for step in lab.steps() if step.kind == kind for line in step.code]
    assert any(line.startswith("so(") for line in code)


def test_the_labs_are_there() -> None:
    assert NAMES == [
        "blocking",
        "bug-chain",
        "callback-chain",
        "callbacks",
        "coroutine-end",
        "leak-or-not",
        "linger",
        "one-loop",
        "order",
        "recv-buffer",
        "shared-connection",
        "stacks",
        "starved",
        "statics",
        "tracker",
        "without-end",
    ]


def test_they_are_listed(shell: Shell, console: Capture) -> None:
    assert [lab.name for lab in do(shell, "labs").records] == NAMES
    assert [line.split()[0] for line in console.lines()] == ["NAME", *NAMES]


def test_the_list_is_json_with_the_stories(shell: Shell, console: Capture, small_labs: Path) -> None:
    do(shell, "labs --json")
    assert json.loads(console.lines()[0]) == {
        "name": "good",
        "about": "it holds",
        "story": "A story of two lines.",
        "file": str(small_labs / "good.cosh"),
    }


def test_a_lab_that_is_run_leaves_what_it_made(shell: Shell, small_labs: Path) -> None:
    do(shell, "labs good")
    assert shell.evaluate("x") == 41


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc gives its reserve back")
def test_stacks_finds_its_trouble_in_a_process_that_has_freed_much_before() -> None:
    """In a process of its own: what tests have freed in this one is not given back to the last byte."""
    lines = ("freed = [bytearray(8192) for _ in range(16_000)]", "del freed", "labs stacks")
    command = [sys.executable, "-P", "-m", "coshell", *PLUGINS, "--plugin=coshell_plugins.labs"]
    done = subprocess.run(
        [*command, *(part for line in lines for part in ("-c", line))],
        env={**os.environ, "PYTHONPATH": PATHS},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_lab_that_fails_here_fails_the_line(shell: Shell, small_labs: Path, console: Capture) -> None:
    result = shell.execute("labs wrong")
    assert (result.ok, result.error, result.exit_code) == (False, "wrong has failed", 1)
    assert console.text.count(str(small_labs)) == 1


def test_a_check_runs_all_in_processes_of_their_own(shell: Shell, small_labs: Path, console: Capture) -> None:
    (small_labs / "wrong.cosh").unlink()
    (result,) = do(shell, "labs --check").value
    assert (result.name, result.state, result.commands, result.asserts) == ("good", "passed", 1, 1)
    assert "x" not in shell.names
    assert console.lines()[1].split()[:2] == ["good", "passed"]


def test_a_check_tells_what_was_shown_and_measured(shell: Shell, small_labs: Path, console: Capture) -> None:
    (small_labs / "wrong.cosh").unlink()
    (small_labs / "good.cosh").write_text(
        "# good: it holds\n\nfrom coshell_plugins.labs.telling import figure\n\n"
        "# -- The trouble: one.\n\n@assert 1 == 1\nfigure('size_bytes', 4200)\n\n"
        "# -- The cure: none.\n\nprint('figure')\n"
    )
    (result,) = do(shell, "labs --check").value
    assert (result.trouble, result.cure, result.figures) == ("shown", "not shown", {"size_bytes": 4200})
    assert [line.split() for line in console.lines()[-2:]] == [
        ["LAB", "FIGURE", "VALUE"],
        ["good", "size_bytes", "4,200"],
    ]


def test_a_trouble_of_which_a_claim_fails_or_is_not_reached_is_not_shown(
    shell: Shell, small_labs: Path
) -> None:
    (small_labs / "good.cosh").write_text(
        "# good: it does not\n\n# -- The trouble: one.\n\n@assert 1 == 1\n@assert 1 == 2\n\n"
        "# -- The cure: one.\n\n@assert 1 == 1\n"
    )
    result = checking.checked(labs.all_labs()[0])
    assert (result.state, result.trouble, result.cure) == ("failed", "not shown", "not shown")


def test_a_check_names_what_does_not_hold(shell: Shell, small_labs: Path, console: Capture) -> None:
    result = shell.execute("labs --check")
    assert (result.ok, result.error, result.exit_code) == (False, "1 of 2 labs failed: wrong", 1)
    assert [line.split()[:2] for line in console.lines()[1:3]] == [["good", "passed"], ["wrong", "failed"]]
    assert console.lines()[-1] == "! wrong.cosh:3: @assert x == 42 failed: 41"


def test_a_death_that_a_lab_is_about_is_not_why_it_fails(shell: Shell, small_labs: Path) -> None:
    (small_labs / "wrong.cosh").write_text(
        "# wrong: one dies\n\ngo int('x')\n@assert 1 == 1\n@assert 1 == 2\n"
    )
    result = checking.checked(labs.all_labs()[1])
    assert result.why.startswith("wrong.cosh:5: @assert 1 == 2 failed")


def test_a_file_that_cannot_be_run_is_a_failure_with_its_reason(shell: Shell, small_labs: Path) -> None:
    (small_labs / "wrong.cosh").write_text("@nonsense\n")
    with pytest.raises(Exception, match="1 of 1 labs failed: wrong"):
        shell.evaluate("co.labs('wrong', check=True)")


def test_a_check_from_a_coroutine_lets_the_others_run(shell: Shell, small_labs: Path) -> None:
    do(shell, "ticks = []\n")
    do(shell, "def tick():\n    while True:\n        ticks.append(1); sleep(0.001)\n")
    do(shell, "ticking = go(tick)")
    assert shell.evaluate("co.labs('good', check=True)")[0].state == "passed"
    assert shell.evaluate("len(ticks)") > 10


def test_an_unknown_lab_is_named_with_those_that_there_are(shell: Shell) -> None:
    error = shell.execute("labs nonsense").error
    assert error == f"no lab 'nonsense'; there are {', '.join(NAMES)}"
