"""What tests of plugins do at a prompt: run lines that succeed, and one that does not; wait for what comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import TypeVar

import pytest

from coshell.shell import Result, Shell
from tests.patience import PATIENCE_S

T = TypeVar("T")


def do(shell: Shell, *lines: str) -> Result:
    """Run lines, all of which succeed."""
    for line in lines:
        result = shell.execute(line)
        assert result.ok, f"{line}: {result.error}\n{result.traceback}"
    return result


def error(shell: Shell, line: str) -> str:
    """Run a line that fails, as it should, with one line that says why."""
    result = shell.execute(line)
    assert not result.ok
    assert result.traceback is None, result.traceback
    assert "\n" not in str(result.error)
    return str(result.error)


def refused(shell: Shell, line: str, why: str) -> None:
    """A line fails for this reason, which is the user's and not a plugin's, and has opened nothing."""
    said = error(shell, line)
    assert why in said
    assert "plugin" not in said
    assert shell.snapshot().sockets == ()


def have_all_workers_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record waits until each worker has told how it is, also on a busy machine; behind the load of the plugin."""
    monkeypatch.setattr(import_module("coshell_plugins.server.workers"), "REFRESH_S", PATIENCE_S)


def until(get: Callable[[], T], what: str = "it") -> T:
    """What `get` gives, as soon as that is something; the shell and its workers go on meanwhile."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := get()):
        assert time.monotonic() < deadline, f"{what} never came"
        time.sleep(0.02)
    return found
