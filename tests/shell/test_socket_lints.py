"""Clients that nobody accepts, and two sockets that are one connection: seen in a picture, and at the prompt."""

from __future__ import annotations

from typing import Any

import pytest

from coloop import Snapshot, SocketPicture
from coshell.socket_lints import socket_findings
from tests.shell.pictures import coroutine, snapshot, socket

pytestmark = pytest.mark.skipif(
    "sys.platform != 'linux'", reason="the kernel says how many wait on Linux only"
)

BUSY = coroutine(4, "server", waiting_on="recv socket#9")


def listener(**known: Any) -> SocketPicture:
    usual: dict[str, Any] = {"kernel": "LISTEN", "waiting": 2}
    return socket("listener", "127.0.0.1:7", 4, **(usual | known))


def with_sockets(*sockets: SocketPicture, by: Any = BUSY) -> Snapshot:
    return snapshot(by, sockets=sockets)


def test_clients_are_waiting_and_their_server_waits_for_something_else() -> None:
    (found,) = socket_findings(with_sockets(listener()))
    assert found.lint == "not-accepting"
    assert str(found) == (
        "co#4 server lets 2 clients wait at 127.0.0.1:7: it waits on recv socket#9, and nobody accepts"
    )


@pytest.mark.parametrize(
    "seen",
    [
        with_sockets(listener(waiting=0)),
        with_sockets(listener(waiting=None)),
        with_sockets(listener(reader=5)),
        with_sockets(listener(), by=coroutine(4, "server", state="ready")),
        with_sockets(listener(), by=coroutine(5, "somebody else")),
    ],
    ids=["nobody waits", "it is not known", "somebody accepts", "it is about to", "its owner is gone"],
)
def test_a_listener_that_is_attended_to_gets_no_warning(seen: Snapshot) -> None:
    assert socket_findings(seen) == []


def end(number: int, *, local: str = "127.0.0.1:9", **known: Any) -> SocketPicture:
    return socket(
        "client", local, 4, **({"id": number, "peer": "127.0.0.1:7", "kernel": "ESTABLISHED"} | known)
    )


def test_two_sockets_are_one_connection() -> None:
    found = socket_findings(with_sockets(end(11), end(12)))
    assert [finding.lint for finding in found] == ["shared-connection"] * 2
    assert found[0].sentence == (
        "has socket#11, and socket#12 is the same connection to 127.0.0.1:7: who reads first takes the other's answer"
    )


@pytest.mark.parametrize(
    "other",
    [
        end(12, peer="127.0.0.1:8"),
        end(12, local="127.0.0.1:8"),
        end(12, kernel="CLOSE"),
        end(12, kind="unix"),
    ],
    ids=["another server", "another port", "it is over", "unix sockets have no names"],
)
def test_connections_that_differ_are_not_shared(other: SocketPicture) -> None:
    assert socket_findings(with_sockets(end(11), other)) == []


# -- at the prompt -----------------------------------------------------------------------------------

DEAF = """
def deaf(opened):
    with listen("127.0.0.1:0") as listener:
        opened.send(listener.address)
        sleep(3600)

opened = Channel(1)
go deaf(opened)
client = connect(opened.receive())"""


def test_a_server_that_does_not_accept_is_warned_of_where_warnings_are_shown(at_prompt: Any) -> None:
    at_prompt.type(DEAF)
    (row,) = [row for row in at_prompt.value("co.ps()") if row.name == "deaf"]
    assert row.warn == ("not-accepting",)
    assert any("lets 1 client wait at 127.0.0.1:" in line for line in at_prompt.type("show deaf"))


RESET = """
listener = listen("127.0.0.1:0")
sender, reader = connect(listener.address), listener.accept()
sender.send(bytes(8 << 20))
sender.close(linger=0)"""


def test_show_warns_of_what_was_dropped_too(at_prompt: Any) -> None:
    at_prompt.type(RESET)
    assert any("warning  closed over " in line for line in at_prompt.type("show 1"))


def test_a_server_that_accepts_is_not_warned_of(at_prompt: Any) -> None:
    at_prompt.type("echo :0 --as e\nconnect e as c")
    warned = [row.warn for row in at_prompt.value("co.ps()") if row.id != 1]  # the shell itself may be slow
    assert warned == [()] * 2


SHARED = """
import socket
server = listen("127.0.0.1:0")
raw = socket.create_connection((server.address.host, server.address.port))
first, second = coloop.adopt(raw.dup()), coloop.adopt(raw.dup())
raw.close()"""


def test_a_shared_connection_is_warned_of_until_it_is_not_shared(at_prompt: Any) -> None:
    at_prompt.type(SHARED)
    assert "shared-connection" in at_prompt.value("co.ps()")[0].warn
    at_prompt.type("second.close()")
    assert "shared-connection" not in at_prompt.value("co.ps()")[0].warn
