"""Session files that are served: real processes, and real signals."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
SOURCES = os.pathsep.join(str(ROOT / source) for source in ("", "runtime", "plugins"))
PROGRAM = [sys.executable, "-m", "coshell", "serve", "--no-plugins"]
HOUR = "3600s"  # who is connected at the end gets an hour, and not a moment


class Service:
    """`coshell serve` on a file while it runs.

    Args:
        folder: where the file is, and where it runs.
        lines: the file.
        arguments: what else stands on the command line.
        wait: do so until it serves.
        more: for the environment.
    """

    def __init__(self, folder: Path, lines: str, *arguments: str, wait: bool = True, **more: str) -> None:
        self.file = folder / "web.cosh"
        self.file.write_text(lines)
        self.said = ""
        kept = {
            key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH", "COLOOP_PURE") if key in os.environ
        }
        with self._notify_socket(folder) as self.manager:
            self.process = subprocess.Popen(
                [*PROGRAM, "--drain", HOUR, *arguments, str(self.file)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**kept, "PYTHONPATH": SOURCES, "HOME": str(folder), "LANG": "C.UTF-8"}
                | {"NOTIFY_SOCKET": str(folder / "notify"), **more},
                text=True,
            )
            self.manager = self.manager.dup()
        self.manager.settimeout(PATIENCE_S)
        if wait:
            assert self.told().startswith("READY=1\nSTATUS=serving 127.0.0.1:")

    @staticmethod
    @contextmanager
    def _notify_socket(folder: Path) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.bind(str(folder / "notify"))
            yield end

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.manager.close()
        self.process.kill()
        self.process.communicate()

    def told(self) -> str:
        """What the service manager is told next."""
        return self.manager.recv(4096).decode()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, as it has said."""
        while "serving 127" not in self.said:
            self.said += self.line()
        host, _, port = self.said.rpartition("serving ")[2].partition(":")
        return host, int(port)

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "it has ended"
        return line

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, PATIENCE_S)

    def ask(self, text: bytes = b"hello") -> bytes:
        """What a new client gets."""
        with self.connect() as client:
            client.sendall(text)
            return client.recv(100)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def reload(self, lines: str) -> None:
        """Another file, and the signal for it; returns when it serves again."""
        self.file.write_text(lines)
        self.signal(signal.SIGHUP)
        assert self.told().startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert self.told().startswith("READY=1\n")

    def ended(self) -> tuple[int, str]:
        """Its exit code, and the last that it says."""
        assert self.process.stdout is not None
        self.said += self.process.stdout.read()
        return self.process.wait(PATIENCE_S), self.said


def shout(word: str) -> str:
    return f"def shout(c):\n    while c.recv(): c.sendall(b'{word}')\nserve :0 shout --as web\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_with_0(tmp_path: Path, number: int) -> None:
    with Service(tmp_path, shout("one")) as service:
        assert service.ask() == b"one"
        service.signal(number)
        assert service.told() == "STOPPING=1"
        code, said = service.ended()
    assert code == 0, said
    assert said.splitlines()[0].startswith("ok  shout#1 listening on 127.0.0.1:")
    assert "Traceback" not in said


def test_who_is_connected_at_the_end_is_served_to_the_end(tmp_path: Path) -> None:
    with Service(tmp_path, shout("one")) as service, service.connect() as client:
        client.sendall(b"?")
        assert client.recv(100) == b"one"
        service.signal(signal.SIGTERM)
        assert service.told() == "STOPPING=1"
        while not refused(service.address):
            pass
        client.sendall(b"?")
        assert client.recv(100) == b"one"
        client.close()
        assert service.ended()[0] == 0


def refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_waits_for_nobody(tmp_path: Path, second: int) -> None:
    with Service(tmp_path, shout("one")) as service, service.connect() as client:
        client.sendall(b"?")
        assert client.recv(100) == b"one"
        service.signal(signal.SIGTERM)
        assert service.told() == "STOPPING=1"
        while not refused(service.address):
            pass
        service.signal(second)
        assert service.ended()[0] == 0


def test_a_hang_up_runs_the_file_again_at_the_same_address(tmp_path: Path) -> None:
    with Service(tmp_path, shout("one")) as service, service.connect() as client:
        address = service.address
        client.sendall(b"?")
        assert client.recv(100) == b"one"
        service.reload(shout("two"))
        client.sendall(b"?")
        assert client.recv(100) == b"one"  # it keeps the handler that it began with
        assert service.ask() == b"two"
        service.said = ""
        assert service.address == address


def test_two_servers_of_one_address_keep_their_order(tmp_path: Path) -> None:
    lines = "serve :0 {lambda c: c.sendall(b'%d')} --as a\nserve :0 {lambda c: c.sendall(b'%d')} --as b\n"
    with Service(tmp_path, lines % (1, 2) + "print(a.address.port, b.address.port)\n") as service:
        service.line()
        service.line()
        ports = [int(port) for port in service.line().split()]
        service.reload(lines % (3, 4) + "echo :0 --as third\nprint(third.address.port)\n")
        while not (line := service.line()).strip().isdecimal():
            pass
        answers = []
        for port in ports:
            with socket.create_connection(("127.0.0.1", port)) as client:
                answers.append(client.recv(100))
        assert answers == [b"3", b"4"]
        assert int(line) not in ports


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("def shout(c:\n", "web.cosh:1"),
        ("1 / 0\n" + shout("two"), "web.cosh:1: ZeroDivisionError: division by zero"),
        ("serve :0 nobody\n", "web.cosh:1: NameError: name 'nobody' is not defined"),
        ('echo "\n', "web.cosh:1"),
    ],
)
def test_a_broken_file_is_told_and_leaves_the_servers_as_they_were(
    tmp_path: Path, broken: str, why: str
) -> None:
    with Service(tmp_path, shout("one")) as service:
        service.reload(broken)
        assert service.ask() == b"one"
        service.reload(shout("two"))
        assert service.ask() == b"two"
        service.signal(signal.SIGTERM)
        code, said = service.ended()
    assert code == 0
    assert why in said
    assert "failed: what it would have replaced below that line goes on as it was" in said


def test_a_file_that_is_gone_leaves_the_servers_too(tmp_path: Path) -> None:
    with Service(tmp_path, shout("one")) as service:
        service.file.unlink()
        service.signal(signal.SIGHUP)
        assert service.told().startswith("RELOADING=1")
        assert service.told().startswith("READY=1")
        assert service.ask() == b"one"


def test_a_hang_up_while_the_file_is_run_is_done_afterwards(tmp_path: Path) -> None:
    lines = (
        "import os, signal\nruns = globals().get('runs', 0) + 1\n"
        "if runs == 1: os.kill(os.getpid(), signal.SIGHUP)\n"
        "serve :0 {lambda c, word=runs: c.sendall(b'%d' % word)}\n"
    )
    with Service(tmp_path, lines) as service:
        assert service.told().startswith("RELOADING=1")
        assert service.told().startswith("READY=1")
        assert service.ask() == b"2"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_file_is_run_again_ends_it(tmp_path: Path, number: int) -> None:
    with Service(tmp_path, shout("one")) as service:
        service.file.write_text("print('waiting')\nsleep(3600)\n")
        service.signal(signal.SIGHUP)
        while service.line() != "waiting\n":
            pass
        service.signal(number)
        code, said = service.ended()
    assert code == 0, said
    assert "Traceback" not in said


# -- what cannot be served


@pytest.mark.parametrize(
    ("lines", "code", "why"),
    [
        ("x = 1\n", 1, "web.cosh starts no server: there is nothing to serve"),
        ("echo :0 --as e\nclose e\n", 1, "web.cosh starts no server: there is nothing to serve"),
        ("echo :0\n1 / 0\n", 1, "web.cosh:2: ZeroDivisionError: division by zero"),
        ("echo :0 --as e\nserve {e.address} {print}\n", 1, " is in use by this process"),
        ("x = Channel().receive()\n", 3, "web.cosh:1: deadlock"),
        ("echo :0 --reset-afte 3\n", 2, "no option '--reset-afte', did you mean '--reset-after'?"),
    ],
)
def test_what_does_not_serve_ends_with_a_line(tmp_path: Path, lines: str, code: int, why: str) -> None:
    with Service(tmp_path, lines, wait=False) as service:
        ended, said = service.ended()
    assert (ended, "Traceback" in said) == (code, "ZeroDivision" in said)
    assert why in said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere.cosh"], "nowhere.cosh: no such file or directory"),
        ([], "the following arguments are required: FILE"),
        (["a.cosh", "b.cosh"], "unrecognized arguments: b.cosh"),
        (["--ready-fd", "99", "a.cosh"], "coshell serve: --ready-fd 99: Bad file descriptor"),
        (["--drain", "soon", "a.cosh"], "argument --drain: "),
    ],
)
def test_what_is_called_wrongly_ends_with_2(tmp_path: Path, arguments: list[str], why: str) -> None:
    (tmp_path / "a.cosh").write_text("echo :0\n")
    ended = subprocess.run(
        [*PROGRAM, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": SOURCES, "HOME": str(tmp_path)},
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 2
    assert why in ended.stderr


def test_a_server_that_is_given_up_ends_all_with_3(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(GIVING_UP)
    plugin = ("--plugin", str(tmp_path / "broken.py"))
    with Service(tmp_path, shout("one") + "lose\n", *plugin, wait=False) as service:
        ended = service.ended()
    assert ended[0] == 3
    assert "server web is given up: 5 workers died at birth\n" in ended[1]


def test_a_server_that_is_given_up_later_ends_all_with_3_too(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(GIVING_UP)
    lines = "def lost(c): co.lose()\nserve :0 {lost} --as web\n"
    with Service(tmp_path, lines, "--plugin", str(tmp_path / "broken.py")) as service:
        service.connect().close()
        assert service.told() == "STOPPING=1"
        assert service.ended()[0] == 3


GIVING_UP = """\
from coshell.api import Command, hookimpl

def lose(shell):
    shell.given_up("web", "5 workers died at birth")

@hookimpl
def coshell_commands():
    return [Command("lose", "give up", lose)]
"""


@pytest.mark.parametrize("command", [["run"], []])
def test_a_run_in_which_a_server_is_given_up_ends_with_3(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "broken.py").write_text(GIVING_UP)
    (tmp_path / "a.cosh").write_text("lose\n")
    ended = subprocess.run(
        [sys.executable, "-m", "coshell", *command, "--plugin", "broken.py", "a.cosh"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": SOURCES, "HOME": str(tmp_path)},
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 3
    assert ended.stderr == "server web is given up: 5 workers died at birth\n"


def test_a_service_whose_servers_are_all_stopped_does_not_pretend_to_serve(tmp_path: Path) -> None:
    lines = "def last(c):\n    web.stop()\nserve :0 {last} --as web\n"
    with Service(tmp_path, lines) as service:
        service.connect().close()
        assert service.told() == "STOPPING=1"
        code, said = service.ended()
    assert code == 3
    assert said.endswith("coshell serve: all servers have been stopped\n")


# -- who waits for it


def test_a_line_on_a_descriptor_tells_that_it_serves(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    (tmp_path / "web.cosh").write_text(shout("one"))
    process = subprocess.Popen(
        [*PROGRAM, "--ready-fd", str(writing), "web.cosh"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[writing],
        cwd=tmp_path,
        env={"PYTHONPATH": SOURCES, "HOME": str(tmp_path)},
        text=True,
    )
    try:
        os.close(writing)
        with os.fdopen(reading, "rb") as end:
            assert end.read() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, said


def test_a_socket_that_was_handed_over_is_served_also_after_a_hang_up(tmp_path: Path) -> None:
    (tmp_path / "web.cosh").write_text("runs = globals().get('runs', 0) + 1\n" + HANDED_OVER)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        script = f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&{listening.fileno()}'
        process = subprocess.Popen(
            ["bash", "-c", script, "bash", *PROGRAM, "--ready-fd", "1", "web.cosh"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[listening.fileno()],
            cwd=tmp_path,
            env={"PYTHONPATH": SOURCES, "HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            text=True,
        )
        address = listening.getsockname()
    try:
        assert process.stdout is not None
        with socket.create_connection(address) as client:  # it may come before anybody serves
            assert client.recv(100) == b"1 {}"
        while process.stdout.readline() != "ready\n":
            pass
        process.send_signal(signal.SIGHUP)
        while not process.stdout.readline().startswith("serving "):
            pass
        with socket.create_connection(address) as client:
            assert client.recv(100) == b"2 {}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.communicate()


HANDED_OVER = """\
import os
said = b"%d %a" % (runs, {name: value for name, value in os.environ.items() if name.startswith("LISTEN")})
serve fd:3 {lambda c, said=said: c.sendall(said)}
"""


def test_datagrams_are_served_too(tmp_path: Path) -> None:
    with Service(tmp_path, "echo :0 --udp --delay 100ms\n", wait=False) as service:
        port = int(service.told().rpartition(":")[2])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE_S)
            client.connect(("127.0.0.1", port))
            client.send(b"1")
            assert client.recv(100) == b"1"
        service.signal(signal.SIGTERM)
        assert service.told() == "STOPPING=1"
        assert service.ended()[0] == 0


def test_a_signal_while_it_starts_ends_it_in_order_too(tmp_path: Path) -> None:
    lines = "echo :0\ndef work():\n    try:\n        sleep(3600)\n    finally:\n        print('cleaned')\n"
    with Service(tmp_path, f"{lines}x = go(work)\nprint('starting')\nsleep(3600)\n", wait=False) as service:
        while service.line() != "starting\n":
            pass
        service.signal(signal.SIGTERM)
        assert service.told() == "STOPPING=1"
        code, said = service.ended()
    assert code == 0, said
    assert "cleaned\n" in said
