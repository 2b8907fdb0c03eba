"""Who reads of a failure sees his own line last, unless the runtime itself has failed."""

import re
import traceback
from collections.abc import Callable
from functools import partial

import pytest

import coloop
from coloop._connect import connect
from coloop._post import Post
from coloop._server import serve
from coloop._socket import Socket
from coloop._tracebacks import traceback_text
from coloop.testing import socket_pair, wait_until_idle

pytestmark = pytest.mark.usefixtures("backend")


def places(text: str) -> list[str]:
    """The functions, outermost first."""
    return re.findall(r'^ +(?:\| )? *File ".*", line \d+, in (\w+)', text, re.MULTILINE)


class Ears(coloop.Observer):
    def __init__(self) -> None:
        self.failures: list[coloop.Failure] = []

    def failed(self, failure: coloop.Failure) -> None:
        self.failures.append(failure)


def told_of(call: Callable[[], object]) -> str:
    """The traceback that is told when a coroutine does this."""
    ears = Ears()

    def main() -> None:
        coloop.go(call)
        wait_until_idle()

    coloop.run(main, observer=ears)
    (failure,) = ears.failures
    return failure.traceback


def from_a_closed_channel() -> None:
    channel = coloop.Channel[int]()
    channel.close()
    channel.receive()


def from_a_closed_socket() -> None:
    ours, theirs = socket_pair()
    theirs.close()
    ours.close()
    ours.recv(timeout=1)


def at_a_limit() -> None:
    with coloop.timeout(0):
        coloop.suspend()


def at_a_limit_of_a_call() -> None:
    with socket_pair()[0] as ours:
        ours.recv(timeout=0)


def by_misuse() -> None:
    with socket_pair()[0] as ours:
        ours.recv(0)


def with_nobody_there() -> None:
    connect("127.0.0.1:1")


def in_code_of_its_own() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "call",
    [
        from_a_closed_channel,
        from_a_closed_socket,
        at_a_limit,
        at_a_limit_of_a_call,
        by_misuse,
        with_nobody_there,
        in_code_of_its_own,
    ],
)
def test_it_begins_and_ends_with_lines_of_the_users(call: Callable[[], None]) -> None:
    shown = places(told_of(call))
    assert shown
    assert {shown[0], shown[-1]} == {call.__name__}


def test_a_handler_sees_neither_who_called_it_nor_whom_it_called() -> None:
    def handler(conn: Socket) -> None:
        conn.recv(timeout=0)

    def main() -> None:
        with serve(":0", handler) as server, connect(server.address) as client:
            client.recv()

    ears = Ears()
    coloop.run(main, observer=ears)
    (failure,) = ears.failures
    assert places(failure.traceback) == ["handler"]


def test_frames_of_the_runtime_in_front_are_cut() -> None:
    def main() -> str:
        post = Post(coloop.current_scheduler())
        with pytest.raises(ZeroDivisionError) as caught:
            post.wait(in_code_of_its_own)
        tb = caught.value.__traceback__
        assert tb is not None
        return traceback_text(caught.value.with_traceback(tb.tb_next))

    assert places(coloop.run(main)) == ["in_code_of_its_own"]


def test_where_the_runtime_has_failed_its_frames_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Socket, "_limited", None)
    shown = places(told_of(at_a_limit_of_a_call))
    assert shown == ["at_a_limit_of_a_call", "recv", "_reading"]


def test_an_assertion_of_the_runtime_is_a_failure_of_its(monkeypatch: pytest.MonkeyPatch) -> None:
    def recv() -> None:
        assert ours_is_broken, "this stands for one in the runtime"

    ours_is_broken = False
    monkeypatch.setattr("coloop._tracebacks.is_ours", lambda code: code is recv.__code__)

    def main() -> None:
        recv()

    assert places(told_of(main))[-2:] == ["main", "recv"]


def test_where_there_are_no_other_frames_those_of_the_runtime_are_shown() -> None:
    shown = places(told_of(partial(coloop.framing_of, "unheard of")))
    assert shown[0] == "framing_of"


def test_what_it_came_from_and_what_is_in_a_group_is_cut_too() -> None:
    def main() -> None:
        try:
            from_a_closed_channel()
        except coloop.Closed as error:
            raise ExceptionGroup("both", [error, KeyError("k")]) from error

    shown = places(told_of(main))
    assert set(shown) == {"main", "from_a_closed_channel"}


def test_without_frames_of_the_runtime_it_is_what_python_prints() -> None:
    def outer() -> None:
        try:
            in_code_of_its_own()
        except ZeroDivisionError:
            raise KeyError("k")  # noqa: B904 - it is the context that counts

    with pytest.raises(KeyError) as caught:
        outer()
    assert traceback_text(caught.value) == "".join(traceback.format_exception(caught.value))
