"""wrk as the load of HTTP servers: how many requests were answered, and whose CPU time that took."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException

import psutil

from .contenders._http import ANSWER
from .process import PATIENCE_S, Failed

_REQUESTS = re.compile(r"(\d+) requests in ")
_TROUBLE = re.compile(r".*(?:Non-2xx|Socket errors).*")


def wrk() -> str | None:
    """Where the program is; None if it is not installed."""
    return shutil.which("wrk")


def request_load(core: int | None, port: int, pid: int, connections: int, seconds: float) -> dict[str, float]:
    """Have a server answer as many requests as it can; every one must be answered well.

    Args:
        core: where to pin wrk; None for anywhere.
        port: of the server, on 127.0.0.1.
        pid: its process; those that it has started count too.
        connections: how many at once, each with one request at a time.
        seconds: how long; wrk knows whole ones only.

    Raises:
        Failed: an answer was wrong or missing.
    """
    check_answer(port)
    whole_s = max(1, round(seconds))
    command = [wrk() or "wrk", "-t1", f"-c{connections}", f"-d{whole_s}", f"http://127.0.0.1:{port}/"]
    server_s, load_s = cpu_s(pid), _children_s()
    with _pinned(core):
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    server_s, load_s = cpu_s(pid) - server_s, _children_s() - load_s
    found = _REQUESTS.search(done.stdout)
    trouble = _TROUBLE.search(done.stdout)
    if found is None or trouble is not None or int(found[1]) < 1:
        raise Failed((trouble[0] if trouble else done.stderr or done.stdout).strip() or "wrk says nothing")
    return {
        "messages": int(found[1]),
        "seconds": whole_s,
        "server_cpu_s": server_s,
        "load_cpu_s": load_s,
    }


def check_answer(port: int) -> None:
    """See that it answers, and what: wrk does not read what it gets; raises Failed."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        raise Failed(f"it does not answer: {error}") from None
    finally:
        connection.close()
    if (answer.status, body) != (200, ANSWER):
        raise Failed(f"it answers {answer.status} {body[:40]!r}")


def cpu_s(pid: int) -> float:
    """The CPU time of a process and of those that it has started, in seconds."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                total += times.user + times.system
    return total


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def _pinned(core: int | None) -> Iterator[None]:
    """What is started in here runs on that core."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
