"""Results as a page for the repository: the machine, every ratio with its spread, what was to be reached, and why not.

What falls short is explained by hand: `explanations.txt`, beside this file, has a section for a measure, begun by its
name in brackets. The page takes over the sections of those measures that fall short, and of those that are `always`
to be explained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .contenders import OURS, OURS_HTTP, UNCOUNTED
from .figures import Spread, digits
from .machine import Machine
from .rounds import Result
from .table import EXPLANATION, span

EXPLANATIONS = Path(__file__).with_name("explanations.txt")
ALWAYS = ", always"  # behind the name: to be said even if it does not fall short
PER_CPU_SECOND = (
    "Rates over sockets stand twice: against the clock, and per second of the server's own CPU time, which does not "
    "depend on who else wants the core. Server and load generator have a core each; where the generator is the "
    "busier of the two, it is what the first of these tells of, and only the second compares the servers."
)

HEADINGS = {OURS: "Ratios", OURS_HTTP: "HTTP", UNCOUNTED: "What accounting costs"}
ACCOUNTING = (
    "coloop at level `off` against coloop at its other levels (`exact` is `sites` with every block noted), and "
    "against itself under other tools: so many times as much does it cost there. `tracemalloc` keeps one line for "
    "each block, `tracemalloc10` ten frames; `memray` as it comes sees no single objects, `memray_objects` does. All "
    "but the echo is CPU time, of a process for each sample."
)
REQUESTS = (
    "GET of 13 bytes over connections that are kept, by `wrk -t1`. With one worker, server and wrk have a core each; two "
    "workers share all cores with wrk, so on a machine of two cores the row tells how well three share two."
)
BELOW = {OURS_HTTP: REQUESTS, UNCOUNTED: ACCOUNTING}


def page(machine: Machine, results: Sequence[Result], notes: Sequence[str]) -> str:
    """The whole of it, in Markdown."""
    lines = [
        "# Results",
        "",
        "Written by `python -m bench --markdown bench/RESULTS.md`; the explanations come from",
    ]
    lines += ["`bench/explanations.txt`.", ""]
    lines += [f"* {label}: {text}" for label, text in machine.lines()]
    lines += ["", EXPLANATION, *_ratios(results)]
    known = explanations()
    lines += [*_reach(results), *_explained(results, known), *_said_always(results, known)]
    lines += _at_work(results)
    if notes:
        lines += ["", "## Notes", "", *(f"* {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def explanations(path: Path = EXPLANATIONS) -> dict[str, str]:
    """By measure, what is to be said if it falls short; lines before the first section are for who writes them."""
    found: dict[str, list[str]] = {}
    section: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = found.setdefault(line[1:-1], [])
        else:
            section.append(line)
    return {name: "\n".join(lines).strip() for name, lines in found.items()}


def wanted(result: Result) -> Iterator[tuple[str, str, str, str, bool]]:
    """Each thing that the design asks of this row: against whom, what was found, its spread, the bound, reached or not."""
    bound = result.row.at_most
    if bound is not None:
        found = result.ours.figure
        yield (
            "",
            f"{digits(found.median)} {result.row.unit}",
            span(found),
            f"at most {bound:g}",
            found.median <= bound,
        )
    for peer in result.peers:
        reached = result.reached(peer)
        if reached is not None:
            low, high = result.row.reach[peer.contender]
            text = f"at most {high:.3g} x" if low == 0 else f"{low:.3g} x"
            ratio = result.ratio(peer)
            yield peer.contender, f"{digits(ratio.median)} x", span(ratio), text, reached
        share = result.share(peer)
        if share is not None:
            other, most = result.row.share[peer.contender]
            part = f"{digits(share.median)} of the extra cost of {other}"
            yield peer.contender, part, span(share), f"at most {most:g}", result.shared(peer) is True


def _ratios(results: Sequence[Result]) -> list[str]:
    lines: list[str] = []
    for ours, heading in HEADINGS.items():
        compared = [result for result in results if result.row.compared and result.ours.contender == ours]
        if not compared and ours != OURS:
            continue
        peers = list(dict.fromkeys(peer.contender for result in compared for peer in result.peers))
        rows = [_ratio_cells(result, peers) for result in compared]
        lines += ["", f"## {heading}", "", *([BELOW[ours], ""] if ours in BELOW else [])]
        lines += _table(["measure", ours, *(f"x {peer}" for peer in peers)], rows)
    return lines


def _ratio_cells(result: Result, peers: Sequence[str]) -> list[str]:
    ours = result.ours.figure
    cells = [result.row.title, f"{digits(ours.median)} {result.row.unit}{_in_brackets(ours)}"]
    by_name = {peer.contender: peer for peer in result.peers}
    for name in peers:
        found = result.ratio(by_name[name]) if name in by_name else None
        cells.append("" if found is None else f"**{digits(found.median)}**{_in_brackets(found)}")
    return cells


def _in_brackets(found: Spread) -> str:
    return f" ({span(found)})" if span(found) else ""


def _reach(results: Sequence[Result]) -> list[str]:
    rows = [
        [result.row.title, against, found, spread, bound, "yes" if reached else "**short**"]
        for result in results
        for against, found, spread, bound, reached in wanted(result)
    ]
    head = ["measure", "against", "found", "spread", "reach", "reached"]
    return ["", "## What was to be reached", "", *_table(head, rows)] if rows else []


def _explained(results: Sequence[Result], known: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    for measure in dict.fromkeys(result.measure for result in results):
        short = [
            f"* {result.row.title}: {found}{against and f' {against}'}; asked for: {bound}"
            for result in results
            if result.measure == measure
            for against, found, _, bound, reached in wanted(result)
            if not reached
        ]
        if short:
            lines += ["", f"### {measure}", "", *short, "", known.get(measure) or "Not explained yet."]
    return ["", "## What falls short, and why", *lines] if lines else []


def _said_always(results: Sequence[Result], known: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    for measure in dict.fromkeys(result.measure for result in results):
        if measure + ALWAYS in known:
            lines += ["", f"### {measure}", "", known[measure + ALWAYS]]
    return ["", "## What else is to be known", *lines] if lines else []


def _at_work(results: Sequence[Result]) -> list[str]:
    told = [result for result in results if not result.row.compared]
    names = list(dict.fromkeys(found.contender for result in told for found in (result.ours, *result.peers)))
    rows = []
    for result in told:
        by_name = {found.contender: found for found in (result.ours, *result.peers)}
        unit = result.row.unit
        cells = [f"{digits(by_name[name].figure.median)} {unit}" if name in by_name else "" for name in names]
        rows.append([result.row.title, *cells])
    head = ["", "## Who was at work", "", PER_CPU_SECOND, ""]
    return [*head, *_table(["of its core", *names], rows)] if rows else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    every = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return every + ["| " + " | ".join(row) + " |" for row in rows]
