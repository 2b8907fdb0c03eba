"""What changes is seen by looking twice: a thread looks at the scheduler every half second and remembers a little.

A picture tells how much a coroutine holds; only two pictures tell that it holds more and more. The monitor
has a thread of its own, because what it must see first of all is a scheduler whose thread is not let go
by a coroutine. All that it keeps is bounded: a monitor that grows is what it was made to find.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from coloop import CoroutinePicture, NotRunning, Snapshot, SocketPicture, memory

from .lints import BUILT_IN, Finding, HeapGrowing, Lint, findings
from .pictures.timeline import Timeline
from .processes import ProcessPicture
from .socket_lints import socket_findings
from .text import printable
from .values import Duration

REFRESH_S: Final = 0.5
MIN_REFRESH_S: Final = 0.1
MAX_PICTURES: Final = 1000
MAX_BY_SITE: Final = (
    20_000  # coroutines; all of them are looked at, a microsecond each, and nobody runs meanwhile
)
RATE_WINDOW_SAMPLES: Final = 10
SPARK_SAMPLES: Final = 8
LAG_WINDOW_S: Final = 1.0
HOG_NOTICE_S: Final = 0.5
HOG_SILENCE_S: Final = 30.0  # one that hogs again and again is named once in so long a time
MAX_TOLD: Final = 64


@dataclass(frozen=True)
class ServerLine:
    """One listener, as the bar shows it.

    Attributes:
        name: the name of the coroutine that made it.
        address: where it listens.
        clients: how many connections that coroutine has made or accepted, and not closed.
        workers: how many other processes serve there, too; their clients are counted.
    """

    name: str
    address: str
    clients: int
    workers: int = 0


@dataclass(frozen=True)
class Sample:
    """One look at the scheduler, with what is known from the looks before.

    Attributes:
        snapshot: the picture.
        taken_at_s: when, on the monitor's clock.
        heap_rate: how fast the sum of all accounts grows, in bytes per second; None if nobody knows.
        heap_rates: the same for each coroutine, by id.
        heap_history: the sum of all accounts in the last samples, in bytes, oldest first.
        lag_s: the longest time in the last second that the scheduler took to answer.
        rss_bytes: what the process holds.
        findings: what the lints say.
        servers: the listeners; as last seen, when the scheduler is hogged.
        stack_bytes: all stacks together; likewise.
        stack_frames: the depth of the deepest of them; likewise.
        segments: what plugins add to the bar.
    """

    snapshot: Snapshot
    taken_at_s: float = 0.0
    heap_rate: float | None = None
    heap_rates: Mapping[int, float] = field(default_factory=dict)
    heap_history: tuple[int, ...] = ()
    lag_s: float = 0.0
    rss_bytes: int = 0
    findings: tuple[Finding, ...] = ()
    servers: tuple[ServerLine, ...] = ()
    stack_bytes: int = 0
    stack_frames: int = 0
    segments: tuple[str, ...] = ()


class Series:
    """The last values of one quantity, in bytes, and how fast they rise."""

    __slots__ = ("_points", "rises")

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque(maxlen=RATE_WINDOW_SAMPLES + 1)
        self.rises = 0  # the length of the unbroken row of risen samples at the end

    def add(self, now_s: float, value: int) -> None:
        """Append a value that was read at `now_s`."""
        if self._points:
            self.rises = self.rises + 1 if value > self._points[-1][1] else 0
        self._points.append((now_s, value))

    def rate(self) -> float | None:
        """Bytes per second over the window; None before there are two values."""
        if len(self._points) < 2:
            return None
        (first_s, first), (last_s, last) = self._points[0], self._points[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else None

    def last(self, count: int) -> tuple[int, ...]:
        """The last values, oldest first."""
        return tuple(value for _, value in self._points)[-count:]


class Growth:
    """How the heap of each coroutine, and of all together, went on; forgets a coroutine as soon as it is gone."""

    def __init__(self) -> None:
        self.total = Series()
        self._of: dict[int, Series] = {}

    def add(self, now_s: float, snapshot: Snapshot) -> None:
        """Note what a picture tells; a light one, of a hogged scheduler, tells nothing."""
        if not snapshot.responsive:
            return
        if snapshot.heap_bytes is not None:
            self.total.add(now_s, snapshot.heap_bytes)
        self._of = {
            picture.id: self._continued(picture.id, now_s, picture.heap_bytes)
            for picture in snapshot.coroutines
            if picture.heap_bytes is not None
        }

    def rates(self) -> dict[int, float]:
        """Bytes per second, by coroutine id."""
        return {number: rate for number, series in self._of.items() if (rate := series.rate()) is not None}

    def rises(self, id: int) -> int:  # noqa: A002  the contract's name
        """In how many samples in a row the heap of that coroutine rose."""
        series = self._of.get(id)
        return series.rises if series else 0

    def _continued(self, id: int, now_s: float, heap_bytes: int) -> Series:  # noqa: A002
        series = self._of.get(id) or Series()
        series.add(now_s, heap_bytes)
        return series


class HogWatch:
    """Decides when a coroutine that lets nobody else run is worth a line: once for each time it does so."""

    def __init__(self) -> None:
        self._told: dict[int, float] = {}

    def notice(self, now_s: float, snapshot: Snapshot) -> str | None:
        """The line to show now, if there is one."""
        hog = snapshot.hog
        if hog is None or hog.running_for_s < HOG_NOTICE_S or self._was_told(now_s, hog):
            return None
        while len(self._told) >= MAX_TOLD:
            del self._told[next(iter(self._told))]
        self._told[hog.id] = now_s
        place = hog.where or (snapshot.hog_stack[-1] if snapshot.hog_stack else "")
        where = f" at {printable(place, keep='')}" if place else ""
        ran_for = Duration(round(hog.running_for_s, 1))
        return f"{label(hog)} has run for {ran_for} without yielding{where} (kill {hog.id})"

    def _was_told(self, now_s: float, hog: CoroutinePicture) -> bool:
        told_at_s = self._told.get(hog.id)
        if told_at_s is None:
            return False
        began_s = now_s - hog.running_for_s
        return began_s <= told_at_s or now_s - told_at_s < HOG_SILENCE_S


class Facts(Protocol):
    """What the monitor asks others for; every method is called on the monitor's thread."""

    def snapshot(self) -> Snapshot:
        """The picture of this moment, light if the scheduler is hogged."""

    def lints(self) -> Iterable[Lint]:
        """The lints of plugins."""

    def segments(self, sample: Sample) -> Iterable[str]:
        """What plugins add to the bar."""


class Monitor:
    """Samples the scheduler in a thread.

    Args:
        facts: where the pictures come from.
        notice: shows a line to the user; called on the monitor's thread.
        refresh_s: seconds between two samples, at least `MIN_REFRESH_S`.
        on_sample: called on the monitor's thread after each sample.
        clock: tells real time in seconds: what hogs the thread does so on any clock of the scheduler.
        processes: tells what other processes have told.
        by_site: tells the heap by place of birth, with what the dead have left; nothing if that would come too
            soon after the last time, unless it was asked for; None if it does not know.

    Attributes:
        latest: the last sample; None before there is one.
        timeline: what all samples showed, bounded.
    """

    def __init__(
        self,
        facts: Facts,
        notice: Callable[[str], None],
        *,
        refresh_s: float = REFRESH_S,
        on_sample: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        processes: Callable[[], Sequence[ProcessPicture]] = tuple,
        by_site: Callable[[bool], Mapping[str, int] | None] = lambda _asked: None,
    ) -> None:
        self.latest: Sample | None = None
        self.timeline = Timeline()
        self._facts = facts
        self._notice = notice
        self._refresh_s = max(refresh_s, MIN_REFRESH_S)
        self._on_sample = on_sample
        self._clock = clock
        self._by_site = by_site
        self._processes = processes
        self._growth = Growth()
        self._seen_servers: list[ServerLine] = []
        self._lints: tuple[Lint, ...] = (*BUILT_IN, HeapGrowing(self._growth.rises))
        self._hogs = HogWatch()
        self._lags: deque[tuple[float, float]] = deque(maxlen=round(LAG_WINDOW_S / MIN_REFRESH_S))
        import psutil  # late: not everybody who knows of monitors starts one

        self._process = psutil.Process()
        self._failure = ""
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to sample; the first sample is there when this returns."""
        self.sample()
        self._thread = threading.Thread(target=self._run, name="coshell monitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def sample(self) -> Sample:
        """Look once: it becomes `latest`, and a notice is given if there is one to give."""
        snapshot, now_s = self._facts.snapshot(), self._clock()
        self._remember(snapshot, asked=False)
        self._growth.add(now_s, snapshot)
        self._lags.append((now_s, _lag_of(snapshot)))
        sample = self._sample_of(now_s, snapshot)
        self.latest = replace(sample, segments=tuple(self._facts.segments(sample)))
        line = self._hogs.notice(now_s, snapshot)
        if line is not None:
            self._notice(line)
        return self.latest

    def look(self) -> None:
        """Let the timeline reach this moment, and change nothing else; from any thread."""
        self._remember(self._facts.snapshot(), asked=True)

    def _remember(self, snapshot: Snapshot, *, asked: bool) -> None:
        is_cheap = snapshot.responsive and snapshot.live <= MAX_BY_SITE
        self.timeline.add(snapshot, self._by_site(asked) if is_cheap else None)

    def _sample_of(self, now_s: float, snapshot: Snapshot) -> Sample:
        last_seen = None if snapshot.responsive else self.latest
        if last_seen is None:
            self._seen_servers = servers_in(snapshot)
        return Sample(
            snapshot=snapshot,
            taken_at_s=now_s,
            heap_rate=self._growth.total.rate(),
            heap_rates=self._growth.rates(),
            heap_history=self._growth.total.last(SPARK_SAMPLES),
            lag_s=max(lag_s for at_s, lag_s in self._lags if now_s - at_s < LAG_WINDOW_S),
            rss_bytes=self._process.memory_info().rss,
            findings=(
                *findings(snapshot.coroutines, (*self._lints, *self._facts.lints())),
                *socket_findings(snapshot),
            ),
            servers=tuple(with_workers(self._seen_servers, self._processes())),
            stack_bytes=last_seen.stack_bytes if last_seen else snapshot.stack_bytes,
            stack_frames=last_seen.stack_frames if last_seen else _deepest(snapshot),
        )

    def _run(self) -> None:
        memory.own_thread()
        while not self._stopped.wait(self._pause_s()):
            try:
                self.sample()
            except NotRunning:
                return
            except Exception as error:
                self._tell_failure(error)
            self._on_sample()

    def _pause_s(self) -> float:
        """Shorter than usual when a coroutine is about to run for so long that it must be named."""
        hog = self.latest.snapshot.hog if self.latest else None
        if hog is None or hog.running_for_s >= HOG_NOTICE_S:
            return self._refresh_s
        return min(self._refresh_s, HOG_NOTICE_S - hog.running_for_s + 0.01)

    def _tell_failure(self, error: Exception) -> None:
        failure = printable(f"the monitor failed: {type(error).__name__}: {error}", keep="")
        if failure != self._failure:
            self._failure = failure
            self._notice(failure)


def label(picture: CoroutinePicture) -> str:
    """A coroutine as it is named to the user: `co#7 hog`."""
    return f"co#{picture.id} {printable(picture.name, keep='')}"


def servers_in(snapshot: Snapshot) -> list[ServerLine]:
    """The listeners of a picture, each with the connections of the coroutine that made it."""
    names = {picture.id: picture.name for picture in snapshot.coroutines}
    return [
        ServerLine(
            printable(names.get(listener.owner, ""), keep=""),
            printable(listener.local, keep=""),
            sum(_is_client_of(listener, other) for other in snapshot.sockets),
        )
        for listener in snapshot.sockets
        if listener.role == "listener"
    ]


def with_workers(servers: Sequence[ServerLine], processes: Sequence[ProcessPicture]) -> list[ServerLine]:
    """The same with what other processes serve: one line for all workers of a server, and its own if it has one."""
    workers: dict[str, list[ProcessPicture]] = {}
    for process in processes:
        workers.setdefault(process.server, []).append(process)
    lines = {printable(name, keep=""): _line_of(name, theirs) for name, theirs in workers.items()}
    merged: dict[str, ServerLine] = {}
    for server in servers:
        name = next(
            (n for n, line in lines.items() if n == server.name or line.address == server.address), None
        )
        if name is None:
            continue
        found = merged.get(name, lines[name])
        merged[name] = replace(found, address=server.address, clients=found.clients + server.clients)
    alone = [
        server for server in servers if not any(server.address == one.address for one in merged.values())
    ]
    return [*alone, *(lines | merged).values()]


def _line_of(name: str, workers: Sequence[ProcessPicture]) -> ServerLine:
    listening = (held.local for worker in workers for held in worker.sockets if held.role == "listener")
    clients = sum(worker.clients for worker in workers)
    address = printable(next(listening, ""), keep="")
    return ServerLine(printable(name, keep=""), address, clients, len(workers))


def _is_client_of(listener: SocketPicture, other: SocketPicture) -> bool:
    return other.role == "server" and other.local == listener.local


def _deepest(snapshot: Snapshot) -> int:
    return max((picture.frames for picture in snapshot.coroutines), default=0)


def _lag_of(snapshot: Snapshot) -> float:
    hogged_for_s = snapshot.hog.running_for_s if snapshot.hog else 0.0
    return max(snapshot.lag_s, hogged_for_s)
