"""coloop with the heap ledger on: what exact accounting costs."""

import coloop

from ._counted import *  # noqa: F403 - all that is measured

coloop.memory.set_level("heap")
