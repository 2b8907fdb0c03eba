"""gunicorn with workers of gevent: its documentation's way to many connections in one process."""

from __future__ import annotations

from ._http import Listening, on_all_cores, run_program


def http_server(listening: Listening) -> None:
    """One worker."""
    _run(listening, 1)


def http_workers(listening: Listening) -> None:
    """Two of them."""
    on_all_cores()
    _run(listening, 2)


def _run(listening: Listening, workers: int) -> None:
    bind = ("--bind", "127.0.0.1:{port}", "--log-level", "error")
    run_program(
        listening,
        "gunicorn",
        *bind,
        "--worker-class",
        "gevent",
        "--workers",
        str(workers),
        "bench.contenders._http:wsgi",
    )
