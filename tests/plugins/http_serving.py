"""What the tests of HTTP need: to be coroutines, a server to talk to, and real programs that talk to it."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest

import coloop
from coloop import Server
from coloop.testing import MockClock
from coshell_plugins.hypertext.limits import Limits
from coshell_plugins.hypertext.server import Handler
from tests.patience import PATIENCE_S


class Recorder(coloop.Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.failures: list[coloop.Failure] = []
        self.warnings: list[str] = []

    def failed(self, failure: coloop.Failure) -> None:
        self.failures.append(failure)

    def warned(self, text: str) -> None:
        self.warnings.append(text)


def in_coroutine(*failures: str, mock: bool = False) -> Callable[[Any], Any]:
    """Run a test as main coroutine; these failures are reported to its observer, and no others."""

    def decorated(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            observer = Recorder()
            clock = MockClock() if mock else None
            coloop.run(lambda: test(*args, **kwargs), observer=observer, clock=clock)
            assert [one.exception_type.rpartition(".")[2] for one in observer.failures] == list(failures)

        return run

    return decorated


@contextmanager
def serving(app: Callable[..., Any], limits: Limits | None = None, **options: Any) -> Iterator[Server]:
    with coloop.serve(":0", Handler(app, limits), name="web", **options) as server:
        yield server


def url_of(server: Server, path: str = "/") -> str:
    return f"http://{server.address}{path}"


def asked(server: Server, data: bytes, *, then_end: bool = False) -> bytes:
    """Send these bytes; all that comes until the server closes the connection."""
    with coloop.connect(server.address) as client:
        client.sendall(data)
        if then_end:
            client.shutdown("write")
        return rest_of(client)


def rest_of(client: coloop.Socket) -> bytes:
    received = b""
    while piece := client.recv():
        received += piece
    return received


def asked_once(server: Server, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Likewise for one request, which is the last: status, headers and body of the answer."""
    return parsed(asked(server, data))


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, body


def get(path: str = "/", *lines: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> bytes:
    """A request that ends its connection."""
    head = [f"{method} {path} HTTP/{version}", "Host: x", "Connection: close", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


def program(name: str, *args: object, data: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
    """Run a program while the server goes on."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not installed")
    command = [path, *map(str, args)]

    def run() -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(command, input=data, capture_output=True, timeout=PATIENCE_S, check=False)

    return coloop.to_thread(run)


def curl(*args: object, data: bytes | None = None) -> str:
    """What curl prints; it must succeed."""
    done = program("curl", "-sS", *args, data=data)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
