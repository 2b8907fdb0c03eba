"""Which core for whom: the contender has one for itself, and the load generator another, if there are two."""

from __future__ import annotations

import os
from typing import NamedTuple


class Cores(NamedTuple):
    """The cores to pin to; None where pinning is not possible or would put both on the same.

    Attributes:
        contender: for the process that is measured.
        load: for the one that makes the load.
    """

    contender: int | None
    load: int | None

    def __str__(self) -> str:
        if self.contender is None:
            return "not pinned"
        return f"contender on core {self.contender}, load on core {self.load}"


def choose_cores() -> Cores:
    """The last two that this process may use; interrupts tend to be served by the first."""
    if not hasattr(os, "sched_setaffinity"):
        return Cores(None, None)
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[-1], allowed[-2]) if len(allowed) > 1 else Cores(None, None)
