"""What is asked about is found by every name that it has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coshell.refs.meant import Gone, handle_of, meant
from tests.shell.sessions import Session, session


@pytest.fixture
def at_prompt() -> Iterator[Session]:
    with session(clock="virtual", level="counts") as opened:
        yield opened


def found(at_prompt: Session, text: str) -> object:
    return at_prompt.shell.bridge.call(meant, at_prompt.shell, text)


def test_an_expression(at_prompt: Session) -> None:
    at_prompt.type("cache = [1, [2]]")
    assert found(at_prompt, "cache[1]") == [2]
    assert found(at_prompt, " cache ") is at_prompt.shell.names["cache"]


def test_a_name_of_the_users_comes_first(at_prompt: Session) -> None:
    at_prompt.type("go sleep(60) --name nap\nnap = [1]")
    assert found(at_prompt, "nap") == [1]
    at_prompt.type("del nap")
    assert found(at_prompt, "nap") is at_prompt.shell.find_coroutine(2)


def test_a_coroutine_by_number(at_prompt: Session) -> None:
    at_prompt.type("go sleep(60) --name nap")
    living = at_prompt.shell.find_coroutine(2)
    assert found(at_prompt, "2") is found(at_prompt, "co#2") is living


def test_a_dead_coroutine_and_the_handle_that_somebody_has(at_prompt: Session) -> None:
    at_prompt.type("handle = go(len, 'abc')")
    gone = found(at_prompt, "co#2")
    assert isinstance(gone, Gone)
    assert gone.picture.name == "len"
    assert at_prompt.shell.bridge.call(handle_of, at_prompt.shell, gone) is at_prompt.shell.names["handle"]
    at_prompt.type("del handle")
    assert at_prompt.shell.bridge.call(handle_of, at_prompt.shell, gone) is None


def test_one_that_has_never_been(at_prompt: Session) -> None:
    assert at_prompt.refused("refs co#99").startswith("no coroutine co#99: there has been none")


def test_what_the_shell_has_opened_and_open_sockets(at_prompt: Session) -> None:
    at_prompt.type("serve :0 print as s\nl = listen(('127.0.0.1', 0))")
    (name,) = at_prompt.shell.things
    assert found(at_prompt, name) is at_prompt.shell.names["s"]
    listener = at_prompt.shell.names["l"]
    assert found(at_prompt, str(listener)) is listener


def test_what_is_no_more(at_prompt: Session) -> None:
    assert at_prompt.refused("refs echo#9") == "nothing is called 'echo#9' (ps and conns tell what is)"
