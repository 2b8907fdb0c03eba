"""What the kernel knows of sockets, in words: states, queues, errors, and who holds an address.

All of it is for people who look. Where a platform does not say, the answer is None, and so it is
when the question itself fails, because no descriptor is left to ask with.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from typing import Any, Final

from ._address import Address

TCP_STATES: Final = (
    "?",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
)
OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC})
_LISTENING: Final = bytes([TCP_STATES.index("LISTEN")])
_UNACKED: Final = slice(24, 28)  # of struct tcp_info, <linux/tcp.h>: tcpi_unacked, of a listener its queue
_LISTEN: Final = "0A"  # as /proc/net/tcp writes it
_UNCONNECTED: Final = "07"  # as /proc/net/udp does


def tcp_state(raw: socket.socket) -> str | None:
    """`ESTABLISHED`, `CLOSE_WAIT` ...; None for what is not TCP, or not on Linux."""
    if raw.family == socket.AF_UNIX or not hasattr(socket, "TCP_INFO"):
        return None
    with suppress(OSError):
        number = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return TCP_STATES[number] if number < len(TCP_STATES) else "?"
    return None


def kernel_state(raw: socket.socket) -> str | None:
    """As `tcp_state`, in the same words for UDP and unix sockets; `UNCONN` for one that has no peer.

    The kernel keeps no state by name for these, but it answers what the states stand for: whether it
    listens, has a peer, and whether that has ended its stream.
    """
    if raw.family != socket.AF_UNIX and raw.type == socket.SOCK_STREAM:
        return tcp_state(raw)
    with suppress(OSError):
        if raw.type == socket.SOCK_STREAM and raw.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return "LISTEN"
        try:
            raw.getpeername()
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
            return "UNCONN"
        return "CLOSE_WAIT" if raw.type == socket.SOCK_STREAM and _has_hung_up(raw) else "ESTABLISHED"
    return None


def _has_hung_up(raw: socket.socket) -> bool:
    """Whether the peer has ended its stream, or all of the connection."""
    asked = getattr(select, "POLLRDHUP", 0)
    poll = select.poll()
    poll.register(raw.fileno(), asked)
    return any(events & (asked | select.POLLHUP) for _, events in poll.poll(0))


def waiting_connections(raw: socket.socket) -> int | None:
    """How many connections a TCP listener has that wait to be accepted, as `ss` shows; None where it does not say."""
    if raw.family == socket.AF_UNIX or not hasattr(socket, "TCP_INFO"):
        return None
    with suppress(OSError):
        info = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED.stop)
        if info[:1] == _LISTENING:
            return int.from_bytes(info[_UNACKED], sys.byteorder)
    return None


def unread_bytes(raw: socket.socket) -> int | None:
    """How many bytes wait to be received; of datagrams, in the next one."""
    return _queue(raw, termios.FIONREAD)


def unsent_bytes(raw: socket.socket) -> int | None:
    """How many bytes the other side has not acknowledged; after a shutdown the end itself counts as one.

    For UDP and unix sockets it is what the kernel holds for it, its own records of some 100 bytes
    a piece included: until the network card, or the other end, has taken it.
    """
    return _queue(raw, termios.TIOCOUTQ)


def _queue(raw: socket.socket, question: int) -> int | None:
    with suppress(OSError, ValueError):
        size: int = struct.unpack("i", ioctl(raw.fileno(), question, bytes(4)))[0]
        return size
    return None


def told(number: int, text: str) -> OSError:
    """The OSError of that errno, of the right class, that reads `text` and not "[Errno 98] text"."""
    error = type(OSError(number, text))(text)
    error.errno = number
    return error


def reason(error: OSError) -> str:
    """What the kernel said, as the end of a sentence of ours."""
    return (error.strerror or str(error)).lower()


def holder_of(address: Address) -> str | None:
    """Who listens on a port, as `pid 1234 (python3)`; None if it cannot be told, or nobody does."""
    inodes = set(_listening_inodes(address.port, datagram=address.datagram))
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        if _holds(process, inodes):
            return describe_process(int(process.name))
    return None


def _listening_inodes(port: int, *, datagram: bool) -> Iterator[str]:
    """The socket numbers of all who listen on `port`, whatever the host."""
    protocol, state = ("udp", _UNCONNECTED) if datagram else ("tcp", _LISTEN)
    for table in (f"/proc/net/{protocol}", f"/proc/net/{protocol}6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == state and int(fields[1].rpartition(":")[2], 16) == port:
                    yield f"socket:[{fields[9]}]"


def _holds(process: Path, inodes: set[str]) -> bool:
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                if str(descriptor.readlink()) in inodes:
                    return True
    return False


def describe_process(pid: int) -> str:
    """`this process`, or `pid 1234 (python3)`."""
    if pid == os.getpid():
        return "this process"
    with suppress(OSError):
        return f"pid {pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})"
    return f"pid {pid}"


def unix_peer(raw: socket.socket) -> str | None:
    """Who made the other end of a unix connection; None where the system does not say, as of datagrams."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    credentials: Any = raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iii"))
    pid = struct.unpack("iii", credentials)[0]
    return describe_process(pid) if pid else None
