"""What a child process has of its parent's after a fork: handles that it must not use.

A fork copies the memory with all handles in it, and the descriptors lead to the same connections. The
poller is shared too: what the child takes out of it, the parent does not hear of any more, and a signal to
the child would ring the parent's bell. So in the child every handle is marked before anybody can use one, and
the scheduler is not there; another one may be started, or, better, another program.

Threads are not copied. Calls in the child are made on threads of its own.
"""

from __future__ import annotations

import os
import signal
import threading

from ._elsewhere import Here
from ._memory import memory
from ._scheduler import scheduler_or_none, set_current
from ._threads import leave_threads_to_parent


def _in_the_child() -> None:
    parent = Here.renew()
    if scheduler_or_none() is not None and threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)
    for scheduler in list(memory.schedulers):
        for endpoint in list(scheduler.sockets.values()):
            endpoint.strand(parent)
    leave_threads_to_parent()
    set_current(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_the_child)
