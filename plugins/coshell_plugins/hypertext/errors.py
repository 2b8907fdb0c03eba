"""What goes wrong between a client and a server, and whose fault it was."""

from __future__ import annotations


class HttpError(Exception):
    """A request of ours that got no answer that could be used; the message says which, and why."""


class Refused(Exception):
    """A request of a client's that is answered by an error, and with which its connection ends.

    An app may raise it too: it is no failure of the app's.

    Attributes:
        status: of the answer, 400 or more.
        why: the text that the client gets.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{status}: {why}")
        self.status = status
        self.why = why
