"""Very many coroutines and connections come and go under the shell and its monitor; what is left of them?

    python tests/soak.py                                            100,000 coroutines, 10,000 connections
    python tests/soak.py --coroutines 10000000 --connections 0      for a night

The process has nothing else to do. It hosts a shell with a server, samples it as the bar does, and lets the
same things happen four times: twice in part, so that every cache, ring and pool is filled, and then twice as often
as was asked for. Before, between and after these it collects garbage and writes down what it holds, by every
count there is. What is printed is one JSON object; nothing is judged here.
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
from pathlib import Path
from typing import Any

import coloop
from coloop import memory
from coshell.config import Settings
from coshell.console import StreamConsole
from coshell.monitor import MIN_REFRESH_S, Monitor
from coshell.sampling import ShellFacts
from coshell.shell import Shell
from coshell.toolbar import fragments

BATCH = 1_000  # coroutines at a time
CONNECTIONS_BATCH = 500  # each takes two descriptors here
SPARE_DESCRIPTORS = 200
FAILS_EVERY = 10
KILLED_EVERY = 3
SETTLE_S = 20.0
MESSAGE = b"x" * 64
DESCRIPTORS = Path("/proc/self/fd")
WARM_UP = {"coroutines": 20_000, "connections": 2_000}


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
        map: what the ledger takes by itself, at most; none of it is in the total.
        accounts: of the dead, that the ledger keeps because something is left on them.
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
    map: int | None
    accounts: int | None
    uss: int | None
    coroutines: int
    descriptors: int


class Soak:
    """A shell with a server and a monitor, and what happens to them.

    Args:
        level: what is accounted for.
    """

    def __init__(self, level: str) -> None:
        self._nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
        self._shell = Shell(Settings(level=level), console=StreamConsole(self._nowhere), interactive=True)
        self._monitor = Monitor(
            ShellFacts(self._shell), self._shell.notice, refresh_s=MIN_REFRESH_S, on_sample=self._draw
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
        """What is held now, garbage collected; the monitor's last sample is of an idle shell."""
        seen, end_s = self.samples, time.monotonic() + SETTLE_S
        while self.samples < seen + 2 and time.monotonic() < end_s:
            time.sleep(0.01)
        for _ in range(3):
            gc.collect()
        snapshot = self._shell.snapshot()
        accounts = {picture.id: picture.heap_bytes for picture in snapshot.coroutines}
        live, server = snapshot.live, accounts.get(self._server.coroutine)
        told = (snapshot.traced_bytes, snapshot.heap_bytes, snapshot.dead_bytes, snapshot.outside_bytes)
        del snapshot, accounts
        books = memory.bookkeeping()
        return Figures(
            *told,
            server=server,
            blocks=sys.getallocatedblocks(),
            objects=len(gc.get_objects()),
            map=None if books is None else books.map_bytes,
            accounts=None if books is None else books.closed_accounts,
            uss=memory.process().uss,
            coroutines=live,
            descriptors=min(_open_descriptors() for _ in range(50)),
        )

    # -- what happens ------------------------------------------------------------------------------

    @staticmethod
    def _spawn(count: int) -> None:
        def body(i: int) -> str:
            kept: list[object] = [{"number": i, "text": str(i)} for _ in range(10)]
            kept.append(kept)  # for the collector
            coloop.defer(kept.append, i)
            coloop.yield_now()
            if i % FAILS_EVERY == 0:  # BATCH is a multiple of it
                raise ValueError(i)
            return str(i)

        for first in range(0, count, BATCH):
            coroutines = [coloop.go(body, i) for i in range(first, min(first + BATCH, count))]
            del coroutines[::FAILS_EVERY]  # nobody joins those that fail, so that they are told of
            for coroutine in coroutines:
                coroutine.join()

    def _connect(self, count: int) -> None:
        batch = min(CONNECTIONS_BATCH, (descriptors_allowed() - SPARE_DESCRIPTORS) // 2)
        for first in range(0, count, batch):
            here = f"127.0.0.{2 + first // batch % 250}"  # each has ports of its own, which stay in TIME_WAIT
            size = min(batch, count - first)
            staying = [coloop.go(self._client, here, stays=True) for _ in range(size // KILLED_EVERY)]
            going = [coloop.go(self._client, here) for _ in range(size - len(staying))]
            for client in going:
                client.result()
            for client in staying:
                coloop.current_scheduler().kill(client)

    def _client(self, here: str, *, stays: bool = False) -> None:
        connection = coloop.connect(self._server.address, local=(here, 0))
        with connection:
            connection.sendall(MESSAGE)
            assert connection.recv_exactly(len(MESSAGE)) == MESSAGE
            if stays:
                connection.recv()


def _open_descriptors() -> int:
    """At this moment: the monitor opens one now and then, to ask the system, so the least of some looks counts."""
    time.sleep(0.002)
    return sum(1 for _ in DESCRIPTORS.iterdir()) if DESCRIPTORS.exists() else 0


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
    options = parser.parse_args()
    soak = Soak(options.level)
    found: dict[str, Any] = {"level": options.level, "form": coloop.FORM}
    with soak.running():
        for kind, warm_up in WARM_UP.items():
            count = getattr(options, kind)
            if not count:
                continue
            for _ in range(2):
                soak.happen(kind, warm_up)
                soak.figures()
            figures, begin_s = [soak.figures()], time.monotonic()
            for _ in range(2):
                soak.happen(kind, count)
                figures.append(soak.figures())
            found[kind] = {
                "count": count,
                "seconds": time.monotonic() - begin_s,
                **dict(zip(("before", "between", "after"), map(asdict, figures), strict=True)),
            }
    found["samples"] = soak.samples
    json.dump(found, sys.stdout)
    print()


if __name__ == "__main__":
    main()
