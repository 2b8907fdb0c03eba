"""The native form of the hot path. It behaves as the Python form does, which is where it is explained.

Built from `runtime/native` where there is a compiler; nobody but `_form.py` imports it.
"""

from collections.abc import Callable
from typing import TypeVar

from ._coroutine import Coroutine
from ._coroutine_state import CoroutineState as CoroutineState
from ._line import JointWait as JointWait
from ._line import WaitQueue as WaitQueue
from ._memory import Ledger
from ._passage import Passage as Passage
from ._poller import EpollPoller as EpollPoller
from ._run import current as current
from ._run import go as go
from ._run import sleep as sleep
from ._run import yield_now as yield_now
from ._scheduler import Scheduler
from ._switching import KEPT_DEAD as KEPT_DEAD
from ._switching import SLICE_S as SLICE_S
from ._switching import SLICE_SWITCHES as SLICE_SWITCHES
from ._switching import TURN_OPERATIONS as TURN_OPERATIONS
from ._switching import Switching as Switching
from ._timers import Timer as Timer
from ._timers import Timers as Timers
from ._timing import Timing as Timing
from ._wire import Wire as Wire

_Method = TypeVar("_Method", bound=Callable[..., object])

def set_current(scheduler: Scheduler | None) -> None:
    """From now on `scheduler` is the one of this thread."""

def scheduler_or_none() -> Scheduler | None:
    """The scheduler of this thread."""

def quick(method: _Method) -> _Method:
    """`method` of a wire or a coroutine with a quick way for what is usual.

    There is one for `accept`, `recv`, `send`, `sendall`, `close` and `join`.
    """

def set_ledger(ledger: Ledger | None) -> None:
    """From now on `ledger` is told who has run; None charges nobody."""

def spare_room() -> int | None:
    """Bytes in the arenas of the allocator of small objects that are in no used block; None if that is another one."""

def shoot(scheduler: Scheduler, coroutine: Coroutine, killed: type[BaseException]) -> bool:
    """Raise `killed` in the midst of what `coroutine` computes, from another thread.

    Returns:
        False if it does not run at this moment, or runs code of the runtime.
    """
