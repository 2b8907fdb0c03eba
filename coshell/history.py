r"""What was typed outlives the session: a file of lines, written one at a time, that may fail without harm.

Several shells share the file. Each entry is one `write` to a descriptor opened with `O_APPEND`, so lines of
two shells never mix. Only a rewrite, which drops the oldest entries, needs care: it holds a lock on the
old file while it puts a new one in its place, and whoever waited for that lock sees by the inode number that
the file has changed under it, and opens it again.

An entry may have several lines, and a line of the file may not: a newline is written as `\\n` and a
backslash as two. Nothing else is escaped in the file; on recall every other control character is shown
escaped, because the file may hold what another program, or a paste, has put there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from prompt_toolkit.history import History as BaseHistory

from .text import printable

MAX_ENTRIES: Final = 10_000
MAX_ENTRY_BYTES: Final = 64 * 1024
MAX_FILE_BYTES: Final = 4 * 1024 * 1024


class HistoryError(Exception):
    """Why there is no history file, in a few words; the session goes on without one."""


def state_directory(environ: Mapping[str, str]) -> Path:
    """The folder for what coshell remembers between sessions.

    Raises:
        HistoryError: there is no home directory. Never is a folder named `~` made instead.
    """
    base = environ.get("XDG_STATE_HOME", "")
    if not Path(base).is_absolute():
        base = os.path.expanduser("~/.local/state")  # noqa: PTH111  Path.expanduser raises where this can be asked
    if not Path(base).is_absolute():
        raise HistoryError("there is no home directory")
    return Path(base) / "coshell"


class HistoryFile:
    """The entries of one file, oldest first.

    Args:
        path: the file; it and its folder are made when the first entry is stored.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> list[str]:
        """The newest entries, at most `MAX_ENTRIES`; none if there is no file yet.

        A file that has grown too long is rewritten with these entries alone.

        Raises:
            OSError: the file cannot be read.
            HistoryError: it is not a file of ours.
        """
        try:
            with self._locked(os.O_RDONLY) as descriptor:
                size_bytes = os.fstat(descriptor).st_size
                lines = _last_lines(descriptor, size_bytes)
                if size_bytes > MAX_FILE_BYTES or len(lines) > MAX_ENTRIES * 5 // 4:
                    self._replace(lines[-MAX_ENTRIES:])
        except FileNotFoundError:
            return []
        return [_unescaped(line) for line in lines[-MAX_ENTRIES:]]

    def append(self, entry: str) -> None:
        """Add one entry.

        Raises:
            OSError: the file cannot be written.
            HistoryError: it is not a file of ours.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked(os.O_WRONLY | os.O_APPEND | os.O_CREAT) as descriptor:
            line = _escaped(entry)
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def _locked(self, flags: int) -> Iterator[int]:
        """A descriptor of the file that is at `path` now, and stays there for the length of the block."""
        descriptor = self._open_and_lock(flags)
        while self._was_replaced(descriptor):
            os.close(descriptor)
            descriptor = self._open_and_lock(flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_and_lock(self, flags: int) -> int:
        # O_NONBLOCK: a FIFO in its place must not hang the shell.
        descriptor = os.open(self.path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            _make_private(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _was_replaced(self, descriptor: int) -> bool:
        try:
            return not os.path.samestat(os.fstat(descriptor), self.path.stat(follow_symlinks=False))
        except FileNotFoundError:
            return False  # removed by hand: what is written now is lost, and the next entry makes a new file

    def _replace(self, lines: list[bytes]) -> None:
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        descriptor = os.open(
            beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            with os.fdopen(descriptor, "wb") as new:
                new.writelines(line + b"\n" for line in lines)
            beside.replace(self.path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


class History(BaseHistory):
    """The history of one prompt: what the arrow keys walk through, backed by a file for as long as that works.

    Args:
        file: where entries are kept; None keeps them for this session only.
        notice: told once, in a line, when the file fails.
    """

    def __init__(self, file: HistoryFile | None, notice: Callable[[str], None]) -> None:
        super().__init__()
        self._file = file
        self._notice = notice

    def load_history_strings(self) -> Iterable[str]:
        """The entries of the file, newest first, safe to show."""
        return [printable(entry) for entry in reversed(self._loaded_entries())]

    def append_string(self, string: str) -> None:
        """Add an entry, unless it is the same as the last, begins with a blank, or is of no use."""
        if not _worth_keeping(string) or string == next(iter(self._loaded_strings), None):
            return
        super().append_string(string)
        del self._loaded_strings[MAX_ENTRIES:]

    def store_string(self, string: str) -> None:
        """Write an entry to the file."""
        if self._file is not None:
            try:
                self._file.append(string)
            except (OSError, HistoryError) as error:
                self._give_up(error)

    def _loaded_entries(self) -> list[str]:
        if self._file is None:
            return []
        try:
            return self._file.load()
        except (OSError, HistoryError) as error:
            self._give_up(error)
            return []

    def _give_up(self, error: Exception) -> None:
        assert self._file is not None
        reason = error.strerror if isinstance(error, OSError) else error
        self._notice(f"history is kept for this session only: {str(self._file.path)!r}: {reason}")
        self._file = None


def open_history(environ: Mapping[str, str], name: str, notice: Callable[[str], None]) -> History:
    """The history of that name in the state directory, or one without a file and a notice."""
    try:
        return History(HistoryFile(state_directory(environ) / name), notice)
    except HistoryError as error:
        notice(f"history is kept for this session only: {error}")
        return History(None, notice)


def _worth_keeping(entry: str) -> bool:
    # A leading blank is how users of bash say: do not keep this one.
    return (
        bool(entry.strip())
        and not entry[0].isspace()
        and len(entry.encode(errors="replace")) <= MAX_ENTRY_BYTES
    )


def _make_private(descriptor: int) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise HistoryError("not a regular file")
    if status.st_uid != os.geteuid():
        raise HistoryError("it belongs to another user")
    if stat.S_IMODE(status.st_mode) != 0o600:
        os.fchmod(descriptor, 0o600)


def _last_lines(descriptor: int, size_bytes: int) -> list[bytes]:
    start = max(0, size_bytes - MAX_FILE_BYTES)
    lines = os.pread(descriptor, MAX_FILE_BYTES, start).split(b"\n")
    if start > 0:
        del lines[0]  # the rest of an entry that is cut
    return [line for line in lines if line and len(line) <= 2 * MAX_ENTRY_BYTES]


def _escaped(entry: str) -> bytes:
    line = entry.replace("\\", "\\\\").replace("\n", "\\n")
    return line.encode("utf-8", errors="replace") + b"\n"


def _unescaped(line: bytes) -> str:
    # What stands between two escaped backslashes has none of its own, so the two replacements cannot meet.
    parts = line.decode("utf-8", errors="replace").split("\\\\")
    return "\\".join(part.replace("\\n", "\n") for part in parts)
