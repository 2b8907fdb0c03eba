"""coloop without the ledger, under memray when it is told to see what Python's own allocators hand out."""

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
memray.Tracker(
    destination=memray.FileDestination("/dev/null", overwrite=True), trace_python_allocators=True
).__enter__()
