"""A check runs each lab in a process of its own, and tells what it has shown.

A lab that fills its memory up to a limit must not be seen in the next one's figures. A trouble was shown if the lab makes
claims about one, and all of them held; so was a cure.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import coloop
from coshell.api import Column, Count, Duration, printable, table

from .reading import CURE, TROUBLE, Lab, LabStep
from .telling import Figure, figures_in

TIMEOUT_S: Final = 170

SHOWN: Final = "shown"
NOT_SHOWN: Final = "not shown"


@dataclass(frozen=True)
class Checked:
    """How one experiment went.

    Attributes:
        name: what it is called.
        state: `passed` or `failed`.
        trouble: `shown` if all that it claims about the trouble held, else `not shown`.
        cure: likewise.
        commands: how many lines were run.
        asserts: how many claims held.
        figures: what it has measured, by name.
        time: how long it took.
        cpu: of that, how long its processes have computed; a busy machine does not change it much.
        why: the failure that ended it; empty if there was none.
    """

    name: str
    state: str
    trouble: str
    cure: str
    commands: Count
    asserts: Count
    figures: Mapping[str, Figure]
    time: Duration
    cpu: Duration
    why: str


def checked(lab: Lab, plugins: Iterable[str] = ()) -> Checked:
    """Run a lab, without blocking the coroutines if this is one.

    Args:
        lab: which one.
        plugins: what has to be loaded for it beside those that are installed.
    """
    options = ["--json", "--timeout", f"{TIMEOUT_S}s", *(f"--plugin={plugin}" for plugin in plugins)]
    command = [sys.executable, "-P", "-m", "coshell", "run", lab.file, *options]
    arguments = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "check": False}
    begin_s, begin_cpu_s = time.perf_counter(), _cpu_of_children_s()
    call = partial(subprocess.run, command, **arguments)
    done = call() if coloop.current() is None else coloop.to_thread(call)
    took = Duration(time.perf_counter() - begin_s), Duration(_cpu_of_children_s() - begin_cpu_s)
    return _result(lab, done, *took)


def _cpu_of_children_s() -> float:
    """How long all child processes that have ended have computed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _result(lab: Lab, done: subprocess.CompletedProcess[str], took: Duration, cpu: Duration) -> Checked:
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    summary: dict[str, Any] = next((event for event in events if event["event"] == "summary"), {})
    claims = {event["line"]: event["ok"] for event in events if event["event"] == "assert"}
    steps = lab.steps()
    return Checked(
        name=lab.name,
        state="failed" if done.returncode else "passed",
        trouble=_shown(TROUBLE, steps, claims),
        cure=_shown(CURE, steps, claims),
        commands=Count(summary.get("commands", 0)),
        asserts=Count(summary.get("asserts", 0)),
        figures=dict(figures_in(event["text"] for event in events if event["event"] == "output")),
        time=took,
        cpu=cpu,
        why=_why(events, done) if done.returncode else "",
    )


def _shown(kind: str, steps: Iterable[LabStep], claims: Mapping[int, bool]) -> str:
    """Whether all claims of that kind were made, and held."""
    wanted = [
        claims.get(unit.first_line, False)
        for step in steps
        if step.kind == kind
        for unit in step.units()
        if unit.lines[0].startswith("@assert ")
    ]
    return SHOWN if wanted and all(wanted) else NOT_SHOWN


def _why(events: list[dict[str, Any]], done: subprocess.CompletedProcess[str]) -> str:
    """The last thing that went wrong: that ended it. A coroutine that died before may be what the lab is about."""
    for event in reversed(events):
        if event["event"] == "error" or event.get("ok") is False:
            return f"{Path(event['file'] or '').name}:{event['line']}: {event['message']}"
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


_COLUMNS: Final = (
    Column("name", "LAB"),
    Column("state", "STATE"),
    Column("trouble", "TROUBLE"),
    Column("cure", "CURE"),
    Column("asserts", "ASSERTS", ">", drop=1),
    Column("time", "TIME", ">"),
    Column("cpu", "CPU", ">", drop=2),
)
_FIGURE_COLUMNS: Final = (Column("lab", "LAB"), Column("figure", "FIGURE"), Column("value", "VALUE", ">"))


def lines_of_checked(results: list[Checked], width: int) -> list[str]:
    """A table of how they went; below it another of what they have measured, and why some failed."""
    measured = [
        {"lab": one.name, "figure": name, "value": _plain(value)}
        for one in results
        for name, value in one.figures.items()
    ]
    return [
        *table(results, _COLUMNS, width),
        *(["", *table(measured, _FIGURE_COLUMNS, width)] if measured else []),
        *(printable(f"! {one.why}", keep="") for one in results if one.why),
    ]


def _plain(value: Figure) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:,}" if is_number else str(value)
