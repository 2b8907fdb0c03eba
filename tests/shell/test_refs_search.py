"""One search, from the question to the answer."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from coshell.refs.chain import Chain
from coshell.refs.search import chains, own_when_called, own_when_typed
from tests.shell.sessions import Session, session


@pytest.fixture
def at_prompt() -> Iterator[Session]:
    with session(clock="virtual", level="counts") as opened:
        opened.type("class Box(list): pass")
        yield opened


def asked(at_prompt: Session, name: str, count: int = 1, limit_s: float = 5.0) -> list[Chain]:
    shell = at_prompt.shell

    def ask() -> list[Chain]:
        return chains(shell, shell.names[name], own_when_typed(shell), count, limit_s)

    found: list[Chain] = shell.bridge.call(ask)
    return found


def test_as_many_as_are_wanted_and_nearest_first(at_prompt: Session) -> None:
    at_prompt.type("x = Box()\na = [x]\nb = [[[x]]]")
    assert [len(chain.chain) for chain in asked(at_prompt, "x", 2)] == [0, 1]
    assert [len(chain.chain) for chain in asked(at_prompt, "x", 9)] == [0, 1, 3]


def test_what_was_met_is_not_held(at_prompt: Session) -> None:
    at_prompt.type("x = Box()\na = [x]")
    before = len(gc.get_referrers(at_prompt.shell.names["x"]))
    asked(at_prompt, "x", 9)
    assert len(gc.get_referrers(at_prompt.shell.names["x"])) == before


def test_our_own_references_are_counted_as_they_are(at_prompt: Session) -> None:
    """The same number each time; whoever calls holds more than who types."""
    shell = at_prompt.shell
    typed = {shell.bridge.call(own_when_typed, shell) for _ in range(3)}
    called = {shell.bridge.call(own_when_called, shell, "refs") for _ in range(3)}
    assert len(typed) == len(called) == 1
    assert called > typed or called.pop() > typed.pop()


def test_one_that_gives_up_says_how_far_it_came(at_prompt: Session) -> None:
    at_prompt.type("x = Box()")
    (told,) = asked(at_prompt, "x", 9)
    assert told.kind == "module global"
    at_prompt.shell.names["y"] = at_prompt.shell.names.pop("x")
    (told,) = asked(at_prompt, "y", 1, limit_s=0.0)
    assert told.kind == "gave up"


def test_a_living_coroutine_that_nobody_holds(at_prompt: Session) -> None:
    at_prompt.type("go sleep(60) --name nap\ndel nap")
    assert at_prompt.value("refs co#2").kind == "only the scheduler"
