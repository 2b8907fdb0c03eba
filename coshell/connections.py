"""A connection has two ends and three opinions: ours, the peer's, and the kernel's, which hears of the peer first.

That the peer has gone is known to the kernel when its packet arrives, and to us when somebody reads. In
between, a server that does not read believes in a client which is no more. So both opinions stand side
by side, and where they differ it is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from coloop import SocketPicture

from .processes import Number, ProcessPicture
from .render import Column
from .text import printable
from .values import Bytes, Duration

REMARKS_SHOWN: Final = 5


@dataclass(frozen=True)
class Connection:
    """One open socket or listener, as we see it and as the kernel does.

    Attributes:
        id: its number, which is never the descriptor's.
        name: what it is called, else the name of the coroutine that it belongs to.
        role: `listener`, `client` or `server` (an accepted connection).
        local: its own address.
        peer: the other side's.
        state: what we think.
        kernel: what the kernel thinks; None where it does not say.
        unread: bytes that wait to be received.
        unsent: bytes that the peer has not acknowledged.
        received: bytes received so far.
        sent: bytes sent so far.
        reader: the coroutine that waits to read.
        writer: the coroutine that waits to write.
        owner: the coroutine that it belongs to.
        age: since it was opened.
        fd: the descriptor.
        process: the other process that has it, `web/w1`; None for those of this one.
        pid: of that process.
    """

    id: int
    name: str
    role: str
    local: str
    peer: str | None
    state: str
    kernel: str | None
    unread: Bytes | None
    unsent: Bytes | None
    received: Bytes
    sent: Bytes
    reader: int | None
    writer: int | None
    owner: int
    age: Duration
    fd: int
    process: str | None = None
    pid: int | None = None

    @property
    def disagreement(self) -> str | None:
        """What the kernel knows and nobody here has noticed."""
        if self.state not in {"open", "half-closed"}:
            return None
        if self.kernel in {"CLOSE_WAIT", "LAST_ACK", "CLOSING"}:
            return "the peer has closed its half, and nobody here has read so far"
        if self.kernel == "CLOSE":
            return "the connection is broken, and nobody here has noticed"
        return None


COLUMNS: Final = (
    Column("id", "ID", ">"),
    Column("name", "NAME", minimum=6),
    Column("role", "ROLE", drop=7),
    Column("local", "LOCAL", minimum=8),
    Column("peer", "PEER", minimum=8),
    Column("state", "STATE"),
    Column("kernel", "KERNEL"),
    Column("unread", "UNREAD", ">", drop=1),
    Column("unsent", "UNSENT", ">", drop=2),
    Column("received", "RECEIVED", ">", drop=3),
    Column("sent", "SENT", ">", drop=4),
    Column("reader", "READER", ">", drop=5),
    Column("writer", "WRITER", ">", drop=6),
    Column("owner", "OWNER", ">", drop=8),
    Column("age", "AGE", ">", drop=9),
    Column("fd", "FD", ">", drop=10),
)


def connections(sockets: Iterable[SocketPicture], names: Mapping[int, str]) -> list[Connection]:
    """A record for each socket and listener.

    Args:
        sockets: their pictures.
        names: what they are called, by number.
    """
    return [_connection(picture, names.get(picture.id, "")) for picture in sockets]


def connections_in(process: ProcessPicture) -> list[Connection]:
    """The same for another process, as it has told last."""
    owners = {picture.id: picture.name for picture in process.coroutines}
    return [
        replace(
            _connection(picture, owners.get(picture.owner, "")),
            id=Number.of(picture.id, process.name),
            process=process.name,
            pid=process.pid,
        )
        for picture in process.sockets
    ]


def _connection(picture: SocketPicture, name: str) -> Connection:
    return Connection(
        id=picture.id,
        name=name,
        role=picture.role,
        local=picture.local,
        peer=picture.peer,
        state=picture.state,
        kernel=picture.kernel,
        unread=None if picture.unread is None else Bytes(picture.unread),
        unsent=None if picture.unsent is None else Bytes(picture.unsent),
        received=Bytes(picture.received),
        sent=Bytes(picture.sent),
        reader=picture.reader,
        writer=picture.writer,
        owner=picture.owner,
        age=Duration(picture.age_s),
        fd=picture.fd,
    )


def remarks(found: Sequence[Connection]) -> list[str]:
    """A line for each that the kernel knows more of than we do; the first few, if there are many."""
    told = [f"! {each.name} ({each.id}): {each.disagreement}" for each in found if each.disagreement]
    more = len(told) - REMARKS_SHOWN
    lines = [printable(line, keep="") for line in told[:REMARKS_SHOWN]]
    return [*lines, f"! and {more:,} more of this kind"] if more > 0 else lines
