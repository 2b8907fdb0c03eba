import pytest

from coshell.reading import rewritten, source_of
from coshell.report import Event
from coshell.session import parse
from coshell.shell import Quit, Result
from coshell.step_runner import StepRunner, details_of, failure_lines
from tests.shell.sessions import session


class Listener:
    """A report that remembers."""

    problem = None
    takes_output = True

    def __init__(self):
        self.events = []

    def tell(self, event):
        self.events.append(event)

    def close(self):
        pass

    def of(self, kind):
        return [dict(event.facts) for event in self.events if event.kind == kind]


class Run:
    """What came of some lines."""

    def __init__(self, lines, *, update=False, keep_going=False, strict=True, **settings):
        self.listener = Listener()
        self.source = source_of("\n".join([*lines, ""]).encode(), "x.cosh")
        with session(**settings) as opened:
            shell = opened.shell
            shell.output.install()
            with StepRunner(shell, self.listener, strict=strict, update=update) as self.runner:
                self.runner.run(parse(self.source, shell.grammar()), keep_going=keep_going)
            self.names = dict(shell.names)
        self.tally = self.runner.tally

    @property
    def problems(self):
        told = [event for event in self.listener.events if event.facts.get("message")]
        return [f"{event.place}: {event.facts['message']}" for event in told]

    @property
    def details(self):
        return [line for event in self.listener.events for line in event.facts.get("details", ())]

    @property
    def updated(self):
        edits = self.runner.edits.get("x.cosh", {})
        return rewritten(self.source.raw, edits.values()).decode().splitlines()


def run(*lines, **options):
    return Run(lines, **options)


# -- scripts -------------------------------------------------------------------------------------


def test_a_script_runs_from_its_first_line_to_its_last():
    done = run("x = 1", "def f():", "    return x + 1", "", "y = f()", "@assert y == 2", "@idle")
    assert done.problems == []
    assert (done.tally.commands, done.tally.asserts, done.tally.exit_code) == (3, 2, 0)
    assert done.names["y"] == 2


def test_the_first_failure_ends_it():
    done = run("x = 1", "1 / 0", "x = 2")
    assert done.problems == ["x.cosh:2: ZeroDivisionError: division by zero"]
    assert done.names["x"] == 1
    assert (done.tally.failed, done.tally.exit_code) == (1, 1)


def test_it_goes_on_if_asked_to():
    done = run("1 / 0", "@assert 1 == 2", "x = 2", keep_going=True)
    assert done.problems == [
        "x.cosh:1: ZeroDivisionError: division by zero",
        "x.cosh:2: @assert 1 == 2 failed: 1",
    ]
    assert done.names["x"] == 2
    assert done.tally.failed == 2


def test_a_command_hidden_by_a_name_of_the_users_is_an_error_with_its_line():
    done = run("ps = 3", "ps")
    assert done.tally.exit_code == 2
    assert done.problems[0].startswith("x.cosh:2: 'ps' is a command and a name of yours")


def test_a_deadlock_has_an_exit_code_of_its_own():
    assert run("Channel().receive()").tally.exit_code == 3


def test_quitting_ends_it_with_the_code_that_it_gives():
    done = run("quit 5", "1 / 0")
    assert done.tally.exit_code == 5
    assert done.problems == []


def test_a_step_by_itself_passes_quitting_on():
    with session() as opened, StepRunner(opened.shell, Listener()) as runner, pytest.raises(Quit):
        runner.step(next(parse(source_of(b"quit\n", "x.cosh"), opened.shell.grammar())))


def test_what_is_printed_is_told_with_the_line_that_printed_it():
    done = run("print('a')", "go:", "    print('b')", "", "1 + 1")
    outputs = [(event.line, event.facts["text"]) for event in done.listener.events if event.kind == "output"]
    assert outputs[0] == (1, "a")
    assert any(line == 2 and text.endswith("] b") for line, text in outputs)
    assert outputs[-1] == (5, "2")


def test_inputs_and_claims_are_told():
    done = run("x = 1", "@assert x == 1", "@wait x == 1", "@set timeout 2s")
    assert done.listener.of("input") == [{"text": "x = 1"}, {"text": "@set timeout 2s"}]
    assert done.listener.of("assert") == [{"text": "@assert x == 1", "ok": True}]
    waits = done.listener.of("wait")
    assert waits[0]["ok"]
    assert waits[0]["seconds"] >= 0


def test_a_death_in_the_background_is_told_and_fails_nothing():
    done = run("def f(): 1 / 0", "go f()", "@idle")
    assert done.tally.failed == 0
    assert "co#2 f died" in done.listener.of("error")[0]["message"]


def test_what_has_been_abandoned_does_not_count():
    with session() as opened:
        listener = Listener()
        with StepRunner(opened.shell, listener) as runner:
            steps = parse(source_of(b"x = 1\nstop()\nx = 2\n", "x.cosh"), opened.shell.grammar())
            opened.shell.names["stop"] = lambda: runner.abandon(124, {"message": "timed out"})
            runner.run(steps)
            assert opened.shell.names["x"] == 1
        assert (runner.tally.commands, runner.tally.failed, runner.tally.exit_code) == (1, 1, 124)
        assert listener.events[-1] == Event("error", "x.cosh", 2, {"message": "timed out"})


# -- transcripts ---------------------------------------------------------------------------------


def test_a_transcript_that_is_true_passes():
    done = run(
        "co> 1 + 1", "2", "co> def f():", "..>     print('hi')", "..>", "co> f()", "hi", "@assert True"
    )
    assert done.problems == []
    assert (done.tally.commands, done.tally.asserts) == (3, 1)


def test_a_transcript_that_is_not_true_fails_with_what_differs():
    done = run("co> print('a\\nb')", "a", "c", "co> x = 1")
    assert done.problems == ["x.cosh:1: the output is not as expected"]
    assert done.details == ["    2   a", "    3 - c", "      + b"]
    assert "x" not in done.names


def test_output_that_nobody_expects_is_not_compared():
    assert run("co> 1 + 1").problems == []


def test_output_is_not_expected_where_none_comes():
    assert run("co> x = 1", "1").problems == ["x.cosh:1: the output is not as expected"]


def test_a_failure_that_is_expected_is_none():
    assert run("co> 1 / 0", "...", "ZeroDivisionError: division by zero").problems == []
    assert run("co> :none", "error: no command 'none'[..]").problems == []


def test_a_failure_that_is_not_expected_is_one():
    done = run("co> 1 / 0")
    assert done.problems == ["x.cosh:1: ZeroDivisionError: division by zero"]
    assert run("co> 1 / 0", "1").tally.exit_code == 1


def test_what_the_background_prints_belongs_to_the_line_after_which_it_comes():
    lines = [
        "co> def f():",
        "..>     sleep(0)",
        "..>     print('late')",
        "co> go f()",
        "ok  co#2 f",
        "[co#2 f] late",
    ]
    assert run(*lines).problems == []


def test_who_prints_without_end_does_not_hold_up_the_comparison():
    done = run("co> def f():", "..>     while True: yield_now()", "co> go f()", "ok  co#[N] f", "co> 1", "1")
    assert done.problems == []


def test_a_hole_must_repeat_and_can_be_typed_in_the_words_of_a_command():
    lines = [
        "co> print('port 4711')",
        "port [PORT]",
        "co> !echo [PORT]",
        "[PORT]",
        "co> send {[1][PORT]} x",
        "...",
    ]
    done = run(*lines[:2], "co> print('4711')", "[PORT]")
    assert done.problems == []
    done = run(*lines[:2], "co> print('4712')", "[PORT]")
    assert done.details[-1] == "      [PORT] is '4711'"


def test_the_text_of_a_hole_is_put_into_a_command_and_not_into_python():
    done = run(
        "co> echo 127.0.0.1:0 --as e",
        "ok  [..]127.0.0.1:[PORT] [..]",
        "co> connect 127.0.0.1:[PORT] as c",
        "ok  c connected [..]",
        "co> PORT = 0",
        "co> [7][PORT]",
        "7",
    )
    assert done.problems == []


def test_a_directive_that_was_typed_is_no_decoration():
    assert run("co> x = 1", "co> @assert x == 2").problems == ["x.cosh:2: @assert x == 2 failed: 1"]


def test_a_directive_in_a_transcript_may_have_output():
    lines = [
        "co> go:",
        "..>     sleep(0.001)",
        "..>     print('late')",
        "..>     done.append(1)",
        "..>",
        "ok  co#2 block",
    ]
    done = run("co> done = []", *lines, "@wait done", "[..] late", clock="virtual")
    assert done.problems == []


def test_what_a_transcript_prints_is_told_but_errors_that_were_expected_are_output():
    done = run("co> 1 / 0", "...")
    assert done.listener.of("error") == []
    assert done.listener.of("output")[-1] == {"text": "ZeroDivisionError: division by zero"}


# -- new expectations ----------------------------------------------------------------------------


def test_expectations_that_are_not_met_are_renewed_with_their_holes():
    done = run(
        "# head",
        "co> print('port 1 is open')",
        "port [PORT] is closed",
        "",
        "co> print('still 1')",
        "still [PORT]",
        "co> print('new')",
        "@idle",
        update=True,
    )
    assert done.problems == []
    assert done.tally.updated == 2
    assert done.updated == [
        "# head",
        "co> print('port 1 is open')",
        "port [PORT] is open",
        "",
        "co> print('still 1')",
        "still [PORT]",
        "co> print('new')",
        "new",
        "@idle",
    ]


def test_expectations_that_are_met_are_left_alone():
    done = run("co> print('a 1')", "a [..]   ", "co> x = 1", update=True)
    assert done.tally.updated == 0
    assert done.runner.edits == {}


def test_a_claim_is_not_renewed():
    assert run("co> x = 1", "@assert x == 2", update=True).tally.exit_code == 1


# -- failures ------------------------------------------------------------------------------------


def test_a_failure_is_shown_as_at_a_prompt():
    assert failure_lines(Result(ok=False, error="no command 'x'")) == ["error: no command 'x'"]
    assert failure_lines(Result(ok=False, error="E: x", traceback="Traceback\nE: x")) == ["Traceback", "E: x"]
    assert failure_lines(Result(ok=False, error="deadlock", traceback="  who")) == [
        "error: deadlock",
        "  who",
    ]


def test_the_details_of_a_failure_do_not_repeat_it():
    assert details_of(Result(ok=False, error="E: x", traceback="Traceback\nE: x")) == ["Traceback"]
    assert details_of(Result(ok=False, error="no")) == []
