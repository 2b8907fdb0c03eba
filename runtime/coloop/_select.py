"""`select`: the first of several channel operations that can go ahead.

A statement in Go; here a call, because Python has no cases that bind. So an operation must be said
without being done: `channel.receiving()`, `channel.sending(value)`. A bare channel means to receive,
which is what nine of ten cases are. What happened comes back in one record with names: a tuple to be
unpacked would tempt to overlook `closed`.

* Everything that can go ahead at the call is drawn for, each with the same chance, as in Go. Whoever
  took the first in the list would let it starve the rest, and taking turns by a counter starves those
  who call in step with it. With a seed the draw follows the seed; without one it is the same in
  every run, as everything else is then.
* If nothing can, the coroutine stands in all lines at once, behind those who wait there already, and
  whoever comes first decides. Of two operations that would stand in the same line, the one that was
  drawn first stands there.
* A closed channel is always ready: to receive there says so (`closed`), since a loop over several
  channels wants to drop that one and go on; to send there raises `Closed`, as `send` does.
* `default` is what is returned when nothing could go ahead in time: at once, or after `timeout`.
  Without it that raises `Timeout`, as `receive` does.
* None in the place of an operation never goes ahead, as a nil channel in Go: so one can be switched
  off while the others keep their index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, overload

from ._channel import Channel, Operation
from ._errors import WaitTimeout
from ._line import NOBODY, JointWait
from ._scheduler import Scheduler, current_scheduler

D = TypeVar("D")

_WAIT: Final = object()  # instead of a default


@dataclass(frozen=True, slots=True)
class Selected:
    """Which operation went ahead.

    Attributes:
        index: its place among the arguments, from 0.
        channel: where.
        value: what was received; None if it sent, or if the channel is closed.
        closed: whether there is nothing to receive any more, because the channel is closed and drained.
    """

    index: int
    channel: Channel[Any]
    value: Any = None
    closed: bool = False


@overload
def select(*operations: Channel[Any] | Operation | None, timeout: float | None = None) -> Selected: ...


@overload
def select(
    *operations: Channel[Any] | Operation | None, timeout: float | None = None, default: D
) -> Selected | D: ...


def select(
    *operations: Channel[Any] | Operation | None, timeout: float | None = None, default: Any = _WAIT
) -> Any:
    """Do one of several operations, the first that can go ahead; park while none can.

        done = select(requests, results.sending(42), timeout=1.5)
        if done.channel is requests and not done.closed:
            handle(done.value)

    Args:
        *operations: channels to receive from, `channel.receiving()`, `channel.sending(value)`; None for none.
        timeout: seconds to wait at most.
        default: what to return when none could go ahead; at once if no timeout is given.

    Returns:
        Which went ahead and the value received, or the default.

    Raises:
        Closed: the channel of an operation that would have sent is closed, or is closed while this waits.
        Timeout: none could go ahead within `timeout` seconds, and there is no default.
        TypeError: an argument that is neither a channel nor an operation.
        ValueError: there is no operation, no timeout and no default: this would wait for ever.
    """
    cases = [_operation(given) for given in operations]
    scheduler = current_scheduler()
    scheduler.checkpoint()
    drawn = [index for index, case in enumerate(cases) if case is not None]
    done = _go_ahead(cases, drawn, scheduler)
    if done is not None:
        return done
    if timeout is None:
        if default is not _WAIT:
            return default
        if not drawn:
            raise ValueError("select needs a channel, a timeout or a default: it would wait for ever")
    try:
        return _wait(cases, drawn, timeout)
    except WaitTimeout:
        if default is _WAIT:
            raise
        return default


def _operation(given: object) -> Operation | None:
    if given is None or isinstance(given, Operation):
        return given
    if isinstance(given, Channel):
        return Operation(given)
    raise TypeError(f"select takes channels, channel.receiving() and channel.sending(value), not {given!r}")


def _go_ahead(cases: Sequence[Any], drawn: list[int], scheduler: Scheduler) -> Selected | None:
    """Do what can be done without waiting, in the order of a draw; leaves the indices in that order."""
    count = len(drawn)
    for place in range(count):
        if count - place > 1:
            other = place + int(scheduler.dice.random() * (count - place))
            drawn[place], drawn[other] = drawn[other], drawn[place]
        index = drawn[place]
        case: Operation = cases[index]
        channel = case.channel
        if case.sends:
            if channel._give(case.value, scheduler):
                return Selected(index, channel)
        elif (value := channel._take(scheduler)) is not NOBODY:
            return Selected(index, channel, value)
        elif channel._closed:
            return Selected(index, channel, closed=True)
    return None


def _wait(cases: Sequence[Any], drawn: list[int], timeout_s: float | None) -> Selected:
    """Stand in every line, in the order of the draw, until one operation has gone ahead."""
    places = [(index, cases[index]._line, cases[index].value) for index in drawn]
    what = [case for case in cases if case is not None]
    index, value, error = JointWait(what).wait("select", places, timeout_s)
    case: Operation = cases[index]
    if error is None:
        return Selected(index, case.channel, value)
    if case.sends:
        raise error
    return Selected(index, case.channel, closed=True)
