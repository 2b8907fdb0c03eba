"""`!`: a line for the system's shell.

At a terminal the terminal is the program's for so long, and an editor works. Elsewhere its input is nobody's,
because what stands there is the script's next line, and what it prints goes where all output goes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from .command import CommandError, UsageError


def run(line: str, *, at_terminal: bool, say: Callable[[str], None]) -> None:
    """Run a line and wait for its end.

    Args:
        line: what the system's shell is to do.
        at_terminal: give it the terminal.
        say: shows a line of what it prints, if it has no terminal.

    Raises:
        CommandError: it ended with another status than 0.
    """
    if not line:
        raise UsageError("! needs a command for the system's shell")
    status = _at_terminal(line) if at_terminal else _elsewhere(line, say)
    if status:
        raise CommandError(f"exit status {status}")


def _at_terminal(line: str) -> int:
    return subprocess.run(line, shell=True, check=False).returncode  # noqa: S602 - that is what it is for


def _elsewhere(line: str, say: Callable[[str], None]) -> int:
    with subprocess.Popen(  # noqa: S602
        line,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
    ) as process:
        assert process.stdout is not None
        for printed in process.stdout:
            say(printed.removesuffix("\n"))
    return process.returncode
