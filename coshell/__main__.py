"""The command line: what is to be run, and how the end of it looks to whoever called.

A process that was asked to end does so in order, whatever it was doing: servers accept no more, those who
are connected get a moment, coroutines run their `finally`, the terminal is as it was. Nothing but
SIGKILL may skip that, so the signals that ask become an exception in the main thread.
"""

from __future__ import annotations

import sys

# `python -m coshell` puts the current folder first, where a `random.py` would be taken for Python's.
if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .ending import Quit, Summons, Terminated
from .standard_input import patient

if TYPE_CHECKING:
    from .batch import Options
    from .report import Report
    from .shell import Shell

DRAIN_S: Final = 3.0

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
GIVEN_UP: Final = 3
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
TERMINATED: Final = 143

_STANDARD_DESCRIPTORS: Final = (0, 1, 2)

_summons: Final = Summons()  # a process has one set of signals


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Args:
        argv: without the program's name; that of the process by default.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _prepare_streams()
    with _summons.awaited():
        try:
            code = _dispatch(arguments)
        except KeyboardInterrupt:
            code = INTERRUPTED
        except Terminated:
            _summons.heard()
            code = TERMINATED
        except BrokenPipeError:
            code = BROKEN_PIPE
    return _flushed(code)


def _dispatch(arguments: list[str]) -> int:
    word = arguments[0] if arguments else ""
    if word in _SUBCOMMANDS:
        return _SUBCOMMANDS[word](arguments[1:])
    if word.isidentifier() and not Path(word).exists():
        return _command_of_plugin(arguments)
    return _session(arguments)


# -- what can be asked for -------------------------------------------------------------------------


def _session(arguments: list[str]) -> int:
    from .arguments import session_options
    from .opening import open_shell

    options = session_options(arguments)
    has_script = bool(options.file or options.command)
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    interactive = at_terminal and (options.stay or not has_script)
    shell = open_shell(options, interactive=interactive)
    return _ended_in_order(shell, lambda: _run_session(shell, options, interactive=interactive))


def _run_session(shell: Shell, options: argparse.Namespace, *, interactive: bool) -> int:
    from .opening import start
    from .script import ARGUMENT, run_lines, run_stream

    if interactive:
        from .terminal import prepare, run_terminal

        prepare()
    code = start(shell, options, lambda name: _run_files(shell, [name]), with_rc=interactive)
    if code == OK:
        code = _run_files(shell, options.file)
    if code == OK and options.command:
        code = run_lines(shell, _as_utf_8("\n".join(options.command)).split("\n"), ARGUMENT)
    if interactive and code != USAGE:
        return run_terminal(shell)
    if code == OK and (options.stay or not (options.file or options.command)):
        code = run_stream(shell, sys.stdin.buffer)
    return code or (GIVEN_UP if shell.lost else FAILED if shell.failures.count else OK)


def _as_utf_8(text: str) -> str:
    """What stands on the command line, whatever the locale says of its bytes."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _run_files(shell: Shell, names: Sequence[str]) -> int:
    from .runner import run_here

    codes = (run_here(shell, name) for name in names)
    return next((code for code in codes if code != OK), OK)


def _run(arguments: list[str]) -> int:
    """`coshell run`: session files, each in a shell of its own."""
    from .arguments import run_options
    from .batch import NotStarted, Options, run_files
    from .opening import open_shell, start
    from .report import JsonReport, PlainReport

    options = run_options(arguments)

    def new_shell() -> Shell:
        shell = open_shell(options, interactive=False)
        if start(shell, options, lambda _: OK, with_rc=False) != OK:
            shell.close()
            raise NotStarted
        return shell

    report = JsonReport(sys.stdout) if options.events else PlainReport(sys.stdout, sys.stderr)
    how = Options(options.keep_going, options.update, options.timeout, dict(options.set), tuple(options.deny))
    if options.report is None:
        return run_files(options.file, new_shell, report, how)
    return _run_watched(options, new_shell, report, how)


def _run_watched(
    options: argparse.Namespace, new_shell: Callable[[], Shell], report: Report, how: Options
) -> int:
    """The same, with a page that tells how it went, however it ends."""
    from dataclasses import replace

    from .batch import run_files
    from .command_error import CommandError
    from .pictures.witness import Witness

    try:
        witness = Witness(options.report, report, force=options.force)
    except CommandError as error:
        print(f"coshell run: --report {error}", file=sys.stderr)
        return USAGE
    code = None
    try:
        code = run_files(options.file, new_shell, witness, replace(how, watching=witness.watching))
    finally:
        problem = witness.write(code)
        if problem:
            print(f"coshell run: --report {problem}", file=sys.stderr)
    return code or (FAILED if problem else OK)


def _serve(arguments: list[str]) -> int:
    """`coshell serve`: a session file's servers, without a prompt."""
    from .arguments import serve_options
    from .opening import open_shell, start
    from .service_manager import ServiceManager, handed_over
    from .serving import Serving

    options = serve_options(arguments)
    handed_over(os.environ)
    shell = open_shell(options, interactive=False)

    def run() -> int:
        try:
            manager = ServiceManager(os.environ, options.ready_fd, shell.notice)
        except OSError as error:
            shell.output.notice(f"coshell serve: --ready-fd {options.ready_fd}: {error.strerror}", "error")
            return USAGE
        try:
            code = start(shell, options, lambda _: OK, with_rc=False)
            code = code or Serving(shell, options.file, manager).run()
        except Terminated:
            _summons.heard()
            code = OK
        manager.stopping()
        with _summons.ends_only_this():
            shell.drain(options.drain)
        return code

    with _summons.taking_ctrl_c():
        return _ended_in_order(shell, run)


def _command_of_plugin(arguments: list[str]) -> int:
    """`coshell labs ...`: a command that a plugin brings, as a line."""
    from .arguments import as_line, session_options
    from .command_error import did_you_mean
    from .opening import open_shell, start
    from .script import run_lines

    options = session_options([])
    shell = open_shell(options, interactive=False)
    word = arguments[0]

    def run() -> int:
        code = start(shell, options, lambda _: OK, with_rc=False)
        offered = [command.name for command in shell.commands if command.owner != "coshell"]
        if code != OK or word in offered:
            return code or run_lines(shell, [f":{as_line(arguments)}"], f"coshell {word}")
        hint = did_you_mean(word, [*_SUBCOMMANDS, *offered])
        shell.output.notice(f"coshell: no file {word!r}{hint}", "error")
        return USAGE

    return _ended_in_order(shell, run)


def _plugins(arguments: list[str]) -> int:
    return _one_line("plugins", arguments)


def _config(arguments: list[str]) -> int:
    if arguments[:1] == ["show"]:
        return _one_line("set", arguments[1:])
    print("usage: coshell config show [--json]", file=sys.stderr)
    return OK if arguments[:1] == ["--help"] else USAGE


def _one_line(command: str, arguments: list[str]) -> int:
    from .arguments import as_line

    return _session(["-c", as_line([f":{command}", *arguments])])


def _doctor(arguments: list[str]) -> int:
    from .doctor import examine, lines_of
    from .opening import current_folder

    if arguments:
        print("usage: coshell doctor", file=sys.stderr)
        return OK if arguments == ["--help"] else USAGE
    findings = examine(os.environ, current_folder())
    print("\n".join(lines_of(findings)))
    return OK if all(finding.ok for finding in findings) else FAILED


_SUBCOMMANDS: Final[Mapping[str, Callable[[list[str]], int]]] = {
    "run": _run,
    "serve": _serve,
    "plugins": _plugins,
    "config": _config,
    "doctor": _doctor,
}


# -- the end ---------------------------------------------------------------------------------------


def _ended_in_order(shell: Shell, run: Callable[[], int]) -> int:
    """Run a session and end it: who is connected gets a moment if a signal asked for the end."""
    ended = False
    try:
        code = run()
    except Quit as quitting:
        code = quitting.code
    except Terminated:
        _summons.heard()
        code = TERMINATED
        with _summons.ends_only_this():
            shell.drain(DRAIN_S)
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        with _summons.ends_only_this():
            ended = shell.close()
    if shell.output.broken:
        code = BROKEN_PIPE
    elif shell.output.failure is not None:
        _tell_cannot_write(shell.output.failure)
        code = code or FAILED
    if not ended:
        os._exit(_flushed(code))  # a coroutine sits in C code, and would keep the process
    return code


def _prepare_streams() -> None:
    """Whatever is printed can be encoded; and no socket gets the number of a standard stream that is closed."""
    for descriptor in _STANDARD_DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - for as long as the process lives
        elif name == "stdin":
            sys.stdin = patient(stream)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _tell_cannot_write(why: str) -> None:
    with suppress(OSError):
        print(f"coshell: cannot write: {why.lower()}", file=sys.stderr)


def _flushed(code: int) -> int:
    """The exit code, once all is written; a reader who has left is no failure."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
    except OSError as error:
        if code == OK:  # else it has been told
            _tell_cannot_write(error.strerror or str(error))
        code = code or FAILED
    else:
        return code
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # else Python tries again when it ends
    os.close(nowhere)
    return code


if __name__ == "__main__":
    sys.exit(main())
