"""A shell is looked at all the time where somebody looks back: at a prompt, while a run is reported, after `plot`.

Without a bar nobody needs that, and a thread that asks twice a second costs those who measure something.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Final

from coloop import Snapshot, memory

from .lints import Lint
from .monitor import MAX_PICTURES, Facts, Monitor, Sample

if TYPE_CHECKING:
    from .shell import Shell

FREE_S: Final = 0.001
EARNED: Final = (
    20  # a look at all coroutines, of which there may be a million, may take so small a part of the time
)


class ShellFacts(Facts):
    """What the monitor needs of a shell that has no bar."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def snapshot(self) -> Snapshot:
        """See `Facts`."""
        return self._shell.snapshot(MAX_PICTURES)

    def lints(self) -> Iterable[Lint]:
        """See `Facts`."""
        return self._shell.plugins.lints()

    def segments(self, sample: Sample) -> Iterable[str]:  # noqa: ARG002 - the protocol's
        """See `Facts`."""
        return ()


class HeapBySite:
    """Tells the heap by place of birth, unless the last answer's time has not been earned yet.

    Args:
        now: real time in seconds.
    """

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        self._now = now
        self._earned_at = -math.inf

    def __call__(self, asked: bool) -> Mapping[str, int] | None:
        """Bytes by place of birth, with what the dead have left; nothing if not now, None if nobody knows.

        Args:
            asked: somebody waits for it, whatever it costs.
        """
        begin = self._now()
        if not memory.traces_heap():
            return None
        if begin < self._earned_at and not asked:
            return {}
        found = {
            line.site: (line.live_bytes or 0) + (line.residue_bytes or 0) for line in memory.spawn_sites()
        }
        took_s = self._now() - begin
        if took_s > FREE_S:
            self._earned_at = begin + EARNED * took_s
        return found


def watched(shell: Shell, refresh_s: float | None = None) -> Monitor:
    """The monitor of a shell; one is started if there is none, says nothing, and ends with the shell.

    Args:
        shell: started.
        refresh_s: how often a new one looks; as the settings say by default.
    """
    if shell.monitor is None:
        every_s = shell.settings.refresh if refresh_s is None else refresh_s
        shell.monitor = Monitor(
            ShellFacts(shell),
            lambda _: None,
            refresh_s=every_s,
            processes=shell.plugins.processes,
            by_site=HeapBySite(),
        )
        shell.monitor.start()
    return shell.monitor
