"""A poller as a young runtime has it: it forgets to take out the entry of a connection that it closes.

A poller is what the system offers to those who wait for many connections at once: one enters their numbers, and asks which of
them have something to read. The system takes an entry out by itself when the last copy of a descriptor is closed. So the
mistake shows only when there is another copy, in a child process for example, or made with `dup` as here:
then the entry stays, reports the end of its connection for ever, and under a number that may be somebody else's by now.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable

import coloop


class YoungPoller:
    """Waits for descriptors, and calls back.

    Args:
        forgets: leave the entry in when a descriptor is closed.

    Attributes:
        rounds: how often it was told that there is something to read.
    """

    def __init__(self, *, forgets: bool) -> None:
        self.rounds = 0
        self._forgets = forgets
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}

    def add(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back when there is something to read."""
        self._callbacks[fd] = callback
        self._epoll.register(fd, select.EPOLLIN)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        del self._callbacks[fd]
        if not self._forgets:
            self._epoll.unregister(fd)
        os.close(fd)

    def loop(self) -> None:
        """Serve until nobody is entered any more; sleep while there is nothing to read, and only then."""
        while True:
            events = self._epoll.poll(0)
            for fd, _ in events:
                self.rounds += 1
                if fd in self._callbacks:
                    self._callbacks[fd]()
            if not events:
                coloop.sleep(0.001)
