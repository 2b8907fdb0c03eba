"""coloop: plain functions, `go`, `Channel`, `serve`."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from time import perf_counter

import coloop
from bench.certificate import server_context
from bench.sample import BATCH, FAN_CAPACITY, FAN_WORKERS, Sample, Turns, delays


def spawn(n: int) -> Sample:
    """Spawn and end."""
    ran = 0

    def body() -> None:
        nonlocal ran
        ran += 1

    def main() -> Sample:
        begin = perf_counter()
        for _ in range(n // BATCH):
            for coroutine in [coloop.go(body) for _ in range(BATCH)]:
                coroutine.join()
        return Sample(perf_counter() - begin, ran)

    return coloop.run(main)


def yield_round(coroutines: int, rounds: int) -> Sample:
    """Let the others run."""
    turns = Turns(coroutines)

    def body() -> None:
        turns.begin()
        for _ in range(rounds):
            coloop.yield_now()
        turns.end(rounds)

    def main() -> Sample:
        begin = perf_counter()
        for coroutine in [coloop.go(body) for _ in range(coroutines)]:
            coroutine.join()
        return Sample(perf_counter() - begin, turns.done)

    return coloop.run(main)


def channel_hop(n: int) -> Sample:
    """From one coroutine to another."""
    return coloop.run(_hop, n)


def _hop(n: int) -> Sample:
    channel: coloop.Channel[int] = coloop.Channel()

    def produce() -> None:
        for i in range(n):
            channel.send(i)

    begin = perf_counter()
    coloop.go(produce)
    total = 0
    for _ in range(n):
        total += channel.receive()
    return Sample(perf_counter() - begin, total)


def fan(n: int) -> Sample:
    """Out to the workers and in again."""
    jobs: coloop.Channel[int] = coloop.Channel(FAN_CAPACITY)
    results: coloop.Channel[int] = coloop.Channel(FAN_CAPACITY)

    def produce() -> None:
        for i in range(n):
            jobs.send(i)

    def work() -> None:
        for _ in range(n // FAN_WORKERS):
            results.send(jobs.receive())

    def main() -> Sample:
        begin = perf_counter()
        for _ in range(FAN_WORKERS):
            coloop.go(work)
        coloop.go(produce)
        total = 0
        for _ in range(n):
            total += results.receive()
        return Sample(perf_counter() - begin, total)

    return coloop.run(main)


class _Parked:
    """So many coroutines that wait for one event."""

    def __init__(self, n: int) -> None:
        self.waiting = self.woken = 0
        self._event = coloop.Event()
        self._coroutines = [coloop.go(self._body) for _ in range(n)]
        coloop.yield_now()

    def _body(self) -> None:
        self.waiting += 1
        self._event.wait()
        self.waiting -= 1
        self.woken += 1

    def release(self) -> int:
        """Wake them all; returns how many were woken."""
        self._event.set()
        for coroutine in self._coroutines:
            coroutine.join()
        return self.woken


def park(n: int, look: Callable[[], None]) -> Sample:
    """Wait together."""

    def main() -> Sample:
        begin = perf_counter()
        parked = _Parked(n)
        seconds = perf_counter() - begin
        assert parked.waiting == n
        look()
        return Sample(seconds, parked.release())

    return coloop.run(main)


def growth(parked: int, n: int) -> Sample:
    """A hop among many that are parked."""

    def main() -> Sample:
        others = _Parked(parked)
        assert others.waiting == parked
        sample = _hop(n)
        assert others.release() == parked
        return sample

    return coloop.run(main)


def timers_cancelled(n: int) -> Sample:
    """Set and cancel."""

    def main() -> Sample:
        scheduler = coloop.current_scheduler()
        wanted = delays(n, 3600.0)
        cancelled = 0
        begin = perf_counter()
        for timer in [scheduler.call_later(3600 + delay, int) for delay in wanted]:
            timer.cancel()
            cancelled += 1
        return Sample(perf_counter() - begin, cancelled)

    return coloop.run(main)


def timers_fired(n: int) -> Sample:
    """Set and wait for all."""
    fired = 0

    def fire(all_fired: coloop.Event) -> None:
        nonlocal fired
        fired += 1
        if fired == n:
            all_fired.set()

    def main() -> Sample:
        scheduler = coloop.current_scheduler()
        wanted = delays(n, 0.05)
        all_fired = coloop.Event()
        begin = perf_counter()
        for delay in wanted:
            scheduler.call_later(delay, fire, all_fired)
        all_fired.wait()
        return Sample(perf_counter() - begin, fired)

    return coloop.run(main)


def echo_server(listening: Callable[[int], None]) -> None:
    """One coroutine per connection. TCP_NODELAY is on by default."""
    _serve(listening, None)


def tls_echo_server(listening: Callable[[int], None], certificate: str, key: str) -> None:
    """The same in TLS."""
    _serve(listening, server_context(certificate, key))


def _serve(listening: Callable[[int], None], tls: ssl.SSLContext | None) -> None:
    def echo(connection: coloop.Socket) -> None:
        while data := connection.recv():
            connection.sendall(data)

    def main() -> None:
        server = coloop.serve(coloop.listen("127.0.0.1:0", backlog=4096, tls=tls), echo)
        assert server.address.port is not None
        listening(server.address.port)

    coloop.run(main)
