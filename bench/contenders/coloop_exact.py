"""coloop with the heap ledger on, and the place of every single allocation."""

import coloop

from ._counted import *  # noqa: F403 - all that is measured

coloop.memory.set_level("sites", exact=True)
