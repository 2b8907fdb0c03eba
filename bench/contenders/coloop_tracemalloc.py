"""coloop under Python's own tracemalloc, without the ledger: what the ledger's cost is compared with."""

import tracemalloc

from .coloop import allocate, echo_server

__all__ = ["allocate", "echo_server"]

tracemalloc.start()
