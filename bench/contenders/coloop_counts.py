"""coloop at level `counts`: stacks, switches and times, and no heap."""

import coloop

from ._counted import *  # noqa: F403 - all that is measured

coloop.memory.set_level("counts")
