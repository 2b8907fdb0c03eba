"""A C epoll loop without any coroutines: how far below it the interpreter keeps us. Needs `cc`."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from bench.native import compiled


def echo_server(listening: Callable[[int], None]) -> None:
    """This process becomes the server."""
    program = str(compiled("epoll_echo"))
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listening(listener.getsockname()[1])
    listener.set_inheritable(True)
    os.execv(program, [program, str(listener.fileno())])  # noqa: S606 - our own program
