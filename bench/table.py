"""Results as text for the terminal: a line for each peer."""

from __future__ import annotations

from collections.abc import Sequence

from .figures import Spread, digits
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


def share_of(result: Result, peer: Finding) -> str:
    """As `reach_of`, for the part of another one's extra cost."""
    share = result.share(peer)
    if share is None:
        return ""
    other, most = result.row.share[peer.contender]
    short = "" if result.shared(peer) else ": short"
    return f"{digits(share.median)} of what {other} costs extra, reach at most {most:g}{short}"


def bound_of(result: Result) -> str:
    """As `reach_of`, for a bound on coloop's own figure."""
    bound = result.row.at_most
    if bound is None:
        return ""
    short = "" if result.ours.figure.median <= bound else ": short"
    return f"reach at most {bound:g}{short}"


def lines_of(result: Result) -> list[tuple[str, ...]]:
    """The cells of one result: ratio, peer, spread, the peer's figure, reach."""
    if not result.row.compared:
        return []
    return [
        (
            f"{digits(found.median)} x",
            peer.contender,
            span(found),
            f"{digits(peer.figure.median)} {result.row.unit}",
            "; ".join(filter(None, (reach_of(result, peer), share_of(result, peer)))),
        )
        for peer in result.peers
        for found in (result.ratio(peer),)
    ]


def figures_of(findings: Sequence[Finding], unit: str) -> str:
    """What each of them found, with nothing compared."""
    return "".join(f", {found.contender} {digits(found.figure.median)} {unit}" for found in findings)


def table(results: Sequence[Result]) -> str:
    """All results: each row of the measures with coloop's figure, below it a line for each peer."""
    every = [line for result in results for line in lines_of(result)]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)] if every else []
    text = []
    for result in results:
        ours = f"{digits(result.ours.figure.median)} {result.row.unit}"
        others = "" if result.row.compared else figures_of(result.peers, result.row.unit)
        name = result.ours.contender
        text.append(f"{result.row.title}: {name} {ours}{others}  {bound_of(result)}".rstrip())
        text += [f"  {name} is {_aligned(line, widths)}".rstrip() for line in lines_of(result)]
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
