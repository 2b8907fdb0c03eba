"""Shells in another process, whose heap is as small as a user's.

A full collection, and a walk through all that there is, take as long as the heap is large; that of these tests, with
all that pytest has collected, is ten times a shell's. So what looks at the whole heap, again and again, does it
there: an order of magnitude faster.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from tests.shell.sessions import Session, session


class Seat:
    """A `Session` over there: the same methods, and what they give is a copy."""

    def __init__(self, aside: Aside) -> None:
        self._aside = aside

    def type(self, source: str) -> list[str]:
        """The lines that a line, or several, give; they must succeed."""
        lines: list[str] = self._aside.do(_typed, source)
        return lines

    def refused(self, source: str) -> str:
        """The one line that tells why a line fails, which it must."""
        return str(self._aside.do(_refused, source))

    def value(self, source: str) -> Any:
        """What a line gives."""
        return self._aside.do(_value, source)

    def fail(self, source: str) -> tuple[str, int]:
        """The error and the exit code of a line that must fail."""
        error, code = self._aside.do(_failed, source)
        return error, code

    def do(self, function: Callable[..., Any], *args: object) -> Any:
        """What a function of a module makes of the session there."""
        return self._aside.do(_with_session, function, args)


class Aside:
    """The other process."""

    def __init__(self) -> None:
        self._channel, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.shell.aside", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )

    def __enter__(self) -> Aside:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def do(self, function: Callable[..., Any], *args: object) -> Any:
        """Call a function of a module over there; what it raises fails the test here."""
        self._channel.send((function, args))
        is_well, answer = self._channel.recv()
        assert is_well, answer
        return answer

    @contextmanager
    def session(self, **settings: Any) -> Iterator[Seat]:
        """A shell with these settings; nothing is left behind."""
        self.do(_opened, settings)
        try:
            yield Seat(self)
        finally:
            self.do(_closed)


# -- over there --------------------------------------------------------------------------------------

_open = ExitStack()
_sessions: list[Session] = []


def _opened(settings: dict[str, Any]) -> None:
    _sessions.append(_open.enter_context(session(**settings)))
    _open.callback(_sessions.clear)


def _closed() -> None:
    _open.close()


def _typed(source: str) -> list[str]:
    return _sessions[0].type(source)


def _refused(source: str) -> str:
    return _sessions[0].refused(source)


def _value(source: str) -> Any:
    return _sessions[0].value(source)


def _failed(source: str) -> tuple[str, int]:
    result = _sessions[0].fail(source)
    return result.error or "", result.exit_code


def _with_session(function: Callable[..., Any], args: tuple[object, ...]) -> Any:
    return function(_sessions[0], *args)


def serve(channel: Connection) -> None:
    """Do what is asked for, until nobody is there any more."""
    while True:
        try:
            function, args = channel.recv()
        except EOFError:
            return
        try:
            answer = pickle.dumps((True, function(*args)))
        except Exception:
            answer = pickle.dumps((False, traceback.format_exc()))
        channel.send_bytes(answer)


if __name__ == "__main__":
    from tests.shell import aside  # what is called is in that module, and not in `__main__`

    aside.serve(Connection(int(sys.argv[1])))
