"""What `@assert`, `@wait` and the others do: a directive says something about the experiment, and is no part of it.

Directives print nothing. They hold, or they fail with a line that tells what was seen instead; a wait that
was in vain also tells where everybody waits, which is where one would look next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from coloop import CoroutinePicture

from .checks import Checker, Condition, condition_of, included_file, required_plugin, setting_of
from .claims import Finding, judge
from .config import SettingError
from .lines import expand_units
from .patience import come_to_rest, wait_until
from .steps import SessionError, Step
from .text import nearest, printable
from .values import Duration

if TYPE_CHECKING:
    from .shell import Result, Shell

MAX_LISTED: Final = 50
HOG_S: Final = 0.1

_FAILED: Final = 1
_WRONG: Final = 2


class _Unmet(Exception):
    """What a directive says is not so."""

    def __init__(self, message: str, exit_code: int, details: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.details = "\n".join(details)


def run_directive(shell: Shell, step: Step) -> Result:
    """Do what a directive says.

    Returns:
        A result whose `error` begins with the directive as it was typed. Its `traceback`, if there is one,
        are the lines that belong below that, and its `value` is the `Finding` of a claim that holds.
    """
    from .shell import Result

    result = Result(ok=False, kind="directive", exit_code=_WRONG)
    try:
        Checker(shell.grammar()).check(step)
        result = Result(kind="directive", value=_DIRECTIVES[step.kind](shell, step))
    except SessionError as error:
        result.error = error.reason
    except SettingError as error:
        result.error = f"{step}: {error}"
    except _Unmet as error:
        result.error, result.exit_code = f"{step}{error}", error.exit_code
        result.traceback = error.details or None
    except BaseException as error:
        result = shell.result_of(error, "directive")
        result.error = f"{step} failed: {result.error}"
        result.traceback = None if result.exit_code == _FAILED else result.traceback
    return result


def waiting_places(shell: Shell) -> list[str]:
    """Where each coroutine waits, or what else it does; one line each."""
    snapshot = shell.snapshot(MAX_LISTED)
    # Number 1 takes what is typed; it is of interest only while it does that.
    hog_at = snapshot.hog_stack[-1] if snapshot.hog_stack else None
    lines = [
        _place_line(picture, hog_at) for picture in snapshot.coroutines if picture.waiting_on != "prompt"
    ]
    left_out = snapshot.live - len(snapshot.coroutines)
    return lines + ([f"  and {left_out} more"] if left_out > 0 else [])


def _place_line(picture: CoroutinePicture, hog_at: str | None) -> str:
    does, where = (
        f"waits on {picture.waiting_on}" if picture.waiting_on else f"is {picture.state}",
        picture.where,
    )
    if picture.running_for_s >= HOG_S:
        does, where = f"has run for {Duration(picture.running_for_s)} without a pause", hog_at
    place = f" at {where}" if where else ""
    return printable(f"  co#{picture.id} {picture.name} {does}{place}", keep="")


def _assert(shell: Shell, step: Step) -> Finding:
    found = _look(shell, step.text)
    if not found.holds:
        raise _Unmet(f" failed: {found.seen}", _FAILED)
    return found


def _wait(shell: Shell, step: Step) -> Finding:
    condition = condition_of(step.text)
    within_s = _seconds_of(shell, condition)
    found: Finding = shell.bridge.call(wait_until, lambda: _look(shell, condition.expression), within_s)
    if not found.holds:
        message = f" failed: still {found.seen} after {Duration(within_s)}"
        raise _Unmet(message, _FAILED, waiting_places(shell))
    return found


def _idle(shell: Shell, step: Step) -> None:
    within_s = _seconds_of(shell, condition_of(step.text))
    if not shell.bridge.call(come_to_rest, within_s):
        raise _Unmet(f" failed: not at rest after {Duration(within_s)}", _FAILED, waiting_places(shell))


def _set(shell: Shell, step: Step) -> None:
    key, value = setting_of(step.text) or ("", "")
    shell.change_setting(key, value, step.place)


def _require(shell: Shell, step: Step) -> None:
    name = required_plugin(step.text) or ""
    records = {record.name: record for record in shell.plugins.records()}
    if name not in records:
        hint = nearest(name, records)
        raise _Unmet(f": it is not loaded{f', did you mean {hint!r}?' if hint else ''}", _WRONG)
    if records[name].state == "refused":
        raise _Unmet(f": it was not loaded: {records[name].why}", _WRONG)


def _of_plugin(shell: Shell, step: Step) -> None:
    shell.bridge.call(shell.plugins.directives()[step.name], shell, step.text)


def _include(shell: Shell, step: Step) -> None:
    """Typed at a prompt; in a file it has been replaced by what it includes."""
    from .runner import run_here

    exit_code = run_here(shell, included_file(step.text))
    if exit_code:
        raise _Unmet(" failed", exit_code)


def _look(shell: Shell, expression: str) -> Finding:
    found: Finding = shell.bridge.call(judge, expand_units(expression), shell.evaluate)
    return found


def _seconds_of(shell: Shell, condition: Condition) -> float:
    return shell.settings.timeout if condition.within_s is None else condition.within_s


_DIRECTIVES: Final[dict[str, Callable[[Shell, Step], Finding | None]]] = {
    "assert": _assert,
    "wait": _wait,
    "idle": _idle,
    "set": _set,
    "require": _require,
    "include": _include,
    "directive": _of_plugin,
}
