"""A session file can be run on a shell that was there before, and goes on afterwards.

So does `run` at the prompt, and so do the files on the command line. What the file binds and opens stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from .batch import USAGE, grammar_for_files
from .reading import ReadError
from .report import ShellReport, refusal
from .session import MAX_INCLUDE_DEPTH, load
from .step_runner import StepRunner
from .steps import SessionError

if TYPE_CHECKING:
    from .shell import Shell

_running: ContextVar[tuple[str, ...]] = ContextVar("coshell_files", default=())


def run_here(shell: Shell, name: str) -> int:
    """Run a session file on a shell that goes on afterwards; what goes wrong is shown there.

    Args:
        shell: where it is run.
        name: the file.

    Returns:
        The exit code of the first step that failed; 0 if none did.
    """
    report = ShellReport(shell.output)
    try:
        with _entered(name):
            session = load(name, grammar_for_files(shell))
            with StepRunner(shell, report, strict=True) as runner:
                runner.run(session.steps)
                return runner.tally.exit_code
    except (ReadError, SessionError) as error:
        report.tell(refusal(error))
        return USAGE


@contextmanager
def _entered(name: str) -> Iterator[None]:
    """A file that is run by a line of itself would be run for ever."""
    chain = (*_running.get(), name)
    if os.path.realpath(name) in map(os.path.realpath, chain[:-1]):
        raise ReadError(f"{name}: run loop {' -> '.join(chain)}")
    if len(chain) > MAX_INCLUDE_DEPTH:
        raise ReadError(f"{name}: run from files nested more than {MAX_INCLUDE_DEPTH} deep")
    token = _running.set(chain)
    try:
        yield
    finally:
        _running.reset(token)
