"""What workers told of themselves, in the form in which the shell shows processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from coshell.api import ProcessPicture

if TYPE_CHECKING:
    from .workers import Mate, Workers


def pictures_of(servers: Iterable[Workers]) -> list[ProcessPicture]:
    """A picture of each worker that is there; from any thread."""
    return [picture for server in servers for picture in _pictures(server)]


def named_mates(server: Workers) -> Iterator[tuple[str, Mate]]:
    """The workers of a server that have a process, each with the name of that; from any thread."""
    names: set[str] = set()
    for mate in server.mates:
        if mate.pid is not None:
            name = f"{server.name}/w{mate.number}"
            name = name if name not in names else f"{name}+{mate.serial}"  # its successor is there already
            names.add(name)
            yield name, mate


def _pictures(server: Workers) -> Iterator[ProcessPicture]:
    for name, mate in named_mates(server):
        pid = mate.pid
        if pid is not None:
            yield _picture(server, mate, name, pid)


def _picture(server: Workers, mate: Mate, name: str, pid: int) -> ProcessPicture:
    worker = server.pool.workers.get(mate.serial)
    report = mate.report
    return ProcessPicture(
        name=name,
        pid=pid,
        state="killed" if worker is None else worker.state,
        live=report.live,
        coroutines=mate.coroutines,
        sockets=mate.sockets,
        heap_bytes=report.heap,
        rss_bytes=report.rss,
        clients=report.connections,
        requests=report.requests,
        taken_ago_s=server.since(mate.heard_at),
        lines=mate.lines,
    )
