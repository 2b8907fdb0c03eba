"""The process in which one contender runs: reads requests, one JSON object a line, and answers each with another.

    python -m bench.worker CONTENDER [CORE]

Says `{}` when it is ready. `{"call": "spawn", "args": [1000]}` is answered by `{"seconds": ..., "done": ...}`; `park` and `spawn_growth` add
`bytes`; `echo_server` and `tls_echo_server` by `{"port": ...}`, and from then on the process serves until it is ended.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TextIO

import psutil

Answer = dict[str, float]


def resident_bytes() -> int:
    """What this process holds in memory, garbage collected."""
    gc.collect()
    resident: int = psutil.Process().memory_info().rss
    return resident


def park(contender: ModuleType, n: int) -> Answer:
    """Park `n`; how many bytes that took."""
    taken: list[int] = []
    contender.park(10, lambda: None)  # what is made once is not charged to the many
    before = resident_bytes()
    sample = contender.park(n, lambda: taken.append(resident_bytes() - before))
    return {**sample._asdict(), "bytes": taken[0]}


def spawn_growth(contender: ModuleType, n: int) -> Answer:
    """By how many bytes the process grows over `n` spawns, after a tenth of them to warm up."""
    contender.spawn(max(n // 10, 1000))
    before = resident_bytes()
    sample = contender.spawn(n)
    return {**sample._asdict(), "bytes": resident_bytes() - before}


SPECIAL: dict[str, Callable[[ModuleType, int], Answer]] = {"park": park, "spawn_growth": spawn_growth}


SERVERS = ("echo_server", "tls_echo_server", "http_server", "http_workers")


def answer(contender: ModuleType, call: str, args: list[int]) -> Answer:
    """Take one sample."""
    if call in SPECIAL:
        return SPECIAL[call](contender, *args)
    sample: Answer = getattr(contender, call)(*args)._asdict()
    gc.collect()  # nobody pays for the garbage of the sample before
    return sample


def serve_requests(contender: ModuleType, requests: TextIO, answers: TextIO) -> None:
    """Answer until there are no more requests."""

    def say(found: dict[str, Any]) -> None:
        print(json.dumps(found), file=answers, flush=True)

    say({})  # imported, and ready
    for line in requests:
        request = json.loads(line)
        if request["call"] in SERVERS:
            serve = getattr(contender, request["call"])
            serve(lambda port: say({"port": port}), *request["args"])
            return
        say(answer(contender, request["call"], request["args"]))


def main() -> None:
    """Take the standard streams for ourselves: what a library prints must not look like an answer."""
    name, *core = sys.argv[1:]
    if core:
        os.sched_setaffinity(0, {int(core[0])})
    allow_many_descriptors()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve_requests(importlib.import_module(f"bench.contenders.{name}"), sys.stdin, answers)


def allow_many_descriptors() -> None:
    """As many as this user may have; a login often starts with 1,024."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main()
