"""coloop with the heap ledger on, and the places of some allocations, by which all are estimated."""

import coloop

from ._counted import *  # noqa: F403 - all that is measured

coloop.memory.set_level("sites")
