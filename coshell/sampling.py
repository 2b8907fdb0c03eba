"""A shell is looked at all the time where somebody looks back: at a prompt, while a run is reported, after `plot`.

Without a bar nobody needs that, and a thread that asks twice a second costs those who measure something.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from coloop import Snapshot, memory

from .lints import Lint
from .monitor import MAX_PICTURES, Facts, Monitor, Sample
from .pictures.timeline import Residue

if TYPE_CHECKING:
    from .shell import Shell

READING_TRIES: Final = 10


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


def residues() -> Iterable[Residue]:
    """What the dead have left; coroutines may end while it is read."""
    for _ in range(READING_TRIES):
        try:
            return memory.residues()
        except RuntimeError:
            continue
    return ()


def watched(shell: Shell, refresh_s: float | None = None) -> Monitor:
    """The monitor of a shell; one is started if there is none, says nothing, and ends with the shell.

    Args:
        shell: started.
        refresh_s: how often a new one looks; as the settings say by default.
    """
    if shell.monitor is None:
        every_s = shell.settings.refresh if refresh_s is None else refresh_s
        shell.monitor = Monitor(ShellFacts(shell), lambda _: None, refresh_s=every_s, residues=residues)
        shell.monitor.start()
    return shell.monitor
