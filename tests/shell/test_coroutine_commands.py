"""Starting coroutines, waiting for them, and ending them."""

from __future__ import annotations

import pytest

from coshell.commands.coroutines import COMMANDS
from tests.shell.sessions import Session, check_example, check_json, each_example, session


@each_example(*COMMANDS)
def test_every_example_runs_as_it_stands(command, example) -> None:
    check_example(command, example)


@each_example(*COMMANDS)
def test_every_command_speaks_json(command, example) -> None:
    check_json(command, example)


# -- go ----------------------------------------------------------------------------------------------


def test_go_starts_a_call_and_the_prompt_goes_on(at_prompt: Session) -> None:
    assert at_prompt.type("go sleep(60) --name nap") == ["ok  co#2 nap"]
    (row,) = at_prompt.value("ps --where \"name == 'nap'\"")
    assert (row.state, row.waiting_on) == ("waiting", "sleep 60s")


def test_arguments_are_evaluated_by_whoever_says_go(at_prompt: Session) -> None:
    at_prompt.type("seen = []\ndef f(x):\n    sleep(1)\n    seen.append(x)\nx = 'then'")
    at_prompt.type("go f(x)\nx = 'later'\nsleep(2)")
    assert at_prompt.shell.names["seen"] == ["then"]


def test_an_argument_that_raises_starts_nothing(at_prompt: Session) -> None:
    assert at_prompt.fail("go print(1 / 0)").error == "ZeroDivisionError: division by zero"
    assert [row.id for row in at_prompt.value("ps --all")] == [1]


def test_go_says_when_it_is_over_already(at_prompt: Session) -> None:
    assert at_prompt.type("go len('abc')") == ["ok  co#2 len (done)"]


def test_the_name_becomes_a_python_name(at_prompt: Session) -> None:
    at_prompt.type("go sleep(60) --name nap")
    assert at_prompt.value("nap.id") == 2
    assert at_prompt.type("go sleep(60) --name 'not a name'") == ["ok  co#3 not a name"]


def test_a_function_of_the_same_name_is_not_lost(at_prompt: Session) -> None:
    at_prompt.type("def worker():\n    sleep(1)\ngo worker() --name worker")
    assert callable(at_prompt.shell.names["worker"])
    at_prompt.type("join worker")


def test_many_are_started_with_i_bound(at_prompt: Session) -> None:
    at_prompt.type("seen = []\ngo -n 1000 seen.append(i) --name adder")
    assert at_prompt.shell.names["seen"] == list(range(1000))
    assert at_prompt.value("len(adder)") == 1000
    assert at_prompt.type("go -n 3 sleep(i)") == ["ok  3 coroutines sleep: co#1002-1004"]


def test_a_block_runs_in_a_coroutine_with_variables_of_its_own(at_prompt: Session) -> None:
    at_prompt.type("seen = []\ngo -n 3:\n    mine = i\n    sleep(1)\n    seen.append(mine)")
    at_prompt.type("sleep(2)")
    assert at_prompt.shell.names["seen"] == [0, 1, 2]
    assert "mine" not in at_prompt.shell.names


def test_what_a_block_raises_is_told_with_the_line_that_was_typed(at_prompt: Session) -> None:
    at_prompt.type("go:\n    x = 1\n    raise KeyError(x)")
    told = at_prompt.type("err 2")  # the death may be announced in between
    assert any(line.startswith("co#2 block died after") for line in told)
    assert any("line 3, in block" in line for line in told)
    assert "    raise KeyError(x)" in told


def test_a_coroutine_can_have_a_limit(at_prompt: Session) -> None:
    at_prompt.type("go sleep(60) --memory-limit 4M --name nap")
    assert at_prompt.value("co.show('nap')").limit == 4 << 20


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("go", "go: CALL is missing"),
        ("go sleep", "go starts a call, as in `go f(1)`: write sleep() to call sleep"),
        ("go -n 0 sleep(1)", "go: -n 0: at least one is needed"),
        ("go -n x sleep(1)", "'x' is not a whole number"),
        ("go sleep(1) --nmae n", "go: no option '--nmae', did you mean '--name'?"),
    ],
)
def test_misuse_of_go_is_told_in_one_line(at_prompt: Session, line: str, told: str) -> None:
    assert told in str(at_prompt.fail(line).error)


def test_json_tells_what_was_started(at_prompt: Session) -> None:
    assert at_prompt.type("go sleep(1) --json") == ['{"id": 2, "name": "sleep", "state": "waiting"}']
    assert len(at_prompt.type("go -n 3 sleep(1) --json")) == 3


# -- join --------------------------------------------------------------------------------------------


def test_join_waits_and_gives_the_result(at_prompt: Session) -> None:
    at_prompt.type("def f():\n    sleep(3)\n    return 42\ngo f() --name answer")
    assert at_prompt.type("join answer") == ["42"]
    assert at_prompt.value("answer.age_s") == 3.0


def test_join_waits_for_several(at_prompt: Session) -> None:
    at_prompt.type("def f(x):\n    sleep(x)\n    return x\ngo -n 3 f(i) --name f3")
    assert at_prompt.value("join $f3") == [0, 1, 2]
    at_prompt.type("go sleep(1)\ngo sleep(2)")
    assert at_prompt.value("join 5 co#6") == [None, None]


def test_join_of_one_that_has_ended_is_no_mistake(at_prompt: Session) -> None:
    at_prompt.type("go len('abc')")
    assert at_prompt.type("join 2") == []


def test_a_failure_is_raised_at_the_join_and_counts_as_seen(at_prompt: Session) -> None:
    at_prompt.type("def f():\n    sleep(1)\n    raise ValueError('bad size')\ngo f() --name f1")
    failed = at_prompt.fail("join f1")
    assert failed.error == "ValueError: bad size"
    assert "raise ValueError('bad size')" in str(failed.traceback)
    assert at_prompt.value("err") == []


def test_the_failure_of_a_dead_one_names_its_traceback(at_prompt: Session) -> None:
    at_prompt.type("go int('x')\nsleep(1)")
    assert at_prompt.refused("join 2").endswith("(traceback: err 2)")


def test_join_gives_up_and_tells_what_it_waited_for(at_prompt: Session) -> None:
    at_prompt.type("go sleep(60) --name nap")
    assert (
        at_prompt.refused("join nap --timeout 2s") == "co#2 nap has not ended after 2s: sleep 58s (where 2)"
    )


def test_join_of_a_cancelled_one_says_so(at_prompt: Session) -> None:
    at_prompt.type("go sleep(60) --name nap\ncancel nap")
    assert "cancelled" in at_prompt.refused("join nap")


# -- cancel, kill ------------------------------------------------------------------------------------


def test_cancel_runs_finally(at_prompt: Session) -> None:
    at_prompt.type(
        "seen = []\ndef f():\n    try:\n        sleep(60)\n    finally:\n        seen.append('cleaned up')"
    )
    at_prompt.type("go f() --name f1")
    assert at_prompt.type("cancel f1") == ["ok  co#2 f1 has ended"]
    assert at_prompt.shell.names["seen"] == ["cleaned up"]
    assert at_prompt.type("cancel f1") == ["ok  co#2 f1 had ended already"]


def test_cancel_says_when_somebody_is_still_cleaning_up(at_prompt: Session) -> None:
    at_prompt.type("def f():\n    try:\n        sleep(60)\n    finally:\n        sleep(60)\ngo f() --name f1")
    assert at_prompt.type("cancel f1") == ["ok  co#2 f1 is asked to end, and has not ended yet"]


def test_several_are_cancelled_at_once(at_prompt: Session) -> None:
    at_prompt.type("go -n 3 sleep(60) --name nap")
    assert [ending.how for ending in at_prompt.value("cancel $nap")] == ["ended"] * 3


def test_the_shells_own_coroutine_is_not_ended(at_prompt: Session) -> None:
    for line in ("cancel 1", "kill 1", "kill shell"):
        assert at_prompt.refused(line).startswith("co#1 is the shell's own")


def test_kill_ends_one_that_waits() -> None:
    with session() as at_prompt:
        at_prompt.type("go sleep(60) --name nap")
        assert at_prompt.type("kill nap") == ["ok  co#2 nap has ended"]
        assert at_prompt.type("kill 2") == ["ok  co#2 nap had ended already"]


def test_kill_ends_one_that_lets_nobody_run(hogged: Session) -> None:
    assert hogged.type("kill hog") == ["ok  co#3 hog has ended"]
    assert hogged.value("1 + 1") == 2


def test_who_ignores_three_kills_is_never_scheduled_again() -> None:
    with session() as at_prompt:
        at_prompt.type(_DEAF)
        (line,) = at_prompt.type("kill deaf --grace 30ms")
        assert line.startswith("co#2 deaf ignored 3 kills: it is never scheduled again")
        assert [row.id for row in at_prompt.value("ps")][:1] == [1]


_DEAF = """\
def f():
    for _ in range(4):
        try:
            sleep(60)
        except BaseException:
            pass
go f() --name deaf
"""


# -- resume ------------------------------------------------------------------------------------------


def test_resume_gives_the_value_of_an_expression(at_prompt: Session) -> None:
    at_prompt.type("seen = []\ndef f():\n    seen.append(suspend())\ngo f() --name s")
    assert at_prompt.type("resume s 6 * 7") == ["ok  co#2 s ready"]
    at_prompt.type("sleep(1)")
    assert at_prompt.shell.names["seen"] == [42]


def test_resume_without_a_value_gives_none(at_prompt: Session) -> None:
    at_prompt.type("go suspend() --name s\nresume s")
    assert at_prompt.value("join s") is None


def test_resume_as_a_function_takes_any_object(at_prompt: Session) -> None:
    at_prompt.type("go suspend() --name s\nco.resume(s, [1, 2])")
    assert at_prompt.value("join s") == [1, 2]


def test_resume_of_one_that_is_not_suspended_says_what_it_does(at_prompt: Session) -> None:
    at_prompt.type("go sleep(60) --name nap\ngo len('x')")
    assert "co#2 cannot be resumed: it" in at_prompt.refused("resume nap")
    assert at_prompt.refused("resume 3") == "co#3 cannot be resumed: it has ended (returned a int)"


# -- who is meant ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["join", "cancel", "kill", "resume"])
def test_who_does_not_exist_is_told_with_the_living(at_prompt: Session, command: str) -> None:
    at_prompt.type("go -n 3 sleep(60) --name nap")
    assert "living: 1-4" in at_prompt.refused(f"{command} 9")
