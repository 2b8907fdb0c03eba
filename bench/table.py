"""Results as text: a line for each peer, in the terminal; a row for each measure, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from .contenders import OURS
from .figures import Spread, digits
from .machine import Machine
from .rounds import Finding, Result

EXPLANATION = (
    "A ratio above 1 means that coloop is better (less time, less memory, more messages): the median over the rounds, "
    "with the least and the greatest beside it. All contenders of a measure took turns within one run."
)


def span(found: Spread) -> str:
    """What the ratios of the single rounds lie between; nothing if there was only one."""
    return "" if found.low == found.high else f"{digits(found.low)} - {digits(found.high)}"


def reach_of(result: Result, peer: Finding) -> str:
    """What the design asks for, and `short` if that is not the case."""
    wanted = result.row.reach.get(peer.contender)
    if wanted is None:
        return ""
    low, high = wanted
    bound = f"reach at most {high:.3g}" if low == 0 else f"reach {low:.3g}"
    return bound if result.reached(peer) else f"{bound}: short"


def bound_of(result: Result) -> str:
    """As `reach_of`, for a bound on coloop's own figure."""
    bound = result.row.at_most
    if bound is None:
        return ""
    short = "" if result.ours.figure.median <= bound else ": short"
    return f"reach at most {bound:g}{short}"


def lines_of(result: Result) -> list[tuple[str, ...]]:
    """The cells of one result: ratio, peer, spread, the peer's figure, reach."""
    return [
        (
            f"{digits(found.median)} x",
            peer.contender,
            span(found),
            f"{digits(peer.figure.median)} {result.row.unit}",
            reach_of(result, peer),
        )
        for peer in result.peers
        for found in (result.ratio(peer),)
    ]


def table(results: Sequence[Result]) -> str:
    """All results: each row of the measures with coloop's figure, below it a line for each peer."""
    every = [line for result in results for line in lines_of(result)]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)] if every else []
    text = []
    for result in results:
        ours = f"{digits(result.ours.figure.median)} {result.row.unit}"
        text.append(f"{result.row.title}: coloop {ours}  {bound_of(result)}".rstrip())
        text += [f"  coloop is {_aligned(line, widths)}".rstrip() for line in lines_of(result)]
    return "\n".join(text)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    ratio, peer, spread, figure, reach = line
    cells = (
        ratio.rjust(widths[0]),
        peer.ljust(widths[1]),
        spread.rjust(widths[2]),
        figure.rjust(widths[3]),
        reach,
    )
    return "  ".join(cells)


def markdown(machine: Machine, results: Sequence[Result], notes: Sequence[str]) -> str:
    """A page: what was measured, on what, and every ratio with its spread."""
    peers = list(dict.fromkeys(peer.contender for result in results for peer in result.peers))
    head = ["measure", OURS, *(f"x {peer}" for peer in peers)]
    lines = ["# Results", "", "Written by `python -m bench --markdown FILE`.", ""]
    lines += [f"* {label}: {text}" for label, text in machine.lines()]
    lines += ["", EXPLANATION, ""]
    lines += ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join(_cells(result, peers)) + " |" for result in results]
    if notes:
        lines += ["", *(f"* {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def _cells(result: Result, peers: Sequence[str]) -> list[str]:
    cells = [result.row.title, f"{digits(result.ours.figure.median)} {result.row.unit}"]
    by_name = {peer.contender: peer for peer in result.peers}
    for name in peers:
        if name not in by_name:
            cells.append("")
            continue
        found = result.ratio(by_name[name])
        cells.append(f"**{digits(found.median)}** {f'({span(found)})' if span(found) else ''}".rstrip())
    return cells
