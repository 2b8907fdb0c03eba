"""Other processes work for the shell; of these it knows what they told last, and shows that beside its own.

A worker has a scheduler of its own, with ids that begin at 1 like ours. So a number alone means one of our
coroutines, always, and one of theirs is `web/w1:12`. Whoever wants to know more of that one has it asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from coloop import CoroutinePicture, SocketPicture

from .text import plural, printable
from .values import Bytes, Count, Duration

STALE_S: Final = 2.0  # they report twice a second
_ELSEWHERE: Final = re.compile(r"\s*(\S+/\S+):(\d{1,18})\s*")


@dataclass(frozen=True, slots=True)
class ProcessPicture:
    """One process at the moment of its last report.

    Attributes:
        name: the server and the worker, `web/w1`; unique among all that live.
        pid: the operating system's number.
        state: in one word what it does: `starting`, `running`, `draining`.
        live: how many coroutines it has; there may be fewer pictures of them.
        coroutines: those of which it sent a picture.
        sockets: likewise, listeners among them.
        heap_bytes: all accounts of its ledger together; None below level `heap`.
        rss_bytes: what it holds in memory; None where the system does not tell.
        clients: how many connections its servers have.
        requests: how many requests they have answered.
        taken_ago_s: since when this is known, in seconds.
        lines: the numbers of those of our own sockets that only lead to it.
    """

    name: str
    pid: int
    state: str
    live: int
    coroutines: tuple[CoroutinePicture, ...] = ()
    sockets: tuple[SocketPicture, ...] = ()
    heap_bytes: int | None = None
    rss_bytes: int | None = None
    clients: int = 0
    requests: int = 0
    taken_ago_s: float = 0.0
    lines: tuple[int, ...] = ()

    @property
    def server(self) -> str:
        """The server that it works for: `web`."""
        return self.name.rpartition("/")[0] or self.name


@dataclass(frozen=True, slots=True)
class Sight:
    """One coroutine of such a process, as that tells when it is asked.

    Attributes:
        picture: the coroutine.
        stack: its calls, the outermost first, each with the place, `app.py:31 in handle`, and the source that stands
            there, or nothing; None if they cannot be read.
        coroutines: of the living, itself and those who started it.
        dead: of the dead, likewise.
        sockets: those that it made.
        children: the numbers of the living that it started.
        responsive: whether its scheduler has answered, and not only somebody beside it.
        hog: the coroutine that lets nobody run there.
    """

    picture: CoroutinePicture
    stack: tuple[tuple[str, str], ...] | None = None
    coroutines: tuple[CoroutinePicture, ...] = ()
    dead: tuple[CoroutinePicture, ...] = ()
    sockets: tuple[SocketPicture, ...] = ()
    children: tuple[int, ...] = ()
    responsive: bool = True
    hog: CoroutinePicture | None = None


@dataclass(frozen=True)
class Worker:
    """Such a process in figures; `str` is a line of them.

    Attributes:
        name: what it is called.
        pid: the operating system's number.
        state: what it does.
        coroutines: how many it has.
        clients: how many connections.
        requests: how many it has answered.
        heap: all accounts of its ledger; None below level `heap`.
        rss: what it holds in memory.
        told: how long ago.
    """

    name: str
    pid: int
    state: str
    coroutines: Count
    clients: Count
    requests: Count
    heap: Bytes | None
    rss: Bytes | None
    told: Duration

    @classmethod
    def of(cls, picture: ProcessPicture) -> Worker:
        """The figures of a picture."""
        return cls(
            name=picture.name,
            pid=picture.pid,
            state=picture.state,
            coroutines=Count(picture.live),
            clients=Count(picture.clients),
            requests=Count(picture.requests),
            heap=None if picture.heap_bytes is None else Bytes(picture.heap_bytes),
            rss=None if picture.rss_bytes is None else Bytes(picture.rss_bytes),
            told=Duration(picture.taken_ago_s),
        )

    def __str__(self) -> str:
        counted = ((self.coroutines, "coroutine"), (self.clients, "client"), (self.requests, "request"))
        parts = [", ".join(plural(int(count), noun) for count, noun in counted)]
        held = ((what, size) for what, size in (("heap", self.heap), ("rss", self.rss)) if size is not None)
        parts += [f"{what} {size}" for what, size in held]
        if self.told >= STALE_S:
            parts.append(f"silent for {Duration(round(self.told, 1))} (where {self.name}:1)")
        return printable(f"{self.name} pid {self.pid} {self.state}: {'; '.join(parts)}", keep="")


class Number(int):
    """The number of something in another process, shown as `web/w1:12`; it counts and sorts as any number.

    Attributes:
        process: the name of the process.
    """

    process: str = ""

    @classmethod
    def of(cls, number: int, process: str) -> Number:
        """A number there."""
        made = cls(number)
        made.process = process
        return made

    @classmethod
    def parse(cls, ref: object) -> Number | None:
        """The number that `web/w1:12` is; None if that is something else."""
        if isinstance(ref, Number):
            return ref
        found = _ELSEWHERE.fullmatch(ref) if isinstance(ref, str) else None
        return cls.of(int(found[2]), found[1]) if found else None

    def __str__(self) -> str:
        return f"{self.process}:{int(self)}"


def known_as(number: int) -> str:
    """How a coroutine is called by its number: `co#12` or `web/w1:12`."""
    return str(number) if isinstance(number, Number) else f"co#{number}"
