"""When workers are replaced."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """What a worker may do until it is replaced.

    Attributes:
        max_requests: requests after which it is replaced; each worker gets up to a tenth more, so that they do not
            all go at once. None: any number.
        max_memory: bytes of heap above which it is replaced; None: any.
        max_wait_s: how long one that is replaced may finish what it has begun, before it is killed.
    """

    max_requests: int | None = None
    max_memory: int | None = None
    max_wait_s: float = 3.0


def finite_seconds(given: float, what: str) -> float:
    """A time that ends.

    Raises:
        ValueError: it is negative, infinite or NaN.
    """
    if not 0 <= given < math.inf:
        raise ValueError(f"{what} must be finite and not negative, not {given!r}")
    return float(given)
