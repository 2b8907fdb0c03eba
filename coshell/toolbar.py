"""One line says how the scheduler fares; when there is no room for all of it, the most telling part stays.

The bar is made of segments in the order of their worth. Each has forms of different length; as the terminal
gets narrower, the segments at the right end change to shorter forms, then go. What the bar
shows can be had from a command too (`status`, `ps`, `conns`): it is invisible on some terminals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .monitor import Sample, ServerLine, label
from .render import sparkline
from .text import cut, printable, width_of
from .values import Bytes, Duration, rate_text

SEPARATOR: Final = " | "
HOG_STYLE: Final = "class:bar.alarm"
WARN_STYLE: Final = "class:bar.warn"
PLAIN_STYLE: Final = "class:bar"
MAX_NAME_WIDTH: Final = 16
MAX_SERVERS: Final = 3
LAG_WARN_S: Final = 0.1

Fragments = list[tuple[str, str]]


@dataclass(frozen=True)
class Segment:
    """One fact of the bar.

    Attributes:
        forms: the fact in words, the longest first; the bar shows one of them or none.
        style: how it is coloured.
    """

    forms: tuple[str, ...]
    style: str = PLAIN_STYLE

    def printable(self) -> Segment:
        """The same with nothing in it that a terminal would obey."""
        return Segment(tuple(printable(form, keep="") for form in self.forms), self.style)


def fragments(sample: Sample | None, width: int, *, ascii_only: bool = False) -> Fragments:
    """The bar as styled text, not wider than `width` columns; nothing if there is no room for a fact."""
    if sample is None:
        return []
    wanted = [segment.printable() for segment in segments(sample, ascii_only=ascii_only)]
    return _joined(_fitted(wanted, width - 2))


def segments(sample: Sample, *, ascii_only: bool = False) -> Iterator[Segment]:
    """All facts, the most important first."""
    yield from _hog(sample)
    yield _counts(sample)
    yield from _warnings(sample)
    stack = f"stack {Bytes(sample.stack_bytes)}"
    yield Segment((f"{stack}/{sample.stack_frames}", stack))
    yield _heap(sample, ascii_only=ascii_only)
    yield Segment((f"rss {Bytes(sample.rss_bytes)}",))
    yield Segment(
        (f"lag {Duration(sample.lag_s)}",), WARN_STYLE if sample.lag_s >= LAG_WARN_S else PLAIN_STYLE
    )
    yield from (_server(server) for server in sample.servers[:MAX_SERVERS])
    if len(sample.servers) > MAX_SERVERS:
        yield Segment((f"+{len(sample.servers) - MAX_SERVERS} servers",))
    yield from (Segment((text,)) for text in sample.segments)
    yield Segment((f"F1 help  F2 {sample.snapshot.level}", f"F2 {sample.snapshot.level}"))


def _hog(sample: Sample) -> Iterator[Segment]:
    hog = sample.snapshot.hog
    if hog is not None:
        who, ran_for = cut(label(hog), MAX_NAME_WIDTH), Duration(round(hog.running_for_s, 1))
        yield Segment((f"HOG {who} {ran_for} (^C)", f"HOG {who} {ran_for}", f"HOG co#{hog.id}"), HOG_STYLE)


def _counts(sample: Sample) -> Segment:
    snapshot = sample.snapshot
    return Segment((f"RUN {snapshot.live - snapshot.waiting} WAIT {snapshot.waiting}",))


def _warnings(sample: Sample) -> Iterator[Segment]:
    if sample.findings:
        lints = ", ".join(dict.fromkeys(finding.lint for finding in sample.findings))
        yield Segment(
            (f"!{len(sample.findings)} {cut(lints, MAX_NAME_WIDTH)}", f"!{len(sample.findings)}"), WARN_STYLE
        )


def _heap(sample: Sample, *, ascii_only: bool) -> Segment:
    if sample.snapshot.heap_bytes is None:
        return Segment((f"heap {sample.snapshot.level}",))
    now = f"heap {Bytes(sample.snapshot.heap_bytes)}"
    rate = f" {rate_text(sample.heap_rate)}" if sample.heap_rate else ""
    curve = (
        f" {sparkline(sample.heap_history, ascii_only=ascii_only)}" if len(sample.heap_history) > 1 else ""
    )
    return Segment((f"{now}{curve}{rate}", f"{now}{rate}", now))


def _server(server: ServerLine) -> Segment:
    port = server.address.rpartition(":")[2]
    address = f":{port}" if port.isdigit() else cut(server.address, MAX_NAME_WIDTH)
    name = cut(server.name, MAX_NAME_WIDTH)
    counts = f"{server.workers}w {server.clients}c" if server.workers else f"{server.clients}c"
    return Segment(
        tuple(" ".join(filter(None, words)) for words in ((name, address, counts), (address, counts)))
    )


def _fitted(wanted: list[Segment], width: int) -> list[tuple[str, str]]:
    """One form of each segment, as (style, text); the rightmost are shortened, then left out, until all fit."""
    chosen = [(segment, 0) for segment in wanted]
    while chosen and _width_of(chosen) > width:
        segment, form = chosen.pop()
        if form + 1 < len(segment.forms):
            chosen.append((segment, form + 1))
    return [(segment.style, segment.forms[form]) for segment, form in chosen]


def _width_of(chosen: list[tuple[Segment, int]]) -> int:
    return width_of(SEPARATOR.join(segment.forms[form] for segment, form in chosen))


def _joined(texts: list[tuple[str, str]]) -> Fragments:
    between = (PLAIN_STYLE, SEPARATOR)
    line = [fragment for text in texts for fragment in (between, text)][1:]
    return [(PLAIN_STYLE, " "), *line, (PLAIN_STYLE, " ")] if line else []
