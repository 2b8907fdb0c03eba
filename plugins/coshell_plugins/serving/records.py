"""What is told of servers and workers, and how it looks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from coshell.api import Bytes, Column, Count, Duration, cut, plural, printable, table

BRIEF_WIDTH: Final = 24


@dataclass(frozen=True)
class WorkerRecord:
    """One worker at one moment.

    Attributes:
        name: `web/w1`; the 1 is its place, which its successor takes over.
        pid: its process; None before it is there.
        state: `starting`, `running`, `draining` or `killed`.
        connections: how many are open.
        requests: how many it has served.
        heap: what its ledger counts; None below level `heap`.
        rss: what the process holds.
        age: since it began to serve.
    """

    name: str
    pid: int | None
    state: str
    connections: Count
    requests: Count
    heap: Bytes | None
    rss: Bytes | None
    age: Duration | None


@dataclass(frozen=True)
class ServerRecord:
    """One server at one moment.

    Attributes:
        name: what it is called; its coroutines are NAME, NAME/c1, NAME/c2 ...
        state: `accepting`, `pausing` (out of descriptors or memory) or `stopped`; with workers
            `starting`, `running`, `draining`, `stopped` or `failed`.
        address: where it listens, with the real port.
        handler: the expression that gives the handler, or the handler's own name.
        connections: how many are open.
        accepted: how many there were so far.
        rejected: how many were turned away because of a limit.
        failed: how many handlers failed, peers that left not counted.
        requests: how many were served.
        reloads: how often the handler was replaced.
        restarts: how many workers died and were replaced.
        heap: what its coroutines hold, or its workers; None below level `heap`.
        age: since its start.
        trouble: the last warning; None if there was none.
        workers: its worker processes; none if it is served by the shell itself.
        certificate: the file of what it shows over TLS; None without.
    """

    name: str
    state: str
    address: str
    handler: str
    connections: Count
    accepted: Count
    rejected: Count
    failed: Count
    requests: Count
    reloads: Count
    restarts: Count
    heap: Bytes | None
    age: Duration
    trouble: str | None
    workers: tuple[WorkerRecord, ...] = ()
    certificate: str | None = None

    @property
    def crew(self) -> str:
        """How many workers there are."""
        return f"{len(self.workers)}" if self.workers else "-"

    @property
    def brief(self) -> str:
        """The handler, as long as a table allows."""
        return cut(self.handler, BRIEF_WIDTH)


@dataclass(frozen=True)
class Stopped:
    """What `server stop` or `http stop` did.

    Attributes:
        name: the server.
        connections: how many were open.
        drained: whether all of them ended by themselves.
    """

    name: str
    connections: int
    drained: bool


@dataclass(frozen=True)
class LogRecord:
    """One line of a server's log.

    Attributes:
        ago: how long ago it came.
        worker: the number of the worker that printed it; None for what is said about them.
        pid: its process.
        text: the line.
    """

    ago: Duration
    worker: int | None
    pid: int | None
    text: str


NAMED: Final = (Column("name", "NAME"), Column("state", "STATE"), Column("address", "ADDRESS"))
CONNECTIONS: Final = Column("connections", "CONNS", ">")

_SERVERS: Final = (
    *NAMED,
    Column("crew", "WORKERS", ">", drop=9),
    CONNECTIONS,
    Column("accepted", "ACCEPTED", ">", drop=4),
    Column("rejected", "REJECTED", ">", drop=7),
    Column("failed", "FAILED", ">", drop=3),
    Column("reloads", "RELOADS", ">", drop=5),
    Column("restarts", "RESTARTS", ">", drop=8),
    Column("heap", "HEAP", ">", drop=2),
    Column("age", "AGE", ">", drop=6),
    Column("brief", "HANDLER", drop=1),
)

_WORKERS: Final = (
    Column("name", "WORKER"),
    Column("pid", "PID", ">"),
    Column("state", "STATE"),
    CONNECTIONS,
    Column("requests", "REQUESTS", ">"),
    Column("heap", "HEAP", ">", drop=2),
    Column("rss", "RSS", ">", drop=1),
    Column("age", "AGE", ">", drop=3),
)


def lines(value: Any, width: int) -> list[str]:
    """What a command shows: tables of records, or a line about what was done."""
    match value:
        case None:
            return []
        case Stopped():
            return [stopped_line(value)]
        case ServerRecord():
            workers = ["", *table(value.workers, _WORKERS, width)] if value.workers else []
            return [*table([value], _SERVERS, width), *workers, *certificates([value]), *_troubles([value])]
        case [ServerRecord(), *_]:
            return [*table(value, _SERVERS, width), *certificates(value), *_troubles(value)]
        case [LogRecord(), *_]:
            return [_log_line(one) for one in value]
    return ["nothing was logged"] if value == () else ["no servers"]


def stopped_line(value: Stopped) -> str:
    """What was stopped, and what became of its connections."""
    ended = "ended" if value.drained else "cut off"
    connections = f", {plural(value.connections, 'connection')} {ended}" if value.connections else ""
    return printable(f"ok  {value.name} stopped{connections}", keep="")


def certificates(records: Iterable[Any]) -> list[str]:
    """A line for each server that speaks TLS."""
    shown = [one for one in records if one.certificate is not None]
    return [printable(f"{one.name}: over TLS, with certificate {one.certificate}", keep="") for one in shown]


def _troubles(records: list[ServerRecord]) -> list[str]:
    return [printable(f"! {one.name}: {one.trouble}", keep="") for one in records if one.trouble]


def _log_line(line: LogRecord) -> str:
    author = "master" if line.worker is None else f"w{line.worker}({line.pid})"
    return printable(f"{line.ago!s:>7} ago  {author:<12} {line.text}", keep="\t")
