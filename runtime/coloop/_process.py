"""What the operating system says that this process holds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """What the operating system says this process holds, in bytes; None where it does not say."""

    rss: int | None
    uss: int | None
    pss: int | None


def process_memory() -> Process:
    """What the process holds: resident, unique and proportional set size."""
    try:
        text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return Process(_peak_rss(), None, None)
    kilobytes: dict[str, int] = {}
    for line in text.splitlines()[1:]:
        name, _, rest = line.partition(":")
        kilobytes[name] = int(rest.split()[0])
    private = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    return Process(kilobytes["Rss"] * 1024, private * 1024, kilobytes["Pss"] * 1024)


def _peak_rss() -> int:
    """Where there is no /proc: the peak, which is all that POSIX offers. macOS counts bytes, others KiB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
