"""A session file is read whole, once, as bytes, before any of it runs; and it is replaced whole.

What is called a text file may be a folder, a pipe that nobody writes to, a device that never ends, a
program, or the work of an editor that saves UTF-16. Each has to be told in one line, and in no time.
Python's own notion of a line is too wide for this: `str.splitlines` also cuts at form feeds, at U+2028
and at six more characters that may stand in a string. Here a line ends with a newline, and one carriage
return before it belongs to the ending.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import tempfile
from codecs import BOM_UTF8
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
MAX_LINE_BYTES: Final = 64 * 1024  # shlex.split takes 46 s for a word of 1 MB: no line gets that far

STANDARD_INPUT: Final = "-"

# Non-blocking, because opening a pipe that has no writer waits for one.
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_NOT_FILES: Final = (
    (stat.S_ISDIR, "a directory, not a file"),
    (stat.S_ISFIFO, "a pipe, not a file; a pipe can feed standard input: coshell run -"),
    (stat.S_ISSOCK, "a socket, not a file"),
)

_RAW_LINE: Final = re.compile(rb"[^\n]*\n|[^\n]+")


class ReadError(Exception):
    """A file that cannot be a session file; the message is one line that begins with its name."""


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one file as it was when it was read.

    Attributes:
        name: the file as the user called it.
        path: where it lies, links followed; None for a stream.
        raw: its bytes.
        lines: its text, without line endings and without a byte order mark.
    """

    name: str
    path: Path | None
    raw: bytes
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines that take the place of others.

    Attributes:
        start: how many lines of the file stand before them.
        removed: how many lines they replace.
        lines: the new ones, without endings.
    """

    start: int
    removed: int
    lines: tuple[str, ...]


def read_source(name: str) -> Source:
    """The text of a file, or of standard input for `-`.

    Raises:
        ReadError: it is missing, unreadable, no plain file, too large, or no text.
    """
    if name == STANDARD_INPUT:
        return source_of(sys.stdin.buffer.read(MAX_FILE_BYTES + 1), "<stdin>")
    try:
        with _open(name) as file:
            return source_of(file.read(MAX_FILE_BYTES + 1), name, Path(os.path.realpath(name)))
    except OSError as error:
        raise ReadError(f"{name}: {_reason(error)}") from error
    except ValueError as error:  # a NUL in it
        raise ReadError(f"{name}: no file can have this name") from error


def source_of(raw: bytes, name: str, path: Path | None = None) -> Source:
    """The text that bytes hold.

    Raises:
        ReadError: they are no text, or larger than a session file may be.
    """
    if len(raw) > MAX_FILE_BYTES:
        raise ReadError(f"{name}: larger than {MAX_FILE_BYTES >> 20} MiB, the limit for a session file")
    body = raw.removeprefix(BOM_UTF8)
    text = _decoded(body, name)
    _check_line_lengths(body, name)
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return Source(name, path, raw, tuple(line.removesuffix("\r") for line in lines))


def rewritten(raw: bytes, edits: Iterable[Edit]) -> bytes:
    """The bytes of a file with some lines replaced; all others keep each of their bytes."""
    lines = _RAW_LINE.findall(raw)
    newline = b"\r\n" if b"\r\n" in raw else b"\n"
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        if edit.lines and 0 < edit.start == len(lines) and not lines[-1].endswith(b"\n"):
            lines[-1] += newline
        new = [line.encode() + newline for line in edit.lines]
        lines[edit.start : edit.start + edit.removed] = new
    return b"".join(lines)


def replace_file(source: Source, raw: bytes) -> None:
    """Put other bytes in the place of a file: all of them or, if that fails, none.

    Raises:
        ReadError: it cannot be written, or is no longer what was read.
    """
    assert source.path is not None
    try:
        if source.path.read_bytes() != source.raw:
            raise ReadError(f"{source.name}: changed by somebody else while it ran, not updated")
        _write_beside_and_rename(source.path, raw)
    except OSError as error:
        raise ReadError(f"{source.name}: not updated: {_reason(error)}") from error


def _write_beside_and_rename(path: Path, raw: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def _open(name: str) -> BinaryIO:
    descriptor = os.open(name, _OPEN_FLAGS)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise ReadError(f"{name}: {_what_else(mode)}")


def _what_else(mode: int) -> str:
    return next((words for is_kind, words in _NOT_FILES if is_kind(mode)), "a device, not a file")


def _reason(error: OSError) -> str:
    if error.errno == errno.ENXIO:  # what opening a socket gives
        return "a socket, not a file"
    return (error.strerror or str(error)).lower()


def _decoded(body: bytes, name: str) -> str:
    try:
        text = body.decode()
        bad = body.find(b"\0")
    except UnicodeDecodeError as error:
        text = ""
        bad = error.start if b"\0" not in body[: error.start] else body.index(b"\0")
    if bad >= 0:
        line = body.count(b"\n", 0, bad) + 1
        raise ReadError(f"{name}: not a session file (byte 0x{body[bad]:02x} at line {line})")
    return text


def _check_line_lengths(body: bytes, name: str) -> None:
    for number, line in enumerate(body.split(b"\n"), 1):
        if len(line) > MAX_LINE_BYTES:
            reason = f"a line of {len(line)} bytes, the limit is {MAX_LINE_BYTES >> 10} KiB"
            raise ReadError(f"{name}:{number}: {reason}")
