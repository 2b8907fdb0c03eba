"""A group waits for the coroutines that were started in it: none outlives its block.

The first failure, of a child or of the block itself, cancels the rest. What is raised at the end
is that failure, or an `ExceptionGroup` when several failed in different ways on the way down.

Results are asked of what `go` has returned, as with `asyncio.TaskGroup`. The group keeps none: it
may live as long as a server, and would hold the result of everyone who has ever ended in it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from ._coroutine import Coroutine
from ._coroutine_state import FAILED
from ._errors import Cancelled, CoroutineError, NotRunning
from ._scheduler import Scheduler, current_scheduler


class _Abort(Cancelled):
    """Ends the block of a group, one of whose children has failed."""


class Group:
    """`with Group() as group: group.go(fn)` waits at the end of the block for all that it started.

        with Group() as group:
            pages = [group.go(fetch, url) for url in urls]
        print([page.result() for page in pages])

    Raises:
        BaseException: the failure of the only one that failed, block or child.
        ExceptionGroup: several failed (a `BaseExceptionGroup` if one of them is no `Exception`).
    """

    def __init__(self) -> None:
        self._scheduler: Scheduler = current_scheduler()
        self._host: Coroutine | None = None
        self._children: set[Coroutine] = set()
        self._failures: list[BaseException] = []
        self._abort = _Abort("a coroutine of this group has failed")
        self._aborted = False
        self._waiting_for_children = False

    def go(
        self,
        fn: Callable[..., Any],
        *args: Any,
        name: str | None = None,
        memory_limit: int | None = None,
        **kwargs: Any,
    ) -> Coroutine:
        """Start a coroutine that belongs to this group; as `coloop.go`.

        Returns:
            The coroutine; its `result()` can be asked for in the block and after it, however it has ended.

        Raises:
            CoroutineError: the block has ended, or one of the group has failed and the rest is being cancelled.
            TooManyCoroutines: `max_coroutines` live already.
            WrongThread: called from another thread.
        """
        if self._host is None:
            raise CoroutineError(
                "this group's block is not open: start coroutines inside `with Group() as group:`"
            )
        if self._aborted:
            raise CoroutineError("this group is ending, because one of its coroutines has failed")
        child = self._scheduler.go(fn, args, kwargs, name=name, memory_limit=memory_limit)
        self._scheduler.adopt(child, self._child_ended)
        if not child.ended:
            self._children.add(child)
        return child

    @property
    def children(self) -> frozenset[Coroutine]:
        """Those that were started here and have not ended."""
        return frozenset(self._children)

    def __str__(self) -> str:
        return f"group of {len(self._children)}"

    def cancel(self) -> None:
        """Cancel all that still run in this group; its block goes on, and others may be started in it.

        Raises:
            WrongThread: called from another thread.
        """
        for child in sorted(self._children, key=lambda child: child.id):
            child.cancel()

    def _child_ended(self, child: Coroutine) -> None:
        self._children.discard(child)
        if child.state == FAILED:
            assert child._error is not None
            self._failures.append(child._error)
            self._abort_all()
        if not self._children and self._waiting_for_children and self._host is not None:
            self._scheduler.wake(self._host)

    def _abort_all(self) -> None:
        if self._aborted:
            return
        self._aborted = True
        self.cancel()
        if not self._waiting_for_children and self._host is not None:
            self._scheduler.interrupt(self._host, self._abort)

    def __enter__(self) -> Group:  # noqa: PYI034 - not meant to be derived from
        if self._host is not None or self._waiting_for_children:
            raise CoroutineError("a group's block is entered once: make a new Group()")
        self._host = self._scheduler.running
        if self._host is None:
            raise NotRunning("a group lives inside a coroutine")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is not None and error is not self._abort:
            self._failures.insert(0, error)
            self._abort_all()
        self._forget_abort()
        self._wait_for_children()
        self._host = None
        return self._raise_failures(error)

    def _forget_abort(self) -> None:
        assert self._host is not None
        self._waiting_for_children = True
        pending = self._host._interrupts
        if pending and self._abort in pending:
            pending.remove(self._abort)

    def _wait_for_children(self) -> None:
        """Even if this coroutine is cancelled meanwhile: then the children are, and it goes on waiting."""
        while self._children:
            try:
                self._scheduler.park("wait for", self)
            except BaseException as error:
                self._failures.insert(0, error)
                self._aborted = True
                self.cancel()

    def _raise_failures(self, block_error: BaseException | None) -> bool:
        """True if the block's own exception is done with; otherwise raise what there is to raise."""
        failures, self._failures = self._failures, []
        real = [error for error in failures if not isinstance(error, Cancelled)]
        chosen = real or failures
        if not chosen:
            return True
        if len(chosen) > 1 and real:
            raise BaseExceptionGroup("several coroutines of a group failed", chosen)
        if chosen[0] is block_error:
            return False
        raise chosen[0]
