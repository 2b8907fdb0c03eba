"""A worker ends with its master, also if that is killed: the kernel sees to it.

It watches the thread that has started the worker, so that must be one which lives as long as its process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def die_with_parent(parent: int) -> None:
    """In the worker: have the kernel kill it when its parent ends; at once if that has happened already."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # a sandbox may know of no such thing
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
