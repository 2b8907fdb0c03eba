"""An echo server whose receive allocates, written as the tutorial wrote it in C, with its defects.

`read(2)` on a connection whose peer has gone gives 0 bytes: at once, and again each time it is called. A
loop that takes this for data goes round and round and never waits. If each round allocates a
buffer and gives it to nobody, the process is full after two thousand rounds. Buffers are handed in here, so that the
leak can be cured alone and the loop alone: `new_buffer` and `shared_buffer` are the two, `echo_for_ever` and
`echo_until_end` the two loops. `coloop`'s own `recv` gives the end of a stream once and then raises; `Stream` hides that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from coloop import Listener, Socket, current_scheduler

BUFFER_BYTES: Final = 65536

Buffer = Callable[[], bytearray]

kept: Final[list[bytearray]] = []
_shared: Final = bytearray(BUFFER_BYTES)


def new_buffer() -> bytearray:
    """A new buffer, which nobody will ever free.

    The tutorial's allocator looks at the memory limit; here that is done whenever a coroutine lets others in.
    """
    buffer = bytearray(BUFFER_BYTES)
    kept.append(buffer)
    current_scheduler().checkpoint()
    return buffer


def shared_buffer() -> bytearray:
    """The one buffer of all coroutines: only one of them runs at a time, and none parks while it uses it."""
    return _shared


class Stream:
    """A connection as `read(2)` shows it.

    Args:
        connection: whose bytes they are.
        buffer: gives the memory that one receive fills.
    """

    def __init__(self, connection: Socket, buffer: Buffer) -> None:
        self._connection = connection
        self._buffer = buffer
        self._ended = False

    def receive(self) -> bytes:
        """What has come; no bytes at the end of the stream, at once, as often as one asks."""
        buffer = self._buffer()
        if self._ended:
            return b""
        received = self._connection.recv(BUFFER_BYTES)
        self._ended = not received
        buffer[: len(received)] = received
        return bytes(buffer[: len(received)])

    def send(self, message: bytes) -> None:
        """Send all of it; sending nothing does nothing."""
        if message:
            self._connection.sendall(message)


def echo_for_ever(connection: Socket, buffer: Buffer) -> None:
    """The tutorial's loop: it never looks whether the stream has ended."""
    stream = Stream(connection, buffer)
    while True:
        stream.send(stream.receive())


def echo_until_end(connection: Socket, buffer: Buffer) -> None:
    """The same, and it ends with the stream."""
    stream = Stream(connection, buffer)
    while message := stream.receive():
        stream.send(message)


def serve_one(listener: Listener, buffer: Buffer) -> None:
    """The tutorial's server: one coroutine accepts a client, and then echoes for ever."""
    with listener.accept() as connection:
        echo_for_ever(connection, buffer)
