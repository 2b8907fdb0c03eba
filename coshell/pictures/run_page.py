"""What a run leaves behind: one page that is read without a network, at a desk and on a phone, years later.

The first screen answers what one wants to know of a run: did it pass, what failed, is it a leak. Then comes how it
went, and where the memory is. Whatever was named by a peer or by the script is text and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from coshell.text import plural
from coshell.values import Bytes, Count, Duration

from .curve import Point
from .curve_html import Moment, Span, curve
from .flame_html import flame, table_of_places
from .flame_tree import Node
from .markup import page, safe
from .timeline import Trace

MAX_TEXT: Final = 2000
MAX_DETAILS: Final = 60
MAX_VERDICTS: Final = 60
MAX_SITES: Final = 6
BAD: Final = ("LEAK", "cycle")
_VERDICT_STYLES: Final = {"LEAK": "bad", "cycle": "warn", "warming up": "soft", "steady": "good"}


class Verdict(Protocol):
    """What is shown of one place of birth; see `coshell.leaks.leak.Leak`."""

    @property
    def verdict(self) -> str: ...  # noqa: D102
    @property
    def born(self) -> str: ...  # noqa: D102
    @property
    def live(self) -> int: ...  # noqa: D102
    @property
    def finished(self) -> int: ...  # noqa: D102
    @property
    def heap(self) -> int: ...  # noqa: D102
    @property
    def grew(self) -> str: ...  # noqa: D102
    @property
    def rate(self) -> str: ...  # noqa: D102
    @property
    def because(self) -> str: ...  # noqa: D102
    @property
    def held_by(self) -> str | None: ...  # noqa: D102
    @property
    def allocated_at(self) -> str | None: ...  # noqa: D102
    @property
    def next(self) -> tuple[str, ...]: ...  # noqa: D102


@dataclass(frozen=True)
class Happening:
    """A claim, an error or a warning.

    Attributes:
        kind: `assert`, `wait`, `error` or `warning`.
        ok: whether it is as it should be.
        place: `file:line`.
        text: the claim as it was written, or the message.
        message: why it failed.
        details: what else is known, a line each.
        seconds: how long it waited; None if it did not.
    """

    kind: str
    ok: bool
    place: str
    text: str
    message: str = ""
    details: tuple[str, ...] = ()
    seconds: float | None = None


@dataclass
class RunOfFile:
    """What is known of the run of one file.

    Attributes:
        name: the file.
        happenings: claims, errors and warnings, in their order, as far as they are kept.
        left_out: how many claims that held are not among them.
        summary: what the summary event tells; None if it never came to that.
        heap: the heap of all coroutines over time.
        coroutines: how many lived.
        connections: how many connections were open.
        sites: the heap by place of birth, the largest first.
        moments: when something failed.
        verdicts: on every place of birth; None if there are none to be had.
        no_verdicts: why not.
        flames: live heap as trees, by what stands at their root.
        flame_error: how far off their sum may be, in bytes.
        no_flames: why there are none.
        level: what the ledger counted.
        exact: whether it counted every block.
    """

    name: str
    happenings: list[Happening] = field(default_factory=list)
    left_out: int = 0
    summary: Mapping[str, Any] | None = None
    heap: tuple[Point, ...] = ()
    coroutines: tuple[Point, ...] = ()
    connections: tuple[Point, ...] = ()
    sites: Sequence[Trace] = ()
    moments: list[Moment] = field(default_factory=list)
    verdicts: Sequence[Verdict] | None = None
    no_verdicts: str = "the run ended before they could be given"
    flames: Mapping[str, Node] = field(default_factory=dict)
    flame_error: int = 0
    no_flames: str = "the run ended before it could be drawn"
    level: str = ""
    exact: bool = False


def run_page(
    runs: Sequence[RunOfFile], refused: Sequence[Happening], exit_code: int | None, made: str
) -> str:
    """The whole page.

    Args:
        runs: the files that were run.
        refused: what was wrong with files that were not.
        exit_code: what the run ended with; None if nobody knows yet.
        made: when, and by what.
    """
    names = ", ".join(run.name for run in runs) or "nothing"
    passed = exit_code == 0
    word, style = ("passed", "good") if passed else ("failed", "bad")
    body = [
        "<header>",
        f'<h1><span class="word {style}">{word}</span> {safe(names[:MAX_TEXT])}</h1>',
        f"<p>{safe(_meaning(exit_code))} · {safe(made)}</p>",
        "</header>",
        "<main>",
        *(part for one in refused for part in _happening(one)),
        *(part for run in runs for part in _run(run, alone=len(runs) == 1)),
        "</main>",
        "<footer>Made by coshell run --report. Sizes count in 1024.</footer>",
    ]
    return page(f"{word}: {names[:200]}", body, ("curve.js", "flame.js"))


_MEANINGS: Final = {
    0: "everything held",
    1: "a command, an assertion or a transcript failed",
    2: "a mistake in a file, or a file that cannot be run",
    3: "a deadlock, or something that is denied",
    124: "timed out",
    130: "interrupted",
    141: "nobody read what was printed",
    143: "ended by a signal",
}


def _meaning(exit_code: int | None) -> str:
    if exit_code is None:
        return "ended by a signal"
    return f"exit code {exit_code}: {_MEANINGS.get(exit_code, 'as the file said')}"


def _run(run: RunOfFile, *, alone: bool) -> Iterator[str]:
    yield "<section>"
    if not alone:
        yield f"<h2>{safe(run.name)}</h2>"
    yield from _tiles(run)
    yield from (part for one in run.happenings if not one.ok for part in _happening(one))
    yield "<h2>Leaks</h2>"
    yield from _verdicts(run)
    yield "<h2>Timeline</h2>"
    yield from _timeline(run)
    yield "<h2>Claims</h2>"
    yield from _claims(run)
    yield "<h2>Live heap</h2>"
    yield from _flames(run)
    yield "</section>"


# -- at a glance -----------------------------------------------------------------------------------


def _tiles(run: RunOfFile) -> Iterator[str]:
    facts = run.summary
    if facts is None:
        return
    virtual = facts["virtual_seconds"]
    bad = sum(one.verdict in BAD for one in run.verdicts or ())
    heap, coroutines = facts["heap"], facts["coroutines"]
    peak = max([heap["peak"], *(point.value for point in run.heap)])
    tiles = [
        (str(Duration(facts["seconds"])), "real time" if virtual is None else f"{Duration(virtual)} virtual"),
        (str(Count(facts["asserts"])), "claims held"),
        (str(Count(facts["failed"])), "failed"),
        ("-" if run.verdicts is None else str(bad), "leaks and cycles"),
        (str(Count(coroutines["spawned"])), f"coroutines, {Count(coroutines['peak'])} at once"),
        (str(Bytes(peak)), f"heap at its peak{'' if run.exact else ', about'}"),
        (str(Count(facts["switches"])), "switches"),
    ]
    yield '<div class="tiles">'
    yield from (
        f'<div class="tile"><b>{safe(value)}</b><span>{safe(what)}</span></div>' for value, what in tiles
    )
    yield "</div>"


def _happening(one: Happening) -> Iterator[str]:
    style = "good" if one.ok else "warn" if one.kind == "warning" else "bad"
    yield '<div class="card">'
    yield f'<span class="word {style}">{safe(one.kind)}</span> <span class="code">{safe(one.place[:MAX_TEXT])}</span>'
    yield f"<p>{safe((one.message or one.text)[:MAX_TEXT])}</p>"
    if one.details:
        lines = [line[:MAX_TEXT] for line in one.details[:MAX_DETAILS]]
        more = [f"... and {len(one.details) - MAX_DETAILS} more"] if len(one.details) > MAX_DETAILS else []
        text = "\n".join(safe(line) for line in (*lines, *more))
        yield f'<pre tabindex="0">{text}</pre>'
    yield "</div>"


# -- leaks -----------------------------------------------------------------------------------------


def _verdicts(run: RunOfFile) -> Iterator[str]:
    if run.verdicts is None:
        yield f'<p class="none">No verdicts: {safe(run.no_verdicts)}.</p>'
        return
    bad = [one for one in run.verdicts if one.verdict in BAD]
    others = [one for one in run.verdicts if one.verdict not in BAD]
    if not bad:
        yield '<p class="none">No leak and no cycle was found.</p>'
    for one in bad[:MAX_VERDICTS]:
        yield from _bad_verdict(one)
    if len(bad) > MAX_VERDICTS:
        yield f'<p class="soft">and {len(bad) - MAX_VERDICTS} more of them</p>'
    if others:
        yield from _well(others)


def _bad_verdict(one: Verdict) -> Iterator[str]:
    yield '<div class="card">'
    yield f'<span class="word {_style(one)}">{safe(one.verdict)}</span> <span class="code">{safe(_text(one.born))}</span>'
    figures = [
        f"{one.live} live",
        f"{one.finished} ended",
        f"heap {one.heap}",
        f"growth {one.grew}",
        f"slope {one.rate}",
    ]
    yield f'<p class="soft">{safe(", ".join(figures))}</p>'
    yield f"<p>{safe(_text(one.because))}</p>"
    for what, value in (("held by", one.held_by), ("allocated at", one.allocated_at)):
        if value is not None:
            yield f'<p>{what} <span class="code">{safe(_text(value))}</span></p>'
    if one.next:
        yield f'<p class="soft">next: <span class="code">{safe(_text(" | ".join(one.next)))}</span></p>'
    yield "</div>"


def _well(verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield '<table class="verdicts"><thead><tr><th>verdict</th><th>coroutine (born at)</th>'
    yield '<th class="number">live</th><th class="number">ended</th><th class="number">heap</th></tr></thead><tbody>'
    for one in verdicts[:MAX_VERDICTS]:
        figures = "".join(
            f'<td class="number">{safe(value)}</td>' for value in (one.live, one.finished, one.heap)
        )
        yield f'<tr><td class="{_style(one)}">{safe(one.verdict)}</td><td class="code">{safe(_text(one.born))}</td>'
        yield f"{figures}</tr>"
    yield "</tbody></table>"
    if len(verdicts) > MAX_VERDICTS:
        yield f'<p class="soft">and {len(verdicts) - MAX_VERDICTS} more</p>'


def _style(one: Verdict) -> str:
    return _VERDICT_STYLES.get(one.verdict, "soft")


def _text(value: object) -> str:
    return str(value)[:MAX_TEXT]


# -- how it went -----------------------------------------------------------------------------------


def _timeline(run: RunOfFile) -> Iterator[str]:
    times = [point.at_s for points in (run.heap, run.coroutines) for point in points[:1] + points[-1:]]
    if not times:
        yield '<p class="none">Nobody looked.</p>'
        return
    span = Span(min(times), max(times))
    heap = "heap of all coroutines" + ("" if run.exact else ", by differences at switches")
    yield from curve(heap, run.heap, "heap", span, run.moments)
    if not run.heap:
        yield f'<p class="none">Heap is not traced at level {safe(run.level)}.</p>'
    yield from curve("coroutines", run.coroutines, "count", span, run.moments)
    yield from curve("connections", run.connections, "net", span, run.moments)
    sites = [trace for trace in run.sites if any(point.value for point in trace.points)][:MAX_SITES]
    if sites:
        yield "<h3>Heap by where coroutines were born</h3>"
    for trace in sites:
        yield from curve(trace.label, trace.points, "heap", span, small=True)


def _claims(run: RunOfFile) -> Iterator[str]:
    claims = [one for one in run.happenings if one.kind in {"assert", "wait"}]
    if not claims:
        yield '<p class="none">The file claims nothing.</p>'
        return
    yield '<table class="claims"><tbody>'
    for one in claims:
        style, word = ("good", "held") if one.ok else ("bad", "failed")
        waited = "" if one.seconds is None else f' <span class="soft">after {Duration(one.seconds)}</span>'
        yield f'<tr><td><span class="word {style}">{word}</span></td>'
        yield f'<td><span class="code">{safe(_text(one.text))}</span>{waited}<br><span class="soft">{safe(one.place)}</span></td></tr>'
    yield "</tbody></table>"
    if run.left_out:
        yield f'<p class="soft">and {plural(run.left_out, "more claim")} that held</p>'


def _flames(run: RunOfFile) -> Iterator[str]:
    if not run.flames:
        yield f'<p class="none">No flame graph: {safe(run.no_flames)}.</p>'
    for by, root in run.flames.items():
        error = f" (standard error {Bytes(run.flame_error)}, by sampling)" if run.flame_error else ""
        yield f"<h3>by {safe(by)}: {Bytes(root.heap_bytes)}{error} in {plural(root.heap_blocks, 'block')}</h3>"
        yield from flame(root)
    for root in [*run.flames.values()][:1]:
        yield from table_of_places(root)
