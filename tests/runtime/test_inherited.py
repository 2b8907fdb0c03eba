import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import coloop
from coloop._connect import connect
from coloop._inherited import adopt
from coloop._listener import listen
from coloop._server import serve
from tests.ports import free_port

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]


def listening(family: int = socket.AF_INET, name: object = ("127.0.0.1", 0)) -> socket.socket:
    raw = socket.socket(family)
    raw.bind(name)  # type: ignore[arg-type]
    raw.listen()
    return raw


def test_a_socket_that_listens_is_taken_over_by_its_number() -> None:
    raw = socket.create_server(("127.0.0.1", free_port()))
    address = raw.getsockname()
    with listen(f"fd:{raw.detach()}") as listener:
        assert (listener.address.host, listener.address.port) == address
        with connect(address), listener.accept():
            pass
        assert not os.get_inheritable(listener.fileno())
    with pytest.raises(ConnectionRefusedError):
        connect(address)


def test_the_file_of_a_unix_socket_is_left_to_who_has_bound_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    raw = listening(socket.AF_UNIX, str(path))
    with listen(f"fd:{raw.detach()}") as listener, connect(f"unix:{path}"), listener.accept():
        pass
    assert path.is_socket()


def test_a_connection_is_not_taken_for_a_listener_and_is_left_alone() -> None:
    left, right = socket.socketpair()
    with left, right:
        with pytest.raises(ValueError, match=f"fd:{left.fileno()} does not listen"):
            listen(f"fd:{left.fileno()}")
        left.send(b"whole")
        assert right.recv(5) == b"whole"


def test_a_datagram_socket_and_a_file_are_not_taken_for_listeners(tmp_path: Path) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as raw, pytest.raises(ValueError, match="does not listen"):
        listen(f"fd:{raw.fileno()}")
    with (tmp_path / "file").open("w") as file:
        with pytest.raises(ValueError, match="is no socket"):
            listen(f"fd:{file.fileno()}")
        file.write("whole")


def test_a_number_that_is_not_open_is_told_in_a_line() -> None:
    with pytest.raises(OSError, match="fd:99999 is not open in this process"):
        listen("fd:99999")


@pytest.mark.parametrize("address", ["fd:", "fd:x", "fd:-1", "fd:99999999999", "fd:\u0663"])
def test_what_is_no_number_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is no descriptor: write fd:3"):
        listen(address)


SERVE = """
import sys, coloop

def answer(connection, message):
    connection.send(message.upper())

def main():
    server = coloop.serve(f"fd:{sys.argv[1]}", on_receive=answer, framing="line")
    print("ready", flush=True)
    coloop.to_thread(sys.stdin.read)
    server.stop(drain=5)

coloop.run(main)
"""


def test_a_process_that_is_started_with_a_listener_serves_it_and_another_takes_over_with_nobody_refused() -> (
    None
):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with listening() as raw:

        def start() -> "subprocess.Popen[bytes]":
            pipe = subprocess.PIPE
            process = subprocess.Popen(
                [sys.executable, "-c", SERVE, str(raw.fileno())],
                stdin=pipe,
                stdout=pipe,
                env=environment,
                pass_fds=[raw.fileno()],
            )
            assert process.stdout is not None
            assert coloop.to_thread(process.stdout.readline) == b"ready\n"
            return process

        def ask() -> None:
            with connect(raw.getsockname()) as client:
                client.sendall(b"hello\n")
                assert client.recv_until(b"\n", timeout=30) == b"HELLO\n"

        first = start()
        ask()
        second = start()
        coloop.to_thread(first.communicate, b"", 30)
        for _ in range(20):
            ask()
        coloop.to_thread(second.communicate, b"", 30)
        assert (first.returncode, second.returncode) == (0, 0)


# -- connections -----------------------------------------------------------------------------------


def test_a_connected_socket_of_the_library_s_is_adopted() -> None:
    left, right = socket.socketpair()
    with adopt(left) as ours, right:
        right.send(b"hello")
        assert ours.recv() == b"hello"
        assert ours.kind == "unix"


def test_an_adopted_tcp_connection_knows_its_peer() -> None:
    with serve(":0", lambda conn: conn.sendall(b"hello")) as server:
        raw = socket.create_connection((server.address.host, server.address.port))
        with adopt(raw) as ours:
            assert str(ours.peer) == str(server.address)
            assert ours.recv() == b"hello"


def test_what_is_no_connected_stream_is_not_adopted_and_stays_whose_it_was() -> None:
    for make in (socket.socket, lambda: socket.socket(type=socket.SOCK_DGRAM), listening):
        with make() as raw:  # type: ignore[operator]
            with pytest.raises(ValueError, match=r"only a (stream|connected socket) can be adopted"):
                adopt(raw)
            assert raw.fileno() >= 0


def test_without_a_scheduler_nothing_is_adopted_and_nothing_left_open() -> None:
    def outside() -> None:
        left, right = socket.socketpair()
        with right:
            with pytest.raises(coloop.NotRunning):
                adopt(left)
            assert right.recv(1) == b""

    coloop.to_thread(outside)
