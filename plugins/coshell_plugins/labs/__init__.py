"""A lab is a session file that shows a trouble, measures it, shows the cure, and claims both.

Its first comment tells the story, and its claims keep the story true: `labs --check` runs every lab, each in
a process of its own, because a lab that fills its memory up to a limit must not be seen in the next one's
figures. At the prompt `labs NAME` runs one here, and leaves all that it made to be looked at.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import coloop
from coshell.api import Arg, Column, Command, CommandError, Count, Duration, Shell, hookimpl, printable, table

FOLDER: Final = Path(__file__).parent
TIMEOUT_S: Final = 120


@dataclass(frozen=True)
class Lab:
    """One experiment.

    Attributes:
        name: what it is called.
        about: what it shows, in half a line.
        story: what happened, and what is to be learned.
        file: the session file.
    """

    name: str
    about: str
    story: str
    file: str


@dataclass(frozen=True)
class Checked:
    """How one experiment went.

    Attributes:
        name: what it is called.
        state: `passed` or `failed`.
        commands: how many lines were run.
        asserts: how many claims held.
        time: how long it took.
        why: the first failure; empty if there was none.
    """

    name: str
    state: str
    commands: Count
    asserts: Count
    time: Duration
    why: str


def all_labs() -> list[Lab]:
    """The labs of this folder, by name."""
    return [_lab(path) for path in sorted(FOLDER.glob("*.cosh"))]


def _lab(path: Path) -> Lab:
    lines = path.read_text(encoding="utf-8").split("\n")
    title, *story = [line.removeprefix("#").strip() for line in takewhile(_is_comment, lines)] or [""]
    about = title.removeprefix(f"{path.stem}:").strip()
    return Lab(path.stem, about, " ".join(filter(None, story)), str(path))


def _is_comment(line: str) -> bool:
    return line.startswith("#")


def labs(shell: Shell, name: str | None, check: bool) -> list[Lab] | list[Checked] | None:
    """List the labs, run one here, or check them."""
    chosen = all_labs() if name is None else [_named(name)]
    if check:
        return _all_passed(shell, [_checked(lab) for lab in chosen])
    if name is None:
        return chosen
    shell.call_command(shell.commands.get("run"), (chosen[0].file,))
    return None


def _named(name: str) -> Lab:
    known = {lab.name: lab for lab in all_labs()}
    if name not in known:
        raise CommandError(f"no lab {name!r}; there are {', '.join(known)}")
    return known[name]


def _all_passed(shell: Shell, results: list[Checked]) -> list[Checked]:
    failed = [result.name for result in results if result.state == "failed"]
    if failed:
        for line in _lines(results, shell.width):
            shell.say(line)
        raise CommandError(f"{len(failed)} of {len(results)} labs failed: {', '.join(failed)}")
    return results


def _checked(lab: Lab) -> Checked:
    """Run a lab in a process of its own, without blocking the coroutines if this is one."""
    command = [sys.executable, "-P", "-m", "coshell", "run", lab.file, "--json", "--timeout", f"{TIMEOUT_S}s"]
    arguments = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "check": False}
    begin_s = time.perf_counter()
    call = partial(subprocess.run, command, **arguments)
    done = call() if coloop.current() is None else coloop.to_thread(call)
    return _result(lab.name, done, time.perf_counter() - begin_s)


def _result(name: str, done: subprocess.CompletedProcess[str], took_s: float) -> Checked:
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    summary: dict[str, Any] = next((event for event in events if event["event"] == "summary"), {})
    return Checked(
        name=name,
        state="failed" if done.returncode else "passed",
        commands=Count(summary.get("commands", 0)),
        asserts=Count(summary.get("asserts", 0)),
        time=Duration(took_s),
        why=_why(events, done) if done.returncode else "",
    )


def _why(events: list[dict[str, Any]], done: subprocess.CompletedProcess[str]) -> str:
    """The first thing that went wrong."""
    for event in events:
        if event["event"] == "error" or event.get("ok") is False:
            return f"{Path(event['file'] or '').name}:{event['line']}: {event['message']}"
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


_LAB_COLUMNS: Final = (Column("name", "NAME"), Column("about", "ABOUT", minimum=20))
_CHECKED_COLUMNS: Final = (
    Column("name", "NAME"),
    Column("state", "STATE"),
    Column("commands", "COMMANDS", ">", drop=2),
    Column("asserts", "ASSERTS", ">", drop=1),
    Column("time", "TIME", ">"),
)


def _lines(value: list[Lab] | list[Checked] | None, width: int) -> list[str]:
    if not value:
        return []
    checked = [one for one in value if isinstance(one, Checked)]
    lines = table(value, _CHECKED_COLUMNS if checked else _LAB_COLUMNS, width)
    return lines + [printable(f"! {one.why}", keep="") for one in checked if one.why]


@hookimpl
def coshell_commands() -> list[Command]:
    """The one command."""
    return [
        Command(
            "labs",
            "list the built-in experiments, run one here, or check them",
            labs,
            (
                Arg("name", "which one to run", "name", optional=True),
                Arg("--check", "run it, or all of them, each in a process of its own", "flag"),
            ),
            ("labs", "labs --json"),
            lane="any",
            show=_lines,
            details="What a lab has made stays: look at it with ps, heap and conns.",
        )
    ]
