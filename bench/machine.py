"""Where and with what a run was made: a figure without these says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .contenders import CONTENDERS
from .cores import Cores
from .process import ROOT, environment

BUSY_LOAD = 0.5  # of all cores: from there on others had a say in the figures


@dataclass(frozen=True, slots=True)
class Machine:
    """Frozen at the beginning of a run.

    Attributes:
        date: in UTC.
        python: version and implementation.
        greenlet: its version.
        peers: versions by package.
        kernel: name and release.
        processor: its model.
        cores: how many, and who is pinned where.
        core: coloop's form: `pure` or `native`.
        load: processes that wanted to run, on the average of the last minute.
        busy: whether that was too many for figures to be believed.
    """

    date: str
    python: str
    greenlet: str
    peers: dict[str, str]
    kernel: str
    processor: str
    cores: str
    core: str
    load: float
    busy: bool

    def lines(self) -> tuple[tuple[str, str], ...]:
        """What to print, with a label each."""
        peers = ", ".join(f"{name} {number}" for name, number in self.peers.items())
        warning = ": BUSY, do not believe the figures" if self.busy else ""
        return (
            ("date", self.date),
            ("python", f"{self.python}, greenlet {self.greenlet}"),
            ("coloop", f"{self.core} core"),
            ("peers", peers or "none"),
            ("machine", f"{self.processor}, {self.cores}, {self.kernel}"),
            ("load", f"{self.load:.2f} before the run{warning}"),
        )


def look(cores: Cores, contenders: Iterable[str]) -> Machine:
    """This machine, now."""
    count = os.cpu_count() or 1
    load = os.getloadavg()[0]
    packages = {CONTENDERS[name].package: CONTENDERS[name].version() for name in contenders}
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        greenlet=_version("greenlet"),
        peers={name: number for name, number in packages.items() if name and number and name != "greenlet"},
        kernel=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        cores=f"{count} cores ({cores})",
        core=core_form(),
        load=load,
        busy=load > count * BUSY_LOAD,
    )


def core_form() -> str:
    """Whether coloop's hot path is native, or pure Python: what a contender's process says, for that is measured."""
    command = [sys.executable, "-W", "ignore", "-c", "import coloop; print(coloop.FORM)"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(), check=True)
    return done.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return models[0] if models else platform.machine()
