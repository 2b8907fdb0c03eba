"""coloop with the heap ledger on, and the place of every single allocation."""

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

coloop.memory.set_level("sites", exact=True)
