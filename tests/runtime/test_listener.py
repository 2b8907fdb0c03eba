import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import coloop
from coloop._address import Address
from coloop._connect import connect
from coloop._kernel import holder_of
from coloop._listener import Listener, listen
from coloop._wire import closed_socket
from tests.ports import free_port

from .conftest import open_descriptors

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]


def refused(address: Any, **options: Any) -> OSError:
    """The error that `listen` ends with, in one line, and without a descriptor left."""
    before = open_descriptors()
    with pytest.raises(OSError, match=r"^[^\n]+$") as caught:
        listen(address, **options)
    assert open_descriptors() == before
    return caught.value


def test_port_0_becomes_a_real_one() -> None:
    with listen(":0") as listener:
        assert listener.address.host == "127.0.0.1"
        assert listener.address.port > 0
        assert repr(listener) == f"<Listener#{listener.id} {listener.address} listening>"
    assert listener.closed


def test_accept_parks_until_somebody_calls() -> None:
    with listen(":0") as listener:
        acceptor = coloop.go(listener.accept)
        assert acceptor.waiting_on == f"accept {listener}"
        client = connect(listener.address)
        server = acceptor.result()
        assert server.role == "server"
        assert server.local == client.peer == listener.address
        assert server.peer == client.local
        client.close()
        server.close()
        assert listener.accepted == 1


def test_accept_within_a_time() -> None:
    with (
        listen(":0") as listener,
        pytest.raises(coloop.Timeout, match=rf"^accept {listener}: timed out after 0.001s$"),
    ):
        listener.accept(timeout=0.001)


def test_who_gave_up_once_can_accept_again() -> None:
    with listen(":0") as listener:
        for _ in range(2):
            with pytest.raises(coloop.Timeout):
                listener.accept(timeout=0)
            with connect(listener.address) as caller, listener.accept(timeout=5) as accepted:
                caller.sendall(b"here")
                assert accepted.recv_exactly(4) == b"here"
        assert coloop.snapshot().timers == 0


def test_who_calls_and_is_never_accepted_hears_of_it_when_the_listener_is_closed() -> None:
    listener = listen(f":{free_port()}")
    with connect(listener.address) as caller:
        listener.close()
        with pytest.raises(ConnectionResetError):
            caller.recv()
        with pytest.raises(ConnectionRefusedError):
            connect(listener.address)


def test_closing_ends_accept_and_says_who_did_it(fails: Any) -> None:
    listener = listen(":0")
    acceptor = fails(listener.accept)
    listener.close()
    listener.close()
    assert str(acceptor.result()) == f"{listener} was closed by co#1"


def test_accepted_connections_inherit_what_they_need() -> None:
    with listen(":0") as listener, connect(listener.address), listener.accept() as server:
        assert server._raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert server._raw.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE)
        assert server._raw.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * 256 * 1024
        assert os.get_inheritable(server.fileno()) is False
        assert server._raw.getblocking() is False


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_closed_connection_still_says_what_it_was(tmp_path: Path, kind: str) -> None:
    """Also if nobody has asked before."""
    with (
        listen(":0" if kind == "tcp" else f"unix:{tmp_path}/s") as listener,
        connect(listener.address) as client,
    ):
        server = listener.accept()
        server.close()
        assert server.peer == (client.local if kind == "tcp" else None)
        assert (server.fileno(), server.kind, server.role) == (-1, kind, "server")
        assert server.state == server.info().state == "closed"
        assert str(server.local) == "?:0"
        assert repr(server).startswith(f"<Socket#{server.id} {kind} ")
        assert client.recv() == b""


def test_to_look_at_a_closed_connection_takes_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    closed_socket.cache_clear()
    with listen(":0") as listener, connect(listener.address):
        server = listener.accept()
        server.close()
        monkeypatch.setattr("coloop._wire.socket.socket", none_left)
        assert server.info().state == "closed"
        assert "closed" in repr(server)
        server.abandon()
        monkeypatch.undo()


@pytest.mark.parametrize("looked_into", [False, True])
def test_a_connection_is_closed_once_and_its_number_is_free(looked_into: bool) -> None:
    before = open_descriptors()
    with listen(":0") as listener, connect(listener.address) as client:
        with_client = open_descriptors()
        server = listener.accept()
        number = server._fd
        if looked_into:
            assert server._raw.fileno() == number
            assert server._raw.gettimeout() == 0
            assert server._raw is server._raw
        server.close()
        server.close()
        server.abandon()
        assert open_descriptors() == with_client
        with listener, connect(listener.address), listener.accept() as next_one:
            assert next_one._fd >= 0
            server.abandon()
            client.close()
            assert next_one.state == "open"
            assert os.fstat(next_one._fd)
    assert open_descriptors() == before


def test_what_nobody_has_closed_goes_with_the_scheduler() -> None:
    """Also where nobody has looked into it; the fixture counts the descriptors."""
    with listen(":0") as listener:
        client = connect(listener.address)
        server = listener.accept()
        assert {client.id, server.id} <= set(coloop.current_scheduler().sockets)


def test_no_time_at_all_is_no_limit(fails: Any) -> None:
    with listen(":0") as listener:
        first, second = coloop.go(listener.accept, None), fails(listener.accept)
        assert isinstance(second.result(), coloop.Busy)
        with connect(listener.address), first.result():
            assert listener.accepted == 1


@pytest.mark.parametrize("woken_first", [False, True])
def test_who_is_woken_and_cancelled_at_once_loses_no_caller(woken_first: bool) -> None:
    """Who was woken first owns the connection; who was cancelled first leaves it to the next."""
    scheduler = coloop.current_scheduler()
    with listen(":0") as listener:
        acceptor = coloop.go(listener.accept)
        if not woken_first:
            acceptor.cancel()
        with socket.create_connection((listener.address.host, listener.address.port)) as client:
            scheduler.wake_each(scheduler.poller.poll(1.0))
            acceptor.cancel()
            acceptor.join()
            assert acceptor.state == ("done" if woken_first else "cancelled")
            with acceptor.result() if woken_first else listener.accept() as server:
                assert str(server.peer) == "{}:{}".format(*client.getsockname())
        assert listener.accepted == 1


def test_a_picture_of_a_listener() -> None:
    with listen(":0") as listener:
        acceptor = coloop.go(listener.accept)
        picture = listener.info()
        assert (picture.role, picture.kind, picture.state) == ("listener", "tcp", "listening")
        assert (picture.local, picture.peer, picture.reader) == (str(listener.address), None, acceptor.id)
        assert picture.kernel in {"LISTEN", None}
        acceptor.cancel()


# -- places that cannot be had -------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who")
def test_a_port_in_use_is_refused_with_its_holder() -> None:
    with listen(":0") as listener:
        error = refused(listener.address)
    assert str(error) == f"port {listener.address.port} is in use by this process"
    assert error.errno == errno.EADDRINUSE


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who")
def test_a_port_that_another_process_holds_is_refused_with_its_name(start_peer: Callable[..., Any]) -> None:
    port = free_port()
    peer = start_peer("nc", "-l", "127.0.0.1", port)
    while holder_of(Address("127.0.0.1", port)) is None:
        coloop.yield_now()
    assert str(refused(f":{port}")) == f"port {port} is in use by pid {peer.pid} (nc)"


def test_a_restart_works_at_once() -> None:
    """The connections of the one before are in TIME_WAIT."""
    address = f":{free_port()}"
    with listen(address) as listener:
        client = connect(address)
        listener.accept().close()
        assert client.recv() == b""
        client.close()
    listen(address).close()


def test_a_port_is_shared_only_by_those_who_say_so() -> None:
    with listen(":0", reuse_port=True) as first:
        with listen(first.address, reuse_port=True) as second:
            assert second.address == first.address
        assert refused(first.address).errno == errno.EADDRINUSE


def test_an_address_of_another_machine_is_refused() -> None:
    assert str(refused("192.0.2.1:0")) == "192.0.2.1 is not an address of this machine"


@pytest.mark.parametrize("address", ["udp::0", "unixgram:/x"])
def test_datagrams_have_no_connections(address: str) -> None:
    for call in (listen, lambda where: coloop.serve(where, print)):
        with pytest.raises(ValueError, match=r"has no connections to listen for: use bind\("):
            call(address)


def test_a_port_that_cannot_be_listened_on_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr("socket.socket.listen", refuse)
    assert str(refused(f"unix:{tmp_path}/s")) == f"unix:{tmp_path}/s is in use"
    assert list(tmp_path.iterdir()) == []


def test_a_backlog_is_a_positive_number() -> None:
    with pytest.raises(ValueError, match="backlog must be 1 or more, not 0"):
        listen(":0", backlog=0)


def test_a_name_with_two_addresses_is_taken_as_ipv4() -> None:
    with listen("localhost:0") as listener:
        assert listener.address.host == "127.0.0.1"


def test_ipv6_stands_apart_from_ipv4() -> None:
    try:
        listener = listen("[::1]:0")
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with listener, connect(listener.address) as client:
        assert str(client.peer) == f"[::1]:{listener.address.port}"
        with listener.accept() as server:
            assert server.peer == client.local
        assert listener._raw.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


# -- troubles of accept --------------------------------------------------------------------------


class TroubledSocket(socket.socket):
    """Its `accept` fails with each of `troubles` before it works."""

    troubles: list[int]

    def accept(self) -> Any:
        if self.troubles:
            number = self.troubles.pop(0)
            raise OSError(number, os.strerror(number))
        return super().accept()


def troubled_listener(*troubles: int) -> Listener:
    raw = TroubledSocket(socket.AF_INET, socket.SOCK_STREAM)
    raw.bind(("127.0.0.1", 0))
    raw.listen()
    raw.troubles = list(troubles)
    return Listener(raw)


def test_a_connection_that_was_lost_before_it_was_accepted_is_passed_over() -> None:
    with troubled_listener(errno.ECONNABORTED, errno.EPROTO) as listener, connect(listener.address):
        listener.accept(timeout=30).close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
def test_when_resources_run_out_the_connection_still_waits(number: int) -> None:
    with troubled_listener(number) as listener, connect(listener.address):
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            listener.accept()
        assert caught.value.errno == number
        listener.accept(timeout=30).close()


# -- unix sockets --------------------------------------------------------------------------------


def test_a_unix_socket_serves_and_takes_its_file_along(tmp_path: Path) -> None:
    path = tmp_path / "echo.sock"
    with listen(f"unix:{path}") as listener, connect(f"unix:{path}") as client, listener.accept() as server:
        assert str(client.peer) == f"unix:{path}"
        assert server.peer is None
        assert server.kind == "unix"
        client.sendall(b"x")
        assert server.recv() == b"x"
        assert server._readable  # a short read of a unix socket proves nothing
        assert (listener.info().kind, listener.info().kernel) == ("unix", "LISTEN")
        server.close()
        assert path.exists()
    assert not path.exists()


def test_a_caller_may_have_a_name_too(tmp_path: Path) -> None:
    names = [f"{tmp_path}/caller", f"{tmp_path}/" + "x" * (107 - len(f"{tmp_path}/"))]
    if sys.platform == "linux":
        names += [f"\0coloop-{os.getpid()}-caller", "\0a\0b"]
    with listen(f"unix:{tmp_path}/s") as listener:
        for name in names:
            with socket.socket(socket.AF_UNIX) as caller:
                caller.bind(name)
                caller.connect(f"{tmp_path}/s")
                with listener.accept() as server:
                    assert server.peer == Address(path=name.replace("\0", "@", 1))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract names")
def test_an_abstract_name_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"@coloop-{os.getpid()}"
    (tmp_path / name).write_text("precious")
    with listen(f"unix:{name}") as listener, connect(f"unix:{name}") as client, listener.accept() as server:
        assert str(listener.address) == str(client.peer) == str(server.local) == f"unix:{name}"
        client.sendall(b"x")
        assert server.recv() == b"x"
        assert str(refused(f"unix:{name}")) == f"unix:{name} is in use"
    assert (tmp_path / name).read_text() == "precious"
    with pytest.raises(ConnectionRefusedError):
        connect(f"unix:{name}")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract names")
def test_a_real_client_reaches_an_abstract_name_and_a_file(
    start_peer: Callable[..., Any], tmp_path: Path
) -> None:
    abstract = f"coloop-{os.getpid()}-real"
    for place, command in (
        (f"unix:@{abstract}", ("socat", "-", f"ABSTRACT-CONNECT:{abstract}")),
        (f"unix:{tmp_path}/s", ("nc", "-U", f"{tmp_path}/s")),
    ):
        with listen(place) as listener:
            peer = start_peer(*command)
            with listener.accept(timeout=30) as server:
                peer.stdin.write(b"hello\n")
                peer.stdin.flush()
                assert server.recv_until(b"\n", timeout=30) == b"hello\n"
                server.sendall(b"hello yourself")
            assert coloop.to_thread(peer.stdout.read, 14) == b"hello yourself"


def test_a_dead_socket_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    with listen(f"unix:{path}"), connect(f"unix:{path}"):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who")
def test_a_living_socket_file_is_refused_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "live.sock"
    with listen(f"unix:{path}") as listener:
        assert str(refused(f"unix:{path}")) == f"unix:{path} is in use by this process"
        listener.accept(timeout=30).close()
        assert path.exists()


def test_a_socket_that_is_too_busy_to_answer_is_not_dead(tmp_path: Path) -> None:
    path = tmp_path / "busy.sock"
    with listen(f"unix:{path}", backlog=1):
        waiting = [connect(f"unix:{path}") for _ in range(2)]
        assert str(refused(f"unix:{path}")) == f"unix:{path} is in use"
        for client in waiting:
            client.close()


def test_a_socket_of_another_kind_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "datagram.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        assert "cannot listen on" in str(refused(f"unix:{path}"))
    assert path.exists()


@pytest.mark.parametrize("kind", ["a file", "a folder", "a symbolic link"])
def test_what_is_no_socket_is_not_touched(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "precious"
    if kind == "a file":
        path.write_text("precious")
    elif kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    before = path.lstat()
    assert str(refused(f"unix:{path}")) == f"unix:{path} is there already and is {kind}, not a socket"
    assert path.lstat() == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "no" / "such.sock"
    assert str(refused(f"unix:{path}")) == f"cannot listen on unix:{path}: no such file or directory"


def test_a_file_that_is_no_longer_ours_stays(tmp_path: Path) -> None:
    path = tmp_path / "taken.sock"
    with listen(f"unix:{path}"):
        path.unlink()
        path.write_text("somebody else's")
    assert path.read_text() == "somebody else's"


def test_a_process_that_was_killed_leaves_a_file_that_the_next_replaces(tmp_path: Path) -> None:
    path = tmp_path / "killed.sock"
    script = f"import socket; s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); s.listen(); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        coloop.to_thread(other.stdout.readline)
        assert f"is in use by pid {other.pid} (python" in str(refused(f"unix:{path}"))
        other.kill()
    listen(f"unix:{path}").close()
