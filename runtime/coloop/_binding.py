"""Taking an address for one's own, and saying in one line why it cannot be had.

A unix socket leaves its file behind when its process dies. The file tells nobody whether somebody
still listens, so it is called: one that refuses is dead and is replaced; anything else that bears
the name (a file, a link) is none of our business. An abstract name has no file, and goes with its socket.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from ._address import Address, Target
from ._kernel import holder_of, reason, told, unix_peer


def ipv4_first(target: Target) -> bool:
    """For `localhost`, which is two: those that know only one know that one."""
    return target[0] != socket.AF_INET


def take_address(raw: socket.socket, name: Any, place: Address) -> SocketFile | None:
    """Bind `raw` to what the kernel calls `name` and the user `place`.

    Returns:
        The file that this has made, for who closes the socket; None if there is none.

    Raises:
        OSError: why not; `bind_failure` says it in a line.
    """
    if place.file is not None:
        _clear_path(place)
    raw.bind(name)
    return None if place.file is None else SocketFile(place.file)


def give_back(raw: socket.socket, file: SocketFile | None) -> None:
    """Undo it, where what was to follow has failed."""
    if file is not None:
        file.remove()
    raw.close()


def bind_failure(error: OSError, place: Address) -> OSError:
    """The same error in a line that says what to do."""
    if error.strerror is None:  # it is in a line of ours already
        return error
    number = error.errno or errno.EIO
    if number == errno.EADDRINUSE:
        return _in_use(place, holder_of(place) if place.path is None else None)
    if place.path is None and number == errno.EACCES:
        return told(number, f"port {place.port} needs root or CAP_NET_BIND_SERVICE")
    if number == errno.EADDRNOTAVAIL:
        return told(number, f"{place.host} is not an address of this machine")
    return told(number, f"cannot listen on {place}: {reason(error)}")


def _in_use(place: Address, holder: str | None) -> OSError:
    what = f"port {place.port}" if place.path is None else str(place)
    return told(errno.EADDRINUSE, f"{what} is in use{f' by {holder}' if holder else ''}")


# -- unix sockets --------------------------------------------------------------------------------


class SocketFile:
    """The file of a unix socket that we have bound, told from a later one at the same place by its inode."""

    __slots__ = ("_identity", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = self._found()

    def remove(self) -> None:
        """Take it away, if it is still ours."""
        if self._identity is not None and self._identity == self._found():
            with suppress(OSError):
                Path(self._path).unlink()

    def _found(self) -> tuple[int, int] | None:
        with suppress(OSError):
            found = os.lstat(self._path)
            return found.st_dev, found.st_ino
        return None


def _clear_path(place: Address) -> None:
    """Make room for a unix socket: remove a dead one, refuse to touch anything else."""
    assert place.file is not None
    path = Path(place.file)
    try:
        mode = path.lstat().st_mode
    except OSError:  # nothing there, or bind will say what is wrong
        return
    if not stat.S_ISSOCK(mode):
        raise told(errno.EEXIST, f"{place} is there already and is {_kind_of_file(mode)}, not a socket")
    if _is_dead(place):
        path.unlink()


def _kind_of_file(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a folder" if stat.S_ISDIR(mode) else "a file"


def _is_dead(place: Address) -> bool:
    """Call it: True if nobody answers; raises if somebody does, or may."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if place.datagram else socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(place.file or "")
        except ConnectionRefusedError:
            return True
        except BlockingIOError:  # its backlog is full
            raise _in_use(place, None) from None
        except OSError as error:
            raise told(error.errno or errno.EIO, f"cannot listen on {place}: {reason(error)}") from None
        raise _in_use(place, unix_peer(probe))
