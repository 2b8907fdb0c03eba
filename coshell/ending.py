"""A session ends on purpose in two ways: a line says so, or a signal asks for it.

Neither is a failure of the line that was running, so whatever contains failures lets both of them pass.
"""

from __future__ import annotations


class Quit(Exception):
    """A line ends the session.

    Attributes:
        code: the exit code.
    """

    def __init__(self, code: int = 0) -> None:
        super().__init__(f"quit {code}")
        self.code = code


class Terminated(BaseException):
    """A signal asks the process to end: raised in the main thread, whatever that does at the moment."""
