"""A worker's process: it inherits what it is given, and ends with whoever started it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

import coloop
from coshell_plugins.server import process
from coshell_plugins.worker.channel import Channel
from coshell_plugins.worker.offer import Offer
from coshell_plugins.worker.shipping import pack
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join(str(ROOT / root) for root in (".", "runtime", "plugins"))


@pytest.mark.parametrize(
    ("code", "told", "how"),
    [
        (-9, False, "killed by SIGKILL (out of memory?)"),
        (-9, True, "killed by SIGKILL"),
        (-11, False, "killed by SIGSEGV"),
        (-63, False, "killed by signal 63"),
        (3, False, "ended with exit code 3"),
        (0, False, "ended by itself"),
    ],
)
def test_how_it_ended_is_told_in_words(code: int, told: bool, how: str) -> None:
    assert process.how_it_ended(code, was_told=told) == how


def started(listener: socket.socket) -> tuple[process.Process, Channel]:
    made = process.start(listener, "web/w1")
    return made, Channel(made.channel)


def start_message(handler: object) -> dict[str, object]:
    return {
        "do": "start",
        "name": "web",
        "number": 1,
        "first": True,
        "offer": pack(Offer(handler)),  # type: ignore[arg-type]
        "level": "counts",
        "path": None,
        "max_requests": None,
        "max_wait_s": 1.0,
    }


def listener() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0))
    made.setblocking(False)
    return made


def test_when_the_channel_ends_the_worker_drains_and_ends() -> None:
    """Where the kernel kills nobody for his parent's end, this is what does."""

    def main() -> None:
        with listener() as made_for_it:
            made, channel = started(made_for_it)
            channel.post(start_message(print))
            ready = channel.receive()
            assert ready is not None
            assert ready["event"] == "ready"
            channel.close()
            assert coloop.wait_child(made.popen, timeout=PATIENCE_S) == 0
            made.discard()

    coloop.run(main)


def test_a_worker_whose_channel_ends_before_it_began_ends_too() -> None:
    def main() -> None:
        with listener() as made_for_it:
            made, channel = started(made_for_it)
            channel.close()
            assert coloop.wait_child(made.popen, timeout=PATIENCE_S) == 0
            made.discard()

    coloop.run(main)


def test_where_the_listener_was_closed_meanwhile_none_is_started() -> None:
    """A server may be given up while its next worker is about to begin."""

    def main() -> None:
        made = listener()
        made.close()
        with pytest.raises(OSError, match="closed meanwhile"):
            process.start(made, "web/w1")

    before = children()
    coloop.run(main)
    assert children() == before


def test_the_end_of_the_thread_that_asked_for_it_is_not_its_end() -> None:
    """The kernel's signal comes when the thread ends that has forked: that must be none that anybody else uses."""
    made: list[process.Process] = []

    def main() -> None:
        with listener() as made_for_it:
            made.append(process.start(made_for_it, "web/w1"))

    thread = threading.Thread(target=coloop.run, args=(main,))
    thread.start()
    thread.join()
    time.sleep(0.3)  # nothing tells that a signal does not come
    assert made[0].popen.poll() is None
    made[0].discard()
    assert made[0].popen.returncode == -signal.SIGKILL


def test_who_does_not_wait_for_it_any_more_leaves_no_process_behind() -> None:
    before = children()

    def main() -> None:
        with listener() as made_for_it:
            for pause_s in (0.0, 0.001, 0.01):
                starting = coloop.go(process.start, made_for_it, "web/w1")
                coloop.sleep(pause_s)
                starting.cancel()
                starting.join()
                if starting.state == "done":
                    starting.result().discard()

    coloop.run(main)
    deadline = time.monotonic() + PATIENCE_S
    while children() != before:
        assert time.monotonic() < deadline, children() - before
        time.sleep(0.02)


def children() -> set[int]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ends just now
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def test_it_serves_nobody_but_its_parent() -> None:
    """A pickle is taken from the process that started it, and the kernel says who that is."""
    program = (
        "import socket, subprocess, sys, os\n"
        "from coshell_plugins.worker.channel import packed\n"
        "l = socket.create_server(('127.0.0.1', 0)); l.setblocking(False)\n"
        "fds = (l.fileno(), int(sys.argv[1]), os.dup(int(sys.argv[1])))\n"
        "p = subprocess.run([sys.executable, '-m', 'coshell_plugins.worker', *map(str, fds), str(os.getpid()), 'x'],"
        " pass_fds=fds, capture_output=True, text=True)\n"
        "print(p.returncode, p.stderr)"
    )
    here, there = socket.socketpair()  # made by this process, which is not its parent
    done = subprocess.run(
        [sys.executable, "-c", program, str(there.fileno())],
        pass_fds=[there.fileno()],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": PATHS},
        timeout=PATIENCE_S,
        check=False,
    )
    here.close()
    there.close()
    assert done.stdout.startswith(f"3 the channel was made by process {os.getpid()}, not by my parent"), done


def test_one_that_comes_too_late_for_its_parent_ends_at_once() -> None:
    command = [sys.executable, "-m", process.MODULE, "97", "98", "99", "1", "web/w1"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": PATHS}, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
