"""gevent: `gevent.spawn`, `gevent.queue`, `StreamServer`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import perf_counter

import gevent
import gevent.event
import gevent.queue
import gevent.server
import gevent.ssl

from bench.sample import BATCH, FAN_CAPACITY, FAN_WORKERS, Sample, Turns, delays


def spawn(n: int) -> Sample:
    """Spawn and end."""
    ran = 0

    def body() -> None:
        nonlocal ran
        ran += 1

    begin = perf_counter()
    for _ in range(n // BATCH):
        gevent.joinall([gevent.spawn(body) for _ in range(BATCH)])
    return Sample(perf_counter() - begin, ran)


def yield_round(coroutines: int, rounds: int) -> Sample:
    """Let the others run."""
    turns = Turns(coroutines)

    def body() -> None:
        turns.begin()
        for _ in range(rounds):
            gevent.sleep(0)
        turns.end(rounds)

    begin = perf_counter()
    gevent.joinall([gevent.spawn(body) for _ in range(coroutines)])
    return Sample(perf_counter() - begin, turns.done)


def channel_hop(n: int) -> Sample:
    """From one coroutine to another; its `Channel` is unbuffered."""
    channel = gevent.queue.Channel()

    def produce() -> None:
        for i in range(n):
            channel.put(i)

    begin = perf_counter()
    producer = gevent.spawn(produce)
    total = 0
    for _ in range(n):
        total += channel.get()
    producer.join()
    return Sample(perf_counter() - begin, total)


def fan(n: int) -> Sample:
    """Out to the workers and in again."""
    jobs, results = gevent.queue.Queue(FAN_CAPACITY), gevent.queue.Queue(FAN_CAPACITY)

    def produce() -> None:
        for i in range(n):
            jobs.put(i)

    def work() -> None:
        for _ in range(n // FAN_WORKERS):
            results.put(jobs.get())

    begin = perf_counter()
    for _ in range(FAN_WORKERS):
        gevent.spawn(work)
    gevent.spawn(produce)
    total = 0
    for _ in range(n):
        total += results.get()
    return Sample(perf_counter() - begin, total)


class _Parked:
    """So many coroutines that wait for one event."""

    def __init__(self, n: int) -> None:
        self.waiting = self.woken = 0
        self._event = gevent.event.Event()
        self._greenlets = [gevent.spawn(self._body) for _ in range(n)]
        while self.waiting < n:
            gevent.sleep(0)

    def _body(self) -> None:
        self.waiting += 1
        self._event.wait()
        self.waiting -= 1
        self.woken += 1

    def release(self) -> int:
        """Wake them all; returns how many were woken."""
        self._event.set()
        gevent.joinall(self._greenlets)
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
    """Set and cancel: the loop's own timers, which cost less than `spawn_later`."""
    loop = gevent.get_hub().loop
    wanted = delays(n, 3600.0)
    cancelled = 0
    begin = perf_counter()
    timers = []
    for delay in wanted:
        timer = loop.timer(3600 + delay)
        timer.start(int)
        timers.append(timer)
    for timer in timers:
        timer.close()
        cancelled += 1
    return Sample(perf_counter() - begin, cancelled)


def timers_fired(n: int) -> Sample:
    """Set and wait for all."""
    loop = gevent.get_hub().loop
    wanted = delays(n, 0.05)
    all_fired = gevent.event.Event()
    fired = 0

    def fire() -> None:
        nonlocal fired
        fired += 1
        if fired == n:
            all_fired.set()

    begin = perf_counter()
    for delay in wanted:
        loop.timer(delay).start(fire)  # a started timer holds itself
    all_fired.wait()
    return Sample(perf_counter() - begin, fired)


def echo_server(listening: Callable[[int], None]) -> None:
    """One coroutine per connection."""
    _serve(listening)


def tls_echo_server(listening: Callable[[int], None], certificate: str, key: str) -> None:
    """The same in TLS, with a context of its own kind of sockets."""
    context = gevent.ssl.SSLContext(gevent.ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    _serve(listening, ssl_context=context)


def _serve(listening: Callable[[int], None], **tls: gevent.ssl.SSLContext) -> None:
    def echo(connection: socket.socket, _address: object) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := connection.recv(65536):
            connection.sendall(data)

    server = gevent.server.StreamServer(("127.0.0.1", 0), echo, backlog=4096, **tls)
    server.start()
    listening(server.server_port)
    server.serve_forever()
