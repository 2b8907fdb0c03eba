"""Whoever started a server wants to know when it serves, and may have opened its port before.

systemd tells by the environment where it wants to hear of that, and which descriptors it hands over; simpler
ones wait for a line on a descriptor. What the environment says is for this process and not for those that it
starts: a worker that said READY would speak for all. So it is read once, and taken away.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Final

FIRST_HANDED_OVER: Final = 3
_STANDARD_DESCRIPTORS: Final = (0, 1, 2)


def handed_over(environ: MutableMapping[str, str], pid: int | None = None) -> tuple[int, ...]:
    """The descriptors of sockets that were opened for this process; `fd:3` is how they are named.

    Args:
        environ: of the process; what it says of this is taken away.
        pid: the number of the process; this one's by default.
    """
    meant_for, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if meant_for != str(os.getpid() if pid is None else pid) or not count.isdecimal():
        return ()
    numbers = tuple(range(FIRST_HANDED_OVER, FIRST_HANDED_OVER + int(count)))
    for number in numbers:
        os.set_inheritable(number, False)
    return numbers


class ServiceManager:
    """Whoever wants to be told how a service fares, if there is anybody.

    Args:
        environ: of the process; what it says of this is taken away.
        ready_fd: a descriptor on which one line is written when the service is ready.
        notice: shows a line to the user: who cannot be told is no reason not to serve.

    Raises:
        OSError: there is no such descriptor.
    """

    def __init__(
        self, environ: MutableMapping[str, str], ready_fd: int | None, notice: Callable[[str], None]
    ) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")
        self._ready_fd = ready_fd
        self._notice = notice
        if ready_fd is not None:
            os.fstat(ready_fd)
            if ready_fd not in _STANDARD_DESCRIPTORS:
                os.set_inheritable(ready_fd, False)

    def ready(self, status: str) -> None:
        """It serves, for the first time or again; `status` says what, in one line."""
        self._tell("READY=1", f"STATUS={status}")
        self._tell_descriptor()

    def reloading(self) -> None:
        """It reads its file again, and will be ready later."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """It ends."""
        self._tell("STOPPING=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode("utf-8", "backslashreplace"), name)
        except OSError as error:
            self._notice(f"NOTIFY_SOCKET {self._address}: {error.strerror or error}; nobody is told any more")
            self._address = ""

    def _tell_descriptor(self) -> None:
        number, self._ready_fd = self._ready_fd, None
        if number is None:
            return
        try:
            os.write(number, b"ready\n")
        except OSError as error:
            self._notice(f"--ready-fd {number}: {error.strerror}")
        if number not in _STANDARD_DESCRIPTORS:
            os.close(number)
