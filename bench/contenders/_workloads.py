"""What the ledger's cost is measured with: code that allocates much, or little, in coroutines of coloop's.

Each workload is a function of how often; it says how often it did. It is run four times in a process that has
no other sample to take, and the fastest of the last three counts. What counts is the process' CPU time: a
third of what the ledger may cost on an echo is less than what a neighbour on the machine takes from the
clock.

`small`     dictionaries, lists and strings that live for a while
`cold`      random replacement in a heap of 100 MB: each free misses the cache, and so does its tag
`large`     bytearrays of 2 to 10 KB that grow once
`documents` json, out and in again
`pingpong`  two coroutines that let each other run
`requests`  40 servers and 40 clients, each a coroutine with a socket: a request, parsed and answered
`births`    coroutines that make a list and end
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from time import process_time

import coloop
from bench.sample import Sample
from coloop.testing import socket_pair

REPETITIONS = 3
KEPT = 200  # objects at a time
COLD_OBJECTS = 200_000
CONNECTIONS = 40
REQUEST = b"GET /item/%d HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\nAccept: */*\r\n"
DOCUMENT = {
    "users": [
        {
            "id": i,
            "name": f"user {i}",
            "email": f"u{i}@example.org",
            "score": i * 1.5,
            "tags": ["a", "b", f"c{i}"],
            "active": True,
            "none": None,
        }
        for i in range(50)
    ]
}


def _best(work: Callable[[int], int], n: int) -> Sample:
    def main() -> Sample:
        work(n)
        samples = []
        for _ in range(REPETITIONS):
            begin = process_time()
            done = work(n)
            samples.append(Sample(process_time() - begin, done))
        return min(samples)

    return coloop.run(main)


def small(n: int) -> Sample:
    """Objects as a program has them."""

    def work(n: int) -> int:
        kept: list[object] = []
        for i in range(n):
            record = {"id": i, "name": f"n{i}", "tags": [i, i + 1, str(i)]}
            kept.append((record, [record["name"], i * 1000003]))
            if len(kept) > KEPT:
                kept = []
        return n

    return _best(work, n)


def cold(n: int) -> Sample:
    """The adversary of whoever keeps a table beside the heap."""
    chance = random.Random(7)  # noqa: S311 - the same each time is what is wanted
    places = [chance.randrange(COLD_OBJECTS) for _ in range(n)]
    kept: list[object] = []

    def work(n: int) -> int:
        if not kept:
            kept.extend([str(i), {i: i}] for i in range(COLD_OBJECTS))
        for i in places:
            kept[i] = [str(i), {i: bytes(100)}]
        return n

    return _best(work, n)


def large(n: int) -> Sample:
    """Blocks that malloc serves, not Python's own allocator."""

    def work(n: int) -> int:
        more = b"x" * 600
        for i in range(n):
            block = bytearray(2000 + (i & 8191))
            block += more
        return n

    return _best(work, n)


def documents(n: int) -> Sample:
    """Allocations made by C code."""

    def work(n: int) -> int:
        for _ in range(n):
            json.loads(json.dumps(DOCUMENT))
        return n

    return _best(work, n)


def pingpong(n: int) -> Sample:
    """Nothing but the account that changes with the coroutine."""
    turns = 0

    def body(times: int) -> None:
        nonlocal turns
        for _ in range(times):
            coloop.yield_now()
            turns += 1

    def work(n: int) -> int:
        nonlocal turns
        turns = 0
        for coroutine in [coloop.go(body, n // 2) for _ in range(2)]:
            coroutine.join()
        return turns

    return _best(work, n)


def requests(n: int) -> Sample:
    """A server as it is written, with its clients in the same process."""

    def serve(connection: coloop.Socket) -> None:
        while data := connection.recv(4096):
            line, _, rest = data.partition(b"\r\n")
            _verb, path, _version = line.split(b" ")
            headers = dict(header.split(b": ", 1) for header in rest.split(b"\r\n") if header)
            body = b"hello %s %d" % (path, len(headers))
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def ask(connection: coloop.Socket, times: int) -> int:
        answered = 0
        for i in range(times):
            connection.send(REQUEST % i)
            answered += connection.recv(4096).startswith(b"HTTP/1.1 200")
        connection.close()
        return answered

    def work(n: int) -> int:
        pairs = [socket_pair() for _ in range(CONNECTIONS)]
        servers = [coloop.go(serve, theirs) for _, theirs in pairs]
        clients = [coloop.go(ask, ours, n // CONNECTIONS) for ours, _ in pairs]
        answered = sum(client.result() for client in clients)
        for server in servers:
            server.join()
        for _, theirs in pairs:
            theirs.close()
        return answered

    return _best(work, n)


def births(n: int) -> Sample:
    """An account opened and closed for each."""
    ran = 0

    def body(i: int) -> list[object]:
        nonlocal ran
        ran += 1
        return [i, str(i)]

    def work(n: int) -> int:
        nonlocal ran
        ran = 0
        for i in range(n):
            coloop.go(body, i)
        return ran

    return _best(work, n)
