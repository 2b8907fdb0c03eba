"""curio: task groups, queues, `run_server`. It has no timers apart from sleeping tasks."""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import perf_counter

import curio
import curio.io
import curio.ssl
from curio.network import run_server, tcp_server_socket

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
            async with curio.TaskGroup() as group:
                for _ in range(BATCH):
                    await group.spawn(body)
        return Sample(perf_counter() - begin, ran)

    return curio.run(main)


def yield_round(coroutines: int, rounds: int) -> Sample:
    """Let the others run."""
    turns = Turns(coroutines)

    async def body() -> None:
        turns.begin()
        for _ in range(rounds):
            await curio.sleep(0)
        turns.end(rounds)

    async def main() -> Sample:
        begin = perf_counter()
        async with curio.TaskGroup() as group:
            for _ in range(coroutines):
                await group.spawn(body)
        return Sample(perf_counter() - begin, turns.done)

    return curio.run(main)


def channel_hop(n: int) -> Sample:
    """From one task to another; there is no unbuffered queue, one of size 1 is nearest."""
    return curio.run(_hop, n)


async def _hop(n: int) -> Sample:
    queue = curio.Queue(1)

    async def produce() -> None:
        for i in range(n):
            await queue.put(i)

    begin = perf_counter()
    producer = await curio.spawn(produce)
    total = 0
    for _ in range(n):
        total += await queue.get()
    await producer.join()
    return Sample(perf_counter() - begin, total)


def fan(n: int) -> Sample:
    """Out to the workers and in again."""

    async def main() -> Sample:
        jobs, results = curio.Queue(FAN_CAPACITY), curio.Queue(FAN_CAPACITY)

        async def produce() -> None:
            for i in range(n):
                await jobs.put(i)

        async def work() -> None:
            for _ in range(n // FAN_WORKERS):
                await results.put(await jobs.get())

        begin = perf_counter()
        async with curio.TaskGroup() as group:
            for _ in range(FAN_WORKERS):
                await group.spawn(work)
            await group.spawn(produce)
            total = 0
            for _ in range(n):
                total += await results.get()
        return Sample(perf_counter() - begin, total)

    return curio.run(main)


class _Parked:
    """So many tasks that wait, a thousand at an event: waking n at once costs curio n * n looks at its ready queue."""

    def __init__(self) -> None:
        self.waiting = self.woken = 0
        self._events: list[curio.Event] = []

    async def fill(self, group: curio.TaskGroup, n: int) -> None:
        """Return when so many are parked."""
        for i in range(n):
            if i % BATCH == 0:
                await curio.sleep(0)
                self._events.append(curio.Event())
            await group.spawn(self._body, self._events[-1])
        while self.waiting < n:
            await curio.sleep(0)

    async def _body(self, event: curio.Event) -> None:
        self.waiting += 1
        await event.wait()
        self.waiting -= 1
        self.woken += 1

    async def release(self) -> None:
        """Wake them all."""
        for event in self._events:
            await event.set()
            await curio.sleep(0)


def park(n: int, look: Callable[[], None]) -> Sample:
    """Wait together."""

    async def main() -> Sample:
        parked = _Parked()
        begin = perf_counter()
        async with curio.TaskGroup() as group:
            await parked.fill(group, n)
            seconds = perf_counter() - begin
            look()
            await parked.release()
        return Sample(seconds, parked.woken)

    return curio.run(main)


def growth(parked: int, n: int) -> Sample:
    """A hop among many that are parked."""

    async def main() -> Sample:
        others = _Parked()
        async with curio.TaskGroup() as group:
            await others.fill(group, parked)
            sample = await _hop(n)
            await others.release()
        assert others.woken == parked
        return sample

    return curio.run(main)


def echo_server(listening: Callable[[int], None]) -> None:
    """One task per connection."""
    _serve(listening, None)


def tls_echo_server(listening: Callable[[int], None], certificate: str, key: str) -> None:
    """The same in TLS."""
    context = curio.ssl.create_default_context(curio.ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    _serve(listening, context)


def _serve(listening: Callable[[int], None], tls: curio.ssl.CurioSSLContext | None) -> None:
    async def echo(client: curio.io.Socket, _address: object) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := await client.recv(65536):
            await client.sendall(data)

    async def main() -> None:
        listener = tcp_server_socket("127.0.0.1", 0, backlog=4096)
        listening(listener.getsockname()[1])
        await run_server(listener, echo, ssl=tls)

    curio.run(main)
