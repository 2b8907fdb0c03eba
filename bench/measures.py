"""What is measured: a table of measures, and how a sample of each is taken.

A measure has one row in the results, or several (percentiles, sizes). Its sizes are those of a full run and of a
quick one. `reach` is what the design asks for, as a range of the ratio to that peer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

from .cores import Cores
from .process import Failed, load
from .sample import FAN_WORKERS, sum_below

GREENS = ("gevent", "eventlet")
TASKS = ("asyncio", "uvloop", "trio", "curio")
LIBRARIES = (*GREENS, *TASKS)
SERVERS = (*GREENS, "asyncio", "uvloop", "uvloop_protocol", "asyncio_protocol", "trio", "curio", "c_epoll")

YIELDERS = 100
GROWTH = (10, 100, 1_000, 10_000, 100_000)
LATENCY_RATE = 5_000
MICRO = 1e6
KIB = 1024
MIB = 1 << 20


class Asked(Protocol):
    """A contender's process, as far as a measure is concerned."""

    def ask(self, call: str, *args: int) -> dict[str, Any]:
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
    """

    title: str
    unit: str
    more_is_better: bool = False
    reach: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    at_most: float | None = None


Take = Callable[[Asked, Sizes, Cores], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Measure:
    """What can be chosen on the command line.

    Attributes:
        name: by which it is chosen.
        rows: what one sample gives.
        peers: who takes part besides coloop.
        take: asks a process for one sample, a value for each row.
        full: the sizes of a full run.
        quick: the sizes of a quick one; None if it cannot be quick, and is left out there.
        fresh: whether each sample needs a process of its own.
        serves: whether the processes are echo servers.
    """

    name: str
    rows: tuple[Row, ...]
    peers: tuple[str, ...]
    take: Take
    full: Sizes
    quick: Sizes | None
    fresh: bool = False
    serves: bool = False


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


def port_of(process: Asked) -> int:
    """Have it serve; where it listens."""
    return int(process.ask("echo_server")["port"])


class Serving:
    """An echo server's process: asked for its port again, it remembers."""

    def __init__(self, process: Asked) -> None:
        self._port = port_of(process)

    def ask(self, call: str, *args: int) -> dict[str, Any]:
        """Only the port can be asked for."""
        assert (call, args) == ("echo_server", ())
        return {"port": self._port}


def _echo(connections: int, size_bytes: int) -> Take:
    """With so many connections; with 0, as many as the sizes say."""

    def take(process: Asked, sizes: Sizes, cores: Cores) -> tuple[float, ...]:
        found = load(
            cores,
            "closed",
            port_of(process),
            connections=connections or sizes.n,
            size_bytes=size_bytes,
            seconds=sizes.seconds,
        )
        return (found["messages"] / found["seconds"],)

    return take


def _accept(process: Asked, sizes: Sizes, cores: Cores) -> tuple[float, ...]:
    port = port_of(process)
    found = load(cores, "accept", port, connections=sizes.n, size_bytes=64, seconds=sizes.seconds)
    return (found["messages"] / found["seconds"],)


def _latency(process: Asked, sizes: Sizes, cores: Cores) -> tuple[float, ...]:
    found = load(
        cores,
        "rate",
        port_of(process),
        connections=sizes.n,
        size_bytes=64,
        seconds=sizes.seconds,
        limit=LATENCY_RATE,
    )
    return found["p50_us"], found["p99_us"], found["p999_us"]


def _echo_measure(connections: int, size_bytes: int, name: str, size: str, quick: Sizes | None) -> Measure:
    reach = {"uvloop_protocol": (1.25, inf), "gevent": (4.0, inf), "c_epoll": (0.85, inf)}
    row = Row(f"echo, {connections:,} connections, {size}", "messages/s", more_is_better=True, reach=reach)
    return Measure(
        name, (row,), SERVERS, _echo(connections, size_bytes), Sizes(connections, 5, 0.6), quick, serves=True
    )


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
            (Row("echo, 10,000 connections, 64 B", "messages/s", more_is_better=True),),
            SERVERS,
            _echo(0, 64),
            Sizes(10_000, 2, 0.6),
            None,
            serves=True,
        ),
        Measure(
            "latency",
            tuple(Row(f"latency {share} at {LATENCY_RATE:,}/s", "us") for share in ("p50", "p99", "p99.9")),
            SERVERS,
            _latency,
            Sizes(100, 3, 1.5),
            Sizes(100, 1, 0.3),
            serves=True,
        ),
        Measure(
            "accept",
            (Row("accept, echo once, close", "connections/s", more_is_better=True),),
            SERVERS,
            _accept,
            Sizes(64, 3, 0.6),
            Sizes(64, 1, 0.1),
            serves=True,
        ),
        Measure(
            "bulk",
            (Row("echo of 1 MiB messages", "MiB/s", more_is_better=True),),
            SERVERS,
            _echo(0, MIB),
            Sizes(4, 3, 0.6),
            Sizes(4, 1, 0.1),
            serves=True,
        ),
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
            "growth",
            (
                *(Row(f"channel hop, {parked:,} parked", "us") for parked in GROWTH),
                Row("the last of these by the first", "x", at_most=1.5),
            ),
            ("gevent", "asyncio", "uvloop", "trio"),
            _growth,
            Sizes(20_000, 3),
            Sizes(2_000, 1),
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
        Measure(
            "ledger-echo",
            (
                Row(
                    "echo with the heap ledger, 100 x 64 B",
                    "messages/s",
                    more_is_better=True,
                    reach={"coloop_heap": (0, 1.05)},
                ),
            ),
            ("coloop_heap", "coloop_tracemalloc"),
            _echo(100, 64),
            Sizes(100, 5, 0.6),
            Sizes(100, 1, 0.1),
            serves=True,
        ),
        Measure(
            "ledger-heap",
            (Row("allocating with the heap ledger", "us", reach={"coloop_heap": (0, 1.25)}),),
            ("coloop_heap", "coloop_tracemalloc"),
            _each("allocate"),
            Sizes(10_000, 5),
            Sizes(500, 1),
        ),
    )
}
