"""What switching knows of a coroutine: its fields, and nothing that it could do."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from ._account import Tally
from ._frames import Site

if TYPE_CHECKING:
    from greenlet import greenlet

    from ._coroutine import Coroutine
    from ._limits import Limit
    from ._scheduler import Scheduler

READY: Final = "ready"
WAITING: Final = "waiting"
RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"

Defer = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class CoroutineState:
    """The fields of a coroutine. Its name, id, times and figures are for everybody; the rest is switching's.

    Attributes:
        id: counts from 1 and is never used again.
        name: given, or the function's own.
        parent_id: the coroutine that started it, if one did.
        busy_s: seconds it has run so far, up to its last switch.
        switches: how many times it was switched to.
        context: its `contextvars.Context`, a copy of its parent's; None once it has ended.
    """

    __slots__ = (
        "__weakref__",
        "_defers",
        "_ended_at",
        "_error",
        "_greenlet",
        "_interrupts",
        "_limit",
        "_observed",
        "_raise",
        "_scheduler",
        "_site",
        "_started_at",
        "_state",
        "_subject",
        "_tally",
        "_traceback",
        "_value",
        "_verb",
        "_watchers",
        "busy_s",
        "context",
        "id",
        "name",
        "parent_id",
        "switches",
    )

    def __init__(
        self,
        scheduler: Scheduler,
        id: int,  # noqa: A002 - the contract's name
        name: str,
        parent_id: int | None,
        site: Site | str | None,
        limit: Limit | None,
        started_at: float,
    ) -> None:
        self.id = id
        self.name = name
        self.parent_id = parent_id
        self.busy_s = 0.0
        self.switches = 0
        self.context: contextvars.Context | None = None
        self._scheduler = scheduler
        self._greenlet: greenlet | None = None
        self._site = site
        self._tally = Tally()
        self._limit = limit
        self._started_at = started_at
        self._ended_at: float | None = None
        self._state = READY
        # Set while it waits; `_raise` and `_value` are what its wait is going to end with.
        self._verb: str | None = None
        self._subject: object = None
        self._raise: BaseException | None = None
        self._value: Any = None
        self._interrupts: list[BaseException] | None = None
        self._watchers: list[Callable[[Coroutine], None]] | None = None
        self._defers: list[Defer] | None = None
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None  # of a failure, as of its end
        self._observed = False

    @property
    def _heap(self) -> tuple[int, int | None, int, int]:
        """What it holds now, in bytes and blocks; the most that it held; all that it has ever allocated."""
        tally = self._tally
        return tally.heap_bytes, None, tally.heap_peak, tally.allocated_total

    @property
    def ended(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self._ended_at is not None
