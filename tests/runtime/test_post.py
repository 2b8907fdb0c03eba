import pytest

import coloop
from coloop._post import Post
from coloop.testing import socket_pair, wait_until_idle

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]


def post() -> Post:
    return Post(coloop.current_scheduler())


def test_what_was_waited_for_is_returned() -> None:
    ours, theirs = socket_pair()
    with ours, theirs:
        theirs.sendall(b"x")
        assert post().wait(ours.recv) == b"x"
        assert post().wait(ours.recv_exactly, 0) == b""


def test_who_waits_can_be_called_away_and_what_comes_then_is_there_at_the_next_wait() -> None:
    ours, theirs = socket_pair()
    place = post()
    with ours, theirs:
        reader = coloop.go(place.wait, ours.recv)
        place.call_away()
        place.call_away()
        theirs.sendall(b"x")
        assert reader.result() is None
        assert place.wait(ours.recv) == b"x"


def test_nobody_is_called_away_from_another_wait() -> None:
    """The call comes when what was waited for has come already: it has no effect, now or later."""
    ours, theirs = socket_pair()
    place = post()

    def read_and_sleep() -> bytes | None:
        data = place.wait(ours.recv)
        coloop.yield_now()
        coloop.sleep(0.001)
        return data

    with ours, theirs:
        reader = coloop.go(read_and_sleep)
        coloop.current_scheduler().wake(reader)  # as the poller does, when something came
        theirs.sendall(b"x")
        place.call_away()
        wait_until_idle()
        place.call_away()
        assert reader.result() in {b"x", None}
        assert not place.wait(list)


def test_a_call_to_nobody_is_forgotten() -> None:
    place = post()
    place.call_away()
    assert place.wait(lambda: coloop.yield_now() or "stayed") == "stayed"


def test_a_call_in_a_scheduling_point_of_the_wait_ends_it_too() -> None:
    place = post()
    reached: list[str] = []

    def stand() -> None:
        coloop.yield_now()
        reached.append("the wait")
        coloop.suspend()

    guard = coloop.go(place.wait, stand)
    assert guard.state == "ready"
    place.call_away()
    assert guard.result() is None
    assert reached == ["the wait"]


def test_a_cancel_is_a_cancel_also_when_it_comes_with_a_call() -> None:
    place = post()

    def stand() -> str:
        place.wait(coloop.suspend)
        coloop.suspend()
        return "not cancelled"

    guard = coloop.go(stand)
    place.call_away()
    guard.cancel()
    guard.join()
    assert guard.state == "cancelled"
    assert guard._interrupts is None


def test_a_cancel_that_comes_first_leaves_no_call_behind() -> None:
    place = post()

    def stand() -> str:
        try:
            place.wait(coloop.suspend)
        except coloop.Cancelled:
            coloop.sleep(0.001)
        return "cleaned up"

    guard = coloop.go(stand)
    guard.cancel()
    place.call_away()
    assert guard.result() == "cleaned up"


def test_an_error_of_the_wait_is_its_caller_s() -> None:
    place = post()
    with pytest.raises(ZeroDivisionError):
        place.wait(lambda: 1 / 0)
    place.call_away()
    assert place.wait(lambda: "stayed") == "stayed"
