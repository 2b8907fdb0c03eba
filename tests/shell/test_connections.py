"""What we think of a connection, and what the kernel thinks."""

from __future__ import annotations

import pytest

from coshell.connections import COLUMNS, REMARKS_SHOWN, connections, connections_in, remarks
from coshell.render import table
from tests.shell.pictures import coroutine, process, socket

LISTENER = socket(
    "listener", "127.0.0.1:9501", 2, id=1, state="listening", kernel="LISTEN", unread=None, unsent=None
)
CONNECTION = socket(
    "server", "127.0.0.1:9501", 2, id=2, peer="127.0.0.1:51312", kernel="ESTABLISHED", reader=2
)


def test_there_is_a_record_for_each_socket() -> None:
    listener, connection = connections([LISTENER, CONNECTION], {})
    assert (listener.role, listener.state, listener.kernel, listener.unread) == (
        "listener",
        "listening",
        "LISTEN",
        None,
    )
    assert (connection.local, connection.peer, connection.reader) == ("127.0.0.1:9501", "127.0.0.1:51312", 2)


def test_a_socket_is_called_as_somebody_called_it() -> None:
    assert [each.name for each in connections([LISTENER, CONNECTION], {2: "c"})] == ["", "c"]


@pytest.mark.parametrize(
    ("ours", "kernel", "told"),
    [
        ("open", "ESTABLISHED", None),
        ("open", "CLOSE_WAIT", "the peer has closed its half, and nobody here has read so far"),
        ("half-closed", "LAST_ACK", "the peer has closed its half, and nobody here has read so far"),
        ("open", "CLOSE", "the connection is broken, and nobody here has noticed"),
        ("closed by peer", "CLOSE_WAIT", None),
        ("listening", "LISTEN", None),
        ("open", None, None),
    ],
)
def test_where_the_kernel_knows_more_it_is_said(ours: str, kernel: str | None, told: str | None) -> None:
    (found,) = connections([socket("client", "a:1", state=ours, kernel=kernel)], {})
    assert found.disagreement == told


def test_a_few_remarks_are_made_and_the_others_counted() -> None:
    behind = tuple(socket("client", "a:1", id=number, kernel="CLOSE_WAIT") for number in range(8))
    told = remarks(connections(behind, {0: "first"}))
    assert told[0].startswith("! first (0): the peer has closed its half")
    assert told[REMARKS_SHOWN:] == ["! and 3 more of this kind"]


def test_the_two_opinions_stand_side_by_side_on_a_narrow_screen() -> None:
    found = connections([CONNECTION], {2: "echo#1"})
    assert table(found, COLUMNS, 68)[0].split() == ["ID", "NAME", "LOCAL", "PEER", "STATE", "KERNEL"]


def test_sockets_of_another_process_are_called_as_their_coroutines_there() -> None:
    found = connections_in(process("web/w1", coroutine(2, "web"), coroutine(3, "web/c1")))
    assert [(str(each.id), each.name, each.process, each.pid) for each in found] == [
        ("web/w1:1", "web", "web/w1", 77),
        ("web/w1:2", "web/c1", "web/w1", 77),
    ]
    assert remarks(found) == [
        "! web/c1 (web/w1:2): the peer has closed its half, and nobody here has read so far"
    ]
