"""What a child process has of its parent's after a fork: handles that it must not use.

A fork copies the memory with all handles in it, and the descriptors lead to the same connections. The
poller is shared too: what the child takes out of it, the parent does not hear of any more, and a signal to
the child would ring the parent's bell. So in the child every handle is marked before anybody can use one, and
the scheduler is not there; another one may be started, or, better, another program.

Threads are not copied: calls in the child are made on threads of its own. And signals do there what they did before
the parent's scheduler or coroutines listened to them, else nothing could end it.
"""

from __future__ import annotations

import os

from ._elsewhere import Here
from ._main_thread import leave_signals_to_parent
from ._memory import memory
from ._scheduler import set_current
from ._signal import leave_listening_to_parent
from ._threads import leave_threads_to_parent


def _in_the_child() -> None:
    parent = Here.renew()
    for scheduler in list(memory.schedulers):
        for endpoint in list(scheduler.sockets.values()):
            endpoint.strand(parent)
    leave_listening_to_parent()  # first: it may put back what is the main thread's
    leave_signals_to_parent()
    leave_threads_to_parent()
    set_current(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_the_child)
