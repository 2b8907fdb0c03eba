"""Labs run as session files in processes of their own, as they stand or with some of their text changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coshell_plugins.labs.reading import LabStep, read_lab

ROOT = Path(__file__).parent.parent.parent
PATHS = os.pathsep.join(str(ROOT / root) for root in (".", "runtime", "plugins"))
PLUGINS = ("--no-plugins", "--plugin=coshell_plugins.server")
TIMEOUT_S = 120


@dataclass(frozen=True)
class Run:
    """How a session file went.

    Attributes:
        exit_code: its process's.
        failed_at: the step in which the failure was that ended it; None if there was none.
        message: that failure.
    """

    exit_code: int
    failed_at: LabStep | None
    message: str


def run_changed(file: Path, old: str, new: str, folder: Path, *options: str) -> Run:
    """Run a lab in which `old` stands once, and has been replaced."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file.name} has {old!r} {text.count(old)} times"
    changed = folder / file.name
    changed.write_text(text.replace(old, new), encoding="utf-8")
    return run_file(changed, *options)


def run_file(file: Path, *options: str) -> Run:
    """Run a session file."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "coshell", "run", str(file), "--json", *PLUGINS, *options],
        env={**os.environ, "PYTHONPATH": PATHS},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    failure = next((event for event in reversed(events) if _is_failure(event)), None)
    if failure is None:
        return Run(done.returncode, None, done.stderr)
    steps = read_lab(file).steps()
    step = next((step for step in steps if step.first_line <= failure["line"] <= step.last_line), None)
    return Run(done.returncode, step, f"{failure['line']}: {failure['message']}")


def _is_failure(event: dict[str, Any]) -> bool:
    return event["event"] == "error" or event.get("ok") is False
