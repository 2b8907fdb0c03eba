"""An nc session is a conversation: lines are typed, bytes arrive, and either side may stop speaking first.

A TCP connection is two streams, and each ends by itself. What surprises people with nc is that nothing
on the screen says which of them has ended, and who did it; so here every such moment is a line of its
own. The rules are fixed: the end of our own input closes our half and we go on reading; the end of the
peer's half ends the session, whatever we might still have wanted to say.

Of what a peer sends nothing reaches the screen raw, and nothing waits for the line to be complete: a
prompt such as `login: ` has no newline. A line that goes on after a part of it was shown is marked `<+`.
A line is cut at 4 KiB, and a peer that talks faster than anybody reads is shown 200 lines of each
second; what was left out is counted, and said.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import coloop

from .text import PeerText, plural, printable
from .values import Duration

if TYPE_CHECKING:
    from coloop import Socket

MAX_LINE_CHARS: Final = 4096
MAX_LINES_PER_S: Final = 200
READ_BYTES: Final = 65536

_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.?)", re.DOTALL)
_SIMPLE: Final = {"n": b"\n", "r": b"\r", "t": b"\t", "0": b"\0", "e": b"\x1b", "\\": b"\\"}


@dataclass(frozen=True)
class NcOptions:
    r"""How a session is held.

    Attributes:
        label: what it is called, as `nc#1`.
        crlf: end typed lines with `\r\n`, as mail and web servers want it.
        silence_s: leave when nothing has come from the peer for so long; None waits for ever.
        ascii_only: show nothing but ASCII.
        took_s: how long it took to connect.
        tls: the version of TLS; empty without.
        lines_per_s: show no more lines than that in a second; None shows all.
    """

    label: str = "nc"
    crlf: bool = False
    silence_s: float | None = None
    ascii_only: bool = False
    took_s: float = 0.0
    tls: str = ""
    lines_per_s: int | None = MAX_LINES_PER_S


def unescape(typed: str) -> bytes:
    r"""Turn what was typed into bytes: UTF-8, and the escapes `\n \r \t \0 \e \\ \xNN \uNNNN \UNNNNNNNN`.

    Raises:
        ValueError: no such escape; the message tells where.
    """
    out = bytearray()
    end = 0
    for match in _ESCAPE.finditer(typed):
        out += typed[end : match.start()].encode("utf-8", "surrogateescape")
        out += _meaning(match[1], match.start() + 1)
        end = match.end()
    out += typed[end:].encode("utf-8", "surrogateescape")
    return bytes(out)


def _meaning(escape: str, column: int) -> bytes:
    if escape in _SIMPLE:
        return _SIMPLE[escape]
    kind, digits = escape[:1], escape[1:]
    if digits:
        number = int(digits, 16)
        if kind == "x":
            return bytes([number])
        if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF:
            return chr(number).encode()
    shown = printable(f"\\{escape}")
    raise ValueError(f"no such escape {shown} in column {column}; a backslash is written \\\\")


class Conversation:
    """One session: what is to be sent, what is to be shown, and who has said how much.

    Args:
        options: how it is held.
        now: tells the time in seconds, on any clock that does not jump.
    """

    def __init__(self, options: NcOptions, now: Callable[[], float]) -> None:
        self.options = options
        self._now = now
        self._began_s = now()
        self._ending = b"\r\n" if options.crlf else b"\n"
        self._screen = _Screen(options, now)
        self._said = _Count()
        self._heard = _Count()
        self.half_closed = False

    @property
    def age_s(self) -> float:
        """Seconds since the session began."""
        return self._now() - self._began_s

    def opened(self, local: str, peer: str) -> str:
        """The first line, once the connection stands."""
        took = Duration(self.options.took_s)
        return printable(f"{self.options.label} connected {local} -> {peer} in {took}", keep="")

    def typed(self, line: str) -> bytes:
        """The bytes that a typed line, given without its end, stands for.

        Raises:
            ValueError: an escape that does not exist, or our half is closed.
        """
        if self.half_closed:
            raise ValueError("our half is closed: nothing can be sent any more")
        return unescape(line) + self._ending

    def sent(self, data: bytes) -> None:
        """So much has been handed to the kernel."""
        self._said.add(data)

    def received(self, data: bytes) -> list[str]:
        """The lines to show for what has just arrived."""
        self._heard.add(data)
        return self._screen.show(data)

    def close_half(self) -> str:
        """Our half is closed now; returns the line that says so."""
        self.half_closed = True
        if not self.options.tls:
            return ". sent FIN, still reading (peer may answer)"
        if self.options.tls == "TLSv1.3":
            return ". sent close_notify, still reading (peer may answer, but many close then)"
        return f". sent close_notify, still reading (but {self.options.tls} has the peer close then)"

    def peer_closed(self) -> list[str]:
        """The peer has closed its half; returns the last lines of the session."""
        who = "peer closed" if self.half_closed else "peer closed first"
        return [*self._screen.finish(), f". {who} after {self.summary()}"]

    def left(self, why: str = "closed") -> list[str]:
        """We leave; returns the last lines of the session."""
        return [*self._screen.finish(), f". {printable(why)} after {self.summary()}"]

    def summary(self) -> str:
        """How long, and how much both ways: `1.2s: sent 14 bytes / 2 lines, received 18 bytes / 3 lines`."""
        return f"{Duration(self.age_s)}: sent {self._said}, received {self._heard}"


class _Count:
    """Bytes and lines of one direction; a last line without an end counts."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._newlines = 0
        self._open_line = False

    def add(self, data: bytes) -> None:
        if data:
            self.size_bytes += len(data)
            self._newlines += data.count(b"\n")
            self._open_line = not data.endswith(b"\n")

    def __str__(self) -> str:
        return f"{plural(self.size_bytes, 'byte')} / {plural(self._newlines + self._open_line, 'line')}"


class _Screen:
    """A peer's stream as lines for the screen: escaped, cut, and no more of them than can be read."""

    def __init__(self, options: NcOptions, now: Callable[[], float]) -> None:
        self._text = PeerText(ascii_only=options.ascii_only)
        self._lines_per_s = options.lines_per_s
        self._now = now
        self._return = b""  # the last byte, if it may belong to the end of a line
        self._column = 0  # how much of the open line has been shown
        self._skipped_chars = 0  # how much of the open line has not
        self._window_s = now()
        self._shown_lines = self._held_lines = 0

    def show(self, data: bytes) -> list[str]:
        data = self._return + data
        self._return = data[-1:] if data.endswith(b"\r") else b""
        text = self._text.feed(data.removesuffix(b"\r").replace(b"\r\n", b"\n"))
        return self._within_budget(self._lines(text))

    def finish(self) -> list[str]:
        """The rest, when the stream has ended."""
        lines = self._within_budget(self._lines(self._text.feed(self._return, final=True)))
        return lines + self._held() + self._cut_note()

    def _lines(self, text: str) -> list[str]:
        *complete, rest = text.split("\n")
        lines = [line for part in complete for line in (*self._part(part, ends=True), *self._end_line())]
        return lines + self._part(rest, ends=False)

    def _part(self, part: str, *, ends: bool) -> list[str]:
        """A stretch without a line's end in it; an empty one is shown only if it is a whole line."""
        room = max(0, MAX_LINE_CHARS - self._column)
        shown, self._skipped_chars = part[:room], self._skipped_chars + len(part[room:])
        if not shown and (self._column or not ends):
            return []
        mark = "<+" if self._column else "< "
        self._column += len(shown)
        return [mark + shown]

    def _end_line(self) -> list[str]:
        note = self._cut_note()
        self._column = self._skipped_chars = 0
        return note

    def _cut_note(self) -> list[str]:
        if not self._skipped_chars:
            return []
        return [f". {plural(self._skipped_chars, 'more character')} in this line"]

    def _within_budget(self, lines: list[str]) -> list[str]:
        if self._lines_per_s is None:
            return lines
        note = []
        now_s = self._now()
        if now_s - self._window_s >= 1.0:
            note = self._held()
            self._window_s, self._shown_lines = now_s, 0
        room = self._lines_per_s - self._shown_lines
        self._shown_lines += len(lines[:room])
        self._held_lines += len(lines[room:])
        return note + lines[:room]

    def _held(self) -> list[str]:
        held, self._held_lines = self._held_lines, 0
        if not held:
            return []
        return [f". {plural(held, 'line')} not shown: they came faster than {self._lines_per_s} a second"]


def listen_to(socket: Socket, conversation: Conversation, show: Callable[[str], None]) -> None:
    """Show what the peer says until it has closed its half; to be run in a coroutine of its own.

    A reset connection and a silence that is too long end it as well, each with its line.
    """
    try:
        while data := socket.recv(READ_BYTES, timeout=conversation.options.silence_s):
            for line in conversation.received(data):
                show(line)
        last = conversation.peer_closed()
    except coloop.Timeout:
        last = conversation.left("left, because the peer was silent,")
    except coloop.Closed:
        last = conversation.left()
    except (OSError, coloop.Busy) as error:
        last = conversation.left(f"connection lost ({error})")
    for line in last:
        show(line)
