"""The contenders: one file each, with the same functions, written as each one's documentation recommends.

`spawn(n)`                         n coroutines that end at once, waited for in batches
`yield_round(coroutines, rounds)`  coroutines that do nothing but let each other run
`channel_hop(n)`                   n numbers from one coroutine to another, with as little buffer as there is
`fan(n)`                           one producer, 100 workers, one collector, over two channels of 16
`park(n, look)`                    n coroutines that wait for one event; `look()` when all are parked
`growth(parked, n)`                as `channel_hop`, while so many others are parked
`timers_cancelled(n)`, `timers_fired(n)`   timers that are set and cancelled; that are set and fire
`echo_server(listening)`           an echo server on a free port, told to `listening`; never returns
`tls_echo_server(listening, certificate, key)`   the same in TLS, with these two PEM files
`http_server(listening)`, `http_workers(listening)`   an HTTP server with one worker; with two, on all cores

Each returns a `Sample` (see `bench.sample`). What a library does not have is not in its file. Those that tell
what the ledger costs are coloop at its levels and under other tools; what they do is in `_workloads.py`.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple


class Contender(NamedTuple):
    """Who takes part.

    Attributes:
        name: as on the command line; the file is `bench/contenders/<name>.py`.
        package: what has to be installed; empty for nothing.
    """

    name: str
    package: str = ""

    def version(self) -> str | None:
        """Its version; empty where there is none, None if it is not installed."""
        if not self.package:
            return ""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None


OURS = "coloop"
OURS_HTTP = "coloop_http"
UNCOUNTED = "coloop_off"  # with which each kind of accounting is compared

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(OURS),
        Contender("greenlet", "greenlet"),
        Contender("gevent", "gevent"),
        Contender("eventlet", "eventlet"),
        Contender("asyncio"),
        Contender("asyncio_protocol"),
        Contender("uvloop", "uvloop"),
        Contender("uvloop_protocol", "uvloop"),
        Contender("trio", "trio"),
        Contender("curio", "curio"),
        Contender("c_epoll"),
        Contender("coloop_again"),
        Contender(UNCOUNTED),
        Contender("coloop_counts"),
        Contender("coloop_heap"),
        Contender("coloop_sites"),
        Contender("coloop_exact"),
        Contender("coloop_tracemalloc"),
        Contender("coloop_tracemalloc10"),
        Contender("coloop_memray", "memray"),
        Contender("coloop_memray_objects", "memray"),
        Contender(OURS_HTTP),
        Contender("gunicorn_gevent", "gunicorn"),
        Contender("uvicorn_h11", "uvicorn"),
        Contender("uvicorn_httptools", "httptools"),
    )
}
