"""What may stand on the command line.

Options before a file belong to coshell. What is both a flag and a setting has the setting's name, so that the
same word works in a file, in the environment, and behind `set`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from . import __version__
from .config import LEVELS
from .values import parse_duration

_EXAMPLES: Final = """\
examples:
  coshell                            the prompt
  coshell -c 'echo :0' -c conns      some lines, then the end
  coshell setup.cosh -i              a session file, then the prompt
  echo 'ps --json' | coshell         lines from a pipe
  coshell run *.cosh --json          session files, for checks
  coshell run a.cosh --report a.html a page of its memory, its leaks and what it claims
  coshell serve web.cosh             a file's servers, until SIGTERM; SIGHUP runs it again
  coshell labs                       the built-in experiments
  coshell plugins                    what is loaded, and what was refused and why
  coshell config show                the settings, and where they come from
  coshell doctor                     what this installation can do

exit codes: 0 all went well; 1 a command, an assertion or a transcript failed; 2 usage, syntax, missing file or
plugin; 3 a deadlock, or a server that cannot be kept up; 124 timed out; 130 interrupted; 143 ended by a signal
"""

_SERVING: Final = """\
SIGTERM or SIGINT: nobody is let in any more, those who are connected get a moment, exit code 0.
SIGHUP: the file is run once more. echo, serve and server start give a server that runs at the same address, or by
the same name, the new handler; everything else is done again. If the file fails, the servers stay.
Exit code 1: the file failed, or started no server; 2: it cannot be run; 3: a server cannot be kept up.

systemd: Type=notify-reload; a socket that it hands over is the address fd:3. With another: --ready-fd.
"""

_PLAIN_WORD: Final = re.compile(r"[\w./:=,@%+-]+")
DRAIN_S: Final = 3.0
_SETTINGS: Final = ("level", "clock", "seed", "color", "ascii", "json")


def session_options(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a session; argparse ends the process if they are wrong, or ask for help."""
    parser = argparse.ArgumentParser(
        prog="coshell",
        description="A shell for coroutine experiments: which coroutine costs what, who keeps it, and is it a leak?",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", nargs="*", metavar="FILE", help="session files to run; - is standard input")
    parser.add_argument(
        "-c", dest="command", action="append", default=[], metavar="LINE", help="a line to run"
    )
    parser.add_argument("-i", dest="stay", action="store_true", help="stay when files and lines are done")
    parser.add_argument("--rc", metavar="FILE", help="run this first, instead of rc.py beside the settings")
    parser.add_argument("--no-rc", dest="with_rc", action="store_false", help="run nothing first")
    parser.add_argument("-V", "--version", action="version", version=f"coshell {__version__}")
    _add_common(parser)
    parser.add_argument(
        "--json", action="store_true", default=None, help="results as JSON, one object a line"
    )
    return parser.parse_args(arguments)


def run_options(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of `coshell run`."""
    parser = argparse.ArgumentParser(
        prog="coshell run",
        description="Run session files, each in a shell of its own, and tell how they went.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "file", nargs="+", metavar="FILE", help="a session file or a Markdown file; - is standard input"
    )
    parser.add_argument(
        "--json", dest="events", action="store_true", help="tell all as JSON events, one a line"
    )
    parser.add_argument("--keep-going", action="store_true", help="go on after a failure")
    parser.add_argument("--update", action="store_true", help="write what is printed into transcripts")
    parser.add_argument(
        "--timeout", type=_duration, metavar="S", help="end each file after so long, with 124"
    )
    parser.add_argument("--set", action="append", type=_pair, default=[], metavar="K=V", help="a setting")
    parser.add_argument(
        "--deny",
        action="append",
        default=[],
        metavar="LINT",
        help="fail with 3 if this lint finds something, or leak a leak",
    )
    parser.add_argument(
        "--report", type=Path, metavar="PAGE.html", help="write a page: timeline, leaks, claims, flame graph"
    )
    parser.add_argument("-f", "--force", action="store_true", help="replace that page if it is there")
    _add_common(parser)
    return parser.parse_args(arguments)


def serve_options(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of `coshell serve`."""
    parser = argparse.ArgumentParser(
        prog="coshell serve",
        description="Run a session file, and go on with the servers that it has started.",
        epilog=_SERVING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="a session file that starts servers")
    parser.add_argument(
        "--ready-fd", type=int, metavar="N", help="write a line to this descriptor when they serve"
    )
    parser.add_argument(
        "--drain",
        type=_duration,
        default=DRAIN_S,
        metavar="S",
        help="at the end, give those who are connected so long (3s)",
    )
    _add_common(parser)
    return parser.parse_args(arguments)


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Add what holds for sessions and for files that are run."""
    group = parser.add_argument_group("how the shell behaves")
    group.add_argument("--plugin", action="append", default=[], metavar="PATH", help="load this plugin, too")
    group.add_argument(
        "--no-plugins", dest="plugins", action="store_false", help="load none that are installed"
    )
    group.add_argument("--level", choices=LEVELS, help="what the ledger counts")
    group.add_argument("--clock", choices=("real", "virtual"), help="virtual: waiting takes no time")
    group.add_argument("--seed", type=int, metavar="N", help="decides the order in which coroutines run")
    group.add_argument("--color", choices=("auto", "always", "never"), help="whether there are colours")
    group.add_argument("--no-color", dest="color", action="store_const", const="never", help="none")
    group.add_argument("--ascii", action="store_true", default=None, help="nothing but ASCII on the screen")


def settings_in(options: argparse.Namespace) -> dict[str, Any]:
    """The settings among the options, as far as they were given."""
    given = {key: getattr(options, key, None) for key in _SETTINGS}
    return {key: value for key, value in given.items() if value is not None}


def as_line(words: Sequence[str]) -> str:
    """Words of the command line as a line of the shell that has the same words."""
    return " ".join(map(_as_word, words))


def _as_word(word: str) -> str:
    if _PLAIN_WORD.fullmatch(word):
        return word
    if "'" not in word:
        return f"'{word}'"
    escaped = re.sub(r'[\\"{}$]', lambda found: f"\\{found[0]}", word)
    return f'"{escaped}"'
