"""coloop without the ledger, under Python's own tracemalloc, which keeps ten frames for each block."""

import tracemalloc

import coloop

from ._workloads import births, cold, documents, large, pingpong, requests, small
from .coloop import echo_server, park

__all__ = [
    "births",
    "cold",
    "documents",
    "echo_server",
    "large",
    "park",
    "pingpong",
    "requests",
    "small",
]

coloop.memory.set_level("off")
tracemalloc.start(10)
