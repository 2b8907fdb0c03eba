"""The shell looks into workers, ends what runs there, and has them count what it does; real ones, two for all."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from coshell.console import Capture
from coshell.shell import Shell
from coshell_plugins.server.hearsay import Nonsense
from coshell_plugins.server.insight import sight_in
from coshell_plugins.worker.lookout import picture_values, socket_values
from tests.patience import PATIENCE_S
from tests.plugins.at_the_prompt import do, error, until
from tests.shell.pictures import coroutine, socket

HANDLER = """\
def work(conn):
    while data := conn.recv():
        if data == b"spin":
            spin()
        if data == b"rest":
            data = b"%d" % go(sleep, 600).id
        conn.sendall(data)
"""
SPIN = "import time\ndef spin():\n    while True: time.sleep(0.001)"  # lets nobody run, and costs little


@pytest.fixture(scope="module")
def console() -> Capture:
    return Capture()


@pytest.fixture(scope="module")
def shell(console: Capture) -> Iterator[Shell]:
    with pytest.MonkeyPatch.context() as patched, Shell(console=console) as shell:
        shell.plugins.load("coshell_plugins.server")
        do(shell, SPIN, HANDLER, "server start web :0 work --workers 2", "connect web as c", "send c hi")
        patched.setattr(insight(), "ANSWER_S", PATIENCE_S)  # a busy machine is no reason to fail
        yield shell


def insight() -> ModuleType:
    """The module that the plugin has now: it is another one after each time the plugin is unloaded."""
    return sys.modules["coshell_plugins.server.insight"]


def lines(shell: Shell, console: Capture, line: str) -> list[str]:
    before = len(console.lines())
    do(shell, line)
    return console.lines()[before:]


def handlers(shell: Shell) -> list[str]:
    """The coroutines of connections, as the workers have told."""
    return [str(row.id) for row in do(shell, "ps --all").value if row.process and "/c" in row.name]


def hog_in(shell: Shell, process: str) -> str | None:
    """Who keeps the first coroutine of a worker from telling where it stands."""
    found = re.search(r"while (\S+) hogs", do(shell, f"where {process}:1").value.note)
    return None if found is None else found[1]


def name_in(head: str) -> str:
    return head.split()[1].removesuffix(":")


def test_where_tells_where_one_stands_now(shell: Shell, console: Capture) -> None:
    (one,) = until(lambda: handlers(shell))
    process = one.partition(":")[0]
    head, stack, server, live, first = lines(shell, console, f"where {one}")
    assert head.startswith(f"{one} web/c1: waiting on recv socket#")
    assert stack == "  <co:3>:2 in work  while data := conn.recv():"
    assert server == f"  started by {process}:2 web at <co:3>:1 in work"
    assert live.startswith(f"  started by {process}:1 live at offer.py:")
    assert first.startswith("  started at __main__.py:")


def test_show_tells_what_it_costs_and_holds(shell: Shell, console: Capture) -> None:
    (one,) = until(lambda: handlers(shell))
    shown = do(shell, f"show {one}").value
    assert (shown.name, shown.standing.process, len(shown.sockets)) == ("web/c1", one.partition(":")[0], 1)
    assert shown.heap is not None


def test_unknown_ones_are_told_of_in_one_line(shell: Shell) -> None:
    assert error(shell, "where web/w1:999") == "no coroutine web/w1:999: there has been none"
    assert error(shell, "kill web/w1:999") == "no coroutine web/w1:999: there has been none"
    assert error(shell, "where web/w7:1").startswith("no process 'web/w7' works for this shell")
    assert error(shell, "cancel web/w1:1").startswith("web/w1:1: it is the worker's own")


def test_who_accepts_is_the_workers_own(shell: Shell) -> None:
    (picture,) = (one for one in shell.plugins.processes() if one.name == "web/w1")
    (acceptor,) = (one.owner for one in picture.sockets if one.role == "listener")
    assert "the worker's own" in error(shell, f"kill web/w1:{acceptor}")


def test_the_level_of_accounting_reaches_those_who_run(shell: Shell) -> None:
    def heaps() -> set[bool]:
        return {worker.heap is None for worker in do(shell, "server status web").value.workers}

    do(shell, "set level counts")
    until(lambda: heaps() == {True})
    do(shell, "set level heap")
    until(lambda: heaps() == {False})


def test_one_that_does_not_answer_is_told_of_and_one_that_has_a_hog_is_seen_and_rid_of_it(
    shell: Shell, console: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(shell, "connect web as d", "send d rest")
    resting = int(shell.evaluate("recv(d)"))
    do(shell, "send d spin")
    one = until(lambda: hog_in(shell, "web/w1") or hog_in(shell, "web/w2"))
    process = one.partition(":")[0]
    at = lines(shell, console, f"where {one}")
    assert at[0].startswith(f"{one} web/c")
    assert at[2] == "  <co:2>:2 in spin  while True: time.sleep(0.001)"
    why = f"lets nobody run there (where {one}, kill {one})"
    assert error(shell, f"cancel {one}") == f"{one} cannot be cancelled: it {why}"
    assert error(shell, f"cancel {process}:{resting}").endswith(f": {one} {name_in(at[0])} {why}")
    assert lines(shell, console, f"kill {one} --grace 300ms")[0].endswith(" has ended")
    pid = next(
        worker.pid for worker in do(shell, "server status web").value.workers if worker.name == process
    )
    monkeypatch.setattr(insight(), "ANSWER_S", 0.5)
    os.kill(pid, signal.SIGSTOP)
    try:
        why = error(shell, f"where {process}:1")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert why == f"{process} (pid {pid}) does not answer within 0.5 s: it is stopped, or computes in C"


def test_the_sockets_that_lead_to_workers_are_no_connections(shell: Shell) -> None:
    ours = [one for one in do(shell, "conns").value if one.process is None]
    everything = [one for one in do(shell, "conns --all").value if one.process is None]
    assert [one.name for one in ours if one.local == "unix:"] == []
    assert len(everything) == len(ours) + 2 * 3


# -- what came is not believed unseen


GOOD = {
    "picture": picture_values(coroutine(7, "web/c1", age_s=1)),
    "stack": [["app.py:3 in handle", "x = 1"]],
    "sockets": [socket_values(socket("server", "127.0.0.1:80"))],
    "children": [8],
    "responsive": True,
}


def test_a_good_answer_is_a_sight() -> None:
    sight = sight_in(GOOD)
    assert (sight.picture.name, sight.picture.age_s, sight.children) == ("web/c1", 1, (8,))
    assert sight.stack == (("app.py:3 in handle", "x = 1"),)
    assert sight.sockets[0].local == "127.0.0.1:80"


@pytest.mark.parametrize(
    "wrong",
    [
        {"picture": None},
        {"picture": [1, 2]},
        {"picture": picture_values(coroutine(7, age_s="soon"))},
        {"picture": picture_values(coroutine(7, age_s=10**400))},
        {"picture": picture_values(coroutine("7"))},  # type: ignore[arg-type]
        {"stack": "everything"},
        {"stack": [["app.py"]]},
        {"stack": [[1, 2]]},
        {"sockets": {"a": 1}},
        {"children": ["8"]},
        {"responsive": None},
        {"hog": 3},
    ],
)
def test_an_answer_of_another_form_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(Nonsense):
        sight_in({**GOOD, **wrong})
