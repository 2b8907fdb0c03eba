"""coloop without the ledger, under Python's own tracemalloc, which keeps ten frames for each block."""

import tracemalloc

import coloop

from ._counted import *  # noqa: F403 - all that is measured

coloop.memory.set_level("off")
tracemalloc.start(10)
