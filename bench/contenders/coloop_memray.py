"""coloop without the ledger, under memray as it comes: it sees arenas and what is larger, not each object."""

import memray

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
memray.Tracker(destination=memray.FileDestination("/dev/null", overwrite=True)).__enter__()
