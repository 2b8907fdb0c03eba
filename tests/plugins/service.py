"""A session file that is served without a prompt, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.patience import PATIENCE_S
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join(str(ROOT / root) for root in (".", "runtime", "plugins"))


class Service:
    """`coshell serve` with a file, and a port."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "web.cosh"
        self.port = free_port()
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": PATHS, "HOME": str(self.folder)}
        plugins = (word for name in ("server", "http") for word in ("--plugin", f"coshell_plugins.{name}"))
        command = [sys.executable, "-m", "coshell", "serve", "--no-plugins", *plugins, str(self.file)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=ROOT
        )

    def ask(self, request: bytes = b"") -> tuple[str, int]:
        """What it says to a request, or at once: a word and the number of a process."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
            connection.sendall(request)
            answer = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
        word, _, pid = answer.rpartition("\r\n")[2].partition(" ")
        return word, int(pid or 0)

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if is_so():
                    return
            except OSError:
                pass
            assert time.monotonic() < deadline
            assert self.process is not None
            assert self.process.poll() is None, self.process.communicate()[0]
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self) -> tuple[int, str]:
        assert self.process is not None
        output, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, output

    def close(self) -> None:
        """Whatever has happened, it has ended."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
