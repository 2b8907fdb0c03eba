"""What a run comes to, in figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .steps import Step

if TYPE_CHECKING:
    from .shell import Result

CLAIMS: Final = {"assert": "assert", "wait": "wait", "idle": "wait"}  # the kinds of their events


@dataclass(slots=True)
class Tally:
    """How it went.

    Attributes:
        commands: how many steps were run that claim nothing.
        asserts: how many claims held.
        passed: how many steps did not fail.
        failed: how many steps failed.
        updated: how many expectations were renewed.
        exit_code: the gravest of all failures'.
    """

    commands: int = 0
    asserts: int = 0
    passed: int = 0
    failed: int = 0
    updated: int = 0
    exit_code: int = 0

    def count(self, step: Step, result: Result) -> None:
        """One more step was run."""
        is_claim = step.kind in CLAIMS
        self.commands += not is_claim
        self.asserts += is_claim and result.ok
        self.passed += result.ok
        if not result.ok:
            self.fail(result.exit_code)

    def add(self, other: Tally) -> None:
        """Another run, too."""
        for name in ("commands", "asserts", "passed", "failed", "updated"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.exit_code = max(self.exit_code, other.exit_code)

    def fail(self, exit_code: int) -> None:
        """Something went wrong."""
        self.failed += 1
        self.exit_code = max(self.exit_code, exit_code, 1)


@dataclass(slots=True)
class Summary:
    """What the summary of one file tells, or of several."""

    tally: Tally = field(default_factory=Tally)
    files: int = 0
    seconds: float = 0.0
    virtual_seconds: float | None = None
    spawned: int = 0
    live: int = 0
    peak: int = 0
    died: int = 0
    heap_live: int = 0
    heap_peak: int = 0
    switches: int = 0

    def add(self, other: Summary) -> None:
        """One more file."""
        for name in ("files", "seconds", "spawned", "live", "died", "heap_live", "switches"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("peak", "heap_peak"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        if other.virtual_seconds is not None:
            self.virtual_seconds = (self.virtual_seconds or 0.0) + other.virtual_seconds
        self.tally.add(other.tally)

    def facts(self) -> dict[str, Any]:
        """By the keys of the JSON form."""
        tally = self.tally
        return {
            "passed": tally.passed,
            "failed": tally.failed,
            "seconds": self.seconds,
            "coroutines": {
                "spawned": self.spawned,
                "live": self.live,
                "peak": self.peak,
                "failed": self.died,
            },
            "heap": {"live": self.heap_live, "peak": self.heap_peak},
            "switches": self.switches,
            "exit": tally.exit_code,
            "commands": tally.commands,
            "asserts": tally.asserts,
            "updated": tally.updated,
            "virtual_seconds": self.virtual_seconds,
            "files": self.files,
        }
