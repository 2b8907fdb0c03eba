"""What was in a file before is not lost by mistake, and a picture is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from coshell.command_error import CommandError


def check_place(path: Path, *, force: bool) -> None:
    """Find out early whether a file can be written.

    Raises:
        CommandError: it is there already and was not to be replaced, it is no file, or its folder is missing.
    """
    try:
        is_there = path.is_symlink() or path.exists()
        if is_there and not path.is_file():
            raise CommandError(f"{path}: not a file")
        if is_there and not force:
            raise CommandError(f"{path}: there already (-f replaces it)")
        if not path.parent.is_dir():
            raise CommandError(f"{path}: no such folder")
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: {_reason(error)}") from error


def write_file(path: Path, text: str, *, force: bool) -> None:
    """Write a file.

    Args:
        path: which.
        text: all that is to stand in it.
        force: replace what is there.

    Raises:
        CommandError: as `check_place`, or the system refuses.
    """
    check_place(path, force=force)
    data = text.encode("utf-8", "backslashreplace")
    try:
        if force and path.exists():
            _replace(path.resolve(), data)
        else:
            _create(path, data)
    except FileExistsError:
        raise CommandError(f"{path}: there already (-f replaces it)") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: {_reason(error)}") from error


def _create(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
        except BaseException:
            path.unlink()
            raise


def _replace(path: Path, data: bytes) -> None:
    mode = path.stat().st_mode & 0o777
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".coshell-")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
