"""How many clients a server may have: descriptors are needed for other things too."""

from __future__ import annotations

import errno
import resource
from typing import Final

SPARE_DESCRIPTORS: Final = 64  # for all that is not a client


def connection_limit(asked: int | None) -> int | None:
    """As many as asked for, but not more than descriptors allow.

    Raises:
        ValueError: that is nobody.
    """
    if asked is not None and asked < 1:
        raise ValueError(f"max_connections must be 1 or more, not {asked}")
    files = file_limit()
    if files is None:
        return asked
    limit = max(files - SPARE_DESCRIPTORS, files // 2)
    return limit if asked is None else min(asked, limit)


def file_limit() -> int | None:
    """How many descriptors this process may have; None for no limit."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def advice(number: int | None) -> str:
    """What to do about an error of `accept`, as the end of a warning."""
    if number != errno.EMFILE:  # the whole machine is short of it: nothing to be done from here
        return ""
    return f" (limit {file_limit()}; raise it with ulimit -n)"
