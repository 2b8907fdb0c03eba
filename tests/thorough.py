"""How many of a kind are tried: a sample in the suite, which has three minutes, and all in the checks.

The checks set `EVERY_PROGRAM`. What is sampled are cases that differ in degree and each start processes of their own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, TypeVar

EVERY_ONE: Final = bool(os.environ.get("EVERY_PROGRAM"))

T = TypeVar("T")


def sample(cases: Sequence[T], step: int) -> Sequence[T]:
    """Each `step`-th case, from the first on; in the checks all."""
    return cases if EVERY_ONE else cases[::step]
