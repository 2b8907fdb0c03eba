"""leaks, mark and diff, as they are typed and as they are called."""

import json

import pytest

from coloop import FORM
from coshell.command import CommandError
from coshell.commands.leaking import COMMANDS
from coshell.denied import Denied
from coshell.leaks.marks import MAX_MARKS
from tests.shell.sessions import check_example, check_json, each_example, session

_LEAKY = """\
cache = []
def leak():
    while True:
        cache.append(bytearray(4096))
        sleep(0.1)

go leak() --name leaky
"""


@pytest.fixture
def at_prompt(aside):
    with aside.session(clock="virtual") as opened:
        yield opened


@each_example(*COMMANDS)
def test_every_example_runs_as_it_stands(aside, command, example):
    if "clock virtual" in example or command.name != "leaks":
        aside.do(check_example, command, example)


@each_example(*COMMANDS)
def test_every_command_speaks_json(aside, command, example):
    if "tracker" not in example and ("clock virtual" in example or command.name != "leaks"):
        aside.do(check_json, command, example)


def now(opened):
    return opened.shell.scheduler.clock.now()


# -- leaks -------------------------------------------------------------------------------------------


def test_a_leak_is_found_with_its_holder(at_prompt):
    at_prompt.type(_LEAKY)
    lines = at_prompt.type("leaks --window 5s")
    assert lines[0].startswith("5s, 12 looks, 0 coroutines ended: 1 leak")
    assert any(line.startswith("LEAK     go leaky()") and "__main__.cache" in line for line in lines)


def test_an_assertion_is_about_what_was_found(at_prompt):
    at_prompt.type("@assert not leaks(window=2)")
    at_prompt.type(_LEAKY)
    at_prompt.type("@assert leaks(window=2)\n@assert leaks(window=2).leaked == 1")
    (found,) = at_prompt.value("leaks(window='2s')")
    assert (found.verdict, found.function, found.live) == ("LEAK", "leaky", 1)
    assert found.growth == pytest.approx(20 * 4100 * 10 / 11, rel=0.1 if FORM == "native" else 0.4)


def test_json_is_a_line_for_each(at_prompt):
    at_prompt.type(_LEAKY)
    for form in ("--json", "--format json"):
        (line,) = at_prompt.type(f"leaks --window 2s {form}")
        assert json.loads(line)["verdict"] == "LEAK"


def test_trackers_form(at_prompt):
    at_prompt.type(
        "def body():\n    cache = []\n    while True:\n        cache.append(bytearray(4096))\n        sleep(0.1)\n"
    )
    at_prompt.type("def begin(): go(body)\nbegin()")
    (line,) = at_prompt.type("leaks --window 2s --format tracker")
    place, _, rest = line.partition(" => ")
    assert place.startswith("<co:")
    assert rest.startswith("Growth Times : [5]; Growth Size : [")


def test_what_was_seen_in_passing_answers_at_once(at_prompt):
    at_prompt.type("kept = []\ndef work(): kept.append(bytearray(900)); sleep(0.01)")
    for _ in range(6):
        at_prompt.type("go -n 10 work()\nsleep(1)")
    before = at_prompt.do(now)
    (found,) = at_prompt.value("leaks()")
    assert (found.verdict, found.site, found.finished) == ("LEAK", "go work()", 60)
    assert at_prompt.do(now) == before


def test_where_nothing_was_seen_it_watches(at_prompt):
    before = at_prompt.do(now)
    at_prompt.value("leaks()")
    assert at_prompt.do(now) == pytest.approx(before + 10)


def test_everything_can_be_told(at_prompt):
    at_prompt.type("def calm():\n    while True: sleep(0.1)\n\ngo calm()")
    assert at_prompt.value("leaks(window=2)") == []
    assert [leak.verdict for leak in at_prompt.value("leaks(window=2, all=True)")] == ["steady"]


@pytest.mark.parametrize("window", ["0", "1ms", "-1"])
def test_a_window_takes_some_time(at_prompt, window):
    assert "leaks" in at_prompt.refused(f"leaks --window {window}")


def test_at_a_level_without_heaps_it_says_so(aside):
    with aside.session(clock="virtual", level="counts") as opened:
        assert any("heaps are not counted" in line for line in opened.type("leaks --window 1s"))


def test_who_waits_for_ever_is_found_at_any_level(aside):
    with aside.session(clock="virtual", level="counts") as opened:
        opened.type(
            "def lost(): Event().wait()\ndef spawn():\n    while True:\n        go(lost)\n        sleep(0.1)\n\ngo spawn()"
        )
        (found,) = opened.value("leaks(window=3)")
        assert (found.verdict, found.kind, found.function) == ("LEAK", "parked", "lost")


# -- mark, diff --------------------------------------------------------------------------------------


def test_what_a_call_has_cost_stands_between_two_marks(at_prompt):
    at_prompt.type("kept = []\nmark a\ndef work(): kept.append(bytearray(100_000))")
    at_prompt.type("go -n 5 work()\nmark b")
    found = {(one.of, one.name): one for one in at_prompt.value("diff a b")}
    assert found["process", "heap counted"].change == pytest.approx(500_000, rel=0.2)
    born = found["born at", "go work()"]
    assert (born.born, born.before) == (5, 0)
    assert born.change == pytest.approx(500_000, rel=0.05)
    assert found["process", "coroutines started"].change == 5


def test_one_mark_is_compared_with_now(at_prompt):
    at_prompt.type("mark a\ngo sleep(60) --name nap\nsleep(1)")
    lines = at_prompt.type("diff a")
    assert any(line.split()[:3] == ["coroutine", "co#2", "nap"] for line in lines)
    assert lines[-1] == "a to now: 1s"
    assert at_prompt.type("diff a now")[-1] == "a to now: 1s"


@pytest.mark.skipif(FORM == "pure", reason="only the native ledger knows whose a freed block was")
def test_garbage_is_not_in_a_mark(at_prompt):
    at_prompt.type(
        "mark a\ndef work():\n    page = [bytearray(1_000_000)]\n    page.append(page)\n\ngo work()\nmark b"
    )
    changes = [abs(one.change) for one in at_prompt.value("diff a b") if one.of == "born at"]
    assert all(change < 100_000 for change in changes)


def test_the_line_that_allocated_is_told_at_level_sites(at_prompt):
    at_prompt.type("set level sites")
    at_prompt.type("mark a\nkept = [bytearray(1_000_000)]\nmark b")
    assert any(one.of == "allocated at" and one.change >= 900_000 for one in at_prompt.value("diff a b"))


def test_a_mark_that_is_not_there(at_prompt):
    assert at_prompt.refused("diff before") == "no mark 'before': mark NAME sets one"
    at_prompt.type("mark before")
    assert at_prompt.refused("diff befor") == "no mark 'befor', did you mean 'before'?"


def test_the_earlier_mark_comes_first(at_prompt):
    at_prompt.type("mark a\nsleep(1)\nmark b")
    assert at_prompt.refused("diff b a").endswith("diff a b")


def test_now_is_no_name_for_a_mark(at_prompt):
    assert "present" in at_prompt.refused("mark now")


def test_there_are_so_many_marks_and_no_more(at_prompt):
    for number in range(MAX_MARKS):
        at_prompt.type(f"mark m{number}")
    assert at_prompt.type("mark one_more")[0].endswith("; m0 is forgotten")


def test_heaps_of_two_levels_are_not_compared(at_prompt):
    at_prompt.type("mark a\nset level counts\nmark b")
    assert "heaps began anew: level heap, then counts" in at_prompt.type("diff a b")[-1]


# -- deny --------------------------------------------------------------------------------------------


def test_leak_is_a_lint_that_can_be_denied():
    with session() as opened:
        with pytest.raises(CommandError, match="did you mean 'leak'"):
            Denied(opened.shell, ["leek"])
        Denied(opened.shell, ["leak"])
