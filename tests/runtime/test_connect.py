import errno
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

import coloop
from coloop._connect import connect
from coloop._listener import listen
from coloop.testing import MockClock
from tests import ports

from .conftest import open_descriptors

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]


@pytest.fixture
def free_port() -> int:
    return ports.free_port()


@pytest.fixture
def deaf_port() -> Any:
    """A port whose backlog is full: the kernel drops every further call."""
    callers = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
            callers.append(caller)
        yield listener.getsockname()[1]
    for caller in callers:
        caller.close()


def test_a_connection_knows_both_ends() -> None:
    with listen(":0") as listener, connect(("127.0.0.1", listener.address.port)) as client:
        assert client.peer == listener.address
        assert client.local.host == "127.0.0.1"
        assert client.role == "client"
        assert client._raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_client_takes_the_file_of_its_own_name_along(tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(ours))
    with listen(f"unix:{tmp_path}/s") as listener:
        with connect(listener.address, local=f"unix:{ours}"), listener.accept() as server:
            assert server.peer == coloop.Address(path=str(ours))
            assert ours.exists()
        assert not ours.exists()
        with pytest.raises(FileNotFoundError):
            connect(f"unix:{tmp_path}/nothing", local=f"unix:{ours}")
        assert not ours.exists()
        with pytest.raises(OSError, match=r"^cannot come from unix:.*: unix:.* is in use"):
            connect(listener.address, local=listener.address)


def test_datagrams_have_a_peer_though_nobody_may_be_there(free_port: int, localhost_is: Any) -> None:
    """As nobody can tell which of two addresses is the right one, it is the one that `bind` takes."""
    localhost_is(("::1", free_port), ("127.0.0.1", free_port))
    with connect(f"udp:localhost:{free_port}") as client:
        assert isinstance(client, coloop.DatagramSocket)
        assert str(client.peer) == f"udp:127.0.0.1:{free_port}"
        assert (client.role, client.kind) == ("client", "udp")


def test_a_datagram_socket_that_cannot_be_had_leaves_nothing(free_port: int, tmp_path: Path) -> None:
    with connect(f"udp::{free_port}", local=":0") as client:
        assert client.local.datagram
    before = open_descriptors()
    with pytest.raises(OSError, match=r"local udp:.* is of another kind than the address to be reached"):
        connect(f"unixgram:{tmp_path}/s", local=":0")
    with pytest.raises(FileNotFoundError):
        connect(f"unixgram:{tmp_path}/s", local=f"unixgram:{tmp_path}/ours")
    assert open_descriptors() == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux makes up a name")
def test_a_unix_datagram_client_can_be_answered_without_a_name_of_its_own(tmp_path: Path) -> None:
    with coloop.bind(f"unixgram:{tmp_path}/s") as server, connect(server.address) as client:
        assert str(client.local).startswith("unixgram:@")
        client.send(b"x")
        assert server.recvfrom()[1] == client.local


def test_where_nobody_listens_is_told_by_the_address(free_port: int) -> None:
    with pytest.raises(ConnectionRefusedError) as caught:
        connect(f":{free_port}")
    assert str(caught.value) == f"refused: nobody listens on 127.0.0.1:{free_port}"
    assert caught.value.errno == errno.ECONNREFUSED
    assert coloop.snapshot().sockets == ()


def test_a_socket_does_not_connect_to_itself(free_port: int) -> None:
    with pytest.raises(ConnectionRefusedError, match="nobody listens"):
        connect(f":{free_port}", local=f":{free_port}")


@pytest.fixture
def localhost_is(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Decide what a name stands for, which is otherwise the machine's to say."""

    def decide(*names: tuple[str, int]) -> None:
        targets = [(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, port)) for host, port in names]
        monkeypatch.setattr("coloop._connect.resolve", lambda address: targets)

    return decide


def test_localhost_falls_back_to_where_somebody_listens(localhost_is: Any) -> None:
    with listen("127.0.0.1:0") as listener:
        port = listener.address.port
        localhost_is(("::1", port), ("127.0.0.1", port))
        with connect(f"localhost:{port}") as client:
            assert client.peer == listener.address


def test_an_address_that_swallows_packets_takes_only_its_share(
    localhost_is: Any, deaf_port: int, mock_clock: MockClock
) -> None:
    with listen("127.0.0.1:0") as listener:
        localhost_is(("127.0.0.1", deaf_port), ("127.0.0.1", listener.address.port))
        with connect("localhost:80", timeout=6) as client:
            assert client.peer == listener.address
            assert mock_clock.now() == pytest.approx(3)
        with pytest.raises(coloop.Timeout, match=r"^timed out after 1s$"), coloop.timeout(1):
            connect("localhost:80", timeout=6)


def test_when_nobody_listens_on_any_of_them_the_name_is_told(localhost_is: Any, free_port: int) -> None:
    localhost_is(("127.0.0.2", free_port), ("127.0.0.1", free_port))
    with pytest.raises(ConnectionRefusedError, match=f"^refused: nobody listens on localhost:{free_port}$"):
        connect(f"localhost:{free_port}")


def test_a_name_is_looked_up_while_others_run() -> None:
    with listen(":0") as listener:
        connecting = coloop.go(connect, f"localhost:{listener.address.port}")
        assert str(connecting.waiting_on).startswith("thread ")
        connecting.result().close()


def test_a_host_that_is_not_there_is_told() -> None:
    with pytest.raises(socket.gaierror, match=r"^no such host: 'nosuch.invalid'"):
        connect("nosuch.invalid:80")


def test_a_call_that_nobody_answers_ends_in_time(deaf_port: int, mock_clock: MockClock) -> None:
    with pytest.raises(coloop.Timeout, match=rf"^connect 127.0.0.1:{deaf_port}: timed out after 10s$"):
        connect(f":{deaf_port}")
    assert mock_clock.now() == pytest.approx(10)
    with pytest.raises(coloop.Timeout, match="timed out after 3s"):
        connect(f":{deaf_port}", timeout=3)
    with pytest.raises(ValueError, match="-1"):
        connect(f":{deaf_port}", timeout=-1)


def test_who_is_connecting_can_be_seen_and_cancelled(deaf_port: int) -> None:
    connecting = coloop.go(connect, f":{deaf_port}")
    (picture,) = coloop.snapshot().sockets
    assert connecting.waiting_on == f"connect socket#{picture.id}"
    assert (picture.peer, picture.owner) == (f"127.0.0.1:{deaf_port}", connecting.id)
    connecting.cancel()
    connecting.join()
    assert coloop.snapshot().sockets == ()


def test_the_local_end_can_be_chosen(free_port: int) -> None:
    with listen(":0") as listener, connect(listener.address, local=("127.0.0.1", free_port)) as client:
        assert client.local.port == free_port
        with pytest.raises(
            OSError, match=rf"^cannot come from 127.0.0.1:{free_port}: address already in use$"
        ):
            connect(listener.address, local=("127.0.0.1", free_port))
        with pytest.raises(OSError, match="of another kind than the address to be reached"):
            connect(listener.address, local="[::1]:0")


def test_an_address_that_cannot_be_reached_is_told() -> None:
    with pytest.raises(OSError, match=r"^cannot connect to 255.255.255.255:80: "):
        connect("255.255.255.255:80")


def test_a_unix_socket_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none.sock"
    with pytest.raises(FileNotFoundError, match=f"^refused: there is no socket unix:{path}$"):
        connect(f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(ConnectionRefusedError, match=f"^refused: nobody listens on unix:{path}$"):
        connect(f"unix:{path}")


def test_a_full_unix_backlog_is_waited_for(tmp_path: Path, mock_clock: MockClock) -> None:
    """The kernel says "try again" and has no event for it."""
    address = f"unix:{tmp_path / 'full.sock'}"
    with listen(address, backlog=1) as listener:
        clients = [connect(address) for _ in range(2)]
        with pytest.raises(coloop.Timeout, match="timed out after 10s"):
            connect(address)
        third = coloop.go(connect, address)
        servers = [listener.accept() for _ in range(3)]
        for sock in (*clients, *servers, third.result()):
            sock.close()


def test_a_wrong_address_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(ValueError, match="port must be 0 to 65535, not 70000"):
        connect(":70000")
    with pytest.raises(ValueError, match="port must be a number, not 'x'"):
        connect(":80", local=":x")
