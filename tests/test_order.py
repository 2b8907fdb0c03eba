"""Connect, then messages, then close, exactly once: looked at on each of ten thousand connections, ended in every way.

The clients are another process (`many_clients.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

import coloop
from tests.many_clients import LATE_BYTES, LINES

ROOT = Path(__file__).parent.parent
TEN_THOUSAND = 10_000
AT_ONCE = 500
WAYS = {  # and who has ended it then
    "peer": "peer",
    "half": "peer",
    "peer-reset": "reset",
    "server": "server",
    "late": "server",
    "server-reset": "reset",
    "error": "error",
}


class Quiet(coloop.Observer):
    """Counts failures."""

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()

    def failed(self, failure: coloop.Failure) -> None:
        self.messages[failure.message] += 1


class Book:
    """What the callbacks have heard, connection by connection."""

    def __init__(self) -> None:
        self.said: defaultdict[int, list[str]] = defaultdict(list)
        self.ends: dict[int, str] = {}

    def on_connect(self, connection: coloop.Connection) -> None:
        self.said[connection.id].append("connect")

    def on_receive(self, connection: coloop.Connection, message: bytes) -> None:
        text = message.decode()
        self.said[connection.id].append(text)
        connection.data = connection.data or text
        connection.send(message)
        if text == str(LINES - 1):
            self.end(connection)

    def end(self, connection: coloop.Connection) -> None:
        if connection.data == "late":
            connection.send(bytes(LATE_BYTES))
        if connection.data in {"late", "server"}:
            connection.close()
        elif connection.data == "server-reset":
            connection.reset()
        elif connection.data == "error":
            raise RuntimeError("on purpose")

    def on_close(self, connection: coloop.Connection) -> None:
        assert connection.closed_by is not None
        self.said[connection.id].append("close")
        self.ends[connection.id] = connection.closed_by.who

    def check(self, lines: int = LINES) -> Counter[tuple[str, str]]:
        """Each in the one order that there is; returns how many of which way were ended by whom."""
        seen: Counter[tuple[str, str]] = Counter()
        for number, said in self.said.items():
            way = said[1]
            assert said == ["connect", way, *map(str, range(lines)), "close"], (number, said)
            seen[way, self.ends[number]] += 1
        return seen


def clients(port: int, count: int, *ways: str) -> Any:
    """What the other process has found."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "runtime")])
    program = [
        sys.executable,
        str(ROOT / "tests" / "many_clients.py"),
        str(port),
        str(count),
        str(AT_ONCE),
        *ways,
    ]
    done = coloop.to_thread(
        lambda: subprocess.run(
            program, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, check=False
        )
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def serving(book: Book, **options: Any) -> coloop.Server:
    return coloop.serve(
        ":0",
        name="s",
        on_connect=book.on_connect,
        on_receive=book.on_receive,
        on_close=book.on_close,
        framing=coloop.Lines(2 * LATE_BYTES),
        **options,
    )


@pytest.mark.timeout(300)
def test_the_order_holds_on_each_of_ten_thousand_connections_whoever_ends_them() -> None:
    book, observer = Book(), Quiet()

    def main() -> coloop.ServerStatistics:
        with serving(book) as server:
            assert clients(server.address.port, TEN_THOUSAND, *WAYS) == {"good": TEN_THOUSAND, "wrong": ""}
            assert server.stop(drain=60)
            assert coloop.snapshot().sockets == ()
            return server.statistics()

    now = coloop.run(main, observer=observer)
    seen = book.check()
    assert len(book.said) == now.accepted == TEN_THOUSAND
    # One who closes may find a reset on his way, if the other does too; who ended it first has ended it.
    assert {way for way, _ in seen} == set(WAYS)
    assert all(who in {WAYS[way], "reset"} for way, who in seen)
    assert sum(count for (way, who), count in seen.items() if WAYS[way] == who) > 0.99 * TEN_THOUSAND
    assert observer.messages == Counter(
        {"on purpose": sum(n for (way, _), n in seen.items() if way == "error")}
    )
    assert now.requests == TEN_THOUSAND * (1 + LINES)
    ended = now.closed_by_peer + now.closed_by_server + now.closed_by_error + now.closed_idle + now.resets
    assert ended == TEN_THOUSAND


@pytest.mark.timeout(300)
def test_the_order_holds_for_those_that_are_silent_until_they_are_closed() -> None:
    book = Book()

    def main() -> None:
        with serving(book, idle=4.0) as server:
            assert clients(server.address.port, AT_ONCE, "silent") == {"good": AT_ONCE, "wrong": ""}
            assert server.statistics().closed_idle == AT_ONCE

    coloop.run(main)
    assert book.check(lines=2) == {("silent", "idle"): AT_ONCE}


def test_the_order_holds_for_those_that_are_open_when_the_server_stops() -> None:
    book = Book()

    def main(drain: float) -> None:
        server = serving(book)
        ends = [coloop.connect(server.address) for _ in range(AT_ONCE)]
        for end in ends:
            end.sendall(b"open\n0\n")
        for end in ends:
            assert end.recv_exactly(7) == b"open\n0\n"
        stopping = coloop.go(server.stop, drain)
        for end in ends:
            assert end.recv() == b""
            end.close()
        stopping.join()

    for drain in (0.0, 30.0):
        book = Book()
        coloop.run(main, drain)
        assert book.check(lines=1) == {("open", "server"): AT_ONCE}
