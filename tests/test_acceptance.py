"""What the first version promises as a whole, tried from outside: pipes, real clients, a real terminal.

Each test states one line of that promise. The parts have tests of their own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import coloop
from tests.patience import PATIENCE_S
from tests.shell.pseudo_terminal import PseudoTerminal
from tests.thorough import EVERY_ONE

# Without the native core a million takes ten seconds of a core: the checks, which set EVERY_PROGRAM, have them.
A_MILLION = 1_000_000 if coloop.FORM == "native" or EVERY_ONE else 100_000
COSHELL = [sys.executable, "-m", "coshell"]
ROUND_TRIP = (
    'echo 127.0.0.1:0 --as e\nconnect e as c\nsend c "hi\\n"\n@assert recv(c) == b"{}\\n"\nps --json\n'
)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Nothing of the user's own settings, history or plugins."""
    here = {name: str(tmp_path) for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "HOME")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COSHELL_")}
    return {
        **kept,
        **here,
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(_paths()),
    }


def _paths() -> list[str]:
    root = Path(__file__).parent.parent
    return [str(root), str(root / "runtime"), str(root / "plugins")]


@pytest.fixture
def terminal(environ: dict[str, str]) -> Iterator[PseudoTerminal]:
    """A coshell in a terminal of 80x24, at its prompt."""
    with PseudoTerminal(COSHELL, environ) as opened:
        opened.wait_for("co>")
        yield opened


def piped(lines: str, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COSHELL, *arguments],
        input=lines,
        capture_output=True,
        text=True,
        env=environ,
        timeout=PATIENCE_S,
        check=False,
    )


def peer(name: str) -> str:
    """The path of a client program; a test without it is skipped, where skipping is allowed."""
    found = shutil.which(name)
    if found is None and not os.environ.get("REQUIRE_PEERS"):
        pytest.skip(f"{name} is not installed")
    assert found is not None, f"{name} is not installed"
    return found


def statement(terminal: PseudoTerminal, line: str, answer: str) -> None:
    """Type a line, and wait until the screen shows what must come of it."""
    terminal.type(f"{line}\r")
    terminal.wait_for(answer)


# -- pipes -----------------------------------------------------------------------------------------


def test_a_round_trip_through_a_pipe_prints_no_escape_byte_and_ends_well(environ: dict[str, str]) -> None:
    done = piped(ROUND_TRIP.format("hi"), environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    listed = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert {"echo#1", "echo#1/c1"} <= {record["name"] for record in listed}


def test_a_failing_assertion_names_its_line(environ: dict[str, str]) -> None:
    done = piped(ROUND_TRIP.format("ho"), environ)
    assert done.returncode == 1
    assert done.stderr.startswith("<stdin>:4: ")
    assert "b'hi\\n'" in done.stderr


def test_a_million_short_coroutines_leave_nothing_behind(environ: dict[str, str]) -> None:
    done = piped(
        "set level counts\n"
        "for _ in range(20000): c = go(lambda: None)\n"
        "first, rss = c.id, memory.process().rss\n"
        f"for _ in range({A_MILLION}): c = go(lambda: None)\n"
        f"@assert c.id == first + {A_MILLION}\n"
        "@assert memory.process().rss - rss < 1M\n"
        "@assert snapshot().live == 1\n",
        environ,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_coroutine_that_nothing_can_wake_is_named_and_its_finally_runs(environ: dict[str, str]) -> None:
    done = piped(
        "def lost():\n    try: Channel().receive()\n    finally: print('cleaned up')\n\ngo lost()\nps\n",
        environ,
    )
    assert done.returncode == 0
    assert re.search(r"lost .*stuck", done.stdout)
    assert done.stdout.rstrip().endswith("cleaned up")


# -- real clients ----------------------------------------------------------------------------------


def test_nc_ncat_and_socat_at_once_leave_nothing_behind(terminal: PseudoTerminal) -> None:
    statement(terminal, "echo 127.0.0.1:0 --as e", "listening on")
    found = re.search(r"listening on 127\.0\.0\.1:(\d+)", terminal.text())
    assert found is not None
    port = found[1]
    statement(terminal, "def count(): return sum(i for i in range(10**5)) and sleep(0.001)", "co>")
    statement(terminal, "go:", "..>")
    terminal.type("while True: count()\r\r")
    statement(terminal, "go sleep(1000) --name sleeper", "sleeper")
    shell = psutil.Process(terminal.process.pid)
    clients = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for command in (
            [peer("nc"), "127.0.0.1", port],
            [peer("ncat"), "127.0.0.1", port],
            [peer("socat"), "-", f"TCP:127.0.0.1:{port}"],
        )
    ]
    for number, client in enumerate(clients):
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"hello %d\n" % number)
        client.stdin.flush()
        assert client.stdout.readline() == b"hello %d\n" % number
    with socket.create_connection(("127.0.0.1", int(port))) as vandal:
        vandal.sendall(b"x")
        assert vandal.recv(1) == b"x"
        vandal.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    clients[0].send_signal(signal.SIGINT)
    for client in clients[1:]:
        assert client.stdin is not None
        client.stdin.close()
    for client in clients:
        client.wait(PATIENCE_S)
        assert client.stdout is not None
        client.stdout.close()
        if client.stdin is not None and not client.stdin.closed:
            client.stdin.close()
    statement(terminal, "@wait len(snapshot().sockets) == 1 within 45s", "co>")
    statement(terminal, "'left:', [p.name for p in snapshot().coroutines if '/c' in p.name]", "('left:', [])")
    assert [held.status for held in shell.net_connections("tcp")] == ["LISTEN"]  # the kernel's word on it


# -- a terminal of 80x24 ---------------------------------------------------------------------------


def test_a_spinning_coroutine_is_named_and_killed_while_the_others_live_on(terminal: PseudoTerminal) -> None:
    statement(terminal, "def spin():", "..>")
    terminal.type("sleep(0.05)\rwhile True: pass\r\r")
    statement(terminal, "go sleep(1000) --name bystander", "bystander")
    terminal.type("go spin() --name hog\r")
    terminal.wait_for(lambda: any("hog" in line for line in terminal.lines()[-2:]))  # the bar names it
    terminal.type("kill ho")
    terminal.wait_for(lambda: "kill ho" in terminal.cursor_line())  # what is typed still echoes
    statement(terminal, "g", "has ended")
    statement(terminal, "sorted(p.name for p in snapshot().coroutines)[:1]", "['bystander']")


def test_the_menu_of_ctrl_c_ends_a_spinning_coroutine(terminal: PseudoTerminal) -> None:
    statement(terminal, "def spin():", "..>")
    terminal.type("sleep(0.05)\rwhile True: pass\r\r")
    terminal.type("go spin() --name hog\r")
    terminal.wait_for(lambda: any("hog" in line for line in terminal.lines()[-2:]))
    terminal.type("\x03")
    terminal.wait_for("(k)ill")
    terminal.type("k")
    statement(terminal, "", "co>")
    statement(terminal, "'hogs:', sum(p.name == 'hog' for p in snapshot().coroutines)", "('hogs:', 0)")


def test_a_deadlock_is_shown_and_can_be_fed(terminal: PseudoTerminal) -> None:
    statement(terminal, "a, b = Channel(), Channel()", "co>")
    statement(terminal, "def swap(mine, yours): yours.send(mine.receive())", "co>")
    terminal.type("\r")
    terminal.type("go swap(a, b) --name left\r")
    statement(terminal, "go swap(b, a) --name right", "deadlock")
    terminal.wait_for("receive from channel#")
    statement(terminal, "go a.send('fed') --name feeder", "feeder")
    statement(terminal, "a.receive()", "'fed'")


def test_a_suspended_coroutine_is_resumed_from_the_prompt(terminal: PseudoTerminal) -> None:
    statement(terminal, "def wait(): print('resumed with', suspend())", "co>")
    terminal.type("\r")
    statement(terminal, "go wait() --name waiter", "waiter")
    statement(terminal, "resume waiter 42", "resumed with 42")
