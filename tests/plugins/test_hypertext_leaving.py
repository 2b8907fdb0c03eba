import pytest

import coloop
from coloop.testing import socket_pair
from coshell_plugins.hypertext.leaving import cancelled_when_left
from tests.plugins.http_serving import in_coroutine


def waiting(connection: coloop.Socket, seen: list[str]) -> None:
    try:
        with cancelled_when_left(connection):
            coloop.sleep(10)
        seen.append("went on")
    finally:
        seen.append("cleaned up")


@pytest.mark.parametrize("linger", [None, 0.0])
@in_coroutine(mock=True)
def test_who_works_for_a_client_that_leaves_is_cancelled(linger: float | None) -> None:
    seen: list[str] = []
    ours, theirs = socket_pair()
    working = coloop.go(waiting, ours, seen)
    theirs.close(linger)
    working.join()
    assert seen == ["cleaned up"]
    assert coloop.current_scheduler().clock.now() < 10


@in_coroutine(mock=True)
def test_what_the_client_sends_meanwhile_is_left_for_later_and_ends_the_watch() -> None:
    seen: list[str] = []
    ours, theirs = socket_pair()
    working = coloop.go(waiting, ours, seen)
    theirs.sendall(b"next")
    theirs.close()
    working.join()
    assert seen == ["went on", "cleaned up"]
    assert ours.recv() == b"next"


@in_coroutine(mock=True)
def test_behind_the_block_nobody_watches_any_more() -> None:
    seen: list[str] = []
    ours, theirs = socket_pair()
    waiting(ours, seen)
    assert len(coloop.snapshot().coroutines) == 1
    theirs.sendall(b"x")
    assert ours.recv() == b"x"


@in_coroutine(mock=True)
def test_a_cancel_from_elsewhere_ends_the_watch_too() -> None:
    seen: list[str] = []
    ours, _ = socket_pair()
    working = coloop.go(waiting, ours, seen)
    working.cancel()
    working.join()
    assert len(coloop.snapshot().coroutines) == 1
