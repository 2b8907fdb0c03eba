"""A value is shown by its `repr`, but only so much of it as somebody will read.

The whole `repr` of a list of ten million numbers takes seconds and a hundred megabytes to make. So the
elements of what Python itself brings (lists, dicts, strings ...) are counted before they are shown. Others
have a `repr` of their own, which may take long, and may raise; then it is said what it raised.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from .text import printable

MAX_ELEMENTS: Final = 100
MAX_TEXT_CHARS: Final = 4096
MAX_DEPTH: Final = 6


class _Repr(reprlib.Repr):
    """As `reprlib`, but a dict keeps its order, and a cut text tells its length."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = MAX_DEPTH
        self.maxtuple = self.maxlist = self.maxarray = self.maxdict = MAX_ELEMENTS
        self.maxset = self.maxfrozenset = self.maxdeque = MAX_ELEMENTS
        self.maxother = self.maxlong = MAX_TEXT_CHARS

    def repr_str(self, text: str, level: int) -> str:  # noqa: ARG002 - the library's signature
        return _cut(text)

    def repr_bytes(self, text: bytes, level: int) -> str:  # noqa: ARG002
        return _cut(text)

    def repr_bytearray(self, text: bytearray, level: int) -> str:  # noqa: ARG002
        return f"bytearray({_cut(bytes(text[: MAX_TEXT_CHARS + 1]), len(text))})"

    def repr_dict(self, held: dict[Any, Any], level: int) -> str:
        if level <= 0 and held:
            return "{...}"
        return f"{{{', '.join(self._items(held, level - 1))}}}"

    def _items(self, held: dict[Any, Any], level: int) -> Iterator[str]:
        for key, value in islice(held.items(), self.maxdict):
            yield f"{self.repr1(key, level)}: {self.repr1(value, level)}"
        if len(held) > self.maxdict:
            yield "..."

    def repr_instance(self, value: object, level: int) -> str:  # noqa: ARG002
        try:
            shown = repr(value)
        except Exception as error:
            return f"<{type(value).__name__}: its repr raised {type(error).__name__}>"
        return (
            shown if len(shown) <= self.maxother else f"{shown[: self.maxother]}... ({len(shown)} characters)"
        )


def _cut(text: str | bytes, length: int | None = None) -> str:
    length = len(text) if length is None else length
    if length <= MAX_TEXT_CHARS:
        return repr(text)
    return f"{text[:MAX_TEXT_CHARS]!r}... ({length} {'characters' if isinstance(text, str) else 'bytes'})"


_REPR: Final = _Repr()


def shown(value: object) -> str:
    """The value as it is shown to the user: printable, and not longer than can be read."""
    return printable(_REPR.repr(value), keep="\n")
