"""eventlet: `GreenPool`, `eventlet.queue`, `eventlet.listen`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import perf_counter

import eventlet
import eventlet.event
import eventlet.hubs
import eventlet.queue

from bench.sample import BATCH, FAN_CAPACITY, FAN_WORKERS, Sample, Turns, delays

MAX_CONNECTIONS = 100_000  # a GreenPool has room for 1,000 by default


def spawn(n: int) -> Sample:
    """Spawn and end."""
    ran = 0

    def body() -> None:
        nonlocal ran
        ran += 1

    pool = eventlet.GreenPool(BATCH)
    begin = perf_counter()
    for _ in range(n // BATCH):
        for _ in range(BATCH):
            pool.spawn_n(body)
        pool.waitall()
    return Sample(perf_counter() - begin, ran)


def yield_round(coroutines: int, rounds: int) -> Sample:
    """Let the others run."""
    turns = Turns(coroutines)

    def body() -> None:
        turns.begin()
        for _ in range(rounds):
            eventlet.sleep(0)
        turns.end(rounds)

    pool = eventlet.GreenPool(coroutines)
    begin = perf_counter()
    for _ in range(coroutines):
        pool.spawn_n(body)
    pool.waitall()
    return Sample(perf_counter() - begin, turns.done)


def channel_hop(n: int) -> Sample:
    """From one coroutine to another; a queue of size 0 is unbuffered."""
    channel = eventlet.queue.LightQueue(0)

    def produce() -> None:
        for i in range(n):
            channel.put(i)

    begin = perf_counter()
    eventlet.spawn_n(produce)
    total = 0
    for _ in range(n):
        total += channel.get()
    return Sample(perf_counter() - begin, total)


def fan(n: int) -> Sample:
    """Out to the workers and in again."""
    jobs, results = eventlet.queue.LightQueue(FAN_CAPACITY), eventlet.queue.LightQueue(FAN_CAPACITY)

    def produce() -> None:
        for i in range(n):
            jobs.put(i)

    def work() -> None:
        for _ in range(n // FAN_WORKERS):
            results.put(jobs.get())

    begin = perf_counter()
    for _ in range(FAN_WORKERS):
        eventlet.spawn_n(work)
    eventlet.spawn_n(produce)
    total = 0
    for _ in range(n):
        total += results.get()
    return Sample(perf_counter() - begin, total)


class _Parked:
    """So many coroutines that wait for one event."""

    def __init__(self, n: int) -> None:
        self.waiting = self.woken = 0
        self._event = eventlet.event.Event()
        self._pool = eventlet.GreenPool(n)
        for _ in range(n):
            self._pool.spawn_n(self._body)
        while self.waiting < n:
            eventlet.sleep(0)

    def _body(self) -> None:
        self.waiting += 1
        self._event.wait()
        self.waiting -= 1
        self.woken += 1

    def release(self) -> int:
        """Wake them all; returns how many were woken."""
        self._event.send()
        self._pool.waitall()
        return self.woken


def park(n: int, look: Callable[[], None]) -> Sample:
    """Wait together."""
    begin = perf_counter()
    parked = _Parked(n)
    seconds = perf_counter() - begin
    look()
    return Sample(seconds, parked.release())


def growth(parked: int, n: int) -> Sample:
    """A hop among many that are parked."""
    others = _Parked(parked)
    sample = channel_hop(n)
    assert others.release() == parked
    return sample


def timers_cancelled(n: int) -> Sample:
    """Set and cancel: the hub's own timers, which cost less than `spawn_after`."""
    hub = eventlet.hubs.get_hub()
    wanted = delays(n, 3600.0)
    cancelled = 0
    begin = perf_counter()
    for timer in [hub.schedule_call_global(3600 + delay, int) for delay in wanted]:
        timer.cancel()
        cancelled += 1
    return Sample(perf_counter() - begin, cancelled)


def timers_fired(n: int) -> Sample:
    """Set and wait for all."""
    hub = eventlet.hubs.get_hub()
    wanted = delays(n, 0.05)
    all_fired = eventlet.event.Event()
    fired = 0

    def fire() -> None:
        nonlocal fired
        fired += 1
        if fired == n:
            all_fired.send()

    begin = perf_counter()
    for delay in wanted:
        hub.schedule_call_global(delay, fire)
    all_fired.wait()
    return Sample(perf_counter() - begin, fired)


def echo_server(listening: Callable[[int], None]) -> None:
    """One coroutine per connection."""
    _serve(listening)


def tls_echo_server(listening: Callable[[int], None], certificate: str, key: str) -> None:
    """The same in TLS."""
    _serve(listening, certfile=certificate, keyfile=key)


def _serve(listening: Callable[[int], None], **tls: str) -> None:
    def echo(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.close()

    listener = eventlet.listen(("127.0.0.1", 0), backlog=4096)
    if tls:
        listener = eventlet.wrap_ssl(listener, server_side=True, **tls)
    pool = eventlet.GreenPool(MAX_CONNECTIONS)
    listening(listener.getsockname()[1])
    while True:
        connection, _ = listener.accept()
        pool.spawn_n(echo, connection)
