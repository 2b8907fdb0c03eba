"""A command's failure is one line, and it names the nearest right thing.

Users see that line, and a script its exit code; a traceback is for those who wrote the command.
"""

from __future__ import annotations

from collections.abc import Iterable


class CommandError(Exception):
    """What a command could not do, in one line for the user.

    Attributes:
        hint: what to do instead; empty if nobody knows.
        exit_code: what a script ends with: 1 for a failure, 2 for misuse.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}: {hint}" if hint else message)
        self.hint = hint


class UsageError(CommandError):
    """A command was called in a way that it does not understand."""

    exit_code = 2


class HelpAsked(Exception):
    """`--help` stands among the words: show the help and do nothing."""


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """`, did you mean 'echo'?`, or nothing if no candidate is near."""
    from .text import nearest  # a worker raises such errors too, and has no screen: wcwidth takes a megabyte

    found = nearest(word, candidates)
    return f", did you mean {found!r}?" if found else ""
