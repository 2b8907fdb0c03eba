"""coloop with the heap ledger on: what exact accounting costs. The same code otherwise."""

import coloop

from .coloop import allocate, echo_server

__all__ = ["allocate", "echo_server"]

coloop.memory.set_level("heap")
