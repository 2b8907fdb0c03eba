"""What is measured: a table of measures, and how a sample of each is taken.

A measure has one row in the results, or several (percentiles, sizes). Its sizes are those of a full run and of a
quick one. `reach` is what the design asks for, as a range of the ratio to that peer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Protocol

from .certificate import certificate
from .contenders import OURS, OURS_HTTP, UNCOUNTED
from .cores import Cores, ahead_of_others
from .process import Failed, load
from .prompt import Prompt
from .requests import request_load
from .sample import FAN_WORKERS, sum_below

GREENS = ("gevent", "eventlet")
TASKS = ("asyncio", "uvloop", "trio", "curio")
LIBRARIES = (*GREENS, *TASKS)
SERVERS = (*GREENS, "asyncio", "uvloop", "uvloop_protocol", "asyncio_protocol", "trio", "curio", "c_epoll")
ACCOUNTED = ("coloop_counts", "coloop_heap", "coloop_sites", "coloop_exact")
TRACED = ("coloop_tracemalloc", "coloop_tracemalloc10", "coloop_memray", "coloop_memray_objects")
HTTP_SERVERS = ("gunicorn_gevent", "uvicorn_h11", "uvicorn_httptools")
TLS_SERVERS = tuple(name for name in SERVERS if name != "c_epoll")

YIELDERS = 100
GROWTH = (10, 100, 1_000, 10_000, 100_000)
LATENCY_RATE = 5_000
HELD_UP = 0.005  # of its time: then every p99 is its own
ATTEMPTS = 3
WARM_UP_S = 0.1
MILLION = 1_000_000
PROMPT_ASKED = 20  # lines, and as many keys
MICRO = 1e6
KIB = 1024
MIB = 1 << 20


class Asked(Protocol):
    """A contender's process, as far as a measure is concerned.

    Attributes:
        pid: its number.
    """

    pid: int

    def ask(self, call: str, *args: int | str) -> dict[str, Any]:
        """Have it do `call(*args)`; its answer."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of it, and how often.

    Attributes:
        n: of what the measure counts.
        rounds: how often the contenders take turns.
        seconds: of load, where there is any.
    """

    n: int
    rounds: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the results.

    Attributes:
        title: what is measured.
        unit: of the absolute figures.
        more_is_better: a rate rather than a cost.
        reach: by peer, the range in which the ratio should lie.
        at_most: an absolute bound, for a row in which we are the only one, or which has one beside.
        compared: False for what tells how far the other rows can be believed: no ratio is made of it.
        share: by peer, of which other peer's extra cost it may have at most which part.
    """

    title: str
    unit: str
    more_is_better: bool = False
    reach: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    at_most: float | None = None
    compared: bool = True
    share: Mapping[str, tuple[str, float]] = field(default_factory=dict)


Take = Callable[[Asked, Sizes, Cores], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Measure:
    """What can be chosen on the command line.

    Attributes:
        name: by which it is chosen.
        rows: what one sample gives.
        peers: who takes part besides `ours`.
        take: asks a process for one sample, a value for each row.
        full: the sizes of a full run.
        quick: the sizes of a quick one; None if it cannot be quick, and is left out there.
        fresh: whether each sample needs a process of its own.
        serves: by which call the processes become echo servers, if that is what they are.
        needs_bytes: memory without which it cannot be taken.
        warms_up: False where a sample takes long, and is itself far more than a warm-up.
        ours: whom the peers are compared with.
    """

    name: str
    rows: tuple[Row, ...]
    peers: tuple[str, ...]
    take: Take
    full: Sizes
    quick: Sizes | None
    fresh: bool = False
    serves: str = ""
    needs_bytes: int = 0
    warms_up: bool = True
    ours: str = OURS

    @property
    def warm_up(self) -> Sizes | None:
        """Sizes of a sample that is not counted; None where each sample begins anew, but in a server.

        The first connections of a process may find it in a state that it never returns to: asyncio takes a
        quarter of its later speed until glibc has seen a 256 KiB block freed, which is when the first connection
        is closed, and from then on has no pages mapped and unmapped for each message.
        """
        if self.serves:
            return replace(self.full, rounds=1, seconds=WARM_UP_S)
        return None if self.fresh or not self.warms_up else self.quick


def checked(answer: Mapping[str, float], expected: int) -> float:
    """The seconds of an answer, once it is certain that all was done.

    Raises:
        Failed: something else was done than asked for, or nothing.
    """
    if answer["done"] != expected:
        raise Failed(f"it was asked for {expected} and did {answer['done']}")
    return answer["seconds"]


# -- in one process --------------------------------------------------------------------------------


def _spawn(process: Asked, sizes: Sizes, _: Cores) -> tuple[float, ...]:
    return (checked(process.ask("spawn", sizes.n), sizes.n) / sizes.n * MICRO,)


def _yield(process: Asked, sizes: Sizes, _: Cores) -> tuple[float, ...]:
    answer = process.ask("yield_round", YIELDERS, sizes.n // YIELDERS)
    return (checked(answer, sizes.n) / sizes.n * MICRO,)


def _values(call: str) -> Take:
    def take(process: Asked, sizes: Sizes, _: Cores) -> tuple[float, ...]:
        return (checked(process.ask(call, sizes.n), sum_below(sizes.n)) / sizes.n * MICRO,)

    return take


def _each(call: str) -> Take:
    def take(process: Asked, sizes: Sizes, _: Cores) -> tuple[float, ...]:
        return (checked(process.ask(call, sizes.n), sizes.n) / sizes.n * MICRO,)

    return take


def _memory(process: Asked, sizes: Sizes, _: Cores) -> tuple[float, ...]:
    answer = process.ask("park", sizes.n)
    seconds = checked(answer, sizes.n)
    return answer["bytes"] / sizes.n / KIB, seconds / sizes.n * MICRO


def _spawn_growth(process: Asked, sizes: Sizes, _: Cores) -> tuple[float, ...]:
    answer = process.ask("spawn_growth", sizes.n)
    checked(answer, sizes.n)
    return (answer["bytes"] / KIB,)


def _growth(process: Asked, sizes: Sizes, _: Cores) -> tuple[float, ...]:
    costs = [
        checked(process.ask("growth", parked, sizes.n), sum_below(sizes.n)) / sizes.n * MICRO
        for parked in GROWTH
    ]
    return (*costs, costs[-1] / costs[0])


# -- over sockets ----------------------------------------------------------------------------------


PLAIN, TLS = "echo_server", "tls_echo_server"
HTTP, HTTP_WORKERS = "http_server", "http_workers"


class Serving:
    """An echo server's process: asked for its port again, it remembers.

    Args:
        process: that becomes the server.
        call: what to ask of it.
        args: files that this needs.
    """

    def __init__(self, process: Asked, call: str, *args: str) -> None:
        self.pid = process.pid
        self._call = call
        self._port = int(process.ask(call, *args)["port"])

    def ask(self, call: str, *args: int | str) -> dict[str, Any]:
        """Only the port can be asked for."""
        assert (call, args) == (self._call, ())
        return {"port": self._port}


def serving(process: Asked, call: str) -> Serving:
    """Have that process serve."""
    return Serving(process, call, *(certificate() if call == TLS else ()))


def _load(
    process: Asked, cores: Cores, mode: str, sizes: Sizes, connections: int, size_bytes: int, **more: Any
) -> dict[str, float]:
    call = TLS if more.get("tls") else PLAIN
    port = int(process.ask(call)["port"])
    return load(
        cores,
        mode,
        port,
        connections=connections or sizes.n,
        size_bytes=size_bytes,
        seconds=sizes.seconds,
        pid=process.pid,
        **more,
    )


def _rates(mode: str, connections: int, size_bytes: int, *, tls: bool = False) -> Take:
    """With so many connections; with 0, as many as the sizes say. A value for each of `_rate_rows`."""

    def take(process: Asked, sizes: Sizes, cores: Cores) -> tuple[float, ...]:
        found = _load(process, cores, mode, sizes, connections, size_bytes, tls=tls)
        seconds, server_cpu_s = found["seconds"], found["server_cpu_s"]
        if server_cpu_s <= 0:
            raise Failed("its CPU time cannot be read")
        load_share, messages = found["load_cpu_s"] / seconds, found["messages"]
        return messages / seconds, messages / server_cpu_s, load_share * 100, server_cpu_s / seconds * 100

    return take


def _requests(call: str) -> Take:
    """A value for each of `_rate_rows`. Two workers are on all cores, with the load beside them."""

    def take(process: Asked, sizes: Sizes, cores: Cores) -> tuple[float, ...]:
        port = int(process.ask(call)["port"])
        core = cores.load if call == HTTP else None
        found = request_load(core, port, process.pid, sizes.n, sizes.seconds)
        seconds, server_cpu_s, answered = found["seconds"], found["server_cpu_s"], found["messages"]
        if server_cpu_s <= 0:
            raise Failed("its CPU time cannot be read")
        shares = found["load_cpu_s"] / seconds * 100, server_cpu_s / seconds * 100
        return answered / seconds, answered / server_cpu_s, *shares

    return take


def _http_measure(name: str, call: str, title: str, quick: Sizes | None) -> Measure:
    return Measure(
        name,
        _rate_rows(title, "requests"),
        HTTP_SERVERS,
        _requests(call),
        Sizes(64, 5, 2.0),
        quick,
        serves=call,
        ours=OURS_HTTP,
    )


def _rate_rows(
    title: str,
    what: str,
    reach: Mapping[str, tuple[float, float]] | None = None,
    share: Mapping[str, tuple[str, float]] | None = None,
) -> tuple[Row, ...]:
    """Against the clock, and against the server's own CPU time, which does not depend on who else is at work.

    The load generator has one core, as the server has. Where it is the busier of the two it is what the rate tells of,
    and only the second row compares the servers.
    """
    reach, share = reach or {}, share or {}
    return (
        Row(title, f"{what}/s", more_is_better=True, reach=reach, share=share),
        Row(f"{title}, per CPU second", what, more_is_better=True, reach=reach, share=share),
        Row(f"{title}: load generator at work", "%", compared=False),
        Row(f"{title}: server at work", "%", compared=False),
    )


def _latency(process: Asked, sizes: Sizes, cores: Cores) -> tuple[float, ...]:
    """If the generator was held up, what it saw says nothing of the server, and it tries again."""
    with ahead_of_others(process.pid):
        for _ in range(ATTEMPTS):
            found = _load(process, cores, "rate", sizes, 0, 64, limit=LATENCY_RATE)
            held_up_share = found["held_up_s"] / found["seconds"]
            if held_up_share < HELD_UP:
                break
    return found["p50_us"], found["p99_us"], found["p999_us"], held_up_share * 100


def _echo_measure(connections: int, size_bytes: int, name: str, size: str, quick: Sizes | None) -> Measure:
    reach = {"uvloop_protocol": (1.25, inf), "gevent": (4.0, inf), "c_epoll": (0.85, inf)}
    rows = _rate_rows(f"echo, {connections:,} connections, {size}", "messages", reach)
    take = _rates("closed", connections, size_bytes)
    return Measure(name, rows, SERVERS, take, Sizes(connections, 5, 0.6), quick, serves=PLAIN)


# -- the ledger ------------------------------------------------------------------------------------


A_TENTH: Mapping[str, tuple[str, float]] = {"coloop_heap": ("coloop_tracemalloc", 0.1)}


def _at_most(ratio: float) -> Mapping[str, tuple[float, float]]:
    """How many times as much as without it the heap ledger may cost."""
    return {"coloop_heap": (0, ratio)}


def _ledger_measure(
    name: str,
    workload: str,
    title: str,
    full: int,
    quick: int,
    reach: Mapping[str, tuple[float, float]] | None = None,
    share: Mapping[str, tuple[str, float]] | None = None,
) -> Measure:
    """One of `contenders/_workloads.py`, as it is without any ledger against each kind of accounting."""
    row = Row(title, "us", reach=reach or {}, share=share or {})
    return Measure(
        name,
        (row,),
        (*ACCOUNTED, *TRACED),
        _each(workload),
        Sizes(full, 5),
        Sizes(quick, 1),
        fresh=True,
        ours=UNCOUNTED,
    )


# -- the shell -------------------------------------------------------------------------------------


def _prompt(_: Asked, sizes: Sizes, __: Cores) -> tuple[float, ...]:
    with Prompt() as prompt:
        before = prompt.resident_bytes()
        seconds = prompt.park(sizes.n)
        each = (prompt.resident_bytes() - before) / sizes.n
        prompt.count_at("heap")  # where the shell is by default
        lines = [prompt.line() for _ in range(PROMPT_ASKED)]
        keys = [prompt.key() for _ in range(PROMPT_ASKED)]
    in_order = [sorted(times) for times in (lines, keys)]
    told = [seconds * 1000 for times in in_order for seconds in (times[len(times) // 2], times[-1])]
    return (*told, each / KIB, seconds / sizes.n * MICRO)


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            "spawn",
            (
                Row(
                    "spawn + end",
                    "us",
                    reach={"gevent": (15, inf), "asyncio": (5, inf), "uvloop": (3.5, inf)},
                ),
            ),
            LIBRARIES,
            _spawn,
            Sizes(50_000, 5),
            Sizes(5_000, 3),
        ),
        Measure(
            "yield",
            (
                Row(
                    "yield, 100 coroutines",
                    "us",
                    reach={"gevent": (4, inf), "uvloop": (1.7, inf), "greenlet": (1 / 1.4, inf)},
                ),
            ),
            (*LIBRARIES, "greenlet"),
            _yield,
            Sizes(200_000, 5),
            Sizes(20_000, 3),
        ),
        Measure(
            "hop",
            (Row("channel hop", "us", reach={"gevent": (4, inf), "asyncio": (3, inf)}),),
            LIBRARIES,
            _values("channel_hop"),
            Sizes(50_000, 5),
            Sizes(5_000, 3),
        ),
        Measure(
            "fan",
            (Row(f"fan-out and fan-in, {FAN_WORKERS} workers", "us"),),
            LIBRARIES,
            _values("fan"),
            Sizes(50_000, 5),
            Sizes(5_000, 3),
        ),
        _echo_measure(100, 64, "echo-100-64", "64 B", Sizes(100, 3, 0.1)),
        _echo_measure(100, KIB, "echo-100-1k", "1 KiB", None),
        _echo_measure(1_000, 64, "echo-1000-64", "64 B", None),
        _echo_measure(1_000, KIB, "echo-1000-1k", "1 KiB", Sizes(1_000, 2, 0.1)),
        Measure(
            "connections",
            _rate_rows("echo, 10,000 connections, 64 B", "messages"),
            SERVERS,
            _rates("closed", 0, 64),
            Sizes(10_000, 3, 0.6),
            None,
            serves=PLAIN,
        ),
        Measure(
            "latency",
            (
                *(Row(f"latency {share} at {LATENCY_RATE:,}/s", "us") for share in ("p50", "p99", "p99.9")),
                Row(f"latency at {LATENCY_RATE:,}/s: load generator held up by others", "%", compared=False),
            ),
            (*SERVERS, "coloop_again"),
            _latency,
            Sizes(
                100, 25, 0.2
            ),  # many and short: a stall of the machine spoils one of them, and the median none
            Sizes(100, 1, 0.3),
            serves=PLAIN,
        ),
        Measure(
            "accept",
            _rate_rows("accept, echo once, close", "connections"),
            SERVERS,
            _rates("accept", 0, 64),
            Sizes(64, 5, 0.4),
            Sizes(64, 1, 0.1),
            serves=PLAIN,
        ),
        Measure(
            "bulk",
            _rate_rows("echo of 1 MiB messages", "MiB"),
            SERVERS,
            _rates("closed", 0, MIB),
            Sizes(4, 5, 0.4),
            Sizes(4, 1, 0.1),
            serves=PLAIN,
        ),
        Measure(
            "tls",
            _rate_rows("TLS echo, 100 connections, 64 B", "messages"),
            TLS_SERVERS,
            _rates("closed", 100, 64, tls=True),
            Sizes(100, 5, 0.6),
            Sizes(100, 1, 0.1),
            serves=TLS,
        ),
        Measure(
            "tls-bulk",
            _rate_rows("TLS echo of 1 MiB messages", "MiB"),
            TLS_SERVERS,
            _rates("closed", 0, MIB, tls=True),
            Sizes(4, 3, 0.4),
            None,
            serves=TLS,
        ),
        _http_measure("http", HTTP, "HTTP, 64 connections, 1 worker", Sizes(64, 1, 1.0)),
        _http_measure("http-workers", HTTP_WORKERS, "HTTP, 64 connections, 2 workers", Sizes(64, 1, 1.0)),
        Measure(
            "memory",
            (Row("memory per parked coroutine", "KiB", at_most=6.2), Row("spawn and park", "us")),
            (*LIBRARIES, "greenlet"),
            _memory,
            Sizes(100_000, 1),
            Sizes(5_000, 1),
            fresh=True,
        ),
        Measure(
            "memory-million",
            (
                Row(f"memory per parked coroutine, {MILLION:,} of them", "KiB", at_most=6.2),
                Row(f"spawn and park, {MILLION:,} of them", "us"),
            ),
            (),
            _memory,
            Sizes(MILLION, 1),
            None,
            fresh=True,
            needs_bytes=9 * KIB * MILLION,
        ),
        Measure(
            "prompt",
            (
                Row(f"a line answered in the shell, {MILLION:,} parked", "ms", at_most=500),
                Row(f"the slowest line of {PROMPT_ASKED}", "ms", at_most=500),
                Row(f"a key shown in the shell, {MILLION:,} parked", "ms", at_most=500),
                Row(f"the slowest key of {PROMPT_ASKED}", "ms", at_most=500),
                Row(f"memory per coroutine in the shell, {MILLION:,} parked", "KiB"),
                Row("spawn and park in the shell", "us"),
            ),
            (),
            _prompt,
            Sizes(MILLION, 1),
            None,
            fresh=True,
            needs_bytes=12 * KIB * MILLION,
        ),
        Measure(
            "growth",
            (
                *(Row(f"channel hop, {parked:,} parked", "us") for parked in GROWTH),
                Row("the last of these by the first", "x", at_most=1.5),
            ),
            ("gevent", "asyncio", "uvloop", "trio"),
            _growth,
            Sizes(20_000, 3),
            Sizes(2_000, 1),
            warms_up=False,
        ),
        Measure(
            "timers-cancelled",
            (Row("timer set and cancelled", "us"),),
            ("gevent", "eventlet", "asyncio", "uvloop"),
            _each("timers_cancelled"),
            Sizes(1_000_000, 2),
            Sizes(20_000, 1),
        ),
        Measure(
            "timers-fired",
            (Row("timer set and fired", "us"),),
            ("gevent", "eventlet", "asyncio", "uvloop"),
            _each("timers_fired"),
            Sizes(1_000_000, 2),
            Sizes(20_000, 1),
        ),
        Measure(
            "spawn-growth",
            (Row("growth of the process over all spawns", "KiB", at_most=1024),),
            (),
            _spawn_growth,
            Sizes(10_000_000, 1),
            Sizes(50_000, 1),
            fresh=True,
        ),
        _ledger_measure("ledger-small", "small", "small objects", 40_000, 2_000, _at_most(1.25), A_TENTH),
        _ledger_measure(
            "ledger-cold",
            "cold",
            "replacing in a cold heap of 100 MB",
            50_000,
            1_000,
            _at_most(1.25),
            A_TENTH,
        ),
        _ledger_measure(
            "ledger-large", "large", "bytearrays of 2 to 10 KB", 60_000, 2_000, _at_most(1.25), A_TENTH
        ),
        _ledger_measure("ledger-json", "documents", "json, out and in", 300, 20, _at_most(1.25), A_TENTH),
        _ledger_measure("ledger-pingpong", "pingpong", "a switch between two coroutines", 200_000, 10_000),
        _ledger_measure(
            "ledger-requests",
            "requests",
            "a request parsed and answered",
            8_000,
            400,
            _at_most(1.05),
            A_TENTH,
        ),
        _ledger_measure("ledger-spawn", "births", "spawn, run and end", 30_000, 2_000),
        Measure(
            "ledger-echo",
            _rate_rows("echo, 100 connections, 64 B", "messages", _at_most(1.05), A_TENTH),
            (*ACCOUNTED, *TRACED),
            _rates("closed", 100, 64),
            Sizes(100, 15, 0.3),
            Sizes(100, 1, 0.1),
            fresh=True,
            serves=PLAIN,
            ours=UNCOUNTED,
        ),
        Measure(
            "ledger-memory",
            (Row("memory per parked coroutine", "KiB"), Row("spawn and park", "us")),
            (*ACCOUNTED, *TRACED),
            _memory,
            Sizes(20_000, 3),
            Sizes(2_000, 1),
            fresh=True,
            ours=UNCOUNTED,
        ),
    )
}
