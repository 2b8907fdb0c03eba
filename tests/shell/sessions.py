"""A shell to type at, for tests of commands."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import coloop
from coshell.command import Command
from coshell.config import Settings
from coshell.console import Capture
from coshell.shell import Result, Shell
from tests.patience import wait_for


class Session:
    """A running shell, and what it shows."""

    def __init__(self, shell: Shell, console: Capture) -> None:
        self.shell = shell
        self._console = console

    def type(self, source: str) -> list[str]:
        """The lines that a line, or several, give; they must succeed."""
        before = len(self._console.text)
        result = self.shell.execute(source)
        assert result.ok, f"{source!r} failed: {result.error}\n{result.traceback}"
        return self._console.text[before:].splitlines()

    def refused(self, source: str) -> str:
        """The one line that tells why a line fails, which it must."""
        result = self.fail(source)
        assert result.traceback is None, result.traceback
        assert result.error is not None
        assert "\n" not in result.error
        return result.error

    def fail(self, source: str) -> Result:
        """What comes of a line that must fail."""
        result = self.shell.execute(source)
        assert not result.ok, f"{source!r} did not fail"
        return result

    def value(self, source: str) -> Any:
        """What a line gives."""
        result = self.shell.execute(source)
        assert result.ok, f"{source!r} failed: {result.error}"
        return result.value


@contextmanager
def session(**settings: Any) -> Iterator[Session]:
    """A shell with these settings; nothing is left behind."""
    level = coloop.memory.level()
    console = Capture()
    try:
        with Shell(Settings(**settings), console=console) as shell:
            yield Session(shell, console)
    finally:
        coloop.memory.set_level(level)


def each_example(*commands: Command) -> pytest.MarkDecorator:
    """A test of `command` and `example`, for every example of these commands."""
    examples = [(command, example) for command in commands for example in command.examples]
    return pytest.mark.parametrize(("command", "example"), examples)


def check_example(command: Command, example: str) -> None:
    """An example runs as it stands, in a shell in which nothing has happened yet."""
    with session() as fresh:
        fresh.type(example)
        assert command.name in example


def check_json(command: Command, example: str) -> None:
    """With `--json` the last line of an example gives JSON and nothing else, if it is the command's."""
    *before, last = example.split("\n")
    if last.split()[0] != command.name:
        return
    with session() as fresh:
        fresh.type("\n".join(before))
        for line in fresh.type(last if "--json" in last else f"{last} --json"):
            json.loads(line)


@contextmanager
def hogged_session() -> Iterator[Session]:
    """A shell in which coroutine 2, `quiet`, sleeps, and coroutine 3, `hog`, lets nobody else run.

    The hog ends when the block does.
    """
    with session() as opened, hogging(opened):
        yield opened


@contextmanager
def hogging(opened: Session) -> Iterator[None]:
    """In this block a coroutine `hog` lets nobody else run."""
    begun, over = threading.Event(), threading.Event()
    opened.shell.names.update(begun=begun, over=over)
    opened.type(_HOG)
    wait_for(begun)
    try:
        yield
    finally:
        over.set()


_HOG = """\
def spin():
    yield_now()
    yield_now()
    begun.set()
    while not over.is_set():
        pass
go sleep(3600) --name quiet
go spin() --name hog
"""
