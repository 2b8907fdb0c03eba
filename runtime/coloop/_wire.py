"""One descriptor: what the kernel said of it, who waits for it, and who may use it.

All that a read or a write looks at before it asks the kernel lies in this one object, because the native
form of it is a C structure, whose hot path is one call into C (`native/wire.c`): try, and park when there
is nothing. That path is for what is usual, with TLS as without (`native/tls.c`). Whatever is not (a limit
of time, a handshake, datagrams, an end, a fault, a second reader) it leaves to the Python methods, which say
what is right (`_form.quick`).

A connection that the native form has accepted is its descriptor and no more (`native/connection.c`): `_raw` and
`peer` are made when somebody asks for them.
"""

from __future__ import annotations

import socket
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from ._address import Address
    from ._binding import SocketFile
    from ._coroutine import Coroutine
    from ._scheduler import Scheduler

Ending: TypeAlias = Literal["peer", "server", "idle", "error", "reset"]

BY_PEER: Final = "closed by peer"


class Wire:
    """One descriptor in a poller; `Endpoint` adds what it is for.

    Attributes:
        received: bytes received so far.
        sent: bytes given to the kernel so far.

    Args:
        fd: its number.
    """

    __slots__ = (
        "_ahead",
        "_born_at",
        "_closed_by",
        "_fd",
        "_file",
        "_held",
        "_incoming",
        "_local",
        "_outgoing",
        "_overdue",
        "_parting",
        "_plain",
        "_quiet",
        "_raw",
        "_read_ended",
        "_read_waiter",
        "_readable",
        "_reader",
        "_reset",
        "_scheduler",
        "_seal",
        "_short_is_drained",
        "_unsent",
        "_writable",
        "_write_ended",
        "_write_waiter",
        "_writer",
        "id",
        "owner",
        "peer",
        "received",
        "role",
        "sent",
    )

    # What an endpoint adds.
    _scheduler: Scheduler
    _raw: socket.socket
    _file: SocketFile | None
    _local: Address | None
    _born_at: float
    id: int
    owner: int
    role: str
    peer: Address | None

    def __init__(self, fd: int) -> None:
        self._fd = fd
        # What the kernel said, and what is not used up; True at first, so that a call is tried.
        self._readable = True
        self._writable = True
        # Whether a read that got less than it asked for leaves nothing behind.
        self._short_is_drained = True
        # Whether it is not to be read from now: the poller then keeps silent of what comes.
        self._held = False
        # Who waits for the kernel; opaque to the poller.
        self._read_waiter: object | None = None
        self._write_waiter: object | None = None
        # Who holds which lane of an endpoint.
        self._reader: Coroutine | None = None
        self._writer: Coroutine | None = None
        # By whom it was closed, and how its directions ended.
        self._closed_by: str | None = None
        self._read_ended: str | None = None
        self._write_ended: str | None = None
        # Whether its bytes are the kernel's and nothing else, and those that were read before their time.
        self._plain = False
        self._ahead = bytearray()
        # Of one with TLS: the object that seals and opens, from the handshake on and as long as all is whole,
        # its buffers, what the kernel did not take of the records, and whether nothing is left to be opened.
        self._seal: Any = None
        self._incoming: Any = None
        self._outgoing: Any = None
        self._unsent: memoryview | None = None
        self._quiet = False
        self.received = 0
        self.sent = 0
        self._reset = False  # whether the peer has torn the connection down
        # How it had ended when we ended our stream; and how much had moved, and one, when a wait last took too long.
        self._parting: Ending | None = None
        self._overdue = 0

    @property
    def _ending(self) -> Ending | None:
        """What it has come to so far, of what came first; None if nothing has ended it."""
        if self._parting is not None:
            return self._parting
        if _by_peer(self._read_ended) or _by_peer(self._write_ended):
            return "peer"
        if self._reset:
            return "reset"
        return "idle" if self._overdue == self.received + self.sent + 1 else None


def _by_peer(end: str | None) -> bool:
    return end is not None and end.startswith(BY_PEER)


def raw_socket(fd: int, family: int) -> socket.socket:
    """The library's object for a stream socket that was accepted without one; -1 is for one that is closed."""
    if fd < 0:
        return closed_socket(family)
    raw = socket.socket(family, socket.SOCK_STREAM, 0, fd)
    raw.setblocking(False)
    return raw


@cache
def closed_socket(family: int) -> socket.socket:
    """All that are closed look the same. To make one takes a descriptor, so it is made in good time."""
    raw = socket.socket(family, socket.SOCK_STREAM)
    raw.close()
    return raw
