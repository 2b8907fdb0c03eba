"""uvicorn as it comes: asyncio, and h11, which coloop's `http` is built on too."""

from __future__ import annotations

from ._http import Listening, on_all_cores, run_program

PORT = ("--port", "{port}", "--log-level", "error", "--no-access-log")


def http_server(listening: Listening) -> None:
    """One process."""
    run_uvicorn(listening, 1, "h11", "asyncio")


def http_workers(listening: Listening) -> None:
    """Two of them."""
    on_all_cores()
    run_uvicorn(listening, 2, "h11", "asyncio")


def run_uvicorn(listening: Listening, workers: int, protocol: str, loop: str) -> None:
    """So many workers, with this parser and this loop."""
    terms = ("--http", protocol, "--loop", loop, "--workers", str(workers))
    run_program(listening, "bench.contenders._uvicorn", *PORT, *terms, "bench.contenders._http:asgi")
