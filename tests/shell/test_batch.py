import io
import json
import threading
from contextlib import contextmanager

import pytest

import coloop
import coshell.batch
from coshell.batch import NotStarted, Options, run_files
from coshell.config import Settings
from coshell.console import StreamConsole
from coshell.deadline import Deadline
from coshell.report import JsonReport, PlainReport
from coshell.shell import Shell


class Left(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, _text):
        raise BrokenPipeError


class Batch:
    """Files in a folder, and what running them shows."""

    def __init__(self, folder):
        self.folder = folder
        self.out = io.StringIO()
        self.errors = io.StringIO()
        self.shells = 0
        self.names = {}
        self.limits = []

    def write(self, **files):
        for name, text in files.items():
            (self.folder / name.replace("__", ".")).write_text(text)

    def read(self, name):
        return (self.folder / name).read_text()

    def run(self, *names, report=None, **options):
        self.out.truncate(0)
        self.errors.truncate(0)
        return run_files(
            names, self._shell, report or PlainReport(self.out, self.errors), Options(**options), lambda: 0.0
        )

    def events(self, *names, **options):
        """The events of a run, and its exit code."""
        out = io.StringIO()
        code = self.run(*names, report=JsonReport(out), **options)
        return [json.loads(line) for line in out.getvalue().splitlines()], code

    def _shell(self):
        self.shells += 1
        shell = Shell(Settings(), console=StreamConsole(self.out), errors=StreamConsole(self.errors))
        shell.output.install()
        shell.start()
        shell.names.update(self.names)
        return shell

    @property
    def shown(self):
        return self.out.getvalue().replace("\0", "").splitlines()

    @property
    def told(self):
        return self.errors.getvalue().replace("\0", "").splitlines()


@pytest.fixture
def batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    level = coloop.memory.level()
    yield Batch(tmp_path)
    coloop.memory.set_level(level)
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("coshell")]
    assert [
        thread for thread in ours if thread.name != "coshell nursery"
    ] == []  # that one stays, for workers


# -- how it ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        ("# only a comment", 0),
        ("x = 1\n@assert x == 1\n", 0),
        ("1 / 0\n", 1),
        ("@assert False\n", 1),
        ("co> 1\n2\n", 1),
        ("close nobody\n", 1),
        ("f(\n", 2),
        ("@require plugin none\n", 2),
        ("Channel().receive()\n", 3),
        ("quit 7\n", 7),
    ],
)
def test_the_exit_code_tells_how_it_went(batch, text, code):
    batch.write(a__cosh=text)
    assert batch.run("a.cosh") == code


def test_a_missing_file_is_misuse(batch):
    assert batch.run("none.cosh") == 2
    assert batch.told == ["none.cosh: no such file or directory"]
    assert batch.shown == []


def test_a_shell_that_cannot_be_started_is_misuse(batch):
    def new_shell():
        raise NotStarted

    batch.write(a__cosh="x = 1\n")
    out = io.StringIO()
    assert run_files(["a.cosh"], new_shell, JsonReport(out)) == 2
    assert json.loads(out.getvalue())["exit"] == 2


def test_the_gravest_of_several_exit_codes_counts(batch):
    batch.write(a__cosh="Channel().receive()\n", b__cosh="1 / 0\n", c__cosh="x = 1\n")
    assert batch.run("a.cosh", "b.cosh", "c.cosh") == 3
    assert batch.shown[-1] == "total: 3 commands, 0 asserts passed, 2 failed in 0.00s"


def test_people_see_the_output_the_failures_and_a_line_at_the_end(batch):
    batch.write(a__cosh="print('hello')\n@assert 1 == 1\n@assert 2 * 32K < 64K\nx = 1\n")
    assert batch.run("a.cosh") == 1
    assert batch.shown == ["hello", "a.cosh: 1 command, 1 assert passed, 1 failed in 0.00s"]
    assert batch.told == ["a.cosh:3: @assert 2 * 32K < 64K failed: 65536"]


def test_nothing_runs_if_any_file_is_wrong_and_all_that_are_wrong_are_told(batch):
    batch.write(a__cosh="print('never')\n", b__cosh="x = 'abc\n", c__cosh="send c 'abc\n")
    assert batch.run("a.cosh", "b.cosh", "c.cosh") == 2
    assert batch.told == [
        "b.cosh:1:5: quote opened here is never closed",
        "c.cosh:1:8: quote opened here is never closed",
    ]
    assert batch.shown == []


def test_every_file_has_a_shell_of_its_own(batch):
    batch.write(a__cosh="x = 1\n", b__cosh="x\n")
    assert batch.run("a.cosh", "b.cosh") == 1
    assert batch.told[0] == "b.cosh:1: NameError: name 'x' is not defined"
    assert batch.shells == 2


def test_all_blocks_of_a_markdown_file_share_a_shell(batch):
    batch.write(a__md="```cosh\nx = 1\n```\ntext\n```cosh\nco> x\n1\n```\n")
    assert batch.run("a.md") == 0
    assert batch.shown == ["a.md: 2 commands, 0 asserts passed in 0.00s"]


def test_a_markdown_file_without_a_block_is_odd(batch):
    batch.write(a__md="text\n")
    assert batch.run("a.md") == 0
    assert batch.told == ["a.md: warning: there is no cosh block in it"]


def test_a_file_may_change_while_it_runs(batch):
    batch.write(a__cosh="open('a.cosh', 'w').close()\nprint('whole')\n")
    assert batch.run("a.cosh") == 0
    assert batch.shown[0] == "whole"


def test_virtual_time_is_told_in_the_last_line(batch):
    batch.write(a__cosh="@set clock virtual\nsleep(10)\n")
    batch.run("a.cosh")
    assert batch.shown == ["a.cosh: 2 commands, 0 asserts passed in 0.00s (10.00s virtual)"]


# -- events --------------------------------------------------------------------------------------


def test_events_end_with_a_summary(batch):
    batch.write(a__cosh="go sleep(3600)\n@assert 1 == 1\n@assert 1 == 2\n")
    events, code = batch.events("a.cosh")
    assert code == 1
    assert [event["event"] for event in events] == ["input", "output", "assert", "assert", "summary"]
    assert {event["file"] for event in events} == {"a.cosh"}
    assert [event["line"] for event in events] == [1, 1, 2, 3, None]
    summary = events[-1]
    assert (summary["passed"], summary["failed"], summary["exit"]) == (2, 1, 1)
    assert summary["coroutines"] == {"spawned": 2, "live": 2, "peak": 2, "failed": 0}
    assert summary["heap"].keys() == {"live", "peak"}
    assert summary["heap"]["peak"] >= summary["heap"]["live"]
    assert summary["switches"] > 0
    assert summary["seconds"] == 0


def test_several_files_end_with_a_summary_of_all(batch):
    batch.write(a__cosh="x = 1\n", b__cosh="1 / 0\n")
    events, _ = batch.events("a.cosh", "b.cosh")
    summaries = [event for event in events if event["event"] == "summary"]
    assert [(event["file"], event["exit"]) for event in summaries] == [
        ("a.cosh", 0),
        ("b.cosh", 1),
        (None, 1),
    ]


def test_events_of_a_file_that_cannot_be_run_end_with_a_summary_too(batch):
    batch.write(a__cosh="f(\n")
    events, code = batch.events("a.cosh")
    assert code == 2
    assert events[0]["event"] == "error"
    assert (events[0]["file"], events[0]["line"], events[0]["column"]) == ("a.cosh", 1, 2)
    assert (events[-1]["event"], events[-1]["exit"]) == ("summary", 2)


def test_what_is_printed_while_a_shell_ends_comes_before_the_summary(batch):
    batch.write(a__cosh="def f():\n    try: sleep(3600)\n    finally: print('last')\n\ngo f()\n")
    events, _ = batch.events("a.cosh")
    assert [event["event"] for event in events][-2:] == ["output", "summary"]
    assert "last" in events[-2]["text"]


# -- options -------------------------------------------------------------------------------------


def test_a_failure_ends_its_file_unless_asked_to_go_on(batch):
    batch.write(a__cosh="1 / 0\nprint('next')\n")
    batch.run("a.cosh")
    assert batch.shown == ["a.cosh: 1 command, 0 asserts passed, 1 failed in 0.00s"]
    batch.run("a.cosh", keep_going=True)
    assert batch.shown == ["next", "a.cosh: 2 commands, 0 asserts passed, 1 failed in 0.00s"]


def test_settings_hold_from_the_first_step_on(batch):
    batch.write(a__cosh="@wait False\n")
    assert batch.run("a.cosh", settings={"timeout": "10ms"}) == 1
    assert "after 10ms" in batch.told[0]
    assert batch.run("a.cosh", settings={"timeot": "10ms"}) == 2
    assert "did you mean 'timeout'?" in batch.told[0]


def test_a_denied_lint_fails_the_run(batch):
    batch.write(a__cosh="def f(): 1 / 0\ngo f()\n")
    assert batch.run("a.cosh") == 0
    assert batch.run("a.cosh", deny=["died-unseen"]) == 3
    assert batch.told[-1].startswith("a.cosh: died-unseen is denied: co#2 f died")
    assert batch.run("a.cosh", deny=["none"]) == 2


@pytest.mark.parametrize(("body", "code"), [("kept.append(bytearray(900))", 3), ("bytearray(900)", 0)])
def test_a_denied_leak_fails_the_run(batch, body, code):
    steps = "\n".join(["go -n 10 work()", "sleep(1)"] * 6)
    batch.write(a__cosh=f"@set clock virtual\nkept = []\ndef work(): {body}\n\n{steps}\n")
    assert batch.run("a.cosh", deny=["leak"]) == code
    told = [line for line in batch.told if "leak is denied" in line]
    assert len(told) == (code == 3)
    assert all(line.startswith("a.cosh: leak is denied: go work(): each that ended left ") for line in told)


@pytest.fixture
def limit(batch, monkeypatch):
    """From the time on that this event is set, and no sooner, the time of the file counts that runs then."""
    event = threading.Event()

    class Late(Deadline):
        def __init__(self, limit_s, *rest):
            super().__init__(limit_s, *rest)
            batch.limits.append(limit_s)

        def _watch(self):
            while not event.is_set():
                if self._over.wait(0.001):
                    return
            event.clear()
            super()._watch()

    monkeypatch.setattr(coshell.batch, "Deadline", Late)
    batch.names["limit"] = event
    return "current_scheduler().call_later(0, limit.set); sleep(3600)"


@pytest.mark.parametrize(
    "text",
    [
        "limit.set(); sleep(3600)\n",
        "if not limit.set():\n    while True: pass\n",
        "go:\n    limit.set()\n    while True: pass\nx = 1\n",
        "try: limit.set(); sleep(3600)\nexcept BaseException: sleep(3600)\n",
        "@wait limit.set() within 1h\n",
    ],
)
def test_what_hangs_is_ended_in_time(batch, limit, text):
    batch.write(a__cosh=text)
    assert batch.run("a.cosh", timeout_s=0.1) == 124
    assert batch.told[0] == "a.cosh:1: timed out after 100ms"


def test_when_the_time_is_over_it_is_told_where_everybody_waits(batch, limit):
    batch.write(a__cosh=f"go Channel().receive() --name lost\n{limit}\n")
    assert batch.run("a.cosh", timeout_s=0.1) == 124
    assert batch.told[0] == "a.cosh:2: timed out after 100ms"
    assert batch.told[1].startswith("  co#1 shell waits on sleep")
    assert batch.told[2].startswith("  co#2 lost waits on receive")
    assert len(batch.told) == 3


def test_each_file_has_the_whole_time(batch, limit):
    batch.write(a__cosh=f"{limit}\n", b__cosh="print('here')\n")
    assert batch.run("a.cosh", "b.cosh", timeout_s=0.1) == 124
    assert "here" in batch.shown
    assert batch.limits == [0.1, 0.1]


def test_ctrl_c_ends_everything(batch):
    press = "import os, signal; os.kill(os.getpid(), signal.SIGINT); sleep(3600)"
    batch.write(a__cosh=f"{press}\nprint('never')\n", b__cosh="print('never')\n")
    assert batch.run("a.cosh", "b.cosh", keep_going=True) == 130
    assert batch.told == ["a.cosh:1: interrupted"]
    assert "never" not in batch.shown


def test_output_that_nobody_reads_ends_it_quietly(batch):
    batch.out = Left()
    batch.write(a__cosh="print('lost')\nprint('never')\n", b__cosh="x = 1\n")
    assert run_files(["a.cosh", "b.cosh"], batch._shell, PlainReport(batch.out, batch.errors)) == 141
    assert batch.told == []
    assert batch.shells == 1


# -- new expectations ----------------------------------------------------------------------------


def test_expectations_are_renewed_in_the_files_that_they_stand_in(batch):
    batch.write(
        a__cosh="@include b.cosh\nco> print('port 7')\nport [PORT]\nco> print('x')\ny\n",
        b__cosh="# b\nco> 1 + 1\n3\n",
    )
    assert batch.run("a.cosh", update=True) == 0
    assert batch.shown == ["a.cosh: 3 commands, 0 asserts passed, 2 updated in 0.00s"]
    assert batch.read("a.cosh") == "@include b.cosh\nco> print('port 7')\nport [PORT]\nco> print('x')\nx\n"
    assert batch.read("b.cosh") == "# b\nco> 1 + 1\n2\n"
    assert batch.run("a.cosh") == 0


def test_a_markdown_file_is_renewed_in_place(batch):
    batch.write(a__md="# T\n\n- item\n  ```cosh\n  co> 1 + 1\n  3\n  ```\n")
    assert batch.run("a.md", update=True) == 0
    assert batch.read("a.md") == "# T\n\n- item\n  ```cosh\n  co> 1 + 1\n  2\n  ```\n"


def test_a_file_that_is_true_is_not_written(batch):
    batch.write(a__cosh="co> 1 + 1\n2   \n")
    before = (batch.folder / "a.cosh").stat().st_ino
    assert batch.run("a.cosh", update=True) == 0
    assert (batch.folder / "a.cosh").stat().st_ino == before


def test_a_file_that_was_changed_meanwhile_is_not_written(batch):
    batch.write(a__cosh="co> open('a.cosh', 'w').close()\nco> 1 + 1\n3\n")
    assert batch.run("a.cosh", update=True) == 2
    assert batch.told == ["a.cosh: changed by somebody else while it ran, not updated"]
    assert batch.read("a.cosh") == ""


def test_what_was_interrupted_is_not_written(batch, limit):
    batch.write(a__cosh=f"co> 1 + 1\n3\nco> {limit}\n")
    assert batch.run("a.cosh", update=True, timeout_s=0.1) == 124
    assert batch.read("a.cosh") == f"co> 1 + 1\n3\nco> {limit}\n"


def test_whoever_watches_a_file_does_so_while_its_steps_run_and_before_its_shell_is_closed(batch):
    batch.write(a__cosh="x = 1\n@assert x == 2\n")
    seen = []

    @contextmanager
    def watching(name, shell):
        seen.append((name, "x" in shell.names, shell.bridge.running))
        yield
        seen.append((name, shell.names["x"], shell.bridge.running))

    assert batch.run("a.cosh", watching=watching) == 1
    assert seen == [("a.cosh", False, True), ("a.cosh", 1, True)]
