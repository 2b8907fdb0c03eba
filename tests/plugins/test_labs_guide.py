"""A guide leads through a lab step by step, and what a step has made is there to be looked at."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coloop
from coshell.console import Capture
from coshell.shell import Result, Shell
from coshell_plugins import labs
from coshell_plugins.labs.clearing import Belongings
from tests.patience import PATIENCE_S
from tests.shell.pseudo_terminal import PseudoTerminal
from tests.shell.seats import COSHELL, enter, environ, seat

CTRL_C, CTRL_D = "\x03", "\x04"

LAB = """\
# small: a list that somebody fills
#
# A story. It has
# two lines.

from coshell_plugins.labs.telling import figure, so
made = []

# -- The trouble: it is filled. Nobody empties it.

made.append("first")
@assert len(made) == 1
figure("made", len(made))
so(f"There is {len(made)} in it.")

# What to look at: its length.
made.append("second")
@assert len(made) == 2

# -- The cure: somebody empties it.

waiting = go(sleep, 1000, name="sleeper")
made.clear()
@assert made == []
so("It is "
   "empty.")
"""


@pytest.fixture
def shell(console: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / "small.cosh").write_text(LAB, encoding="utf-8")
    (tmp_path / "other.cosh").write_text("# other: another\n\n@set clock virtual\nx = 1\n", encoding="utf-8")
    with Shell(console=console) as shell:
        shell.plugins.load("coshell_plugins.labs")
        monkeypatch.setattr(sys.modules["coshell_plugins.labs.commands"], "FOLDER", tmp_path)
        yield shell


def do(shell: Shell, line: str) -> Result:
    result = shell.execute(line)
    assert result.ok, result.error
    return result


def shown(console: Capture, shell: Shell, line: str) -> str:
    """What a line of the user's shows."""
    before = len(console.text)
    do(shell, line)
    return console.text[before:]


# -- one step after the other ----------------------------------------------------------------------


def test_opening_tells_the_story_and_does_the_first_step(shell: Shell, console: Capture) -> None:
    text = shown(console, shell, "labs open small")
    assert text.startswith("small: a list that somebody fills\n\nA story. It has two lines.\n")
    assert "step 1 of 4" in text
    assert "    made = []" in text
    assert "labs next: The trouble: it is filled (2 of 4)" in text
    assert shell.evaluate("made") == []


def test_next_shows_a_step_runs_it_and_tells_what_came_of_it(
    shell: Shell, console: Capture, capsys: pytest.CaptureFixture[str]
) -> None:
    do(shell, "labs open small")
    lines = shown(console, shell, "labs next").splitlines()
    assert lines == [
        "-- small, step 2 of 4: The trouble: it is filled",
        "Nobody empties it.",
        "",
        '    made.append("first")',
        "",
        "ok   len(made) == 1   (it is 1)",
        "labs next goes on (3 of 4)",
    ]
    assert capsys.readouterr().out == "figure: made = 1\nso: There is 1 in it.\n"


WIDE = """\
# wide: lines that are longer than a screen is wide
#
# A story.

# -- The trouble: there is a heading that is longer than forty columns. It has prose below it.
seen = "one" + chr(10) + "two"
@assert seen and "a claim that is longer than the screen"
@assert seen

# -- The cure: there is another heading that is longer than forty columns
done = 1
"""


def test_lines_end_between_words(
    shell: Shell, console: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wide.cosh").write_text(WIDE, encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "40")
    lines = shown(console, shell, "labs open wide").splitlines()
    assert lines[4:] == [
        "-- wide, step 1 of 2: The trouble: there",
        "   is a heading that is longer than",
        "   forty columns",
        "It has prose below it.",
        "",
        '    seen = "one" + chr(10) + "two"',
        "",
        'ok   seen and "a claim that is longer',
        "     than the screen\"   (it is 'a claim",
        "     that is longer than the screen')",
        "ok   seen   (it is 'one\\ntwo')",
        "labs next: The cure: there is another",
        "    heading that is longer than forty",
        "    columns (2 of 2)",
    ]


def test_of_what_a_claim_has_found_the_first_line_is_shown(
    shell: Shell, console: Capture, tmp_path: Path
) -> None:
    text = "# small: one\n\nclass Lines:\n    def __repr__(self):\n        return 'one' + chr(10) + 'two'\n\n@assert Lines()\n"
    (tmp_path / "small.cosh").write_text(text, encoding="utf-8")
    assert "ok   Lines()   (it is one)\n" in shown(console, shell, "labs open small")


def test_the_last_step_says_so_and_none_follows(shell: Shell, console: Capture) -> None:
    for line in ("labs open small", "labs next", "labs next"):
        do(shell, line)
    assert "that was small: labs again, labs close, or labs for the others" in shown(
        console, shell, "labs next"
    )
    assert shell.execute("labs next").error == "small has no more steps: labs again, or labs open small"


def test_again_does_the_last_step_from_a_clean_start(shell: Shell, console: Capture) -> None:
    for line in ("labs open small", "labs next", "labs next"):
        do(shell, line)
    text = shown(console, shell, "labs again")
    assert text.startswith("-- small, step 3 of 4")
    assert "step 2" not in text
    assert "first" not in text
    assert shell.evaluate("made") == ["first", "second"]


def test_again_before_anything_was_run_shows_the_first_step(shell: Shell, console: Capture) -> None:
    do(shell, "labs open small")
    assert "step 1 of 4" in shown(console, shell, "labs again")


def test_a_claim_that_does_not_hold_ends_the_step_and_it_can_be_done_again(shell: Shell) -> None:
    do(shell, "labs open small")
    do(shell, "made.append('mine')")
    result = shell.execute("labs next")
    assert not result.ok
    assert result.error == (
        "small.cosh:12: @assert len(made) == 1 failed: 2; labs again does this step once more"
    )
    do(shell, "labs again")
    assert shell.evaluate("made") == ["first"]


@pytest.mark.parametrize("word", ["next", "again"])
def test_a_step_that_was_interrupted_is_done_again_from_a_clean_start(
    shell: Shell, tmp_path: Path, word: str
) -> None:
    halting = LAB.replace('made.append("second")', 'made.append("second")\nhalt()')
    (tmp_path / "small.cosh").write_text(halting, encoding="utf-8")
    halts = iter([True, False])

    def halt() -> None:
        if next(halts):
            raise KeyboardInterrupt

    shell.names["halt"] = halt
    for line in ("labs open small", "labs next"):
        do(shell, line)
    assert "interrupted" in (shell.execute("labs next").error or "")
    do(shell, f"labs {word}")
    assert shell.evaluate("made") == ["first", "second"]
    do(shell, "labs next")


@pytest.mark.parametrize(
    ("code", "question"), [("x = 1", "Enter runs it"), ("@assert True", "Enter checks it")]
)
def test_what_is_only_claimed_is_checked(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, question: str
) -> None:
    asked = []

    class Keyboard:
        width = 80

        def choose(self, text: str, keys: str) -> str:
            asked.append(f"{text}{keys}")
            return ""

    (tmp_path / "small.cosh").write_text(f"# small: one\n\n{code}\n", encoding="utf-8")
    monkeypatch.setattr(shell, "terminal", Keyboard())
    do(shell, "labs open small")
    assert asked == [f"{question}, q leaves: q\x03"]


def test_nothing_is_open_at_first(shell: Shell) -> None:
    assert shell.execute("labs next").error == "labs next: no lab is open; labs open NAME opens one"
    assert shell.execute("labs open").error == "labs open: which one? There are other, small"
    assert shell.execute("labs next small").error == "labs next takes no name; labs open small opens one"
    assert shell.execute("labs open nonsense").error == "no lab 'nonsense'; there are other, small"


# -- what the user does in between -----------------------------------------------------------------

DOES_NOT_ACCEPT = """\
def does_not_accept():
    with listen("127.0.0.1:0") as listener, connect(listener.address):
        sleep(1_000_000)
"""


in_a_used_process = pytest.mark.skipif(
    coloop.FORM == "pure", reason="without the native core its figures need a process of their own"
)


@pytest.mark.parametrize(
    "name", [pytest.param("coroutine-end", marks=in_a_used_process), "one-loop", "starved"]
)
def test_coroutines_of_the_user_break_no_claim(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sys.modules["coshell_plugins.labs.commands"], "FOLDER", Path(labs.__path__[0]))
    do(shell, f"labs open {name}")
    do(shell, DOES_NOT_ACCEPT)
    for _ in range(4):
        do(shell, "mine = go(does_not_accept)")
    result = shell.execute("labs next")
    while result.ok:
        do(shell, "mine = go(does_not_accept)")
        result = shell.execute("labs next")
    assert result.error is not None
    assert "has no more steps" in result.error


# -- where somebody sits ---------------------------------------------------------------------------

HOGGING = """\
# hogging: one who lets nobody else run
#
# A story.

borne_s = hog_patience()
@assert borne_s is None
"""


@pytest.fixture
def attended(tmp_path: Path, console: Capture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell that gives up a call as soon as somebody else holds the loop."""
    monkeypatch.setattr("coshell.shell.HOG_PATIENCE_S", 0.0)
    (tmp_path / "hogging.cosh").write_text(HOGGING, encoding="utf-8")
    with Shell(console=console, interactive=True) as shell:
        shell.plugins.load("coshell_plugins.labs")
        monkeypatch.setattr(sys.modules["coshell_plugins.labs.commands"], "FOLDER", tmp_path)
        shell.names["hog_patience"] = lambda: shell.bridge.hog_patience_s
        yield shell


@pytest.mark.parametrize("line", ["labs open hogging", "labs hogging"])
def test_a_lab_may_hold_the_loop_and_the_user_may_not(attended: Shell, line: str) -> None:
    do(attended, line)
    assert attended.evaluate("borne_s") is None
    assert attended.bridge.hog_patience_s == 0.0


def test_a_step_may_begin_while_somebody_of_the_lab_holds_the_loop(
    attended: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge, borne_s = attended.bridge, []
    call = bridge.call

    def noting(*args: Any, **options: Any) -> Any:
        borne_s.append(bridge.hog_patience_s)
        return call(*args, **options)

    monkeypatch.setattr(bridge, "call", noting)
    do(attended, "labs open hogging")
    assert len(borne_s) >= 4
    assert set(borne_s) == {None}


def test_a_hog_does_not_hide_what_went_wrong_in_a_step(attended: Shell) -> None:
    holds, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        holds.set()
        may_go.wait(PATIENCE_S)

    with pytest.raises(ZeroDivisionError), Belongings(attended).noted():
        attended.scheduler.call_soon_threadsafe(attended.scheduler.go, hold)
        assert holds.wait(PATIENCE_S)
        raise ZeroDivisionError
    may_go.set()


def test_what_the_user_starts_after_such_a_step_is_not_the_labs(attended: Shell) -> None:
    belongings = Belongings(attended)
    with belongings.noted():
        do(attended, "go sleep(1000) --name theirs")
    do(attended, "go sleep(1000) --name mine")
    belongings.clear()
    assert {one.name for one in attended.living()} == {"shell", "mine"}


# -- what is cleared away --------------------------------------------------------------------------


def test_opening_another_clears_away_what_the_first_has_made(shell: Shell) -> None:
    do(shell, "mine = go(sleep, 5000, name='bystander')")
    for line in ("labs open small", "labs next", "labs next", "labs next"):
        do(shell, line)
    assert {one.name for one in shell.living()} == {"shell", "bystander", "sleeper"}
    do(shell, "kill bystander")
    do(shell, "labs open other")
    assert {one.name for one in shell.living()} == {"shell"}
    assert "made" not in shell.names
    assert "waiting" not in shell.names
    assert shell.evaluate("mine.state") == "cancelled"


@pytest.mark.parametrize(
    "lines", [("labs open small", "labs next", "labs next", "labs next"), ("labs small",)]
)
def test_variables_of_the_user_that_have_the_name_of_a_labs_are_put_back(
    shell: Shell, lines: tuple[str, ...]
) -> None:
    do(shell, "made, waiting = 'mine', sleep")
    for line in lines:
        do(shell, line)
    assert shell.evaluate("made") == []
    do(shell, "labs open other")
    assert shell.evaluate("made, waiting is sleep") == ("mine", True)


def test_a_function_of_ours_that_a_lab_has_hidden_is_there_again(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "small.cosh").write_text("# small: one\n\nafter = 1\nx = 5\ndel x\n", encoding="utf-8")
    do(shell, "x = 6")
    do(shell, "labs small")
    assert shell.evaluate("after") == 1
    assert "x" not in shell.names
    do(shell, "labs open small")
    do(shell, "plugin unload labs")
    assert shell.evaluate("after is coloop.after, x") == (True, 6)


def test_a_lab_can_let_go_of_what_it_has_made(shell: Shell, tmp_path: Path) -> None:
    text = "# small: one\n\nclass Made: pass\nimport weakref\nmade = Made()\nheld = weakref.ref(made)\n@assert made\ndel made\n@assert held() is None\n"
    (tmp_path / "small.cosh").write_text(text, encoding="utf-8")
    do(shell, "labs open small")


@pytest.mark.parametrize(
    "lines", [("labs open small", "labs next", "labs next", "labs next"), ("labs small",)]
)
def test_a_lab_can_be_closed(shell: Shell, lines: tuple[str, ...]) -> None:
    do(shell, "made = 'mine'")
    for line in lines:
        do(shell, line)
    do(shell, "labs close")
    assert {one.name for one in shell.living()} == {"shell"}
    assert shell.evaluate("made") == "mine"
    assert shell.execute("labs next").error == "labs next: no lab is open; labs open NAME opens one"
    assert shell.execute("labs close").error == "labs close: no lab is open, and none has left anything"
    assert shell.execute("labs close small").error == "labs close takes no name; labs open small opens one"


def test_settings_are_put_back(shell: Shell) -> None:
    do(shell, "labs open other")
    assert shell.settings.clock == "virtual"
    do(shell, "labs open small")
    assert shell.settings.clock == "real"


@pytest.mark.parametrize("line", ["labs open other", "labs other"])
def test_who_lives_by_another_clock_is_named_before_the_story(
    shell: Shell, console: Capture, line: str
) -> None:
    do(shell, "go sleep(1000) --name mine")
    before = console.text
    result = shell.execute(line)
    assert result.error == (
        "other sets a clock of its own, and co#2 mine lives by the real one: "
        "close it (ps, kill 2), or open the lab in a new shell"
    )
    assert console.text == before
    do(shell, "go sleep(1000) --name second")
    assert "co#2 mine and 1 other live by the real one: close them" in (shell.execute(line).error or "")
    do(shell, "kill mine second")
    do(shell, line)
    assert shell.settings.clock == "virtual"


@pytest.mark.parametrize("clock", ["", "@set clock virtual\n"])
def test_what_a_lab_leaves_that_was_run_is_cleared_away_by_the_next(
    shell: Shell, tmp_path: Path, clock: str
) -> None:
    (tmp_path / "whole.cosh").write_text(
        f"# whole: all at once\n\n{clock}made = 1\nserver = serve('127.0.0.1:0', print)\n"
        "def spawn():\n    while True:\n        go(sleep, 500)\n        sleep(0.1)\ngo spawn()\n@assert made == 1\n",
        encoding="utf-8",
    )
    do(shell, "labs whole")
    assert shell.evaluate("made") == 1
    assert "spawn" in {one.name for one in shell.living()}
    do(shell, "labs open other")
    assert {one.name for one in shell.living()} == {"shell"}
    assert not shell.scheduler.sockets
    assert "made" not in shell.names


def test_servers_of_a_lab_are_closed_and_the_users_are_not(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "small.cosh").write_text(
        "# small: one\n\nserver = serve('127.0.0.1:0', print)\necho :0 --as e\n", encoding="utf-8"
    )
    do(shell, "listener = listen('127.0.0.1:0')")
    do(shell, "labs open small")
    assert len(shell.scheduler.sockets) == 3
    do(shell, "labs again")
    assert len(shell.scheduler.sockets) == 3
    assert not shell.evaluate("listener.closed")


def test_unloading_the_plugin_closes_the_lab(shell: Shell) -> None:
    for line in ("labs open small", "labs next", "labs next", "labs next"):
        do(shell, line)
    do(shell, "plugin unload labs")
    assert {one.name for one in shell.living()} == {"shell"}


# -- at a terminal ---------------------------------------------------------------------------------

ASKED = "Enter runs it, q leaves:"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[PseudoTerminal]:
    with seat(tmp_path, "--plugin", "coshell_plugins.labs", "--no-plugins", rows=60) as opened:
        yield opened


def times(terminal: PseudoTerminal, text: str) -> int:
    return terminal.text().count(text)


def at_empty_prompt(terminal: PseudoTerminal) -> bool:
    return re.fullmatch(r"co>\s*(cmd|py)?", terminal.cursor_line()) is not None


def test_enter_is_waited_for(terminal: PseudoTerminal) -> None:
    enter(terminal, "labs open starved", ASKED)
    assert "labs next" not in terminal.text()
    terminal.type("\r")
    terminal.wait_for("labs next: The trouble: one coroutine does it all (2 of")
    terminal.wait_for(lambda: at_empty_prompt(terminal))
    enter(terminal, "labs next", "serve_one_after_another(opened) --name server")
    terminal.wait_for(lambda: terminal.cursor_line().startswith(ASKED))
    terminal.type("\r")
    terminal.wait_for("labs next goes on (3 of")
    enter(terminal, "'it', co.ps()[-1].name", "'server'")


@pytest.mark.parametrize("key", ["q", CTRL_C, CTRL_D])
def test_who_leaves_has_run_nothing_and_is_at_the_prompt(terminal: PseudoTerminal, key: str) -> None:
    enter(terminal, "labs open starved", ASKED)
    terminal.wait_for(lambda: terminal.cursor_line().startswith(ASKED))
    terminal.type(key)
    terminal.wait_for("step 1 of")
    terminal.wait_for("was not run: labs next shows it again")
    terminal.wait_for(lambda: at_empty_prompt(terminal))
    enter(terminal, "'is', 'answer_within' in globals()", "('is', False)")
    terminal.type("labs next\r")
    terminal.wait_for(lambda: times(terminal, ASKED) == 2)


def test_tab_offers_the_words_and_the_names(terminal: PseudoTerminal) -> None:
    terminal.type("labs one-\t")
    terminal.wait_for(lambda: "labs one-loop" in terminal.cursor_line())
    terminal.type("\x15labs open tra\t")
    terminal.wait_for(lambda: "labs open tracker" in terminal.cursor_line())
    terminal.type("\x15labs ag\t")
    terminal.wait_for(lambda: "labs again" in terminal.cursor_line())
    terminal.type("\x15labs clo\t")
    terminal.wait_for(lambda: "labs close" in terminal.cursor_line())


def test_from_the_command_line_enter_leads_through_all_of_it(tmp_path: Path) -> None:
    line = ["--no-plugins", "--plugin", "coshell_plugins.labs", "-c", "labs open starved"]
    with PseudoTerminal([*COSHELL, *line], environ(tmp_path), rows=60) as terminal:
        for step in range(1, 4):
            terminal.wait_for(f"step {step} of")
            terminal.wait_for(lambda: terminal.cursor_line().startswith(ASKED))
            terminal.type("\r")
        terminal.wait_for("step 4 of")
        terminal.wait_for(lambda: terminal.cursor_line().startswith(ASKED))
        terminal.type("q\r")
        assert terminal.wait_for_end() == 0


def test_a_dumb_terminal_asks_too(tmp_path: Path) -> None:
    options = ("--plugin", "coshell_plugins.labs", "--no-plugins")
    with seat(tmp_path, *options, rows=60, TERM="dumb") as terminal:
        enter(terminal, "labs open starved", ASKED)
        terminal.type("\r")
        terminal.wait_for("labs next: The trouble")
