"""A session file's servers run without a prompt, until a signal ends them or a failure does.

The file is what a prompt would be: its lines start the servers, and when the lines are done, the servers go on.
To run the lines again is to serve by what they say now: an address that is served already gets the new handler,
and who is connected notices nothing. A file that fails then has replaced no more than what stands
above the failure; the servers stay, whatever the file has become.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Final

from coloop import Listener

from .runner import run_here
from .text import printable

if TYPE_CHECKING:
    from .service_manager import ServiceManager
    from .shell import Shell

OK: Final = 0
FAILED: Final = 1
GIVEN_UP: Final = 3

LOOK_S: Final = (
    1.0  # a signal that comes just before the thread blocks, and a loss, are seen no later than this
)


class Serving:
    """One session file, as a service.

    Args:
        shell: where it is run; started, and without a prompt.
        file: the session file.
        manager: who is told how it fares.
    """

    def __init__(self, shell: Shell, file: str, manager: ServiceManager) -> None:
        self._shell = shell
        self._file = file
        self._manager = manager
        self._hang_ups: SimpleQueue[int] = SimpleQueue()  # its `put` may interrupt its `get`

    def run(self) -> int:
        """Run the file and serve; on the main thread.

        Returns:
            The exit code: that of the file if it fails, 1 if it starts no server, 3 if a server cannot be kept up.

        Raises:
            Terminated: it is asked to end.
        """
        shell = self._shell
        with self._hearing_hang_ups():
            code = run_here(shell, self._file)
            if shell.lost or code != OK:
                return code or GIVEN_UP
            if not addresses(shell):
                self._complain(f"{self._file} starts no server: there is nothing to serve")
                return FAILED
            self._tell_ready()
            return self._serve()

    def _serve(self) -> int:
        alone = 0  # for how many looks in a row there has been no server
        while not self._shell.lost:
            alone = 0 if addresses(self._shell) else alone + 1
            if alone > 1:
                self._complain("all servers have been stopped")
                return GIVEN_UP
            if self._has_hung_up():
                self._reload()
        return GIVEN_UP

    def _has_hung_up(self) -> bool:
        """Whether the file is to be run again, as far as that is known within a second; several times are one."""
        try:
            self._hang_ups.get(timeout=LOOK_S)
        except Empty:
            return False
        while not self._hang_ups.empty():
            self._hang_ups.get()
        return True

    def _reload(self) -> None:
        self._manager.reloading()
        with self._shell.rerun():
            code = run_here(self._shell, self._file)
        if code != OK:
            self._complain(
                f"{self._file} failed: what it would have replaced below that line goes on as it was"
            )
        self._tell_ready()

    def _tell_ready(self) -> None:
        served = ", ".join(addresses(self._shell))
        self._shell.notice(f"serving {served}")
        self._manager.ready(printable(f"serving {served}", keep=""))

    def _complain(self, text: str) -> None:
        self._shell.output.notice(f"coshell serve: {text}", "error")

    @contextmanager
    def _hearing_hang_ups(self) -> Iterator[None]:
        """SIGHUP asks for another run in this block, also one that comes while the file is run."""

        def heard(number: int, _frame: FrameType | None) -> None:
            self._hang_ups.put(number)

        before = signal.signal(signal.SIGHUP, heard)
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, before)


def addresses(shell: Shell) -> list[str]:
    """Where somebody is served, sorted; from any thread."""
    open_things = [thing.value for thing in shell.things.as_they_are() if not thing.closed]
    things = [value for value in open_things if hasattr(value, "stop")]
    listeners = [held for held in list(shell.scheduler.sockets.values()) if isinstance(held, Listener)]
    found = {str(served.address) for served in (*things, *listeners) if hasattr(served, "address")}
    return sorted(found)
