"""coloop without the ledger, under memray when it is told to see what Python's own allocators hand out."""

import memray

import coloop

from ._counted import *  # noqa: F403 - all that is measured

coloop.memory.set_level("off")
memray.Tracker(
    destination=memray.FileDestination("/dev/null", overwrite=True), trace_python_allocators=True
).__enter__()
