"""Very many coroutines and connections come and go under the shell and its monitor; what is left when they have gone?

    python tests/soak.py                                            100,000 coroutines, 10,000 connections
    python tests/soak.py --coroutines 10000000 --connections 0      for a night

The process has nothing else to do. It hosts a shell with a server, samples it as the bar does, and lets the same things
happen twice: a first time so that every cache, ring and pool is filled, and then as often as was asked for. Before and
after the second time it collects garbage and writes down what it holds, by every count there is. What is printed is
one JSON object; nothing is judged here.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import coloop
from coloop import memory
from coshell.config import Settings
from coshell.console import StreamConsole
from coshell.denied import _ShellFacts
from coshell.monitor import MIN_REFRESH_S, Monitor
from coshell.shell import Shell
from coshell.toolbar import fragments

BATCH = 1_000  # coroutines at a time
CONNECTIONS_BATCH = 500  # each takes two descriptors here
SPARE_DESCRIPTORS = 200
FAILS_EVERY = 10
KILLED_EVERY = 3
SETTLE_S = 20.0
MESSAGE = b"x" * 64
KINDS = ("coroutines", "connections")


@dataclass(frozen=True)
class Figures:
    """What is held at one moment, in bytes where it is not a number of things.

    Attributes:
        traced: the ledger's total; None below level `heap`.
        living: the accounts of the living coroutines.
        dead: what the dead have left.
        outside: what was allocated in no coroutine.
        server: the account of the coroutine that accepts.
        blocks: what Python's allocator has handed out, by its own count.
        objects: that the collector knows.
        uss: what this process alone holds.
        coroutines: how many live.
        descriptors: how many are open.
    """

    traced: int | None
    living: int | None
    dead: int | None
    outside: int | None
    server: int | None
    blocks: int
    objects: int
    uss: int | None
    coroutines: int
    descriptors: int


class Soak:
    """A shell with a server and a monitor, and what happens to them.

    Args:
        level: what is accounted for.
    """

    def __init__(self, level: str) -> None:
        self._nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process
        self._shell = Shell(Settings(level=level), console=StreamConsole(self._nowhere), interactive=True)
        self._monitor = Monitor(
            _ShellFacts(self._shell), self._shell.notice, refresh_s=MIN_REFRESH_S, on_sample=self._draw
        )
        self._rest = 0
        self._server: Any = None
        self.samples = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Its shell, its server and its monitor run."""
        with self._shell:
            self._server = self._shell.execute("echo 127.0.0.1:0 --as soaked").value
            self._monitor.start()
            self._rest = self._shell.snapshot(0).live
            yield
            self._monitor.stop()

    def _draw(self) -> None:
        self.samples += 1
        fragments(self._monitor.latest, 200)

    def happen(self, kind: str, count: int) -> None:
        """Let that many come and go, and wait until all have gone."""
        calls: dict[str, Callable[[int], None]] = {"coroutines": self._spawn, "connections": self._connect}
        self._shell.bridge.call(calls[kind], count, name=kind)
        end_s = time.monotonic() + SETTLE_S
        while self._shell.snapshot(0).live > self._rest and time.monotonic() < end_s:
            time.sleep(0.01)

    def figures(self) -> Figures:
        """What is held now, garbage collected."""
        for _ in range(3):
            gc.collect()
        snapshot = self._shell.snapshot()
        accounts = {picture.id: picture.heap_bytes for picture in snapshot.coroutines}
        live, server = snapshot.live, accounts.get(self._server.coroutine)
        told = (snapshot.traced_bytes, snapshot.heap_bytes, snapshot.dead_bytes, snapshot.outside_bytes)
        del snapshot, accounts
        return Figures(
            *told,
            server=server,
            blocks=sys.getallocatedblocks(),
            objects=len(gc.get_objects()),
            uss=memory.process().uss,
            coroutines=live,
            descriptors=len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0,
        )

    # -- what happens ------------------------------------------------------------------------------

    @staticmethod
    def _spawn(count: int) -> None:
        def body(i: int) -> str:
            kept: list[object] = [{"number": i, "text": str(i)} for _ in range(10)]
            kept.append(kept)  # for the collector
            coloop.defer(kept.append, i)
            coloop.yield_now()
            if i % FAILS_EVERY == 0:
                raise ValueError(i)
            return str(i)

        for first in range(0, count, BATCH):
            coroutines = [coloop.go(body, i) for i in range(first, min(first + BATCH, count))]
            for coroutine in coroutines:
                if coroutine.id % FAILS_EVERY:
                    with_outcome(coroutine)
            coloop.yield_now()

    def _connect(self, count: int) -> None:
        batch = min(CONNECTIONS_BATCH, (descriptors_allowed() - SPARE_DESCRIPTORS) // 2)
        for first in range(0, count, batch):
            here = f"127.0.0.{2 + first // batch % 250}"  # each has ports of its own, which stay in TIME_WAIT
            clients = [
                coloop.go(self._client, here, i % KILLED_EVERY == 0) for i in range(min(batch, count - first))
            ]
            doomed = [client for i, client in enumerate(clients) if i % KILLED_EVERY == 0]
            for client in clients:
                if client not in doomed:
                    client.join()
            for client in doomed:
                coloop.current_scheduler().kill(client)

    def _client(self, here: str, stays: bool) -> None:
        connection = coloop.connect(self._server.address, local=(here, 0))
        with connection:
            connection.sendall(MESSAGE)
            assert connection.recv_exactly(len(MESSAGE)) == MESSAGE
            if stays:
                connection.recv()


def with_outcome(coroutine: coloop.Coroutine) -> None:
    """Wait for it; it may have failed."""
    coroutine.join()


def descriptors_allowed() -> int:
    """As many as this user may have at most; a login often starts with 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else 1 << 20


def main() -> None:
    """Soak, and print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--coroutines", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--level", default="heap")
    parser.add_argument("--warm-up", type=int, default=3_000, help="of each kind, before the first figures")
    options = parser.parse_args()
    soak = Soak(options.level)
    found: dict[str, Any] = {"level": options.level, "form": coloop.FORM}
    with soak.running():
        for kind in KINDS:
            count = getattr(options, kind)
            if not count:
                continue
            soak.happen(kind, options.warm_up)
            soak.figures()
            soak.happen(kind, options.warm_up)
            before = soak.figures()
            begin_s = time.monotonic()
            soak.happen(kind, count)
            seconds = time.monotonic() - begin_s
            after = soak.figures()
            found[kind] = {
                "count": count,
                "seconds": seconds,
                "before": asdict(before),
                "after": asdict(after),
            }
    found["samples"] = soak.samples
    json.dump(found, sys.stdout)
    print()


if __name__ == "__main__":
    main()
