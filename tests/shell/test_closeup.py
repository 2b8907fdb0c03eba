"""One coroutine is looked at without a picture of all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from coshell import closeup
from coshell.closeup import asked, close_up, stacks
from tests.shell.sessions import Session, hogged_session, session

_FAMILY = """\
def child():
    defer(print)
    sleep(60)
def parent():
    go(child)
    sleep(30)
go parent()
"""


@pytest.fixture
def at_prompt() -> Iterator[Session]:
    with session(clock="virtual") as opened:
        opened.type(_FAMILY)
        yield opened


def test_it_tells_what_a_whole_picture_would_tell(at_prompt: Session) -> None:
    seen = close_up(at_prompt.shell, "child").picture
    whole = next(picture for picture in at_prompt.shell.snapshot().coroutines if picture.name == "child")
    for field in (
        "id",
        "state",
        "parent_id",
        "spawned_at",
        "waiting_on",
        "switches",
        "frames",
        "timers",
        "defers",
    ):
        assert getattr(seen, field) == getattr(whole, field)
    assert seen.heap_bytes == whole.heap_bytes


def test_it_has_the_ancestors_the_children_and_the_stack(at_prompt: Session) -> None:
    seen = close_up(at_prompt.shell, "parent")
    assert [picture.name for picture in seen.snapshot.coroutines] == ["parent", "shell"]
    assert seen.children == (3,)
    assert seen.stack is not None
    assert seen.stack[0].source == "sleep(30)"


def test_a_dead_ancestor_leads_on_to_the_living_ones(at_prompt: Session) -> None:
    at_prompt.type("sleep(31)")
    assert [picture.name for picture in close_up(at_prompt.shell, "child").snapshot.coroutines] == [
        "child",
        "shell",
    ]


def test_of_a_dead_one_the_end_is_told(at_prompt: Session) -> None:
    at_prompt.type("go len('abc') --name l")
    for ref in (4, at_prompt.shell.names["l"]):
        seen = close_up(at_prompt.shell, ref)
        assert (seen.picture.outcome, seen.stack) == ("returned a int", None)


def test_a_handle_outlives_the_memory_of_the_dead(at_prompt: Session) -> None:
    at_prompt.type("go len('abc') --name l\ngo -n 300 len('')")
    assert close_up(at_prompt.shell, "l").picture.outcome == "returned a int"


def test_stacks_are_read_in_one_go(at_prompt: Session) -> None:
    found = stacks(at_prompt.shell, at_prompt.shell.living())
    assert {number: [place.source for place in stack][-1:] for number, stack in found.items()} == {
        1: [],
        2: ["sleep(30)"],
        3: ["sleep(60)"],
    }


def test_of_a_hog_the_stack_is_seen_and_of_the_others_what_their_handles_tell() -> None:
    with hogged_session() as hogged:
        hog = close_up(hogged.shell, "hog")
        assert hog.picture.state == "running"
        assert hog.picture.running_for_s > 0
        assert hog.stack is not None
        quiet = close_up(hogged.shell, "quiet")
        assert (quiet.picture.state, quiet.stack) == ("waiting", None)
        assert set(stacks(hogged.shell, hogged.shell.living())) == {3}


def test_a_question_is_answered_on_the_schedulers_thread(at_prompt: Session) -> None:
    assert asked(at_prompt.shell, threading.get_ident) == at_prompt.shell.scheduler.thread_id


def test_a_question_gets_no_answer_while_somebody_lets_nobody_run() -> None:
    with hogged_session() as hogged:
        assert asked(hogged.shell, lambda: 1) is None


def test_on_a_slow_machine_an_answer_is_waited_for_as_long_as_nobody_holds_the_scheduler(
    at_prompt: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closeup, "ANSWER_PATIENCE_S", 0.001)
    at_prompt.shell.scheduler.call_soon_threadsafe(time.sleep, 0.05)  # in no coroutine
    assert asked(at_prompt.shell, lambda: 1) == 1
