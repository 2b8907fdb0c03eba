"""coloop without the ledger, under memray as it comes: it sees arenas and what is larger, not each object."""

import memray

import coloop

from ._counted import *  # noqa: F403 - all that is measured

coloop.memory.set_level("off")
memray.Tracker(destination=memray.FileDestination("/dev/null", overwrite=True)).__enter__()
