"""Is it a leak: a verdict on every place of birth, and what has changed since a mark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from coloop import memory
from coshell.command import Arg, Command, CommandError, UsageError
from coshell.command_error import did_you_mean
from coshell.leaks.evidence import records
from coshell.leaks.marks import COLUMNS, MAX_MARKS, Change, Mark, changes, elapsed, mark_of
from coshell.leaks.report import Leaks
from coshell.leaks.watch import USUAL_WINDOW_S
from coshell.listing import Listing, lines_of, listing
from coshell.render import json_line
from coshell.text import plural, printable
from coshell.values import Bytes, Count, Duration

if TYPE_CHECKING:
    from coshell.shell import Shell

MIN_WINDOW_S: Final = 0.1
MAX_PICTURED: Final = 10_000
FORMATS: Final = ("table", "tracker", "json")


# -- leaks -----------------------------------------------------------------------------------------


def leaks(shell: Shell, window: float | None, format: str, all: bool) -> Leaks:  # noqa: A002 - the options' names
    """The verdicts."""
    if window is not None and not MIN_WINDOW_S <= window < float("inf"):
        raise UsageError(f"leaks: --window {Duration(window)}: at least {Duration(MIN_WINDOW_S)}")
    watch = shell.watch
    if window is None and watch.knows_too_little():
        window = USUAL_WINDOW_S
    seen = watch.now() if window is None else watch.watch(window)
    return Leaks(
        records(seen.judged(), seen.looks, seen.suspects),
        seen.looks,
        everything=all,
        form=format,
        suspects=seen.suspects,
        ascii_only=shell.settings.ascii,
        bytes_exact=shell.settings.bytes,
    )


def _leaks_lines(value: Leaks, width: int) -> list[str]:
    return [json_line(leak) for leak in value] if value.form == "json" else value.lines(width)


# -- mark, diff ------------------------------------------------------------------------------------

_COUNTS: Final = frozenset({"coroutines living", "coroutines started", "switches"})
_NOW: Final = "now"


@dataclass(frozen=True)
class Marked:
    """A mark that was set.

    Attributes:
        name: what it is called.
        counted: the heap that the ledger counts; None below level `heap`.
        live: how many coroutines live.
        forgotten: the oldest mark, if there were too many.
    """

    name: str
    counted: Bytes | None
    live: Count
    forgotten: str


def mark(shell: Shell, name: str) -> Marked:
    """Remember this moment."""
    if name == _NOW:
        raise UsageError(f"mark: {_NOW!r} is what diff calls the present")
    made = _mark_now(shell, name)
    gone = shell.marks.add(made)
    counted = made.process.get("heap counted")
    return Marked(
        name, None if counted is None else Bytes(counted), Count(made.process["coroutines living"]), gone
    )


def _mark_now(shell: Shell, name: str) -> Mark:
    look = shell.watch.look()
    picture = shell.snapshot(MAX_PICTURED, dead=False)
    held = memory.process()
    figures = {
        "heap counted": look.total_bytes,
        "of coroutines": picture.heap_bytes,
        "of the dead": picture.dead_bytes,
        "of nobody": picture.outside_bytes,
        "stacks": picture.stack_bytes,
        "RSS": held.rss,
        "USS": held.uss,
        "coroutines living": picture.live,
        "coroutines started": picture.spawned,
        "switches": picture.switches,
    }
    known = {figure: size for figure, size in figures.items() if size is not None}
    return mark_of(name, look, picture.level, known, picture.coroutines)


def _marked_lines(value: Marked, _: int) -> list[str]:
    counted = f", heap {value.counted}" if value.counted is not None else ""
    gone = f"; {value.forgotten} is forgotten" if value.forgotten else ""
    return [printable(f"ok  {value.name}: {plural(value.live, 'coroutine')}{counted}{gone}", keep="")]


def diff(shell: Shell, before: str, after: str | None) -> Listing[Change]:
    """What has changed between two marks, or since one."""
    first = _find_mark(shell, before)
    last = _mark_now(shell, _NOW) if after in {None, _NOW} else _find_mark(shell, after or "")
    if first.at_s > last.at_s:
        raise CommandError(f"diff: {first.name} was set after {last.name}: diff {last.name} {first.name}")
    levels = (
        "" if first.level == last.level else f"; heaps began anew: level {first.level}, then {last.level}"
    )
    below = f"{first.name} to {last.name}: {elapsed(first, last)}{levels}"
    return listing(shell, changes(first, last, _COUNTS), COLUMNS, [printable(below, keep="")])


def _find_mark(shell: Shell, name: str) -> Mark:
    found = shell.marks.get(name)
    if found is None:
        hint = did_you_mean(name, shell.marks) or ("" if len(shell.marks) else ": mark NAME sets one")
        raise CommandError(f"no mark {name!r}{hint}")
    return found


# -- the table -------------------------------------------------------------------------------------

COMMANDS: Final = (
    Command(
        "leaks",
        "tell for every place where coroutines are born whether it is a leak",
        leaks,
        (
            Arg("--window", "watch for so long, with a full collection at each look", "duration"),
            Arg("--format", "how it is told", "choice", default="table", choices=FORMATS),
            Arg("--all", "also what is steady or warming up", "flag"),
        ),
        (
            "leaks",
            "set clock virtual\ncache = []\ngo:\n    while True:\n        cache.append([0] * 500); sleep(0.1)\n\nleaks --window 10s",
            "leaks --format tracker",
        ),
        show=_leaks_lines,
        details=(
            "LEAK: it grew in every repeat, and the collector freed nothing of that. cycle: nobody held it, and only"
            " the collector freed it. warming up: it grew, but not always, or ever less. steady: all the rest."
            " What the dead left is set against how many have ended, so that it works under traffic; what the living"
            " hold, against time. Without --window the looks that were taken in passing decide; if those are too few,"
            f" it watches for {Duration(USUAL_WINDOW_S)}. --format tracker: FILE:LINE => Growth Times : [n]; Growth Size : [m]."
            " As a function it gives what was found, LEAKs and cycles: @assert not leaks(window=10); its .leaked is"
            " the number of LEAKs, .judged every verdict."
        ),
    ),
    Command(
        "mark",
        "remember this moment under a name, for diff",
        mark,
        (Arg("name", "what it is to be called"),),
        ("mark before",),
        show=_marked_lines,
        details=f"It collects garbage first, and keeps numbers only. At most {MAX_MARKS} marks are kept.",
    ),
    Command(
        "diff",
        "show what has changed between two marks, or since one",
        diff,
        (
            Arg("before", "the earlier mark"),
            Arg("after", "the later one; now, if it is left out", optional=True),
        ),
        (
            "mark a\nkept = bytearray(1_000_000)\ndiff a",
            "mark a\ngo sleep(60)\nmark b\ndiff a b",
        ),
        show=lines_of,
        details="By place of birth, by coroutine, of the whole process, and at level sites by the line that allocated.",
    ),
)
