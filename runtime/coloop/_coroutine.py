"""One coroutine: a greenlet with an id, a name, a parent, a state and an account. Passive.

It holds what is known of a coroutine and hands every request on to its scheduler, which alone
switches greenlets and changes states. That is what lets a coroutine be looked at from anywhere,
also from another thread, without disturbing it: reading an attribute never runs anything.

A coroutine that has ended lets go of its greenlet, its context and all that its function held;
what stays is the outcome, for as long as somebody keeps the `Coroutine` itself.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._account import Account
from ._coroutine_state import CANCELLED, DONE, RUNNING, WAITING
from ._elsewhere import carried
from ._errors import WasCancelled
from ._form import native, quick
from ._frames import summaries
from ._snapshot import account_of
from ._type_names import type_name

if TYPE_CHECKING or native is None:
    from ._coroutine_state import CoroutineState
    from ._timers import Timer
else:
    CoroutineState, Timer = native.CoroutineState, native.Timer


class Coroutine(CoroutineState):
    """What `go` returns: the handle of one coroutine, living or dead.

    Attributes:
        id: counts from 1 and is never used again.
        name: given, or the function's own.
        parent_id: the coroutine that started it, if one did.
        busy_s: seconds it has run so far, up to its last switch.
        switches: how many times it was switched to.
        context: its `contextvars.Context`, a copy of its parent's; None once it has ended.
    """

    __slots__ = ()

    @property
    def state(self) -> str:
        """One of `ready running waiting done failed cancelled`."""
        runs = self._ended_at is None and self._scheduler.running is self
        return RUNNING if runs else self._state

    @property
    def spawned_at(self) -> str:
        """Where `go` was called: `file.py:12 in function`."""
        site = self._site
        return "?" if site is None else str(site)

    @property
    def waiting_on(self) -> str | None:
        """What it waits for, as `recv socket#1`, `sleep 0.3s`, `channel#2 receive`; None if it does not wait."""
        verb, subject = self._verb, self._subject
        if self._state != WAITING or verb is None:
            return None
        if isinstance(subject, Timer):
            return f"{verb} {max(0.0, subject.deadline - self._scheduler.clock.now()):.3g}s"
        return verb if subject is None else f"{verb} {subject}"

    @property
    def age_s(self) -> float:
        """Seconds on the scheduler's clock from its start to its end, or until now."""
        end = self._scheduler.clock.now() if self._ended_at is None else self._ended_at
        return end - self._started_at

    @property
    def account(self) -> Account:
        """What it costs at this moment: an immutable picture (see `coloop.memory`)."""
        return account_of(self._scheduler, self)

    @property
    def outcome(self) -> str | None:
        """How it ended, in a few words; None while it lives."""
        if self._ended_at is None:
            return None
        if self._state == DONE:
            return "returned" if self._value is None else f"returned a {type_name(type(self._value))}"
        return "cancelled" if self._state == CANCELLED else _last_line(self._error)

    def stack(self) -> list[traceback.FrameSummary]:
        """Where it stands, outermost frame first, without the runtime's own frames; empty once it has ended.

        Raises:
            WrongThread: called from another thread; ask `snapshot()` there.
        """
        return summaries(self._scheduler.frame_of(self))

    @quick
    def join(self, timeout: float | None = None) -> bool:
        """Park until it has ended; its failure then counts as seen, and is not reported.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Returns:
            True if it has ended, however it did; False if the time was over first.

        Raises:
            RuntimeError: it is the running coroutine itself.
            NotRunning: called outside of a coroutine.
            WrongThread: called from another thread while it lives.
        """
        if self.ended:
            self._observed = True
            return True
        return self._scheduler.join(self, timeout)

    def result(self, timeout: float | None = None) -> Any:
        """Park until it has ended and return what its function returned; its failure then counts as seen.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            Timeout: it still runs after `timeout` seconds.
            WasCancelled: it was cancelled and has no result.
            BaseException: whatever ended it.
            RuntimeError, NotRunning, WrongThread: as `join`.
        """
        if self.ended:
            self._observed = True
        else:
            self._scheduler.join_or_timeout(self, timeout)
        if self._state == CANCELLED:
            raise WasCancelled(f"{self} was cancelled and has no result")
        if self._error is not None:
            # Each asker adds his frames to what he is given: else the failure would hold those of all before.
            raise self._error.with_traceback(self._traceback)
        return self._value

    @property
    def limit_action(self) -> str | None:
        """What happens when its memory limit is crossed: `raise`, `warn` or `cancel`; None without a limit."""
        limit = self._limit
        return None if limit is None else limit.action

    def limit_memory(self, heap_bytes: int | None, action: str = "raise") -> None:
        """Limit the heap that it may hold, from now on; needs level `heap`.

        Args:
            heap_bytes: so much; None takes the limit away.
            action: what happens when it is crossed: `raise` MemoryLimitExceeded in it, `warn`, or `cancel` it.

        Raises:
            ValueError: a limit that is not positive, no such action, or heap is not counted at this level.
            WrongThread: called from another thread.
        """
        self._scheduler.limit_memory(heap_bytes, action, coroutine=self)

    def cancel(self) -> bool:
        """Raise `Cancelled` at its wait, or at its next one; its `finally` blocks and deferred calls run.

        Returns:
            False if it had ended.

        Raises:
            WrongThread: called from another thread.
        """
        return self._scheduler.cancel(self)

    def throw(self, error: BaseException) -> None:
        """Raise `error` at its wait, or at its next one; nothing happens if it has ended.

        Raises:
            TypeError: error is no exception.
            WrongThread: called from another thread.
        """
        self._scheduler.throw(self, error)

    def resume(self, value: Any = None) -> None:
        """Let its `suspend()` return `value`.

        Raises:
            NotSuspended: it is not suspended; the message says what it does instead.
            WrongThread: called from another thread.
        """
        self._scheduler.resume(self, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return carried(self, f"{self} {self.name!r}", "started", "start one where it is to run")

    def __str__(self) -> str:
        return label(self.id)

    def __repr__(self) -> str:
        waiting_on = self.waiting_on
        return f"<co#{self.id} {self.name} {self.state}{f' on {waiting_on}' if waiting_on else ''}>"


def label(number: int) -> str:
    """What the coroutine with that id is called wherever one is named."""
    return f"co#{number}"


def default_name(fn: Callable[..., Any]) -> str:
    """A coroutine's name when none is given: its function's, or the type of the callable."""
    name = getattr(fn, "__name__", None)
    return name if isinstance(name, str) else type_name(type(fn))


def _last_line(error: BaseException | None) -> str:
    """What a traceback ends with; an error of a class that cannot be asked must not hold up its coroutine's end."""
    try:
        return traceback.format_exception_only(error)[-1].strip()
    except Exception:
        return type_name(type(error))
