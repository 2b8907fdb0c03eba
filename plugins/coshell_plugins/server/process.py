"""A worker is a program of its own: started by spawn and exec, and never outlives who started it.

It is no fork: a copy of a process whose coroutines stand in the midst of something, and whose threads hold locks,
is a copy of their trouble. It inherits three descriptors beside its standard ones: the listener, the channel, and where
questions about its coroutines come.

Three things see to it that none is left over. The kernel kills it when the thread ends that has started it
(`PR_SET_PDEATHSIG`), so that also holds when the master is killed by -9. For that there is a thread which lives as
long as the process, and does nothing but start workers: any other may end sooner, and take the workers with it. Where
the kernel offers no such thing, the channel ends when the master does, and the worker ends then. And whoever
stops minding a worker kills it, and takes its exit code, so that no zombie stays.
"""

from __future__ import annotations

import errno
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from coloop import Inbox

MODULE: Final = "coshell_plugins.worker"


@dataclass
class Process:
    """A worker's process, seen from the master.

    Attributes:
        popen: the process.
        channel: the master's end of the channel.
        questions: the end at which the worker is asked about its coroutines.
        output: what the worker prints, standard output and standard error together.
    """

    popen: subprocess.Popen[bytes]
    channel: socket.socket
    questions: socket.socket
    output: socket.socket

    def end(self) -> None:
        """Kill it, unless it has ended, and take its exit code."""
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()

    def discard(self) -> None:
        """Nobody wants it any more."""
        self.end()
        for ours in (self.channel, self.questions, self.output):
            ours.close()


def start(listener: socket.socket, title: str) -> Process:
    """Start a worker; parks until its program runs.

    Args:
        listener: the socket that it accepts connections from, with all others.
        title: what it is called, to be seen in the system's list of processes.

    Raises:
        OSError: it cannot be started.
    """
    process: Process = _nursery.have_made(lambda: _start(listener, title))
    return process


def _start(listener: socket.socket, title: str) -> Process:
    if listener.fileno() < 0:
        raise OSError(errno.EBADF, "its listener was closed meanwhile")
    channel, its_channel = socket.socketpair()
    questions, its_questions = socket.socketpair()
    output, its_output = socket.socketpair()
    inherited = (listener.fileno(), its_channel.fileno(), its_questions.fileno())
    command = [sys.executable, "-P", "-u", "-m", MODULE, *map(str, inherited), str(os.getpid()), title]
    try:
        popen = subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=its_output.fileno(),
            stderr=its_output.fileno(),
            pass_fds=inherited,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            process_group=0,  # Ctrl-C at the terminal is not for it
        )
    except BaseException:
        for ours in (channel, questions, output):
            ours.close()
        raise
    finally:
        for its in (its_channel, its_questions, its_output):
            its.close()
    return Process(popen, channel, questions, output)


def how_it_ended(code: int, *, was_told: bool = False) -> str:
    """An exit code in words."""
    if code == -signal.SIGKILL:
        return "killed by SIGKILL" + ("" if was_told else " (out of memory?)")
    if code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
        return f"killed by signal {-code}"
    return f"ended with exit code {code}" if code else "ended by itself"


class _Errand:
    """Something that the thread is asked to make, for somebody who may have gone when it is made."""

    def __init__(self, make: Callable[[], Process]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._done: Inbox[None] = Inbox()
        self._process: Process | None = None
        self._error: BaseException | None = None
        self._wanted = True

    def run(self) -> None:
        """On the thread."""
        try:
            made = self._make()
        except BaseException as error:
            self._error = error
        else:
            with self._lock:
                self._process = made
                is_wanted = self._wanted
            if not is_wanted:
                made.discard()
        with suppress(Exception):  # the scheduler has ended meanwhile: nobody waits for this
            self._done.put(None)

    def outcome(self) -> Process:
        """Park until it is made."""
        try:
            self._done.get()
        except BaseException:
            with self._lock:
                self._wanted = False
                made = self._process
            if made is not None:
                made.discard()
            raise
        if self._error is not None:
            raise self._error
        assert self._process is not None
        return self._process


class _Nursery:
    """A thread that lives as long as the process."""

    def __init__(self) -> None:
        self._errands: queue.SimpleQueue[_Errand] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def have_made(self, make: Callable[[], Any]) -> Any:
        errand = _Errand(make)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="coshell nursery", daemon=True)
                self._thread.start()
        self._errands.put(errand)
        return errand.outcome()

    def _run(self) -> None:
        while True:
            self._errands.get().run()


_nursery: Final = _Nursery()
