"""Messages between addresses: each whole, or told not to be; and nothing but a close ends a socket."""

import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import coloop
from coloop._address import Address
from coloop._connect import connect
from coloop._datagram import DatagramSocket, bind
from coloop._kernel import holder_of
from coloop.testing import MockClock, wait_until_idle
from tests.ports import free_port

from .conftest import open_descriptors

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux does so")

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(params=["udp", "unixgram"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where to bind: each time another address."""
    return "udp::0" if request.param == "udp" else f"unixgram:{tmp_path}/bound.sock"


@contextmanager
def server_and_client(place: str) -> Iterator[tuple[DatagramSocket, DatagramSocket]]:
    with bind(place) as server, client_of(server) as client:
        yield server, client


def client_of(server: DatagramSocket) -> DatagramSocket:
    client = connect(server.address)
    assert isinstance(client, DatagramSocket)
    return client


def echo(sock: DatagramSocket) -> None:
    while True:
        data, sender = sock.recvfrom()
        sock.sendto(data, sender)


def pair() -> tuple[DatagramSocket, DatagramSocket]:
    """Two that are connected to each other, so that the kernel tells each when the other has room."""
    with bind(":0") as first, bind(":0") as second:
        left, right = first.address, second.address
    one = connect(right, local=left)
    other = connect(left, local=right)
    assert isinstance(one, DatagramSocket)
    assert isinstance(other, DatagramSocket)
    return one, other


# -- messages ------------------------------------------------------------------------------------


def test_an_echo_server_is_a_loop_of_two_lines(place: str) -> None:
    with server_and_client(place) as (server, client):
        echoing = coloop.go(echo, server)
        assert echoing.waiting_on == f"recv {server}"
        for word in (b"one", b"two", b"", bytes(9000)):
            assert client.send(word) == len(word)
            assert client.recv() == word
        echoing.cancel()


def test_each_message_stays_by_itself(place: str) -> None:
    with server_and_client(place) as (server, client):
        for word in (b"a", b"bc", b"def"):
            client.sendall(word)
        assert [server.recv(), server.recv(), server.recv()] == [b"a", b"bc", b"def"]
        assert (client.sent, server.received) == (6, 6)


def test_an_empty_message_is_a_message_and_no_end(place: str) -> None:
    with server_and_client(place) as (server, client):
        reader = coloop.go(server.recvfrom)
        client.send(b"")
        assert reader.result() == (b"", client.local)
        client.send(b"")
        assert server.peek() == b""
        assert server.recv_into(bytearray(1)) == 0
        client.send(b"x")
        assert server.recv() == b"x"
        assert server.state == client.state == "open"


def test_a_message_that_is_longer_than_asked_for_is_told(place: str) -> None:
    with server_and_client(place) as (server, client):
        client.send(b"123456")
        with pytest.raises(coloop.Truncated) as caught:
            server.recv(4)
        assert str(caught.value) == (
            f"{server}: a datagram from {client.local} was longer than 4 bytes, the rest is lost"
        )
        assert (caught.value.beginning, caught.value.sender) == (b"1234", client.local)
        client.send(b"abcdef")
        buffer = bytearray(b"....")
        with pytest.raises(coloop.Truncated):
            server.recv_into(buffer, 3)
        assert buffer == b"abc."
        client.send(b"just")
        assert server.recv(4) == b"just"


def test_peek_leaves_the_message_and_cuts_nothing(place: str) -> None:
    with server_and_client(place) as (server, client):
        client.send(b"123456")
        assert [server.peek(2), server.peek()] == [b"12", b"123456"]
        assert server.received == 0
        buffer = bytearray(8)
        assert server.recv_into(buffer) == server.received == 6
        assert buffer == b"123456\0\0"
        with pytest.raises(coloop.Timeout):
            server.peek(timeout=0.001)


def test_a_message_that_is_too_long_is_not_sent() -> None:
    with server_and_client("udp::0") as (server, client), bind(":0") as other:
        for send in (client.send, lambda data: other.sendto(data, server.address)):
            with pytest.raises(OSError, match=r"a datagram of 70000 bytes is too long for udp$") as caught:
                send(bytes(70_000))
            assert caught.value.errno == errno.EMSGSIZE
        client.send(b"x")
        assert server.recv() == b"x"


def test_the_longest_datagram_comes_whole_and_one_byte_more_is_refused() -> None:
    with server_and_client("udp:127.0.0.1:0") as (server, client):
        echoing = coloop.go(echo, server)
        with pytest.raises(OSError, match=r"a datagram of 65508 bytes is too long for udp$"):
            client.send(bytes(65_508))
        client.send(b"x" * 65_507)
        assert client.recv() == b"x" * 65_507
        echoing.cancel()


def test_a_peer_hears_nobody_else() -> None:
    with server_and_client("udp::0") as (server, client), bind(":0") as stranger:
        stranger.sendto(b"from a stranger", client.local)
        assert client.send(b"question") == 8
        server.sendto(b"answer", server.recvfrom()[1])
        assert client.recv() == b"answer"
        with pytest.raises(coloop.Timeout):
            client.recv(timeout=0.001)


def test_a_name_is_looked_up_before_the_lane_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow name server must not keep the others from sending."""
    gate = threading.Event()
    real = coloop._address._look_up  # type: ignore[attr-defined]

    def look_up(host: bytes, port: int, flags: int) -> Any:
        if host == b"slow.example" and not flags & socket.AI_NUMERICHOST:
            gate.wait(30)
            host = b"127.0.0.1"
        return real(host, port, flags)

    monkeypatch.setattr("coloop._address._look_up", look_up)
    with bind(":0") as server, bind(":0") as client:
        slow = coloop.go(client.sendto, b"slow", f"slow.example:{server.address.port}")
        assert slow.state == "waiting"
        client.sendto(b"quick", server.address)
        assert server.recv() == b"quick"
        gate.set()
        assert server.recv() == b"slow"
        assert slow.result() == 4


def test_an_address_may_be_given_in_any_form() -> None:
    with bind("udp:localhost:0") as server, bind(("127.0.0.1", 0)) as client:
        port = server.address.port
        for address in (server.address, str(server.address), f"127.0.0.1:{port}", f":{port}", ("", port)):
            client.sendto(b"x", address)
            assert server.recvfrom() == (b"x", client.address)


# -- refusals ------------------------------------------------------------------------------------


@linux_only
def test_a_refusal_is_told_to_who_waits_and_the_socket_lives_on(fails: Any) -> None:
    with bind(f":{free_port()}") as server:
        address = server.address
        client = connect(address)
    reader = fails(client.recv)
    client.send(b"is anybody there?")
    error = reader.result()
    assert isinstance(error, ConnectionRefusedError)
    assert str(error) == f"{client} was refused: nobody listens on {address}"
    assert client.state == "open"
    with bind(address) as server:
        client.send(b"again")
        assert server.recvfrom() == (b"again", client.local)
        server.sendto(b"yes", client.local)
        assert client.recv() == b"yes"
    client.close()


@linux_only
def test_a_refusal_is_told_to_who_sends_next_whose_message_is_not_sent() -> None:
    with bind(f":{free_port()}") as server:
        address = server.address
        client = connect(address)
    client.send(b"lost")
    with bind(address) as server:
        wait_until_idle()
        with pytest.raises(ConnectionRefusedError, match="was refused: nobody listens on"):
            client.send(b"not sent")
        client.send(b"sent")
        assert server.recv() == b"sent"
    client.close()


def test_a_unix_peer_that_has_gone_refuses_until_it_is_back(tmp_path: Path) -> None:
    place = f"unixgram:{tmp_path}/server.sock"
    with bind(place) as server:
        client = client_of(server)
        client.send(b"x")
    for _ in range(2):
        with pytest.raises(
            ConnectionRefusedError, match=rf"^{client} was refused: nobody listens on {place}$"
        ):
            client.send(b"x")
    with bind(place) as server:
        client.send(b"back")
        assert server.recv() == b"back"
        server.sendto(b"welcome", client.local)
        assert client.recv() == b"welcome"
    client.close()


def test_a_unix_address_where_nobody_is_refuses(tmp_path: Path) -> None:
    with bind(f"unixgram:{tmp_path}/me") as sock:
        for name, error in (("nothing", FileNotFoundError), ("dead", ConnectionRefusedError)):
            if name == "dead":
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
                    dead.bind(f"{tmp_path}/dead")
            with pytest.raises(error) as caught:
                sock.sendto(b"x", f"unixgram:{tmp_path}/{name}")
            assert str(caught.value) == f"{sock} was refused: nobody listens on unixgram:{tmp_path}/{name}"
        with pytest.raises(FileNotFoundError, match="refused: there is no socket unixgram:"):
            connect(f"unixgram:{tmp_path}/nothing")


# -- waiting for room ----------------------------------------------------------------------------


def fill(send: Callable[[bytes], object]) -> int:
    """How many messages fit in."""
    count = 0
    try:
        while True:
            send(b"%d" % count)
            count += 1
    except coloop.Timeout:
        return count


def test_a_sender_waits_for_its_unix_peer_to_read(tmp_path: Path) -> None:
    with server_and_client(f"unixgram:{tmp_path}/s") as (server, client):
        count = fill(lambda data: client.send(data, timeout=0))
        sender = coloop.go(client.send, b"last")
        assert sender.waiting_on == f"send {client}"
        with pytest.raises(coloop.Busy, match=rf"^{client} is being written to by {sender} "):
            client.send(b"x")
        assert [server.recv() for _ in range(count)] == [b"%d" % i for i in range(count)]
        assert server.recv() == b"last"
        assert sender.result() == 4


def test_a_sender_waits_for_a_unix_address_to_read(tmp_path: Path, mock_clock: MockClock) -> None:
    """No event tells of room there."""
    with (
        bind(f"unixgram:{tmp_path}/s") as server,
        bind(f"unixgram:{tmp_path}/c") as client,
        bind(f"unixgram:{tmp_path}/other") as other,
    ):
        count = fill(lambda data: other.sendto(data, server.address, timeout=0))
        assert other.sent >= count
        sender = coloop.go(client.sendto, b"last", server.address)
        wait_until_idle()
        assert sender.waiting_on == f"send {client}"
        with pytest.raises(coloop.Busy, match=rf"^{client} is being written to by {sender} "):
            client.sendto(b"x", server.address)
        assert [server.recv() for _ in range(count + 1)] == [*(b"%d" % i for i in range(count)), b"last"]
        assert sender.result() == 4


def test_a_sender_that_naps_hears_of_a_close_and_of_a_cancel(tmp_path: Path, fails: Any) -> None:
    with bind(f"unixgram:{tmp_path}/s") as server, bind(f"unixgram:{tmp_path}/c") as client:
        count = fill(lambda data: client.sendto(data, server.address, timeout=0))
        cancelled = coloop.go(client.sendto, b"x", server.address)
        cancelled.cancel()
        cancelled.join()
        sender = fails(client.sendto, b"x", server.address)
        client.close()
        assert str(sender.result()) == f"{client} was closed by co#1"
        assert [server.recv() for _ in range(count)] == [b"%d" % i for i in range(count)]
        with pytest.raises(coloop.Timeout):
            server.recv(timeout=0)


# -- who may use it, and how it ends -------------------------------------------------------------


def test_one_reads_and_another_writes(place: str) -> None:
    with server_and_client(place) as (server, client):
        reader = coloop.go(server.recvfrom, name="first")
        for read in (server.recv, server.recvfrom, server.peek, lambda: server.recv_into(bytearray(1))):
            with pytest.raises(coloop.Busy, match=rf"^{server} is being read by {reader} 'first' "):
                read()
        server.sendto(b"x", client.local)
        assert client.recv() == b"x"
        client.send(b"for the first")
        assert reader.result() == (b"for the first", client.local)


def test_closing_wakes_who_waits_and_says_who_did_it(place: str, fails: Any) -> None:
    with bind(place) as sock:
        reader = fails(sock.recv)
        closer = coloop.go(sock.close)
        assert str(reader.result()) == f"{sock} was closed by {closer}"
        assert sock.close() is None
        for call in (sock.recv, sock.peek, lambda: sock.sendto(b"x", sock.address)):
            with pytest.raises(coloop.Closed, match=f"was closed by {closer}"):
                call()


def test_a_close_has_nothing_to_wait_for(place: str, mock_clock: MockClock) -> None:
    with server_and_client(place) as (server, client):
        client.send(b"on its way")
        assert client.close(linger=5) is None
        assert mock_clock.now() == 0
        assert server.recv() == b"on its way"
        with pytest.raises(ValueError, match="linger"):
            server.close(linger=-1)
        assert not server.closed


def test_who_was_interrupted_leaves_the_lane_and_the_message(place: str) -> None:
    with server_and_client(place) as (server, client):
        reader = coloop.go(server.recvfrom)
        reader.cancel()
        reader.join()
        with pytest.raises(coloop.Timeout, match=rf"^recv {server}: timed out after 0.001s$"):
            server.recv(timeout=0.001)
        client.send(b"x")
        assert server.recv(timeout=0) == b"x"


def test_a_killed_reader_leaves_the_lane_and_the_message(place: str) -> None:
    with server_and_client(place) as (server, client):
        reader = coloop.go(server.recvfrom)
        assert coloop.current_scheduler().kill(reader) == "ended"
        client.send(b"x")
        assert server.recv() == b"x"


def test_data_that_is_there_beats_a_deadline_that_has_passed(place: str, mock_clock: MockClock) -> None:
    mock_clock.autojump = False
    with server_and_client(place) as (server, client):
        reader = coloop.go(server.recv, timeout=5)
        client.send(b"in time")
        mock_clock.advance(6)
        assert reader.result() == b"in time"


def test_a_foreign_thread_is_sent_away(place: str) -> None:
    with bind(place) as sock:
        for call in (sock.recv, lambda: sock.sendto(b"x", sock.address)):
            with pytest.raises(coloop.WrongThread, match=rf"^{sock} belongs to thread"):
                coloop.to_thread(call)


def test_without_a_scheduler_nothing_is_bound(tmp_path: Path) -> None:
    def try_it() -> None:
        with pytest.raises(coloop.NotRunning):
            bind(f"unixgram:{tmp_path}/s")

    coloop.to_thread(try_it)
    assert list(tmp_path.iterdir()) == []


def test_what_is_for_streams_is_refused_by_name() -> None:
    with bind(":0") as sock:
        for name, arguments in (
            ("recv_exactly", (1,)),
            ("recv_until", (b"\n",)),
            ("sendfile", (None,)),
            ("shutdown", ("write",)),
        ):
            with pytest.raises(OSError, match=f"^{sock} is for datagrams, {name} is for streams$") as caught:
                getattr(sock, name)(*arguments)
            assert caught.value.errno == errno.EOPNOTSUPP


def test_a_wrong_way_to_send_says_the_right_one(tmp_path: Path) -> None:
    with server_and_client("udp::0") as (server, client), bind(f"unixgram:{tmp_path}/s") as unix:
        with pytest.raises(OSError, match=rf"^{server} has no peer: use sendto\(data, address\)$"):
            server.send(b"x")
        with pytest.raises(OSError, match=rf"^{client} talks to {server.address} only: use send\(data\)"):
            client.sendto(b"x", server.address)
        with pytest.raises(OSError, match=f"{unix} is unixgram .* cannot reach {server.address}"):
            unix.sendto(b"x", server.address)
        with pytest.raises(ValueError, match="is the address of a stream"):
            unix.sendto(b"x", "unix:/x")
        with pytest.raises(ValueError, match="n must be 1 or more bytes, not 0"):
            server.recv(0)
        with pytest.raises(TypeError, match="bytes-like"):
            client.send("text")  # type: ignore[arg-type]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
            nameless.sendto(b"x", f"{tmp_path}/s")
            data, sender = unix.recvfrom()
        assert (data, str(sender)) == (b"x", "unixgram:")
        with pytest.raises(OSError, match="who has no name cannot be sent anything"):
            unix.sendto(b"x", sender)


# -- places --------------------------------------------------------------------------------------


def test_port_0_becomes_a_real_one_on_this_machine_only() -> None:
    with bind("udp::0") as sock:
        assert sock.address == sock.local
        assert (sock.address.host, sock.address.kind) == ("127.0.0.1", "udp")
        assert sock.address.port > 0
        assert str(sock) == f"socket#{sock.id}"
        assert repr(sock) == f"<DatagramSocket#{sock.id} udp {sock.address} open>"


@linux_only
def test_a_port_in_use_is_refused_with_its_holder() -> None:
    with bind(f":{free_port()}") as sock:  # whose number nobody has for TCP either
        before = open_descriptors()
        with pytest.raises(OSError, match=f"^port {sock.address.port} is in use by this process$") as caught:
            bind(sock.address)
        assert caught.value.errno == errno.EADDRINUSE
        assert open_descriptors() == before
        assert holder_of(Address("127.0.0.1", sock.address.port)) is None  # that would be TCP


def test_a_port_is_shared_only_by_those_who_say_so() -> None:
    with bind(":0", reuse_port=True) as first:
        with bind(first.address, reuse_port=True) as second:
            assert second.address == first.address
        with pytest.raises(OSError, match="is in use"):
            bind(first.address)


def test_a_unix_file_is_replaced_only_when_nobody_listens_and_goes_with_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))
    with bind(f"unixgram:{path}") as server:
        with pytest.raises(OSError, match=f"^unixgram:{path} is in use$"):
            bind(f"unixgram:{path}")
        assert path.exists()
        with pytest.raises(OSError, match="cannot listen on"):
            coloop.listen(f"unix:{path}")
        with connect(f"unixgram:{path}", local=f"unixgram:{tmp_path}/c") as client:
            client.send(b"x")
            assert server.recvfrom() == (b"x", Address(path=f"{tmp_path}/c", datagram=True))
        assert not (tmp_path / "c").exists()
    assert not path.exists()


@linux_only
def test_an_abstract_name_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"@coloop-{os.getpid()}"
    (tmp_path / name).write_text("precious")
    with server_and_client(f"unixgram:{name}") as (server, client):
        assert str(server.address) == f"unixgram:{name}"
        client.send(b"x")
        server.sendto(*server.recvfrom())
        assert client.recv() == b"x"
        with pytest.raises(OSError, match=f"^unixgram:{name} is in use$"):
            bind(f"unixgram:{name}")
    assert (tmp_path / name).read_text() == "precious"


def test_ipv6_has_its_own_port() -> None:
    try:
        server = bind("udp:[::1]:0")
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with server, client_of(server) as client, bind(f"udp:127.0.0.1:{server.address.port}") as other:
        assert server._raw.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        client.send(b"x")
        data, sender = server.recvfrom()
        assert (data, sender) == (b"x", client.local)
        assert str(sender).startswith("udp:[::1]:")
        server.sendto(b"y", sender)
        assert client.recv() == b"y"
        with pytest.raises(OSError, match=f"{other} is udp on .*, it cannot reach udp:"):
            other.sendto(b"x", server.address)


# -- looking -------------------------------------------------------------------------------------


@linux_only
def test_a_picture_shows_what_is_bound_and_what_has_a_peer(place: str) -> None:
    with server_and_client(place) as (server, client):
        reader = coloop.go(client.recv)
        client.send(b"12345")
        client.send(b"next")
        bound, connected = coloop.snapshot().sockets
        assert (bound.role, bound.kind, bound.state, bound.kernel) == ("bound", server.kind, "open", "UNCONN")
        assert (bound.local, bound.peer, bound.reader) == (str(server.address), None, None)
        assert bound.unread == 5  # of the next
        assert (connected.role, connected.kernel, connected.peer) == ("client", "ESTABLISHED", bound.local)
        assert (connected.sent, connected.reader, connected.owner) == (9, reader.id, 1)
        assert bound.local.startswith(f"{server.kind}:")
        reader.cancel()


@linux_only
def test_what_a_unix_peer_has_not_taken_is_shown(tmp_path: Path) -> None:
    with server_and_client(f"unixgram:{tmp_path}/s") as (server, client):
        client.send(bytes(1000))
        held = client.info().unsent
        assert held is not None
        assert held > 1000
        server.recv()
        assert client.info().unsent == 0


# -- with others ---------------------------------------------------------------------------------


def test_a_real_client_is_echoed(start_peer: Start) -> None:
    with bind(":0") as server:
        echoing = coloop.go(echo, server)
        for command in (
            ("nc", "-u", "-w", "5", "127.0.0.1", server.address.port),
            ("ncat", "-u", "127.0.0.1", server.address.port),
            ("socat", "-", f"UDP:127.0.0.1:{server.address.port}"),
        ):
            peer = start_peer(*command)
            assert peer.stdin is not None
            assert peer.stdout is not None
            peer.stdin.write(b"hello\n")
            peer.stdin.flush()
            assert coloop.to_thread(peer.stdout.readline) == b"hello\n"
        echoing.cancel()


def test_we_are_a_client_of_a_real_server(start_peer: Start) -> None:
    address = Address("127.0.0.1", free_port(), datagram=True)
    start_peer("socat", f"UDP-LISTEN:{address.port},bind=127.0.0.1", "EXEC:cat")
    while holder_of(address) is None:
        coloop.yield_now()
    with connect(address) as client:
        for word in (b"one", b"two"):
            client.send(word)
            assert client.recv(timeout=30) == word


def test_a_real_unix_client_is_echoed(start_peer: Start, tmp_path: Path) -> None:
    with bind(f"unixgram:{tmp_path}/s") as server:
        echoing = coloop.go(echo, server)
        peer = start_peer("socat", "-", f"UNIX-SENDTO:{tmp_path}/s,bind={tmp_path}/c")
        assert peer.stdin is not None
        assert peer.stdout is not None
        peer.stdin.write(b"hello\n")
        peer.stdin.flush()
        assert coloop.to_thread(peer.stdout.readline) == b"hello\n"
        echoing.cancel()
