"""`top`."""

from __future__ import annotations

import json

import pytest

from coshell.commands import top
from coshell.commands.top import COMMANDS
from tests.shell.pictures import coroutine, process
from tests.shell.sessions import Session, check_example, check_json, each_example, session


@each_example(*COMMANDS)
def test_every_example_runs_as_it_stands(command, example) -> None:
    check_example(command, example)


@each_example(*COMMANDS)
def test_every_command_speaks_json(command, example) -> None:
    check_json(command, example)


def test_who_lets_nobody_run_is_at_the_top(hogged: Session) -> None:
    first = hogged.value("top --interval 200ms")[0]
    assert (first.name, first.state) == ("hog", "running")
    assert first.cpu > 0


def test_whoever_does_nothing_is_not_shown() -> None:
    with session() as opened:
        opened.type("go sleep(3600) --name nap")
        assert "nap" not in [use.name for use in opened.value("top --interval 50ms")]


def test_workers_are_among_them(at_prompt: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [
        [process("web/w1", coroutine(2, "web\x1b[2J"), taken_ago_s=1.0)],
        [process("web/w1", coroutine(2, "web\x1b[2J", busy_s=0.5), taken_ago_s=0.0)],
    ]
    monkeypatch.setattr(at_prompt.shell.plugins, "processes", lambda: told.pop(0))
    lines = at_prompt.type("top --interval 10ms")
    assert lines[0].split()[:3] == ["ID", "CPU", "SWITCHES/s"]
    assert lines[1].split()[0] == "web/w1:2"
    assert r"web\x1b[2J" in lines[1]
    assert lines[-1].startswith("coroutines have run for here ")


def test_a_coroutine_that_looks_stops_nobody(at_prompt: Session) -> None:
    at_prompt.type(
        "seen = []\nx = go(lambda: seen.append(co.top(interval=3600)))\ny = go(sleep, 1)\ny.join()"
    )
    assert at_prompt.value("seen") == []
    at_prompt.type("x.join()")
    assert len(at_prompt.value("seen")) == 1


def test_no_more_are_shown_than_are_wanted(at_prompt: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = [coroutine(number, busy_s=number * 0.01) for number in (2, 3)]
    told = [
        [process("web/w1", coroutine(2), coroutine(3), taken_ago_s=1.0)],
        [process("web/w1", *busy, taken_ago_s=0.0)],
    ]
    monkeypatch.setattr(at_prompt.shell.plugins, "processes", lambda: told.pop(0))
    (shown,) = at_prompt.value("top --interval 10ms --rows 1")
    assert str(shown.id) == "web/w1:3"


def test_no_more_are_looked_at_than_costs_a_moment(
    at_prompt: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top, "MAX_PICTURES", 2)
    at_prompt.type("go -n 3 sleep(3600)")
    assert at_prompt.type("top --interval 10ms")[-1] == "only the first 2 of 4 coroutines were looked at"


@pytest.mark.parametrize("option", ["--interval 0", "--rows 0", "--rows -1"])
def test_what_must_be_more_than_nothing_is(at_prompt: Session, option: str) -> None:
    assert at_prompt.refused(f"top {option}").startswith(
        f"top: {option.split(maxsplit=1)[0]} must be more than 0, not "
    )


def test_json_has_documented_keys(at_prompt: Session) -> None:
    with session() as opened:
        opened.type("def spin():\n    while True: yield_now()\nx = go(spin)")
        record = json.loads(opened.type("top --interval 50ms --json")[0])
        opened.type("x.cancel()")
    assert set(record) == {
        "id", "cpu", "switches", "heap", "heap_rate", "state", "name", "where", "process", "pid",
    }  # fmt: skip
