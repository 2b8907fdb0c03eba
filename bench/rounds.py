"""Take the samples of one measure: contender after contender, round after round (A B A B ...).

Each contender warms up with a sample that is not counted. How long it had to wait for its core because another
process was on it is noted: nothing else widens a spread so much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from .cores import Cores
from .figures import Spread, extra_share, ratio, spread
from .measures import Asked, Measure, Row, Sizes, serving
from .native import NoCompiler
from .process import Failed, Process, waited_s

DISTURBED = 0.05  # of its time, waited for its core


@dataclass(frozen=True, slots=True)
class Finding:
    """One contender in one row.

    Attributes:
        contender: its name.
        values: one of each round.
    """

    contender: str
    values: tuple[float, ...]

    @property
    def figure(self) -> Spread:
        """The median, and what it lies between."""
        return spread(self.values)


@dataclass(frozen=True, slots=True)
class Result:
    """One row with all that was found.

    Attributes:
        measure: the name of the measure.
        row: what is measured.
        ours: the values of whom the others are compared with: coloop.
        peers: those of the others.
    """

    measure: str
    row: Row
    ours: Finding
    peers: tuple[Finding, ...]

    def ratio(self, peer: Finding) -> Spread:
        """How many times better than that peer ours is; only of a row that is compared."""
        return ratio(self.ours.values, peer.values, more_is_better=self.row.more_is_better)

    def share(self, peer: Finding) -> Spread | None:
        """Which part that peer's extra cost is of the extra cost of the one that the row names.

        None if it names none, or that one took no part.
        """
        other = next(
            (each for each in self.peers if each.contender == self.row.share.get(peer.contender, ("",))[0]),
            None,
        )
        if other is None:
            return None
        return extra_share(
            self.ours.values, peer.values, other.values, more_is_better=self.row.more_is_better
        )

    def reached(self, peer: Finding) -> bool | None:
        """Whether the ratio lies where the design wants it; None if it does not say."""
        wanted = self.row.reach.get(peer.contender)
        return None if wanted is None else wanted[0] <= self.ratio(peer).median <= wanted[1]

    def shared(self, peer: Finding) -> bool | None:
        """Whether its extra cost is as small a part as the design wants it; None if it does not say."""
        share = self.share(peer)
        return None if share is None else share.median <= self.row.share[peer.contender][1]


class Table:
    """The contenders of one measure at work; those that fail are told of and take no further part."""

    def __init__(self, measure: Measure, sizes: Sizes, cores: Cores, tell: Callable[[str], None]) -> None:
        self._measure = measure
        self._sizes = sizes
        self._cores = cores
        self._tell = tell
        self.failed: list[str] = []
        self._processes: dict[str, Asked] = {}
        self._samples: dict[str, list[tuple[float, ...]]] = {}
        self._ran_s = self._waited_s = 0.0

    def run(self, contenders: Sequence[str]) -> tuple[Result, ...]:
        """All rounds, every other one in the opposite order; nothing if coloop itself failed."""
        with ExitStack() as stack:
            for name in contenders:
                self._samples[name] = []
                if not self._measure.fresh:
                    self._attempt(name, lambda name=name: self._begin(name, stack))  # type: ignore[misc]
            for number in range(self._sizes.rounds):
                for name in contenders if number % 2 == 0 else reversed(contenders):
                    if name in self._samples:
                        self._attempt(name, lambda name=name: self._sample(name))  # type: ignore[misc]
        if self.disturbance > DISTURBED:
            share = f"{self.disturbance:.0%}"
            self._tell(
                f"{self._measure.name}: disturbed: {share} of their time the contenders waited for a core"
            )
        return self._results() if self._measure.ours in self._samples else ()

    @property
    def disturbance(self) -> float:
        """The share of their time in which contenders could have run, but another process did."""
        return self._waited_s / (self._ran_s + self._waited_s) if self._waited_s else 0.0

    def _attempt(self, name: str, call: Callable[[], None]) -> None:
        try:
            call()
        except (Failed, NoCompiler) as error:
            del self._samples[name]
            self.failed.append(name)
            self._tell(f"{self._measure.name}: {name} is left out: {error}")

    def _begin(self, name: str, stack: ExitStack) -> None:
        self._processes[name] = self._started(name, stack)

    def _started(self, name: str, stack: ExitStack) -> Asked:
        process: Asked = stack.enter_context(Process(name, self._cores))
        if self._measure.serves:
            process = serving(process, self._measure.serves)
        if self._measure.warm_up is not None:
            self._measure.take(process, self._measure.warm_up, self._cores)
        return process

    def _sample(self, name: str) -> None:
        if not self._measure.fresh:
            self._take(name, self._processes[name])
            return
        with ExitStack() as stack:
            self._take(name, self._started(name, stack))

    def _take(self, name: str, process: Asked) -> None:
        ran_s, had_waited_s = waited_s(process.pid)
        self._samples[name].append(self._measure.take(process, self._sizes, self._cores))
        runs_s, has_waited_s = waited_s(process.pid)
        self._ran_s += runs_s - ran_s
        self._waited_s += has_waited_s - had_waited_s

    def _results(self) -> tuple[Result, ...]:
        found = []
        for place, row in enumerate(self._measure.rows):
            findings = {
                name: Finding(name, tuple(sample[place] for sample in samples))
                for name, samples in self._samples.items()
            }
            ours = findings.pop(self._measure.ours)
            found.append(Result(self._measure.name, row, ours, tuple(findings.values())))
        return tuple(found)
