import errno
import os
import socket
import subprocess
import sys

import pytest

from coloop._address import Address
from coloop._kernel import (
    describe_process,
    holder_of,
    kernel_state,
    reason,
    tcp_state,
    told,
    unix_peer,
    unread_bytes,
    unsent_bytes,
)
from tests.ports import free_port

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@linux_only
def test_the_states_of_a_connection_have_names() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert tcp_state(listener) == "LISTEN"
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    assert tcp_state(client) == "ESTABLISHED"
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    assert tcp_state(server) == "CLOSE_WAIT"
    assert tcp_state(client) in {"FIN_WAIT1", "FIN_WAIT2"}  # until the acknowledgement, and after it
    client.close()
    server.close()
    assert tcp_state(server) is None


@linux_only
def test_queues_are_counted_in_both_directions() -> None:
    left, right = socket.socketpair()
    left.send(b"12345")
    assert unread_bytes(right) == 5
    assert unread_bytes(left) == 0
    assert unsent_bytes(left) > 0  # type: ignore[operator]
    assert right.recv(10) == b"12345"
    assert unsent_bytes(left) == 0
    assert tcp_state(left) is None
    left.close()
    right.close()
    assert unread_bytes(left) is None
    assert unsent_bytes(left) is None


@linux_only
def test_unix_sockets_have_states_in_the_same_words() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        assert kernel_state(listener) == "UNCONN"
        listener.bind(b"")
        listener.listen()
        assert kernel_state(listener) == "LISTEN"
    left, right = socket.socketpair()
    assert kernel_state(left) == "ESTABLISHED"
    left.send(b"unread")
    left.shutdown(socket.SHUT_WR)
    assert kernel_state(left) == "ESTABLISHED"
    assert kernel_state(right) == "CLOSE_WAIT"
    right.close()
    assert kernel_state(left) == "CLOSE_WAIT"
    left.close()
    assert kernel_state(left) is None


@linux_only
def test_datagram_sockets_have_a_peer_or_not() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert tcp_state(sock) is None
        assert kernel_state(sock) == "UNCONN"
        sock.connect(("127.0.0.1", 9))
        assert kernel_state(sock) == "ESTABLISHED"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert kernel_state(listener) == "LISTEN"


@linux_only
def test_of_datagrams_the_next_is_measured() -> None:
    left, right = socket.socketpair(type=socket.SOCK_DGRAM)
    left.send(b"12345")
    left.send(b"123")
    assert unread_bytes(right) == 5
    right.close()
    left.close()


@linux_only
def test_who_is_reached_with_datagrams_cannot_be_named() -> None:
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client,
    ):
        server.bind(b"")
        client.connect(server.getsockname())
        assert unix_peer(client) is None


def test_an_error_of_ours_reads_plainly_and_keeps_class_and_number() -> None:
    error = told(errno.ECONNREFUSED, "refused: nobody listens")
    assert isinstance(error, ConnectionRefusedError)
    assert str(error) == "refused: nobody listens"
    assert error.errno == errno.ECONNREFUSED


def test_a_reason_ends_a_sentence() -> None:
    assert reason(OSError(errno.EMFILE, os.strerror(errno.EMFILE))) == "too many open files"
    assert reason(told(errno.EMFILE, "ours")) == "ours"


@linux_only
def test_the_holder_of_a_port_is_found() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        address = Address(*listener.getsockname())
        assert holder_of(address) == "this process"
        assert holder_of(Address(*listener.getsockname(), datagram=True)) is None
    assert holder_of(address) is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        assert holder_of(Address(*bound.getsockname(), datagram=True)) == "this process"


@linux_only
def test_another_process_is_named_with_its_program() -> None:
    script = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        assert str(holder_of(Address("127.0.0.1", port))).startswith(f"pid {other.pid} (python")
        other.communicate("\n")


@linux_only
def test_the_other_end_of_a_unix_connection_is_named() -> None:
    left, right = socket.socketpair()
    assert unix_peer(left) == "this process"
    left.close()
    right.close()


def test_a_process_that_is_gone_is_a_number() -> None:
    assert describe_process(2**22 + 1) == f"pid {2**22 + 1}"
