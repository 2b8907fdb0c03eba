"""The native form of the hot path. It behaves as the Python form does, which is where it is explained.

Built from `runtime/native` where there is a compiler; nobody but `_form.py` imports it.
"""

from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

from ._coroutine import Coroutine
from ._coroutine_state import CoroutineState as CoroutineState
from ._line import JointWait as JointWait
from ._line import WaitQueue as WaitQueue
from ._own_tables import enter as enter
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
    """`method` of a wire or a coroutine with a quick way for what is usual; `recv`, `send`, `sendall`, `join` have one."""

def ledger_start(schedulers: list[Any]) -> None:
    """Count from zero: whoever runs on these schedulers pays."""

def ledger_stop() -> bool:
    """Stop counting; False if another tool sits on top of the hooks, so that they had to stay."""

def ledger_trouble() -> str | None:
    """Why counting has ended by itself."""

def ledger_held() -> tuple[int, int, int, int, int, int, int, int] | None:
    """Total, living, dead; and on no coroutine's account: threads, outside, scheduler, stacks, own."""

def ledger_residues() -> list[tuple[CodeType | str | None, int, int, int, int]]:
    """A place (code or text) and its instruction; of its dead: how many, the bytes and the blocks that are left."""

def ledger_bookkeeping() -> tuple[int, int, int, int, int, int]:
    """The fields of a `Bookkeeping`."""

def ledger_audit() -> tuple[int, int, int]:
    """Walk the map: accounts that disagree with it; the bytes and the blocks that are on it."""

def ledger_note_sites(mean_bytes: float, /) -> None:
    """Note the place of a block in so many bytes; 1: of every block, 0: of none."""

def ledger_note_all(coroutine: Coroutine, all: bool, /) -> None:  # noqa: A002
    """Whether to note every block of this coroutine."""

def ledger_stacks() -> list[tuple[int, tuple[tuple[CodeType, int], ...], float, float, float]]:
    """A coroutine's id, its calls from the outermost, bytes, blocks, and the variance of the bytes."""

def ledger_types(types: list[type], coroutine: int, /) -> list[tuple[type | None, int, int]]:
    """What is on the account of a coroutine by type: how many, how many bytes; None is what is no object."""

def ledger_own_thread(own: bool, /) -> None:
    """Whether this thread is the shell's own."""

def spare_room() -> int | None:
    """Bytes in the arenas of the allocator of small objects that are in no used block; None if that is another one."""

def shoot(scheduler: Scheduler, coroutine: Coroutine, killed: type[BaseException]) -> bool:
    """Raise `killed` in the midst of what `coroutine` computes, from another thread.

    Returns:
        False if it does not run at this moment, or runs code of the runtime.
    """
