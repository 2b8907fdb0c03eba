"""Where one message ends and the next begins, in a stream that only has bytes.

A framing says how a message is written, and makes a decoder for each connection, which is fed with what came
and gives out the messages that are whole. Each has a limit: a peer that never ends its message would
fill the memory. What is too long for it is refused while it comes, not when it is all there, and from then
on nobody knows where the next message begins: so such a connection has come to its end.

The decoders look at each byte once, however small the pieces in which it comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from ._errors import CoroutineError
from ._type_names import type_name

LIMIT_BYTES: Final = 65536
MAX_PREFIX_BYTES: Final = 8
CARRIAGE_RETURN: Final = 13

Order: TypeAlias = Literal["big", "little"]
Bytes: TypeAlias = "bytes | bytearray | memoryview"


class MessageTooLong(CoroutineError, ValueError):
    """A message is longer than its framing allows: raise the limit of the framing, or look at the peer.

    Attributes:
        before: of what came, the messages that were whole before it.
    """

    def __init__(self, text: str, before: Sequence[bytes] = ()) -> None:
        super().__init__(text)
        self.before = before


class Decoder(Protocol):
    """Makes messages of the bytes of one connection."""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole with `data` behind what came before, in order.

        Raises:
            MessageTooLong: the next one; its `before` has those that were whole. Nothing can follow.
        """

    @property
    def rest(self) -> bytes:
        """The beginning of a message that is not whole."""


class Framing(Protocol):
    """How messages are told apart."""

    @property
    def limit(self) -> int:
        """Bytes that a message may have."""

    def encode(self, message: Bytes) -> bytes:
        """As it is sent.

        Raises:
            ValueError: it could not be told apart by the other side; or it is longer than the limit
                (`MessageTooLong`).
        """

    def decoder(self) -> Decoder:
        """One for a connection that begins."""


@dataclass(frozen=True, slots=True)
class Raw:
    """No framing: a message is what has come, in pieces as the network likes it.

    Attributes:
        limit: without meaning, as nothing is put together.
    """

    limit: int = LIMIT_BYTES

    def encode(self, message: Bytes) -> bytes:
        """The message itself."""
        return as_bytes(message)

    def decoder(self) -> Decoder:
        """One that gives out what it is fed with."""
        return _Passing()

    def __str__(self) -> str:
        return "raw"


@dataclass(frozen=True, slots=True)
class Delimited:
    """A delimiter ends each message.

    Attributes:
        delimiter: what ends a message; it is no part of it.
        limit: bytes that a message may have, without the delimiter.
    """

    delimiter: bytes
    limit: int = LIMIT_BYTES

    def __post_init__(self) -> None:
        _check_delimiter(self.delimiter)
        _check_limit(self.limit)

    def encode(self, message: Bytes) -> bytes:
        """The message, and the delimiter."""
        data = as_bytes(message)
        _check_length(len(data), self.limit)
        framed = data + self.delimiter
        if framed.find(self.delimiter) != len(data):  # it may also begin in the message and end behind it
            raise ValueError(f"a message cannot have its delimiter {self.delimiter!r} in it")
        return framed

    def decoder(self) -> Decoder:
        """One that looks for the delimiter."""
        return _Searching(self.delimiter, self.limit)

    def __str__(self) -> str:
        return f"delimiter:{self.delimiter.decode('latin-1').encode('unicode_escape').decode()}"


@dataclass(frozen=True, slots=True)
class Lines:
    r"""A message is a line. It is sent with `\n`, and comes with `\n` or `\r\n`, which are no part of it.

    Attributes:
        limit: bytes that a line may have.
    """

    limit: int = LIMIT_BYTES

    def __post_init__(self) -> None:
        _check_limit(self.limit)

    def encode(self, message: Bytes) -> bytes:
        """The line, and its end."""
        data = as_bytes(message)
        if b"\n" in data:
            raise ValueError("a line cannot have another end of line in it")
        _check_length(len(data), self.limit)
        return data + b"\n"

    def decoder(self) -> Decoder:
        """One that looks for the end of the line."""
        return _Reading(self.limit)

    def __str__(self) -> str:
        return "line"


@dataclass(frozen=True, slots=True)
class LengthPrefixed:
    """A number in front of each message tells its length.

    Attributes:
        bytes: how long that number is, 1 to 8 bytes.
        order: which of its bytes comes first, the biggest (`big`, as networks do) or the smallest (`little`).
        limit: bytes that a message may have, without the number.
    """

    bytes: int = 4
    order: Order = "big"
    limit: int = LIMIT_BYTES

    def __post_init__(self) -> None:
        if isinstance(self.bytes, bool) or not isinstance(self.bytes, int):
            raise TypeError(f"the length of a prefix is a number of bytes, not {self.bytes!r}")
        if not 1 <= self.bytes <= MAX_PREFIX_BYTES:
            raise ValueError(f"a prefix has 1 to {MAX_PREFIX_BYTES} bytes, not {self.bytes}")
        if self.order not in ("big", "little"):
            raise ValueError(f"order must be 'big' or 'little', not {self.order!r}")
        _check_limit(self.limit)

    def encode(self, message: Bytes) -> _bytes:
        """The length, and the message."""
        data = as_bytes(message)
        _check_length(len(data), min(self.limit, 256**self.bytes - 1))
        return len(data).to_bytes(self.bytes, self.order) + data

    def decoder(self) -> Decoder:
        """One that reads the length first."""
        return _Counting(self.bytes, self.order, self.limit)

    def __str__(self) -> str:
        return f"length:{self.bytes}" + ("" if self.order == "big" else ":little")


_bytes = bytes  # which `LengthPrefixed` has an attribute for


# -- as text -------------------------------------------------------------------------------------

_FORMS: Final = r"raw, line, delimiter:\r\n or length:4"


def framing_of(text: str, limit: int = LIMIT_BYTES) -> Framing:
    r"""The framing that a text names.

    Args:
        text: `raw`, `line`, `delimiter:` and the delimiter, in which `\n`, `\x00` and such mean what they
            mean in Python, or `length:` and 1 to 8 (bytes), with `:little` behind it for the other order.
        limit: bytes that a message may have.

    Raises:
        ValueError: it names none.
    """
    if not isinstance(text, str):
        raise TypeError(f"a framing is written as {_FORMS}, not {text!r}")
    kind, _, rest = text.partition(":")
    if text == "raw":
        return Raw(limit)
    if text == "line":
        return Lines(limit)
    if kind == "delimiter" and rest:
        return Delimited(_unescaped(rest), limit)
    size, _, order = rest.partition(":")
    if kind == "length" and size.isascii() and size.isdigit() and order in ("", "big", "little"):
        return LengthPrefixed(int(size[:3]), "little" if order == "little" else "big", limit)
    raise ValueError(f"no such framing: {text!r}; write {_FORMS}")


def _unescaped(text: str) -> bytes:
    try:
        return text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")
    except UnicodeError:
        raise ValueError(f"a delimiter is made of bytes, as in {_FORMS}, not {text!r}") from None


# -- decoders ------------------------------------------------------------------------------------


class _Passing:
    """Gives out what it is fed with."""

    __slots__ = ()
    rest: Final = b""

    def feed(self, data: bytes) -> list[bytes]:
        return [data] if data else []


class _Searching:
    """Looks for a delimiter."""

    __slots__ = ("_buffer", "_delimiter", "_limit", "_searched")

    def __init__(self, delimiter: bytes, limit: int) -> None:
        self._delimiter = delimiter
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0  # no delimiter begins before this

    @property
    def rest(self) -> bytes:
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        buffer, delimiter, size = self._buffer, self._delimiter, len(self._delimiter)
        buffer += data
        messages: list[bytes] = []
        begin = 0
        while (end := buffer.find(delimiter, self._searched)) >= 0:
            self._check(begin, end, messages)
            messages.append(bytes(buffer[begin : self._end(begin, end)]))
            begin = self._searched = end + size
        # The last bytes may be the beginning of a delimiter.
        self._check(begin, max(begin, len(buffer) - size + 1), messages)
        del buffer[:begin]
        self._searched = max(0, len(buffer) - size + 1)
        return messages

    def _check(self, begin: int, end: int, before: list[bytes]) -> None:
        if self._end(begin, end) - begin > self._limit:
            raise too_long(self._limit, before)

    def _end(self, begin: int, end: int) -> int:  # noqa: ARG002 - of lines
        """Where a message that has its delimiter at `end` has its own."""
        return end


class _Reading(_Searching):
    """Looks for the end of a line, which may have a carriage return in front."""

    __slots__ = ()

    def __init__(self, limit: int) -> None:
        super().__init__(b"\n", limit)

    def _end(self, begin: int, end: int) -> int:
        return end - 1 if end > begin and self._buffer[end - 1] == CARRIAGE_RETURN else end


class _Counting:
    """Reads a length, and then so many bytes."""

    __slots__ = ("_buffer", "_limit", "_order", "_prefix")

    def __init__(self, prefix: int, order: Order, limit: int) -> None:
        self._prefix = prefix
        self._order = order
        self._limit = limit
        self._buffer = bytearray()

    @property
    def rest(self) -> bytes:
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        buffer, prefix = self._buffer, self._prefix
        buffer += data
        messages: list[bytes] = []
        begin, size = 0, len(buffer)
        while size - begin >= prefix:
            length = int.from_bytes(buffer[begin : begin + prefix], self._order)
            if length > self._limit:
                raise too_long(self._limit, messages, f"of {length} bytes ")
            end = begin + prefix + length
            if size < end:
                break
            messages.append(bytes(buffer[begin + prefix : end]))
            begin = end
        del buffer[:begin]
        return messages


# -- what is sent --------------------------------------------------------------------------------


def as_bytes(message: Bytes) -> bytes:
    """A message as bytes; of a number, Python would make so many zeros.

    Raises:
        TypeError: it is something else.
    """
    if type(message) is bytes:
        return message
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    raise TypeError(f"a message is bytes, not {type_name(type(message))}")


# -- limits --------------------------------------------------------------------------------------


def too_long(limit: int, before: Sequence[bytes], what: str = "") -> MessageTooLong:
    """What to raise for a message that comes, behind others that are whole."""
    text = f"a message {what}came that is longer than {limit} bytes, the limit of its framing"
    return MessageTooLong(text, before)


def _check_length(length: int, limit: int) -> None:
    if length > limit:
        raise MessageTooLong(
            f"a message of {length} bytes cannot be sent: the limit of its framing is {limit}"
        )


def _check_delimiter(delimiter: object) -> None:
    if not isinstance(delimiter, bytes) or not delimiter:
        raise ValueError(f"a delimiter is one byte or more, not {delimiter!r}")


def _check_limit(limit: int) -> None:
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit must be a number of bytes, not {limit!r}")
    if limit < 1:
        raise ValueError(f"limit must be 1 byte or more, not {limit}")
