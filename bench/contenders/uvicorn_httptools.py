"""uvicorn at its fastest: uvloop, and httptools, a parser in C."""

from __future__ import annotations

from ._http import Listening, on_all_cores
from .uvicorn_h11 import run_uvicorn


def http_server(listening: Listening) -> None:
    """One process."""
    run_uvicorn(listening, 1, "httptools", "uvloop")


def http_workers(listening: Listening) -> None:
    """Two of them."""
    on_all_cores()
    run_uvicorn(listening, 2, "httptools", "uvloop")
