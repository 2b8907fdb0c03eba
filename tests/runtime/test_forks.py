import os
import signal
from collections.abc import Callable

import pytest

import coloop
from coloop._connect import connect
from coloop._listener import listen
from coloop._server import serve
from coloop._socket import Socket
from coloop.testing import socket_pair
from tests.patience import PATIENCE_S

pytestmark = [
    pytest.mark.coroutine,
    pytest.mark.usefixtures("backend"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]


def in_a_child(call: Callable[[], object]) -> str:
    """What `call` says, or fails with, in a child that is a fork of this process."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(int(PATIENCE_S))  # one that waits for ever would outlive the test
        try:
            said = str(call())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    os.waitpid(child, 0)
    return said


USES: dict[str, Callable[[Socket], object]] = {
    "recv": lambda socket: socket.recv(),
    "send": lambda socket: socket.send(b"x"),
    "sendall": lambda socket: socket.sendall(b"x"),
    "offer": lambda socket: socket.offer(b"x"),
    "peek": lambda socket: socket.peek(),
    "shutdown": lambda socket: socket.shutdown(),
}


@pytest.mark.parametrize("use", USES)
def test_a_child_cannot_use_a_connection_of_its_parent_and_the_parent_can(use: str) -> None:
    with serve(":0", lambda conn: conn.sendall(conn.recv())) as server, connect(server.address) as client:
        said = in_a_child(lambda: USES[use](client))
        assert said.startswith(
            f"WrongProcess: client#{client.id} to {server.address} was opened in process {os.getpid()} and is used in process "
        )
        assert said.endswith(": open it where it is used, in on_worker_start")
        assert said.count(f"process {os.getpid()}") == 1
        client.sendall(b"mine")
        assert client.recv() == b"mine"


def test_a_child_cannot_accept_for_its_parent() -> None:
    with listen(":0") as listener:
        said = in_a_child(listener.accept)
        assert said.startswith(
            f"WrongProcess: listener#{listener.id} on {listener.address} was opened in process "
        )


def test_a_child_that_closes_a_connection_closes_nothing_of_its_parent_s() -> None:
    ours, theirs = socket_pair()
    with ours, theirs:
        assert in_a_child(ours.close) == "None"
        ours.sendall(b"still open")
        assert theirs.recv() == b"still open"


def test_a_child_that_closes_a_listener_leaves_its_file(tmp_path: object) -> None:
    with listen(f"unix:{tmp_path}/s") as listener:
        in_a_child(listener.abandon)
        with connect(listener.address):
            pass


def test_the_scheduler_of_the_parent_is_not_there_and_another_can_be_started() -> None:
    assert in_a_child(lambda: coloop.run(lambda: "ran")) == "ran"
    assert in_a_child(lambda: coloop.sleep(0)).startswith("NotRunning: no scheduler runs on this thread")


def test_what_the_child_opens_itself_works() -> None:
    def converse() -> bytes:
        one, other = socket_pair()
        one.sendall(b"hello")
        return other.recv()

    assert in_a_child(lambda: coloop.run(converse)) == "b'hello'"


def test_a_child_makes_its_calls_on_threads_of_its_own() -> None:
    """Those of its parent, which may be idle at the fork, are not there."""
    coloop.to_thread(int)
    assert in_a_child(lambda: coloop.run(coloop.to_thread, os.getpid)).isdecimal()


def test_a_child_can_look_names_up() -> None:
    def listen_on_a_name() -> str:
        with listen("localhost:0") as listener:
            return type(listener).__name__

    coloop.to_thread(int)
    assert in_a_child(lambda: coloop.run(listen_on_a_name)) == "Listener"


def test_a_child_ends_by_a_signal_that_a_coroutine_of_its_parent_listens_to() -> None:
    def take_the_signal() -> str:
        signal.raise_signal(signal.SIGTERM)
        return "swallowed"

    with coloop.signals(signal.SIGTERM, signal.SIGINT) as inbox:
        assert in_a_child(take_the_signal) == ""
        assert in_a_child(lambda: signal.getsignal(signal.SIGTERM)) == str(signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
        assert inbox.receive() is signal.SIGTERM


def test_a_child_can_listen_itself() -> None:
    def listen_again() -> str:
        with coloop.signals(signal.SIGTERM) as inbox:
            signal.raise_signal(signal.SIGTERM)
            return inbox.receive().name

    with coloop.signals(signal.SIGTERM):
        assert in_a_child(lambda: coloop.run(listen_again)) == "SIGTERM"


@pytest.mark.parametrize("listened_to", [(), (signal.SIGINT,)])
def test_ctrl_c_strikes_in_a_child_that_any_coroutine_has_forked(listened_to: tuple[int, ...]) -> None:
    def fork() -> str:
        if not listened_to:
            return in_a_child(lambda: signal.raise_signal(signal.SIGINT))
        with coloop.signals(*listened_to):
            return in_a_child(lambda: signal.raise_signal(signal.SIGINT))

    assert coloop.go(fork).result() == "KeyboardInterrupt: "


def test_a_child_that_another_thread_has_forked_does_not_ring_its_parent_s_bell() -> None:
    assert coloop.to_thread(in_a_child, lambda: signal.set_wakeup_fd(-1)) == "-1"
