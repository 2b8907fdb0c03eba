"""What an experiment depends on besides its code: the parts of this installation, and what they can do here."""

from __future__ import annotations

import os
import platform
import resource
import select
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from . import __version__
from .config import LOCAL_FILE, load, user_file

_LIBRARIES: Final = ("greenlet", "prompt_toolkit", "pygments", "psutil", "pluggy")
ENOUGH_DESCRIPTORS: Final = 1024


@dataclass(frozen=True)
class Finding:
    """One fact.

    Attributes:
        about: what it is about.
        ok: nothing is wrong with it.
        text: the fact, and what to do if something is wrong.
    """

    about: str
    ok: bool
    text: str


def examine(environ: Mapping[str, str], folder: Path) -> list[Finding]:
    """All facts; the environment and the current folder are handed in."""
    return [
        Finding("coshell", True, f"{__version__}, Python {platform.python_version()} at {sys.prefix}"),
        *(_library(name) for name in _LIBRARIES),
        _native(environ),
        _poller(environ),
        _descriptors(),
        _output(),
        *_settings(environ, folder),
    ]


def lines_of(findings: list[Finding]) -> list[str]:
    """The facts as lines."""
    return [
        f"{'ok   ' if finding.ok else 'wrong'} {finding.about:<15} {finding.text}" for finding in findings
    ]


def _library(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "missing: pip install coshell brings it")


def _native(environ: Mapping[str, str]) -> Finding:
    import coloop

    if environ.get("COLOOP_PURE") == "1":
        return Finding("native core", True, "not used: COLOOP_PURE=1")
    there = coloop.FORM == "native"
    return Finding("native core", True, "in use" if there else "not built; the pure Python form is used")


def _poller(environ: Mapping[str, str]) -> Finding:
    forced = environ.get("COLOOP_POLLER") == "selectors"
    uses_epoll = hasattr(select, "epoll") and not forced
    return Finding("poller", True, "epoll" if uses_epoll else "selectors, slower than epoll")


def _descriptors() -> Finding:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    advice = "" if limit >= ENOUGH_DESCRIPTORS else "; raise it with ulimit -n"
    return Finding("descriptors", not advice, f"at most {limit}{advice}")


def _output() -> Finding:
    encoding = getattr(sys.stdout, "encoding", None) or "none"
    where = "a terminal" if os.isatty(1) else "no terminal"
    term = os.environ.get("TERM", "not set")
    return Finding("output", True, f"{encoding}, to {where} (TERM {term})")


def _settings(environ: Mapping[str, str], folder: Path) -> list[Finding]:
    loaded = load(environ, {}, folder)
    user = user_file(environ)
    read = [str(path) for path in (user, folder / LOCAL_FILE) if path is not None and path.exists()]
    found = Finding("settings", not loaded.problems, f"from {', '.join(read)}" if read else "no file")
    return [found, *(Finding("settings", False, problem) for problem in loaded.problems)]
