"""The master and a worker talk in messages: four bytes of length, and then JSON.

No message can make its reader do anything but read it: what comes from a worker, which runs whatever its handlers
are, is data. (What the master sends may hold a pickle, see `shipping.py`; the worker takes it from nobody but the
process that started it, and the kernel says who that is.)

Whoever posts does not wait: a worker that hangs must not hold the master up. What is posted is written in its order;
when too much is under way, that is an error of the one who posts.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from contextlib import suppress
from typing import Any, Final

import coloop
from coloop import Closed, Lock, Socket

MAX_BYTES: Final = 1024 * 1024
MAX_UNDER_WAY: Final = 8 * MAX_BYTES

_LENGTH: Final = struct.Struct("!I")
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid

Message = dict[str, Any]


class ChannelError(Exception):
    """A message cannot be sent, or what came is none."""


class Channel:
    """One end.

    Args:
        raw: a connected stream; it belongs to the channel from now on.
        most: how many bytes a message that comes may have.
    """

    def __init__(self, raw: socket.socket, most: int = MAX_BYTES) -> None:
        self._peer_pid = _pid_behind(raw)
        self._most = most
        self._socket = Socket(raw, "client", None)
        self._turn = Lock()
        self._under_way = 0

    @property
    def peer_pid(self) -> int | None:
        """The process that made the pair of sockets; None where the system does not tell."""
        return self._peer_pid

    @property
    def id(self) -> int:
        """The number of its socket, for those who look at sockets."""
        return self._socket.id

    def post(self, message: Message) -> None:
        """Send a message without waiting for it to be taken.

        Raises:
            ChannelError: it is too long, it is no JSON, or too much is under way already.
        """
        frame = packed(message)
        if self._under_way + len(frame) > MAX_UNDER_WAY:
            raise ChannelError(f"{self._under_way:,} bytes wait already, and nobody takes them")
        self._under_way += len(frame)
        coloop.go(self._send, frame, name="channel")

    def _send(self, frame: bytes) -> None:
        try:
            with self._turn:
                self._socket.sendall(frame)
        except (OSError, Closed):
            return  # the other end has gone, and whoever receives here hears of that
        except BaseException:
            self._socket.close()  # with half a message in it, it is of no use
            raise
        finally:
            self._under_way -= len(frame)

    def flush(self) -> None:
        """Park until all that was posted has been given to the kernel."""
        with self._turn:
            pass

    def receive(self) -> Message | None:
        """The next message; parks until it is there. None when the other end has gone.

        Raises:
            ChannelError: it is no message, or too long.
        """
        try:
            length = _length_in(self._socket.recv_exactly(_LENGTH.size), self._most)
            data = self._socket.recv_exactly(length)
        except (OSError, Closed):
            return None
        return _message_in(data)

    def close(self) -> None:
        """Let the other end know."""
        with suppress(OSError):
            self._socket.close()


def receive_blocking(raw: socket.socket) -> Message | None:
    """The next message, for a thread that has no scheduler and waits for nothing else; None at the end.

    Raises:
        ChannelError: it is no message, or too long.
        OSError: the connection is broken.
    """
    head = _exactly(raw, _LENGTH.size)
    data = None if head is None else _exactly(raw, _length_in(head, MAX_BYTES))
    return None if data is None else _message_in(data)


def _exactly(raw: socket.socket, count: int) -> bytes | None:
    """So many bytes; None if the stream ends before."""
    data = raw.recv(count, socket.MSG_WAITALL)
    return data if len(data) == count else None


def _length_in(head: bytes, most: int) -> int:
    (length,) = _LENGTH.unpack(head)
    if length > most:
        raise ChannelError(f"a message of {length:,} bytes, {most:,} are allowed")
    return int(length)


def _message_in(data: bytes) -> Message:
    try:
        message = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ChannelError(f"no message: {error}") from None
    if not isinstance(message, dict):
        raise ChannelError(f"no message but a {type(message).__name__}")
    return message


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def packed(message: Message, most: int = MAX_BYTES) -> bytes:
    """A message as it is sent; raises ChannelError."""
    try:
        data = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ChannelError(f"it cannot be sent as JSON: {error}") from None
    if len(data) > most:
        raise ChannelError(f"a message of {len(data):,} bytes is too long, {most:,} are allowed")
    return _LENGTH.pack(len(data)) + data


def _pid_behind(raw: socket.socket) -> int | None:
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    pid, _, _ = _CREDENTIALS.unpack(raw.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return int(pid)


def is_from_parent(pid: int | None) -> bool:
    """Whether that process is the one that started this one."""
    return pid is None or pid == os.getppid()
