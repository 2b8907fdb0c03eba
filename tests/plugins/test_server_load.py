"""Under a steady load of real clients: workers come, go and die, and what was answered was done.

Each request is written into a journal by the worker that answers it, before it answers. So an acknowledged request
that was lost would be missing there; and who asks with a connection for each request must not notice anything at all
while workers are replaced.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from coshell.console import Capture
from coshell.shell import Shell
from tests.patience import PATIENCE_S
from tests.plugins.at_the_prompt import do
from tests.ports import free_port

pytestmark = pytest.mark.timeout(180)  # each of them starts up to ten processes

CLIENTS = 4
LONGEST_LINE = 16
LOAD = Path(__file__).with_name("load.py")
CLOSE_WAIT = "08"

HANDLERS = """\
import os
import coloop
def begin(server, number):
    global journal
    journal = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def answer(connection, message):
    os.write(journal, message + b'\\n')
    if message.startswith(b'poison'): os._exit(9)
    coloop.sleep(0.005)  # so that at every moment somebody has a request in hand
    connection.send(message)
"""


class Load:
    """Clients that ask as long as the block lasts; after it, `report` is what they tell."""

    def __init__(self, shell: Shell, journal: Path, kind: str, name: str, *, lasts: bool = True) -> None:
        self.shell = shell
        self.journal = journal
        self.kind = kind
        self.name = name
        self.lasts = lasts
        self.report: dict[str, Any] = {}

    def __enter__(self) -> Load:
        self.port = self.shell.evaluate("web.address.port")
        command = [sys.executable, str(LOAD), str(self.port), str(CLIENTS), self.kind, self.name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        if self.lasts:
            self.served(50)
        return self

    def served(self, more: int) -> None:
        """Wait until so many more requests have come to a worker."""
        wanted = self.size() + more * LONGEST_LINE
        deadline = time.monotonic() + PATIENCE_S
        while self.size() < wanted:
            assert time.monotonic() < deadline, f"{self.size()} of {wanted} bytes are in the journal"
            time.sleep(0.01)

    def size(self) -> int:
        return self.journal.stat().st_size if self.journal.exists() else 0

    def __exit__(self, *_: object) -> None:
        out, _err = self.process.communicate(timeout=PATIENCE_S)
        self.report = json.loads(out.splitlines()[-1])

    def refused(self) -> None:
        """Wait until a client was: it may get no turn between the end of the server and that of the load."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "refused\n"

    def check(self, most_failures: int = 0) -> None:
        """Everything that was acknowledged was done, and no more failed than may."""
        done = set(self.journal.read_text().splitlines())
        assert [request for request in self.report["acknowledged"] if request not in done] == []
        assert len(self.report["acknowledged"]) >= 50
        assert sum(self.report["failures"].values()) <= most_failures, self.report["failures"]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def shell(journal: Path, console: Capture) -> Iterator[Shell]:
    with Shell(console=console) as shell:
        shell.plugins.load("coshell_plugins.server")
        shell.names["path"] = str(journal)
        do(shell, HANDLERS)
        yield shell


def start(shell: Shell, options: str = "--workers 2") -> list[int]:
    """The pids of its workers. On a port that the kernel gives to nobody: clients ask there also when it has ended."""
    line = f"server start web :{free_port()} --on receive=answer --on worker_start=begin --framing line {options}"
    return [worker.pid for worker in do(shell, line).value.workers]


def stop(shell: Shell) -> None:
    """Stop it; nothing is left of it then, on either side of its connections."""
    port = shell.evaluate("web.address.port")
    pids = [mate.pid for mate in shell.evaluate("web.mates")]
    assert half_closed(port) == []
    do(shell, "server stop web --drain 5s")
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert zombies() == []
    assert half_closed(port) == []


def half_closed(port: int) -> list[str]:
    """Connections of this port whose peer has closed, and nobody here has."""
    deadline = time.monotonic() + 5.0
    while found := _half_closed(port):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return found


def _half_closed(port: int) -> list[str]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == CLOSE_WAIT and f":{port:04X}" in {row[1][-5:], row[2][-5:]}]


def zombies() -> list[int]:
    """Children of ours that have ended, and nobody has asked how."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] == "Z" and int(fields[1]) == os.getpid():
                found.append(int(entry.name))
    return found


@contextmanager
def under_load(shell: Shell, journal: Path, kind: str = "short", name: str = "r") -> Iterator[Load]:
    load = Load(shell, journal, kind, name)
    with load:
        yield load
        load.served(50)


def test_reloads_are_not_noticed(shell: Shell, journal: Path) -> None:
    before = set(start(shell))
    with under_load(shell, journal) as load:
        for _ in range(2):
            do(shell, "server reload web")
            load.served(100)
    load.check()
    assert not before & {mate.pid for mate in shell.evaluate("web.mates")}
    stop(shell)


def test_scaling_is_not_noticed(shell: Shell, journal: Path) -> None:
    start(shell)
    with under_load(shell, journal) as load:
        for size in (4, 1, 3):
            do(shell, f"server scale web {size}")
            load.served(100)
    load.check()
    assert len(shell.evaluate("web.mates")) == 3
    stop(shell)


def test_workers_that_have_served_enough_are_replaced_unnoticed(shell: Shell, journal: Path) -> None:
    before = set(start(shell, "--workers 2 --max-requests 30"))
    with under_load(shell, journal) as load:
        deadline = time.monotonic() + PATIENCE_S
        while max(mate.serial for mate in shell.evaluate("web.mates")) < 6:
            assert time.monotonic() < deadline
            load.served(20)
    load.check()
    assert not before & {mate.pid for mate in shell.evaluate("web.mates")}
    assert shell.evaluate("web.pool.restarts") == 0
    stop(shell)


def test_a_killed_worker_costs_only_what_it_had_in_hand(shell: Shell, journal: Path) -> None:
    start(shell)
    with under_load(shell, journal) as load:
        for kills in range(1, 4):
            os.kill(shell.evaluate("web.pool.serving()[0].pid"), signal.SIGKILL)
            do(shell, f"@wait web.pool.restarts == {kills} and len(web.pool.serving()) == 2 within 30s")
            load.served(100)
    load.check(most_failures=3 * CLIENTS)
    stop(shell)


def test_a_crash_loop_loses_nothing_that_was_answered(shell: Shell, journal: Path, console: Capture) -> None:
    start(shell)
    with under_load(shell, journal) as load, Load(shell, journal, "short", "poison", lasts=False):
        do(shell, "@wait web.state == 'failed' within 40s")
        load.refused()
        load.served = lambda more: None  # type: ignore[method-assign]  # nobody serves any more
    done = set(journal.read_text().splitlines())
    assert [request for request in load.report["acknowledged"] if request not in done] == []
    assert load.report["acknowledged"]
    assert any(failure.startswith("ConnectionRefused") for failure in load.report["failures"])
    assert "5 workers in a row lived less than 1 s" in shell.lost["web"]
    do(shell, "@wait not web.mates within 20s")
    assert zombies() == []


def test_kept_connections_are_told_to_go_and_lose_nothing_that_was_answered(
    shell: Shell, journal: Path
) -> None:
    start(shell)
    with under_load(shell, journal, "kept") as load:
        for _ in range(2):
            do(shell, "server reload web")
            load.served(100)
    # A connection may be closed at the very moment at which its next request is sent: that one is not answered.
    load.check(most_failures=2 * 2 * CLIENTS)
    assert set(load.report["failures"]) <= {
        "ConnectionAbortedError: closed before the answer",
        "ConnectionResetError: [Errno 104] Connection reset by peer",
        "BrokenPipeError: [Errno 32] Broken pipe",
    }
    stop(shell)


def test_a_stop_with_a_drain_answers_what_has_come(shell: Shell, journal: Path) -> None:
    start(shell)
    load = Load(shell, journal, "short", "r")
    with load:
        assert do(shell, "server stop web --drain 5s").value.drained
    load.check(most_failures=10**9)
    assert all("refused" in failure or "reset" in failure.lower() for failure in load.report["failures"])
