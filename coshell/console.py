"""A console is where text ends up: a stream, a terminal with a prompt in it, the memory of a test.

It is given printable text only, and one call at a time.
"""

from __future__ import annotations

from typing import Final, Protocol, TextIO

_SGR: Final = {"error": "31", "warning": "33", "notice": "2", "ok": "32"}


class Console(Protocol):
    """What the shell needs of it."""

    def write(self, text: str) -> None:
        """Foreground text as it comes, with its line ends."""

    def write_line(self, text: str, style: str = "") -> None:
        """A whole line; above the prompt if there is one. Styles: `error warning notice ok`, or none."""

    def flush(self) -> None:
        """All of it is to be seen now."""


class StreamConsole:
    """A console on a stream.

    Args:
        stream: where it writes.
        color: whether styles become colours.
    """

    def __init__(self, stream: TextIO, *, color: bool = False) -> None:
        self._stream = stream
        self._color = color

    def write(self, text: str) -> None:
        """As it comes, also into a pipe: whole lines are seen at once."""
        self._stream.write(text)
        if text.endswith("\n"):
            self._stream.flush()

    def write_line(self, text: str, style: str = "") -> None:
        """With its line end, at once."""
        code = _SGR.get(style) if self._color else None
        self._stream.write(f"\x1b[{code}m{text}\x1b[0m\n" if code else f"{text}\n")
        self._stream.flush()

    def flush(self) -> None:
        """Out of Python's buffer."""
        self._stream.flush()


class Capture:
    """A console that remembers."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def write(self, text: str) -> None:
        """Remember it."""
        self._parts.append(text)

    def write_line(self, text: str, style: str = "") -> None:  # noqa: ARG002 - the protocol's
        """Remember it; styles are for eyes."""
        self._parts.append(f"{text}\n")

    def flush(self) -> None:
        """Nothing is under way."""

    @property
    def text(self) -> str:
        """All that was written."""
        return "".join(self._parts)

    def lines(self) -> list[str]:
        """The same, line by line."""
        return self.text.removesuffix("\n").split("\n") if self.text else []
