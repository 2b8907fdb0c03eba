"""Which waiter waits on which descriptor, and the kernel's word on whose wait is over.

An edge is told once. An edge-triggered epoll says "something came" when it comes, and then is
silent until more comes, however much lies there unread. In return a descriptor is registered
once, for both directions, for all its life, and nobody pays a system call to say "I wait again".
What the edge said is kept on the `Watch` until it is used up: by a call that would block, or by a
read that got less than it asked for. The second saves every second system call of an echo, but
it proves nothing once the peer has hung up (the end of the stream is still to be read), nor
around an urgent byte (a read stops short of it); from such an event on `short_is_drained` is off.

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
from typing import Final, Protocol

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE

MAX_WAIT_S: Final = 3600.0  # epoll overflows at 1e10 seconds, and a hang of an hour is long enough


class Watch:
    """One descriptor in a poller.

    Attributes:
        fd: its number.
        readable: the kernel said so, and it is not used up; True at first, so that a read is tried.
        writable: likewise.
        short_is_drained: whether a read that got less than it asked for leaves nothing behind.
        reader: who waits to read, None if nobody does.
        writer: who waits to write, None if nobody does.
    """

    __slots__ = ("fd", "readable", "reader", "short_is_drained", "writable", "writer")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.readable = True
        self.writable = True
        self.short_is_drained = True
        self.reader: object | None = None
        self.writer: object | None = None

    def __repr__(self) -> str:
        return f"<Watch fd {self.fd} reader={self.reader} writer={self.writer}>"


class Poller(Protocol):
    """What a scheduler needs of a backend. All but `wake` belong to the scheduler's thread.

    Attributes:
        waiting: how many waiters are expected.
        rope: a descriptor that does not block; a byte that is written into it lets `poll` return.
    """

    waiting: int
    rope: int

    def register(self, fd: int) -> Watch:
        """Watch `fd`; ValueError if that number is watched already."""

    def forget(self, watch: Watch) -> tuple[object, ...]:
        """Stop watching, always before the descriptor is closed; returns those who still waited."""

    def expect(self, watch: Watch, direction: int, waiter: object) -> None:
        """`waiter` waits for `direction` (READ or WRITE), where nobody else does."""

    def withdraw(self, watch: Watch, direction: int) -> None:
        """Nobody waits for `direction` any more; no matter if nobody did."""

    def poll(self, timeout_s: float | None) -> list[object]:
        """Wait until something happens, at most `timeout_s` (None: long); returns those whose wait is over."""

    def wake(self) -> None:
        """Let `poll` return; from any thread or signal handler, at any time, also after `close`."""

    def close(self) -> None:
        """Give back the poller's own descriptors."""


def open_poller() -> Poller:
    """The best backend here: epoll if there is one, unless `COLOOP_POLLER=selectors` asks for the portable one."""
    if hasattr(select, "epoll") and os.environ.get("COLOOP_POLLER") != "selectors":
        return EpollPoller()
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
    """The table of watches that all backends share; a backend adds how the kernel is told and asked."""

    def __init__(self) -> None:
        self.waiting = 0
        self._watches: dict[int, Watch] = {}
        self._bell = Bell()
        self.rope = self._bell.rope

    def register(self, fd: int) -> Watch:
        if fd in self._watches:
            raise ValueError(f"fd {fd} is watched already: it was closed before the poller forgot it")
        watch = self._watches[fd] = Watch(fd)
        return watch

    def forget(self, watch: Watch) -> tuple[object, ...]:
        if self._watches.get(watch.fd) is watch:
            del self._watches[watch.fd]
        left = tuple(waiter for waiter in (watch.reader, watch.writer) if waiter is not None)
        watch.reader = watch.writer = None
        self.waiting -= len(left)
        return left

    def expect(self, watch: Watch, direction: int, waiter: object) -> None:
        if direction == READ:
            assert watch.reader is None, f"{watch} has a reader"
            watch.reader = waiter
        else:
            assert watch.writer is None, f"{watch} has a writer"
            watch.writer = waiter
        self.waiting += 1

    def withdraw(self, watch: Watch, direction: int) -> None:
        if direction == READ and watch.reader is not None:
            watch.reader = None
            self.waiting -= 1
        elif direction == WRITE and watch.writer is not None:
            watch.writer = None
            self.waiting -= 1

    def _tell(self, watch: Watch, *, readable: bool, writable: bool, over: list[object]) -> None:
        """Note what the kernel said of `watch`, and move those whom it concerns to `over`."""
        if readable:
            watch.readable = True
            if watch.reader is not None:
                over.append(watch.reader)
                watch.reader = None
        if writable:
            watch.writable = True
            if watch.writer is not None:
                over.append(watch.writer)
                watch.writer = None

    def wake(self) -> None:
        self._bell.ring()

    def close(self) -> None:
        self._watches.clear()
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

    def register(self, fd: int) -> Watch:
        """Watch `fd` from now on."""
        watch = super().register(fd)
        try:
            self._epoll.register(fd, _EVERY_EDGE)
        except OSError:
            super().forget(watch)
            raise
        return watch

    def forget(self, watch: Watch) -> tuple[object, ...]:
        """Take it out of the epoll set; one that was closed too early has left by itself."""
        if self._watches.get(watch.fd) is watch:
            with contextlib.suppress(OSError):
                self._epoll.unregister(watch.fd)
        return super().forget(watch)

    def poll(self, timeout_s: float | None) -> list[object]:
        """Ask the kernel once."""
        over: list[object] = []
        for fd, events in self._epoll.poll(_bounded(timeout_s)):
            watch = self._watches.get(fd)
            if watch is not None:
                if events & _DOUBT:
                    watch.short_is_drained = False
                self._tell(
                    watch, readable=bool(events & _READABLE), writable=bool(events & _WRITABLE), over=over
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

    def forget(self, watch: Watch) -> tuple[object, ...]:
        """Take it out of the selector."""
        left = super().forget(watch)
        self._follow(watch)
        return left

    def expect(self, watch: Watch, direction: int, waiter: object) -> None:
        """Ask the selector for that direction from now on."""
        super().expect(watch, direction, waiter)
        self._follow(watch)

    def withdraw(self, watch: Watch, direction: int) -> None:
        """Ask for it no more."""
        super().withdraw(watch, direction)
        self._follow(watch)

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

    def _follow(self, watch: Watch) -> None:
        """Have the selector ask for what `watch` has waiters for, and for nothing else."""
        wanted = (READ if watch.reader is not None else 0) | (WRITE if watch.writer is not None else 0)
        key = self._selector.get_map().get(watch.fd)
        asked = 0 if key is None or key.data is not watch else key.events
        if wanted == asked:
            return
        if not asked:
            self._selector.register(watch.fd, wanted, watch)
        elif not wanted:
            self._selector.unregister(watch.fd)
        else:
            self._selector.modify(watch.fd, wanted, watch)


def _bounded(timeout_s: float | None) -> float:
    """A time that no backend mistakes: a negative one means "for ever" to epoll, here it means now."""
    return MAX_WAIT_S if timeout_s is None else max(0.0, min(timeout_s, MAX_WAIT_S))
