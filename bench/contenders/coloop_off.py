"""coloop without any ledger: what each kind of accounting is compared with."""

import coloop

from ._counted import *  # noqa: F403 - all that is measured

coloop.memory.set_level("off")
