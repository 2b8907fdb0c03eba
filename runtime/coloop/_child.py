"""Waiting for a child process to end.

On Linux a process can be had as a descriptor, which the poller watches like any other. Elsewhere a thread waits,
and leaves the exit code where it is (`WNOWAIT`); where even that is missing (macOS before
CPython 3.13), the question is asked again and again, ever more seldom. In all three the exit code is taken by the
coroutine itself when it goes on, so one that is cancelled has taken nothing from anybody.
"""

from __future__ import annotations

import errno
import os
from subprocess import Popen
from typing import Any, Final

from ._errors import NotRunning, Timeout
from ._poller import READ, Wire
from ._scheduler import Scheduler, current_scheduler
from ._threads import to_thread
from ._timeouts import timeout as time_limit

FIRST_NAP_S: Final = 0.001
MAX_NAP_S: Final = 0.05  # as `subprocess` naps

# A sandbox or an old kernel may lack what the library offers.
_NO_PIDFD: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.ENODEV})


def wait_child(child: int | Popen[Any], timeout: float | None = None) -> int:
    """Park until a child process has ended, and take its exit code.

    Whoever is cancelled meanwhile leaves the child as it is.

    Args:
        child: its process id, or the `subprocess.Popen` of it, whose `returncode` is set then.
        timeout: seconds to wait at most.

    Returns:
        Its exit status; `-N` if signal N ended it, as `subprocess` says it.

    Raises:
        ChildProcessError: no child of this process has that id, or its exit code was taken already.
        Timeout: it still runs.
        NotRunning: called outside of a coroutine.
    """
    scheduler = current_scheduler()
    if scheduler.running is None:
        raise NotRunning("wait_child works inside a coroutine only")
    if not isinstance(child, Popen):
        _check_pid(child)
    if timeout is None:
        return _wait(scheduler, child)
    limit = time_limit(timeout)
    try:
        with limit:
            return _wait(scheduler, child)
    except Timeout:
        if limit.expired:
            raise Timeout(f"child {_pid_of(child)}: timed out after {timeout:g}s") from None
        raise


def _check_pid(pid: object) -> None:
    if type(pid) is not int:
        raise TypeError(f"wait_child takes a process id or a subprocess.Popen, not {pid!r}")
    if pid <= 0:  # to waitpid(2) it would mean a whole group, or all
        raise ValueError(f"a process id is 1 or more, not {pid}")


def _pid_of(child: int | Popen[Any]) -> int:
    return child if isinstance(child, int) else child.pid


def _wait(scheduler: Scheduler, child: int | Popen[Any]) -> int:
    scheduler.checkpoint()
    nap_s = FIRST_NAP_S
    while (code := _take_exit_code(child)) is None:
        pid = _pid_of(child)
        if _await_pidfd(scheduler, pid):
            continue
        if hasattr(os, "waitid"):
            to_thread(_await_end, pid)
        else:
            scheduler.sleep(nap_s)
            nap_s = min(2 * nap_s, MAX_NAP_S)
    return code


def _take_exit_code(child: int | Popen[Any]) -> int | None:
    """None while it runs."""
    if not isinstance(child, int):
        return child.poll()
    try:
        pid, status = os.waitpid(child, os.WNOHANG)
    except ChildProcessError:
        raise ChildProcessError(
            errno.ECHILD,
            f"process {child} is no child of this process, or somebody else has taken its exit code",
        ) from None
    return os.waitstatus_to_exitcode(status) if pid else None


def _await_pidfd(scheduler: Scheduler, pid: int) -> bool:
    """Park until the process may have ended; False where processes are no descriptors."""
    if not hasattr(os, "pidfd_open"):
        return False
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:  # it has ended, and somebody has taken its exit code this very moment
        return True
    except OSError as error:
        if error.errno in _NO_PIDFD:
            return False
        raise
    try:
        wire = Wire(fd)
        scheduler.poller.register(wire)
        try:
            scheduler.poller.expect(wire, READ, scheduler.running)
            scheduler.park("child", pid)
        finally:
            scheduler.poller.forget(wire)
    finally:
        os.close(fd)
    return True


def _await_end(pid: int) -> None:
    """On a thread."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        return
