"""An echo server, and the ways in which it can be told to do it badly.

A client that was only ever tried against a good server has not been tried. Each fault is one that networks and
peers have: answers that come late, in pieces, not at all, or with a bit turned over; an end or a reset in the
midst of things; a reader that takes its time, so that the sender's buffers fill. All are counted, none is drawn: an
end or a reset comes at the same byte each time, and what is dropped or corrupted at the same piece. How a client's
bytes come in pieces is the network's: who waits for each answer sends one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from coloop import Socket, sleep

SLOW_PIECE_BYTES = 4096


@dataclass(frozen=True)
class Faults:
    """How an echo differs from what it should be. Zero is: not at all.

    Attributes:
        delay_s: seconds that each answer waits.
        chunk: an answer goes out in pieces of so many bytes, each sent by itself.
        drop: of the pieces that are received, each so-manieth gets no answer.
        corrupt: each so-manieth comes back with the lowest bit of its first byte turned over.
        reset_after: behind so many bytes the connection is torn down.
        half_close_after: behind so many bytes it sends its end, and receives on without an answer.
        slow_read: it reads so many bytes a second.
    """

    delay_s: float = 0.0
    chunk: int = 0
    drop: int = 0
    corrupt: int = 0
    reset_after: int = 0
    half_close_after: int = 0
    slow_read: int = 0

    def __bool__(self) -> bool:
        """Whether there is any."""
        return self != Faults()

    def echo(self, connection: Socket) -> None:
        """Handle a connection as badly as they want it."""
        _Echo(connection, self).run()


def echo_handler(faults: Faults) -> Callable[[Socket], None]:
    """What handles a connection: it sends back what it receives, as well as the faults allow; can be pickled."""
    return faults.echo if faults else echo


def echo(connection: Socket) -> None:
    """Send back what comes, until nothing more does."""
    while data := connection.recv():
        connection.sendall(data)


class _Echo:
    """One connection."""

    def __init__(self, connection: Socket, faults: Faults) -> None:
        self._connection = connection
        self._faults = faults
        self._sent = 0

    def run(self) -> None:
        for data in self._answers():
            if not self._send(data):
                return

    def _answers(self) -> Iterator[bytes]:
        """What is to be sent back, piece by piece."""
        faults, number = self._faults, 0
        while data := self._read():
            number += 1
            if faults.delay_s:
                sleep(faults.delay_s)
            if faults.drop and number % faults.drop == 0:
                continue
            if faults.corrupt and number % faults.corrupt == 0:
                data = bytes([data[0] ^ 1]) + data[1:]
            size = faults.chunk or len(data)
            yield from (data[at : at + size] for at in range(0, len(data), size))

    def _read(self) -> bytes:
        rate = self._faults.slow_read
        if not rate:
            return self._connection.recv()
        data = self._connection.recv(min(rate, SLOW_PIECE_BYTES))
        sleep(len(data) / rate)
        return data

    def _send(self, data: bytes) -> bool:
        """Send a piece, as far as that may go; False if it is the last."""
        faults = self._faults
        ends = [limit for limit in (faults.reset_after, faults.half_close_after) if limit]
        room = min(ends, default=self._sent + len(data)) - self._sent
        self._connection.sendall(data[:room])
        self._sent += len(data[:room])
        if not ends or self._sent < min(ends):
            return True
        if self._sent == faults.reset_after:
            self._connection.close(linger=0)
        else:
            self._connection.shutdown("write")
            while self._read():
                pass
        return False
