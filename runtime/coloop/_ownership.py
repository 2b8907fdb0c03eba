"""Whose an object is that may be made before any scheduler runs: one thread's, and foreign threads are sent away.

Where somebody waits, whoever ends the wait must stand on the waiter's thread. To refuse foreigners only then
would be a trap: the call that works today hangs tomorrow, when it comes a moment before the wait. So such an
object belongs to the thread that made it. It may be made on one thread for the scheduler of another, as
by a program that starts its loop in a thread: then it goes over to who first uses it there, unless the
first owner runs a scheduler itself.

What is kept is the number of a thread, which costs one comparison and holds nobody.
"""

from __future__ import annotations

from threading import get_ident

from ._errors import WrongThread
from ._memory import memory
from ._scheduler import scheduler_or_none


def taken_over(owner: int, call: str) -> int:
    """The new owner of what belonged to thread `owner`: this thread, if it may.

    Args:
        owner: the number of another thread.
        call: what is asked for, for the message.

    Raises:
        WrongThread: a scheduler runs on thread `owner`, or one runs somewhere, and none on this thread.
    """
    running_on = {scheduler.thread_id for scheduler in list(memory.schedulers) if not scheduler.over}
    if owner in running_on or (running_on and scheduler_or_none() is None):
        raise WrongThread(
            f"{call}: its scheduler runs on another thread; use scheduler.call_soon_threadsafe(...)"
        )
    return get_ident()
