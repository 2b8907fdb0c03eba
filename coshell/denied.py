"""A lint is advice, unless somebody denies it: then what it finds fails the run.

Most troubles come and go while a run goes on, so a monitor looks at the scheduler all the time, and what it has
found once counts, whatever becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from .command import CommandError
from .lints import BUILT_IN, LEAK, DiedUnseen, DroppedUnsent, Finding, findings
from .monitor import MAX_PICTURES, MIN_REFRESH_S, Monitor
from .sampling import ShellFacts
from .socket_lints import LINT_NAMES, socket_findings
from .text import nearest

if TYPE_CHECKING:
    from .shell import Shell


class Denied:
    """A context in which lints are watched for.

    Args:
        shell: started.
        names: the lints.

    Raises:
        CommandError: there is no such lint.
    """

    def __init__(self, shell: Shell, names: Iterable[str]) -> None:
        self._shell = shell
        self._names = frozenset(names)
        self._refuse_unknown()
        self._found: dict[tuple[str, int], Finding] = {}
        self._leaks: list[Leaked] = []
        self._monitor = Monitor(
            ShellFacts(shell), lambda _: None, refresh_s=MIN_REFRESH_S, on_sample=self._take
        )

    @property
    def found(self) -> list[Finding | Leaked]:
        """What they have found, each once for each coroutine, and the leaks."""
        return [*self._found.values(), *self._leaks]

    def __enter__(self) -> Self:
        self._monitor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._monitor.stop()
        self._monitor.sample()
        self._take()
        pictures = self._shell.snapshot(MAX_PICTURES, stuck=True)
        self._add([*findings(pictures.coroutines, BUILT_IN), *socket_findings(pictures)])
        self._add(findings(pictures.dead, [DiedUnseen(self._died_unseen)]))
        self._add(self._dropped())
        if LEAK in self._names:
            self._leaks = self._shell.bridge.call(partial(leaks_of, self._shell))

    def _refuse_unknown(self) -> None:
        known = [*LINT_NAMES, *(lint.name for lint in self._shell.plugins.lints())]
        for name in sorted(self._names.difference(known)):
            hint = nearest(name, known)
            raise CommandError(f"no lint {name!r}{f', did you mean {hint!r}?' if hint else ''}")

    def _take(self) -> None:
        if LEAK in self._names:
            self._shell.watch.glance()
        if self._monitor.latest is not None:
            self._add(self._monitor.latest.findings)

    def _add(self, found: Iterable[Finding]) -> None:
        for finding in found:
            if finding.lint in self._names:
                self._found.setdefault((finding.lint, finding.coroutine), finding)

    def _dropped(self) -> list[Finding]:
        """Of those, too, whom nobody has a picture of any more."""
        losses = self._shell.scheduler.losses.by_coroutine()
        return [
            Finding(DroppedUnsent.name, number, loss.name, DroppedUnsent.sentence(loss.size))
            for number, loss in losses.items()
        ]

    def _died_unseen(self, number: int) -> bool:
        return self._shell.failures.of(number) is not None


@dataclass(frozen=True)
class Leaked:
    """A place where coroutines are born that leaks.

    Attributes:
        sentence: what leaks there.
        lint: what `--deny` calls it.
    """

    sentence: str
    lint: str = LEAK

    def __str__(self) -> str:
        return self.sentence


def leaks_of(shell: Shell) -> list[Leaked]:
    """What was found to leak in the course of a run; in a coroutine."""
    from .leaks.evidence import records

    seen = shell.watch.now()
    judged = records(seen.judged(), seen.looks)
    return [Leaked(f"{leak.born}: {leak.because}") for leak in judged if leak.verdict == "LEAK"]
