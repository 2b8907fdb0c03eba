"""Sockets that were there before us: from who started this process, or from a library.

A process that was started to serve gets the socket that listens with its number, `fd:3`, as systemd and a
master of workers give it. The number is trusted no further than that: it may be of a file, or of a socket
that does not listen.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from ._kernel import kernel_state, told
from ._socket import Socket, adopt_socket

SCHEME: Final = "fd:"


def inherited_listener(address: str) -> socket.socket:
    """The socket that listens under the number in `fd:7`; it is ours from now on.

    Its file, if it is a unix socket, is left to who has bound it.

    Raises:
        ValueError: it is no number, or not that of a stream socket that listens; then it is left alone.
        OSError: there is no such descriptor.
    """
    number = address.removeprefix(SCHEME)
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise ValueError(f"{address!r} is no descriptor: write fd:3")
    fd = int(number)
    try:
        raw = socket.socket(fileno=fd)
    except OSError as error:
        if error.errno != errno.ENOTSOCK:
            raise told(error.errno or errno.EBADF, f"{address} is not open in this process") from None
        raise ValueError(f"{address} is no socket") from None
    if raw.type != socket.SOCK_STREAM or not raw.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        kind = kernel_state(raw)
        raw.detach()
        raise ValueError(f"{address} does not listen: the kernel has it as {kind}")
    os.set_inheritable(fd, False)
    raw.setblocking(False)
    return raw


def adopt(raw: socket.socket) -> Socket:
    """Make a connected stream socket of the library's a `Socket` of the running scheduler's.

    Args:
        raw: it belongs to the `Socket` from now on; if it is none of these, it stays whose it was.

    Raises:
        ValueError: it is no stream, or is not connected.
        NotRunning: no scheduler runs here.
    """
    if raw.type != socket.SOCK_STREAM:
        raise ValueError(f"only a stream can be adopted, not {raw!r}")
    try:
        raw.getpeername()
    except OSError:
        raise ValueError(f"only a connected socket can be adopted, not {raw!r}") from None
    return adopt_socket(raw)
