"""trio: nurseries, memory channels, `serve_tcp`. It has no timers apart from sleeping tasks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter

import trio

from bench.certificate import server_context
from bench.sample import BATCH, FAN_CAPACITY, FAN_WORKERS, Sample, Turns


def spawn(n: int) -> Sample:
    """Spawn and end."""
    ran = 0

    async def body() -> None:
        nonlocal ran
        ran += 1

    async def main() -> Sample:
        begin = perf_counter()
        for _ in range(n // BATCH):
            async with trio.open_nursery() as nursery:
                for _ in range(BATCH):
                    nursery.start_soon(body)
        return Sample(perf_counter() - begin, ran)

    return trio.run(main)


def yield_round(coroutines: int, rounds: int) -> Sample:
    """Let the others run."""
    turns = Turns(coroutines)

    async def body() -> None:
        turns.begin()
        for _ in range(rounds):
            await trio.lowlevel.checkpoint()
        turns.end(rounds)

    async def main() -> Sample:
        begin = perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(coroutines):
                nursery.start_soon(body)
        return Sample(perf_counter() - begin, turns.done)

    return trio.run(main)


def channel_hop(n: int) -> Sample:
    """From one task to another, unbuffered."""
    return trio.run(_hop, n)


async def _hop(n: int) -> Sample:
    sending, receiving = trio.open_memory_channel(0)

    async def produce() -> None:
        for i in range(n):
            await sending.send(i)

    begin = perf_counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce)
        total = 0
        for _ in range(n):
            total += await receiving.receive()
    return Sample(perf_counter() - begin, total)


def fan(n: int) -> Sample:
    """Out to the workers and in again."""

    async def main() -> Sample:
        send_job, receive_job = trio.open_memory_channel(FAN_CAPACITY)
        send_result, receive_result = trio.open_memory_channel(FAN_CAPACITY)

        async def produce() -> None:
            for i in range(n):
                await send_job.send(i)

        async def work() -> None:
            for _ in range(n // FAN_WORKERS):
                await send_result.send(await receive_job.receive())

        begin = perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(FAN_WORKERS):
                nursery.start_soon(work)
            nursery.start_soon(produce)
            total = 0
            for _ in range(n):
                total += await receive_result.receive()
        return Sample(perf_counter() - begin, total)

    return trio.run(main)


class _Parked:
    """So many tasks that wait for one event."""

    def __init__(self) -> None:
        self.waiting = self.woken = 0
        self.event = trio.Event()

    async def fill(self, nursery: trio.Nursery, n: int) -> None:
        """Return when so many are parked."""
        for _ in range(n):
            nursery.start_soon(self._body)
        while self.waiting < n:
            await trio.lowlevel.checkpoint()

    async def _body(self) -> None:
        self.waiting += 1
        await self.event.wait()
        self.waiting -= 1
        self.woken += 1


def park(n: int, look: Callable[[], None]) -> Sample:
    """Wait together."""

    async def main() -> Sample:
        parked = _Parked()
        begin = perf_counter()
        async with trio.open_nursery() as nursery:
            await parked.fill(nursery, n)
            seconds = perf_counter() - begin
            look()
            parked.event.set()
        return Sample(seconds, parked.woken)

    return trio.run(main)


def growth(parked: int, n: int) -> Sample:
    """A hop among many that are parked."""

    async def main() -> Sample:
        others = _Parked()
        async with trio.open_nursery() as nursery:
            await others.fill(nursery, parked)
            sample = await _hop(n)
            others.event.set()
        assert others.woken == parked
        return sample

    return trio.run(main)


def echo_server(listening: Callable[[int], None]) -> None:
    """One task per connection. TCP_NODELAY is on by default."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            serve = partial(trio.serve_tcp, _echo, 0, host="127.0.0.1", backlog=4096)
            listeners = await nursery.start(serve)
            listening(listeners[0].socket.getsockname()[1])

    trio.run(main)


def tls_echo_server(listening: Callable[[int], None], certificate: str, key: str) -> None:
    """The same in TLS; the other side's end without a farewell is one of HTTPS, which it is told to bear."""
    context = server_context(certificate, key)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            serve = partial(
                trio.serve_ssl_over_tcp,
                _echo,
                0,
                context,
                host="127.0.0.1",
                backlog=4096,
                https_compatible=True,
            )
            listeners = await nursery.start(serve)
            listening(listeners[0].transport_listener.socket.getsockname()[1])

    trio.run(main)


async def _echo(stream: trio.abc.Stream) -> None:
    while data := await stream.receive_some(65536):
        await stream.send_all(data)
