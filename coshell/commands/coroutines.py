"""Starting coroutines, waiting for them, and ending them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import coloop
from coloop import Coroutine, CoroutinePicture
from coshell.bridge import SHELL
from coshell.command import Arg, Command, CommandError, UsageError
from coshell.elsewhere import end, meant
from coshell.lines import is_name
from coshell.listing import Listing, listing
from coshell.naming import find, find_all, flat, ranges
from coshell.processes import Number, known_as
from coshell.showing import shown
from coshell.spawn import Call, calls
from coshell.text import nearest, plural, printable
from coshell.values import Duration

if TYPE_CHECKING:
    from coshell.shell import Shell

GRACE_S: Final = 1.0
Endable = Coroutine | CoroutinePicture | Number
_OPTION: Final = re.compile(r"\s(--[a-z][\w-]*)")


# -- go --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Started:
    """A coroutine that was started.

    Attributes:
        id: its number.
        name: its name.
        state: what it does by now; it may have ended.
    """

    id: int
    name: str
    state: str


def go(
    shell: Shell, call: str, count: int | None, name: str | None, memory_limit: int | None
) -> Started | list[Started]:
    """Start a call, or a block, in a coroutine of its own."""
    if count is not None and count < 1:
        raise UsageError(f"go: -n {count}: at least one is needed")
    filename = shell.interpreter.remember(f"go{call}" if call.startswith(":") else f"go {call}")
    try:
        parts = calls(call, filename, shell.names, counted=count is not None)
    except SyntaxError:
        _refuse_option(call)
        raise
    kept: list[Coroutine] = []
    records: list[Started] = []
    for i in range(count or 1):
        started = _start(shell, parts(i), len(records), name, memory_limit, f"{filename}:1 in go")
        records.append(Started(started.id, started.name, started.state))
        if name is not None:
            kept.append(started)
        shell.scheduler.checkpoint()
    if name is not None and _may_bind(shell, name):
        shell.bind(name, kept[0] if count is None else kept)
    return records[0] if count is None else records


def _refuse_option(source: str) -> None:
    """What looks like an option and is none of ours has been taken for Python."""
    found = _OPTION.search(source)
    if found is not None:
        hint = nearest(found[1], ("--count", "--name", "--memory-limit", "--json", "--help"))
        raise UsageError(f"go: no option {found[1]!r}{f', did you mean {hint!r}?' if hint else ''}")


def _may_bind(shell: Shell, name: str) -> bool:
    """A function of the user's is not lost because a coroutine is called like it: `go worker() --name worker`."""
    if not is_name(name):
        return False
    value = shell.names[name] if name in shell.bound else None
    coroutines = value if isinstance(value, list) else [value]
    return value is None or all(isinstance(one, Coroutine) for one in coroutines)


def _start(
    shell: Shell, call: Call, before: int, name: str | None, limit: int | None, place: str
) -> Coroutine:
    try:
        return shell.scheduler.go(
            call.function, call.args, call.kwargs, name=name, memory_limit=limit, spawned_at=place
        )
    except coloop.TooManyCoroutines as error:
        raise CommandError(f"go: {error}; {before:,} of those asked for have been started") from None


def _go_lines(value: Started | list[Started], _: int) -> list[str]:
    if isinstance(value, list):
        numbers = ranges(started.id for started in value)
        return [printable(f"ok  {plural(len(value), 'coroutine')} {value[0].name}: co#{numbers}", keep="")]
    ended = f" ({value.state})" if value.state in {"done", "failed", "cancelled"} else ""
    return [printable(f"ok  co#{value.id} {value.name}{ended}", keep="")]


# -- join, cancel, kill, resume --------------------------------------------------------------------


@dataclass(frozen=True)
class Ending:
    """What became of a coroutine that was to end.

    Attributes:
        id: its number.
        name: its name.
        how: `ended`, `had ended`, `cleaning up`, `zombie` or `unstoppable`.
        process: the other process in which it was, `web/w1`; None for those of this one.
    """

    id: int
    name: str
    how: str
    process: str | None = None


_ENDINGS: Final = {
    "ended": "ok  {who} has ended",
    "had ended": "ok  {who} had ended already",
    "cleaning up": "ok  {who} is asked to end, and has not ended yet",
    "zombie": "{who} ignored 3 kills: it is never scheduled again, and its finally never runs",
    "unstoppable": "{who} cannot be stopped: it is in C code, and does not come back to Python",
}


def join(shell: Shell, coroutine: tuple[Any, ...], timeout: float | None) -> Any:
    """Wait until coroutines have ended; the result of one, or a list of the results of several."""
    found = find_all(shell, coroutine)
    now = shell.scheduler.clock.now
    deadline_s = None if timeout is None else now() + timeout
    results = []
    for one in found:
        left_s = None if deadline_s is None else max(0.0, deadline_s - now())
        results.append(
            _result_of_dead(one) if isinstance(one, CoroutinePicture) else _result(one, left_s, timeout)
        )
    return results[0] if len(results) == 1 else results


def _result(coroutine: Coroutine, left_s: float | None, timeout_s: float | None) -> Any:
    if not coroutine.join(left_s):
        after = Duration(timeout_s or 0.0)
        doing = coroutine.waiting_on or coroutine.state
        raise CommandError(
            f"{coroutine} {coroutine.name} has not ended after {after}: {doing} (where {coroutine.id})"
        )
    try:
        return coroutine.result()
    except coloop.WasCancelled as error:
        raise CommandError(str(error)) from None


def _result_of_dead(picture: CoroutinePicture) -> Any:
    """Nobody kept its result; but that it ended well is an answer."""
    if picture.state == "done":
        return None
    hint = f" (traceback: err {picture.id})" if picture.state == "failed" else ""
    raise CommandError(f"co#{picture.id} {picture.name}: {picture.outcome}{hint}")


def _join_lines(value: Any, _: int) -> list[str]:
    return [] if value is None else shown(value).split("\n")


def cancel(shell: Shell, coroutine: tuple[Any, ...]) -> Listing[Ending]:
    """Ask coroutines to end at their wait, or at their next one."""
    found = _endable(shell, coroutine)
    asked = [isinstance(one, Coroutine) and one.cancel() for one in found]
    coloop.yield_now()
    return listing(
        shell, [_after_cancel(shell, one, was_alive) for one, was_alive in zip(found, asked, strict=True)]
    )


def _after_cancel(shell: Shell, one: Endable, was_alive: bool) -> Ending:
    if isinstance(one, Number):
        return _ending_elsewhere(shell, one, None)
    living = isinstance(one, Coroutine) and not one.ended
    return Ending(one.id, one.name, "cleaning up" if living else "ended" if was_alive else "had ended")


def kill(shell: Shell, coroutine: tuple[Any, ...], grace: float) -> Listing[Ending]:
    """End coroutines that may not want to end."""
    endings = [_killed(shell, one, grace) for one in _endable(shell, coroutine)]
    stubborn = next((ending for ending in endings if ending.how == "unstoppable"), None)
    if stubborn is not None:
        raise CommandError(_ending_line(stubborn))
    return listing(shell, endings)


def _killed(shell: Shell, one: Endable, grace_s: float) -> Ending:
    if isinstance(one, Number):
        return _ending_elsewhere(shell, one, grace_s)
    how = shell.scheduler.kill(one, grace_s) if isinstance(one, Coroutine) else "had ended"
    return Ending(one.id, one.name, how)


def _ending_elsewhere(shell: Shell, one: Number, grace_s: float | None) -> Ending:
    name, how = end(shell, one, grace_s)
    return Ending(one, name, how, one.process)


def _one_meant(shell: Shell, ref: Any) -> Endable:
    elsewhere = meant(shell, ref)
    return find(shell, ref) if elsewhere is None else elsewhere


def _endable(shell: Shell, refs: Iterable[Any]) -> list[Endable]:
    """All that are meant, here and in other processes; raises CommandError, before anybody is ended."""
    found = [_one_meant(shell, ref) for ref in flat(refs)]
    for one in found:
        if not isinstance(one, Number) and one.name == SHELL and one.parent_id is None:
            raise CommandError(
                f"co#{one.id} is the shell's own: Ctrl-C interrupts what it does, quit ends it"
            )
    return found


def _ending_line(ending: Ending) -> str:
    return printable(_ENDINGS[ending.how].format(who=f"{known_as(ending.id)} {ending.name}"), keep="")


def _ending_lines(value: Listing[Ending], _: int) -> list[str]:
    return [_ending_line(ending) for ending in value]


def resume(shell: Shell, coroutine: Any, value: Any) -> Started:
    """Let a `suspend()` return."""
    found = find(shell, coroutine)
    given = shell.evaluate(value) if isinstance(value, str) else value
    if isinstance(found, CoroutinePicture):
        raise CommandError(f"co#{found.id} cannot be resumed: it has ended ({found.outcome})")
    try:
        found.resume(given)
    except coloop.NotSuspended as error:
        raise CommandError(str(error)) from None
    return Started(found.id, found.name, found.state)


def _resume_lines(value: Started, _: int) -> list[str]:
    return [printable(f"ok  co#{value.id} {value.name} {value.state}", keep="")]


# -- the table -------------------------------------------------------------------------------------

_COROUTINES: Final = Arg(
    "coroutine", "number, co#number or name; several, or a list put in", "coroutine", repeat=True
)
_ENDABLE: Final = Arg(
    "coroutine",
    "number, co#number, name, or web/w1:number; several, or a list put in",
    "coroutine",
    repeat=True,
)

COMMANDS: Final = (
    Command(
        "go",
        "start a call, or a block, in a coroutine of its own",
        go,
        (
            Arg(
                "call", "f(x): f and x are evaluated here, the call is made there; or : and a block", "python"
            ),
            Arg("--count", "start it so many times, with i bound to 0, 1, 2 ...", "int", "-n"),
            Arg("--name", "the coroutine's name, and a Python name for it", "name"),
            Arg("--memory-limit", "heap above which it gets MemoryLimitExceeded", "size"),
        ),
        (
            "go sleep(60) --name nap",
            "go -n 3 sleep(i) --name worker",
            "go:\n    print('hello from', current())",
        ),
        show=_go_lines,
        details=(
            "As in Go, arguments are evaluated at once, by whoever says go. A block has variables of its own, as the"
            " body of a function has. The name becomes a Python name too, unless you have bound it to something else;"
            " with -n it is a list."
        ),
    ),
    Command(
        "join",
        "wait until coroutines have ended, and give their results",
        join,
        (_COROUTINES, Arg("--timeout", "wait at most so long", "duration")),
        ("go pow(2, 10) --name power\njoin power", "go -n 3 sleep(0.01) --name nap\njoin $nap --timeout 2s"),
        show=_join_lines,
        details="The failure of a coroutine is raised here, and then counts as seen.",
    ),
    Command(
        "cancel",
        "ask coroutines to end at their wait, or at their next one",
        cancel,
        (_ENDABLE,),
        ("go sleep(60) --name nap\ncancel nap",),
        show=_ending_lines,
        details="Cancelled is raised there; finally and defer run. See kill for those who do not listen.",
    ),
    Command(
        "kill",
        "end coroutines that may not want to, also one that lets nobody run",
        kill,
        (_ENDABLE, Arg("--grace", "time to clean up before it is given up", "duration", default=GRACE_S)),
        ("go sleep(60) --name nap\nkill nap --grace 500ms",),
        lane="any",
        show=_ending_lines,
        details=(
            "Killed is raised at its wait or, if it computes without end, in the midst of that; three times."
            " Who swallows it each time is never scheduled again."
        ),
    ),
    Command(
        "resume",
        "let a suspend() return",
        resume,
        (
            Arg("coroutine", "number, co#number or name", "coroutine"),
            Arg(
                "value",
                "a Python expression: what suspend() returns; None by default",
                "python",
                optional=True,
            ),
        ),
        (
            "go:\n    print('got', suspend())\nresume 2 'hello'",
            "go suspend() --name s\nresume s 6 * 7",
        ),
        show=_resume_lines,
    ),
)
