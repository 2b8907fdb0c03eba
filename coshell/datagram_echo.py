"""An echo of datagrams: each comes whole or not at all, and who sent it may be gone when the answer does.

There is no connection, so nothing can end in the midst of things, and nobody is told of what is lost: an answer
for which there is no receiver any more, or no room, is dropped and counted, as a network would do it. An empty
datagram is one too, and answered. The faults are counted over all senders together.
"""

from __future__ import annotations

from typing import Final

import coloop
from coloop import Address, Busy, Closed, DatagramSocket, Event, Truncated

from .echoing import Faults

MAX_LATE: Final = 1000  # answers that wait for their delay; more are dropped
SEND_S: Final = 0.1  # a unix peer that does not read must not keep all others waiting

SENSELESS: Final = ("chunk", "reset_after", "half_close_after")


class DatagramEcho:
    """Sends back what comes; running as soon as it is made.

    Args:
        socket: bound; it belongs to this from now on.
        faults: but for those in `SENSELESS`; may be replaced.
        name: of the coroutine that receives.

    Attributes:
        name: as given.
        faults: likewise.
        answered: how many datagrams were sent back.
        lost: how many could not be.
    """

    def __init__(self, socket: DatagramSocket, faults: Faults, name: str) -> None:
        self.name = name
        self.faults = faults
        self.answered = self.lost = 0
        self._socket = socket
        self._late = 0
        self._none_late = Event()
        self._none_late.set()
        self._coroutine = coloop.go(self._run, name=name)
        socket.owner = self._coroutine.id

    @property
    def address(self) -> Address:
        """Where it receives, with the real port."""
        return self._socket.address

    @property
    def state(self) -> str:
        """`receiving` or `stopped`."""
        return "stopped" if self._socket.closed else "receiving"

    def stop(self, drain: float = 0.0) -> bool:
        """Send the answers that are still to come, if that takes no longer than `drain` seconds, and close.

        Returns:
            True if none was left.
        """
        self._coroutine.cancel()
        none_left = self._none_late.wait(drain)
        self._socket.close()
        return none_left

    def _run(self) -> None:
        number = 0
        while True:
            try:
                data, sender = self._socket.recvfrom()
            except (
                Truncated,
                ConnectionRefusedError,
            ):  # longer than any UDP can be; an earlier answer came back
                self.lost += 1
                continue
            except Closed:
                return
            number += 1
            self._treat(number, data, sender)

    def _treat(self, number: int, data: bytes, sender: Address) -> None:
        faults = self.faults
        if not (faults.drop and number % faults.drop == 0):
            if data and faults.corrupt and number % faults.corrupt == 0:
                data = bytes([data[0] ^ 1]) + data[1:]
            if faults.delay_s:
                self._answer_late(data, sender)
            else:
                self._answer(data, sender)
        if faults.slow_read:
            coloop.sleep(len(data) / faults.slow_read)

    def _answer_late(self, data: bytes, sender: Address) -> None:
        """Each waits by itself: the second is not later because of the first."""
        if self._late >= MAX_LATE:
            self.lost += 1
            return
        self._late += 1
        self._none_late.clear()
        coloop.go(self._wait_and_answer, data, sender, name=f"{self.name}/late")

    def _wait_and_answer(self, data: bytes, sender: Address) -> None:
        try:
            coloop.sleep(self.faults.delay_s)
            self._answer(data, sender)
        finally:
            self._late -= 1
            if not self._late:
                self._none_late.set()

    def _answer(self, data: bytes, sender: Address) -> None:
        try:
            self._socket.sendto(data, sender, timeout=SEND_S)
        except (OSError, ValueError, Busy, Closed):  # gone, without a name, without room
            self.lost += 1
        else:
            self.answered += 1
