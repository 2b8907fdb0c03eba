r"""Text from elsewhere, made safe to show: the one place that everything foreign passes.

A terminal obeys what it is sent: it sets titles, writes to the clipboard, answers questions into
the input. So whatever came from a socket, a coroutine's name, an exception or a file name is shown
with every character that does not simply stand there written out as `\x1b` or `\u202e`.
`str.isprintable` draws the line: it is False for C0, DEL, C1, bidi controls, zero-width
characters, line separators and surrogates.
"""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Iterable
from typing import Final

from wcwidth import wcwidth

ELLIPSIS: Final = "…"
MAX_COMPARED: Final = 1000  # candidates for a nearest word; a comparison takes about 20 us


def printable(text: str, *, keep: str = "\n\t", ascii_only: bool = False) -> str:
    """`text` with every character escaped that is neither printable nor in `keep`; or that is not ASCII.

    A backslash stays as it is: this is for reading, not for reading back.
    """
    if text.isprintable() and (text.isascii() or not ascii_only):
        return text
    return "".join(
        c if (c.isprintable() or c in keep) and (c.isascii() or not ascii_only) else _escaped(c) for c in text
    )


def _escaped(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def printable_bytes(data: bytes, *, ascii_only: bool = False) -> str:
    r"""Bytes as one line of text: UTF-8 where it is valid, `\xNN` where not, `\n` `\r` `\t` by name."""
    text = data.decode("ascii" if ascii_only else "utf-8", "backslashreplace")
    named = text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return printable(named, keep="")


class PeerText:
    """Decodes a stream of bytes piece by piece; a character cut in two between pieces stays whole."""

    def __init__(self, *, ascii_only: bool = False) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._ascii_only = ascii_only

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """The text of these bytes, printable but for newlines and tabs."""
        return printable(self._decoder.decode(data, final), ascii_only=self._ascii_only)


def width_of(text: str) -> int:
    """How many columns printable `text` takes in a terminal."""
    return len(text) if text.isascii() else sum(max(0, wcwidth(c)) for c in text)


def cut(text: str, width: int, *, ascii_only: bool = False, middle: bool = False) -> str:
    """`text` in at most `width` columns, with an ellipsis at its end, or in its middle, if it was longer."""
    if width_of(text) <= width:
        return text
    mark = "~" if ascii_only else ELLIPSIS
    if width <= 1:
        return mark[:width] if width > 0 else ""
    tail_width = (width - 1) // 2 if middle else 0
    tail = _head(text[::-1], tail_width)[::-1]
    return _head(text, width - 1 - width_of(tail)) + mark + tail


def _head(text: str, width: int) -> str:
    taken = used = 0
    for character in text:
        used += max(0, wcwidth(character))
        if used > width:
            break
        taken += 1
    return text[:taken]


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` was probably meant to be; None if none is near."""
    known = sorted(set(candidates))[:MAX_COMPARED]
    starting = [name for name in known if word and name.startswith(word)]
    found = difflib.get_close_matches(word[:100], known, n=1, cutoff=0.6)
    return found[0] if found else starting[0] if starting else None


def plural(count: int, noun: str) -> str:
    """`1 line`, `2 lines`, `12,345 lines`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
