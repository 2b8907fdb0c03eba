"""A lint is advice, unless somebody denies it: then what it finds fails the run.

Most troubles come and go while a run goes on, so a monitor looks at the scheduler all the time, and what it has
found once counts, whatever becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Self

from coloop import Snapshot

from .lints import BUILT_IN, DiedUnseen, Finding, HeapGrowing, Lint, findings
from .monitor import MAX_PICTURES, Facts, Monitor, Sample
from .text import nearest

if TYPE_CHECKING:
    from .shell import Shell

_MEMORABLE: Final = (HeapGrowing.name, DiedUnseen.name)  # they need somebody who remembers


class UnknownLint(ValueError):
    """There is no lint of that name."""


class Denied:
    """A context in which lints are watched for.

    Args:
        shell: started.
        names: the lints.

    Attributes:
        found: what they have found, each once for each coroutine.

    Raises:
        UnknownLint: there is no such lint.
    """

    def __init__(self, shell: Shell, names: Sequence[str]) -> None:
        known = [
            *(lint.name for lint in BUILT_IN),
            *_MEMORABLE,
            *(lint.name for lint in shell.plugins.lints()),
        ]
        for name in names:
            if name not in known:
                hint = nearest(name, known)
                raise UnknownLint(f"no lint {name!r}{f', did you mean {hint!r}?' if hint else ''}")
        self.found: dict[tuple[str, int], Finding] = {}
        self._shell = shell
        self._names = frozenset(names)
        self._monitor = Monitor(_ShellFacts(shell), lambda _: None, on_sample=self._take)

    def __enter__(self) -> Self:
        if self._names:
            self._monitor.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._names:
            return
        self._monitor.stop()
        with_stuck = self._shell.snapshot(MAX_PICTURES, stuck=True)
        self._monitor.sample()
        self._take()
        self._add(findings(with_stuck.coroutines, BUILT_IN))
        self._add(findings(with_stuck.dead, [DiedUnseen(self._died_unseen)]))

    def _died_unseen(self, number: int) -> bool:
        return self._shell.failures.of(number) is not None

    def _take(self) -> None:
        if self._monitor.latest is not None:
            self._add(self._monitor.latest.findings)

    def _add(self, found: Iterable[Finding]) -> None:
        for finding in found:
            if finding.lint in self._names:
                self.found.setdefault((finding.lint, finding.coroutine), finding)


class _ShellFacts(Facts):
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
