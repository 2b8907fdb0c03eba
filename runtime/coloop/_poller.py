"""Which waiter waits on which descriptor, and the kernel's word on whose wait is over.

An edge is told once. An edge-triggered epoll says "something came" when it comes, and then is
silent until more comes, however much lies there unread. In return a descriptor is registered
once, for both directions, for all its life, and nobody pays a system call to say "I wait again".
What the edge said is kept on the `Wire` until it is used up: by a call that would block, or by a
read that got less than it asked for. The second saves every second system call of an echo, but
it proves nothing once the peer has hung up (the end of the stream is still to be read), nor
around an urgent byte (a read stops short of it); from such an event on `_short_is_drained` is off.

A backend defines what `Poller` lists. Waiters are opaque here: they are stored and handed back.
Descriptor numbers are used again by the kernel at once, so a descriptor leaves the poller
*before* it is closed, and an event for a number that nobody watches is dropped.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import threading
from typing import TYPE_CHECKING, Final, Protocol

from ._form import native

if TYPE_CHECKING or native is None:
    from ._wire import Wire as Wire  # noqa: PLC0414 - mypy wants it said
else:
    Wire = native.Wire

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE

MAX_WAIT_S: Final = 3600.0  # epoll overflows at 1e10 seconds, and a hang of an hour is long enough


class Poller(Protocol):
    """What a scheduler needs of a backend. All but `wake` belong to the scheduler's thread.

    Attributes:
        waiting: how many waiters are expected.
        rope: a descriptor that does not block; a byte that is written into it lets `poll` return.
    """

    waiting: int
    rope: int

    def register(self, wire: Wire) -> None:
        """Watch it; ValueError if a descriptor of that number is watched already."""

    def forget(self, wire: Wire) -> tuple[object, ...]:
        """Stop watching, always before the descriptor is closed; returns those who still waited."""

    def expect(self, wire: Wire, direction: int, waiter: object) -> None:
        """`waiter` waits for `direction` (READ or WRITE), where nobody else does."""

    def withdraw(self, wire: Wire, direction: int) -> None:
        """Nobody waits for `direction` any more; no matter if nobody did."""

    def hold(self, wire: Wire) -> None:
        """Say nothing of what can be read from it until `release`; who waits for that goes on waiting."""

    def release(self, wire: Wire) -> object | None:
        """Say it again, and that there may be something; returns whose wait is over by that."""

    def poll(self, timeout_s: float | None) -> list[object]:
        """Wait until something happens, at most `timeout_s` (None: long); returns those whose wait is over."""

    def wake(self) -> None:
        """Let `poll` return; from any thread or signal handler, at any time, also after `close`."""

    def close(self) -> None:
        """Give back the poller's own descriptors."""


def open_poller() -> Poller:
    """The best backend here: epoll if there is one, unless `COLOOP_POLLER=selectors` asks for the portable one."""
    if hasattr(select, "epoll") and os.environ.get("COLOOP_POLLER") != "selectors":
        return EpollPoller() if native is None else native.EpollPoller()
    return SelectorsPoller()


class Bell:
    """A descriptor to watch for the poller, and a way to make it readable for everybody else.

    The lock keeps a late ring from writing into a stranger's descriptor once ours is closed. It is
    re-entrant because a signal handler may ring in the middle of a ring. It is a pipe and no eventfd,
    because CPython itself rings it when a signal comes (`signal.set_wakeup_fd`), with a single byte.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._closed = False
        self.fd, self.rope = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self.rope, False)

    def ring(self) -> None:
        """Make it readable; a bell that rings already is left alone."""
        with self._lock, contextlib.suppress(BlockingIOError):
            if not self._closed:
                os.write(self.rope, b"!")

    def hush(self) -> None:
        """Make it silent again."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)

    def close(self) -> None:
        """Give back the descriptors."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self.fd)
                os.close(self.rope)


class _Waits:
    """The table of wires that all backends share; a backend adds how the kernel is told and asked."""

    def __init__(self) -> None:
        self.waiting = 0
        self._wires: dict[int, Wire] = {}
        self._bell = Bell()
        self.rope = self._bell.rope

    def register(self, wire: Wire) -> None:
        if wire._fd in self._wires:
            raise watched_already(wire._fd)
        self._wires[wire._fd] = wire

    def forget(self, wire: Wire) -> tuple[object, ...]:
        if self._wires.get(wire._fd) is wire:
            del self._wires[wire._fd]
        left = tuple(waiter for waiter in (wire._read_waiter, wire._write_waiter) if waiter is not None)
        wire._read_waiter = wire._write_waiter = None
        self.waiting -= len(left)
        return left

    def expect(self, wire: Wire, direction: int, waiter: object) -> None:
        if direction == READ:
            assert wire._read_waiter is None, f"{wire} has a reader"
            wire._read_waiter = waiter
        else:
            assert wire._write_waiter is None, f"{wire} has a writer"
            wire._write_waiter = waiter
        self.waiting += 1

    def withdraw(self, wire: Wire, direction: int) -> None:
        if direction == READ and wire._read_waiter is not None:
            wire._read_waiter = None
            self.waiting -= 1
        elif direction == WRITE and wire._write_waiter is not None:
            wire._write_waiter = None
            self.waiting -= 1

    def hold(self, wire: Wire) -> None:
        wire._held = True
        wire._readable = False

    def release(self, wire: Wire) -> object | None:
        waiter = wire._read_waiter
        wire._held = False
        wire._readable = True
        self.withdraw(wire, READ)
        return waiter

    def _tell(self, wire: Wire, *, readable: bool, writable: bool, over: list[object]) -> None:
        """Note what the kernel said of `wire`, and move those whom it concerns to `over`."""
        if readable and not wire._held:
            wire._readable = True
            if wire._read_waiter is not None:
                over.append(wire._read_waiter)
                wire._read_waiter = None
        if writable:
            wire._writable = True
            if wire._write_waiter is not None:
                over.append(wire._write_waiter)
                wire._write_waiter = None

    def wake(self) -> None:
        self._bell.ring()

    def close(self) -> None:
        self._wires.clear()
        self._bell.close()


if hasattr(select, "epoll"):
    _HANGUP: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
    _DOUBT: Final = _HANGUP | select.EPOLLPRI
    _READABLE: Final = select.EPOLLIN | _DOUBT
    _WRITABLE: Final = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR
    _EVERY_EDGE: Final = (
        select.EPOLLIN | select.EPOLLOUT | select.EPOLLPRI | select.EPOLLRDHUP | select.EPOLLET
    )


class EpollPoller(_Waits):
    """Linux: every descriptor registered once, edge-triggered, for both directions."""

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()
        self._epoll.register(self._bell.fd, select.EPOLLIN)

    def register(self, wire: Wire) -> None:
        """Watch it from now on."""
        super().register(wire)
        try:
            self._epoll.register(wire._fd, _EVERY_EDGE)
        except OSError:
            super().forget(wire)
            raise

    def forget(self, wire: Wire) -> tuple[object, ...]:
        """Take it out of the epoll set; one that was closed too early has left by itself."""
        if self._wires.get(wire._fd) is wire:
            with contextlib.suppress(OSError):
                self._epoll.unregister(wire._fd)
        return super().forget(wire)

    def poll(self, timeout_s: float | None) -> list[object]:
        """Ask the kernel once."""
        over: list[object] = []
        for fd, events in self._epoll.poll(_bounded(timeout_s)):
            wire = self._wires.get(fd)
            if wire is not None:
                if events & _DOUBT:
                    wire._short_is_drained = False
                self._tell(
                    wire, readable=bool(events & _READABLE), writable=bool(events & _WRITABLE), over=over
                )
            elif fd == self._bell.fd:
                self._bell.hush()
        self.waiting -= len(over)
        return over

    def close(self) -> None:
        """Give back the epoll descriptor too."""
        self._epoll.close()
        super().close()


class SelectorsPoller(_Waits):
    """Any platform: the library's selectors are level-triggered, so they are told who waits each time."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell.fd, READ)

    def forget(self, wire: Wire) -> tuple[object, ...]:
        """Take it out of the selector."""
        left = super().forget(wire)
        self._follow(wire)
        return left

    def expect(self, wire: Wire, direction: int, waiter: object) -> None:
        """Ask the selector for that direction from now on."""
        super().expect(wire, direction, waiter)
        self._follow(wire)

    def withdraw(self, wire: Wire, direction: int) -> None:
        """Ask for it no more."""
        super().withdraw(wire, direction)
        self._follow(wire)

    def hold(self, wire: Wire) -> None:
        """Ask for what can be read no more, whoever waits."""
        super().hold(wire)
        self._follow(wire)

    def poll(self, timeout_s: float | None) -> list[object]:
        """Ask the selector once; whoever is told is no longer asked for."""
        over: list[object] = []
        for key, events in self._selector.select(_bounded(timeout_s)):
            if key.data is None:
                self._bell.hush()
                continue
            self._tell(key.data, readable=bool(events & READ), writable=bool(events & WRITE), over=over)
            self._follow(key.data)
        self.waiting -= len(over)
        return over

    def close(self) -> None:
        """Give back the selector too."""
        self._selector.close()
        super().close()

    def _follow(self, wire: Wire) -> None:
        """Have the selector ask for what `wire` has waiters for, and for nothing else."""
        wanted = (READ if wire._read_waiter is not None and not wire._held else 0) | (
            WRITE if wire._write_waiter is not None else 0
        )
        key = self._selector.get_map().get(wire._fd)
        asked = 0 if key is None or key.data is not wire else key.events
        if wanted == asked:
            return
        if not asked:
            self._selector.register(wire._fd, wanted, wire)
        elif not wanted:
            self._selector.unregister(wire._fd)
        else:
            self._selector.modify(wire._fd, wanted, wire)


def watched_already(fd: int) -> ValueError:
    """What to raise for a number that is in the poller."""
    return ValueError(f"fd {fd} is watched already: it was closed before the poller forgot it")


def _bounded(timeout_s: float | None) -> float:
    """A time that no backend mistakes: a negative one means "for ever" to epoll, here it means now."""
    return MAX_WAIT_S if timeout_s is None else max(0.0, min(timeout_s, MAX_WAIT_S))
