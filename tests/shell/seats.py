"""A coshell at a terminal of its own, for the tests that type."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.shell.pseudo_terminal import PseudoTerminal

ROOT = Path(__file__).parent.parent.parent
COSHELL = [sys.executable, "-m", "coshell"]


def environ(home: Path, **more: str) -> dict[str, str]:
    """An environment in which nothing of the user's own settings, history or plugins is found."""
    own = dict.fromkeys(("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "HOME"), str(home))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COSHELL_")}
    paths = os.pathsep.join(str(ROOT / root) for root in (".", "runtime", "plugins"))
    return {**kept, **own, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PYTHONPATH": paths, **more}


def seat(home: Path, *arguments: str, rows: int = 24, columns: int = 80, **more: str) -> PseudoTerminal:
    """Start coshell and wait for its prompt."""
    opened = PseudoTerminal([*COSHELL, *arguments], environ(home, **more), rows=rows, columns=columns)
    opened.wait_for("co>")
    return opened


def enter(terminal: PseudoTerminal, line: str, answer: str) -> None:
    """Type a line, and wait until the screen shows what must come of it."""
    terminal.type(f"{line}\r")
    terminal.wait_for(answer)
