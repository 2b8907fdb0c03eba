"""The code of the asyncio contenders: the same under asyncio's own loop and under uvloop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from time import perf_counter
from typing import cast

from bench.sample import BATCH, FAN_CAPACITY, FAN_WORKERS, Sample, Turns, delays


async def spawn(n: int) -> Sample:
    """Spawn and end."""
    ran = 0

    async def body() -> None:
        nonlocal ran
        ran += 1

    begin = perf_counter()
    for _ in range(n // BATCH):
        await asyncio.gather(*[asyncio.create_task(body()) for _ in range(BATCH)])
    return Sample(perf_counter() - begin, ran)


async def yield_round(coroutines: int, rounds: int) -> Sample:
    """Let the others run."""
    turns = Turns(coroutines)

    async def body() -> None:
        turns.begin()
        for _ in range(rounds):
            await asyncio.sleep(0)
        turns.end(rounds)

    begin = perf_counter()
    await asyncio.gather(*[asyncio.create_task(body()) for _ in range(coroutines)])
    return Sample(perf_counter() - begin, turns.done)


async def channel_hop(n: int) -> Sample:
    """From one task to another; there is no unbuffered queue, one of size 1 is nearest."""
    queue: asyncio.Queue[int] = asyncio.Queue(1)

    async def produce() -> None:
        for i in range(n):
            await queue.put(i)

    begin = perf_counter()
    producer = asyncio.create_task(produce())
    total = 0
    for _ in range(n):
        total += await queue.get()
    await producer
    return Sample(perf_counter() - begin, total)


async def fan(n: int) -> Sample:
    """Out to the workers and in again."""
    jobs: asyncio.Queue[int] = asyncio.Queue(FAN_CAPACITY)
    results: asyncio.Queue[int] = asyncio.Queue(FAN_CAPACITY)

    async def produce() -> None:
        for i in range(n):
            await jobs.put(i)

    async def work() -> None:
        for _ in range(n // FAN_WORKERS):
            await results.put(await jobs.get())

    begin = perf_counter()
    tasks = [asyncio.create_task(work()) for _ in range(FAN_WORKERS)]
    tasks.append(asyncio.create_task(produce()))
    total = 0
    for _ in range(n):
        total += await results.get()
    seconds = perf_counter() - begin
    await asyncio.gather(*tasks)
    return Sample(seconds, total)


class _Parked:
    """So many tasks that wait for one event."""

    def __init__(self, n: int) -> None:
        self.waiting = self.woken = 0
        self._event = asyncio.Event()
        self._tasks = [asyncio.create_task(self._body()) for _ in range(n)]

    async def all_wait(self) -> None:
        """Return when all are parked."""
        while self.waiting < len(self._tasks):
            await asyncio.sleep(0)

    async def _body(self) -> None:
        self.waiting += 1
        await self._event.wait()
        self.waiting -= 1
        self.woken += 1

    async def release(self) -> int:
        """Wake them all; returns how many were woken."""
        self._event.set()
        for task in self._tasks:
            await task
        return self.woken


async def park(n: int, look: Callable[[], None]) -> Sample:
    """Wait together."""
    begin = perf_counter()
    parked = _Parked(n)
    await parked.all_wait()
    seconds = perf_counter() - begin
    look()
    return Sample(seconds, await parked.release())


async def growth(parked: int, n: int) -> Sample:
    """A hop among many that are parked."""
    others = _Parked(parked)
    await others.all_wait()
    sample = await channel_hop(n)
    assert await others.release() == parked
    return sample


async def timers_cancelled(n: int) -> Sample:
    """Set and cancel."""
    loop = asyncio.get_running_loop()
    wanted = delays(n, 3600.0)
    cancelled = 0
    begin = perf_counter()
    for timer in [loop.call_later(3600 + delay, int) for delay in wanted]:
        timer.cancel()
        cancelled += 1
    return Sample(perf_counter() - begin, cancelled)


async def timers_fired(n: int) -> Sample:
    """Set and wait for all."""
    loop = asyncio.get_running_loop()
    wanted = delays(n, 0.05)
    all_fired = asyncio.Event()
    fired = 0

    def fire() -> None:
        nonlocal fired
        fired += 1
        if fired == n:
            all_fired.set()

    begin = perf_counter()
    for delay in wanted:
        loop.call_later(delay, fire)
    await all_fired.wait()
    return Sample(perf_counter() - begin, fired)


async def echo_server(listening: Callable[[int], None], tls: ssl.SSLContext | None = None) -> None:
    """Streams: one task per connection. TCP_NODELAY is on by default."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=4096, ssl=tls)
    listening(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class Echo(asyncio.Protocol):
    """Callbacks instead of tasks: the least that one can do on these loops."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by descent

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self._transport.write(data)


async def protocol_server(listening: Callable[[int], None], tls: ssl.SSLContext | None = None) -> None:
    """One protocol object per connection, no task."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=4096, ssl=tls)
    listening(server.sockets[0].getsockname()[1])
    await server.serve_forever()
