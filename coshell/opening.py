"""A session is opened with what was asked for on the command line, in the environment and in files."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from .arguments import settings_in
from .command import CommandError
from .config import Loaded, load, user_file
from .console import StreamConsole
from .shell import Shell

_DONE = 0
_WRONG = 2


def open_shell(options: argparse.Namespace, *, interactive: bool) -> Shell:
    """A shell with standard output and standard error; not started yet."""
    loaded = load(os.environ, settings_in(options), current_folder())
    color = loaded.settings.color
    shell = Shell(
        loaded.settings,
        console=StreamConsole(sys.stdout, color=wants_color(sys.stdout, color)),
        errors=StreamConsole(sys.stderr, color=wants_color(sys.stderr, color)),
        interactive=interactive,
    )
    shell.origins.update(loaded.origins)
    _limit_to_ascii(shell, sys.stdout)
    _tell_problems(shell, loaded)
    sys.modules["__main__"] = shell.interpreter.module  # where pickle and dataclasses look for what is typed
    shell.output.install()
    return shell


def start(shell: Shell, options: argparse.Namespace, run_file: Callable[[str], int], *, with_rc: bool) -> int:
    """Start the scheduler, load the plugins, and run the user's own beginning.

    Args:
        shell: what is to be started.
        options: the command line.
        run_file: runs a session file and gives its exit code.
        with_rc: run the usual `rc.py`, if no other file was named.

    Returns:
        0, or the exit code of what went wrong.
    """
    shell.start(plugins=options.plugins)
    try:
        for name in options.plugin:
            shell.plugins.load(name)
    except CommandError as error:
        shell.output.notice(f"coshell: {error}", "error")
        return _WRONG
    named = getattr(options, "rc", None)
    if named is None:
        usual = usual_rc() if with_rc and getattr(options, "with_rc", False) else None
        return _DONE if usual is None else _run_rc(shell, usual)
    return run_file(named) if named.endswith(".cosh") else _run_rc(shell, named)


def usual_rc() -> str | None:
    """`rc.py` beside the user's settings, if there is one, and nobody else can write it."""
    settings = user_file(os.environ)
    if settings is None:
        return None
    path = settings.with_name("rc.py")
    try:
        status = path.stat()
    except OSError:
        return None
    return str(path) if status.st_uid == os.getuid() and not status.st_mode & 0o022 else None


def _run_rc(shell: Shell, name: str) -> int:
    try:
        source = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        shell.output.notice(f"coshell: {name}: {error}", "error")
        return _WRONG
    result = shell.run_python(source)
    if not result.ok:
        shell.output.notice(f"{result.traceback or ''}\n{name}: {result.error}".strip(), "error")
    return result.exit_code


def current_folder() -> Path:
    """The current folder; the root if it has been removed."""
    try:
        return Path.cwd()
    except OSError:
        return Path("/")


def wants_color(stream: TextIO, setting: str) -> bool:
    """Whether styles become colours on this stream."""
    if setting != "auto":
        return setting == "always"
    is_able = os.environ.get("TERM", "dumb") != "dumb" and "NO_COLOR" not in os.environ
    return is_able and stream.isatty()


def _limit_to_ascii(shell: Shell, stream: TextIO) -> None:
    encoding = (stream.encoding or "").lower().replace("-", "")
    if encoding != "utf8" and not shell.settings.ascii:
        shell.change_setting("ascii", True, f"an output in {stream.encoding}")


def _tell_problems(shell: Shell, loaded: Loaded) -> None:
    for problem in loaded.problems:
        shell.output.notice(f"coshell: {problem}", "warning")
