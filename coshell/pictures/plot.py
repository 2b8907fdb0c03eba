"""Several curves are shown one below the other, over the same seconds: without colours lines would be mistaken.

Each has its own sizes and a line that tells the figures, because the picture answers how it went and not how much.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from coshell.text import cut, printable
from coshell.values import Bytes, Duration, rate_text

from .chart import chart
from .curve import Point
from .timeline import Trace

ROWS_OF_ONE: Final = 10
ROWS_OF_SEVERAL: Final = 5


@dataclass(frozen=True)
class Plotted:
    """The heap of somebody over time.

    Attributes:
        name: a coroutine's name, a place of birth, or `all coroutines`.
        id: the coroutine's number; None for several.
        site: where it was born.
        now: bytes at the end.
        peak: the most that was seen, in bytes.
        rate: how fast it grew over what is shown, in bytes per second; None of a single point.
        seconds: when each value was so, on the scheduler's clock.
        bytes: the values.
    """

    name: str
    id: int | None
    site: str
    now: Bytes
    peak: Bytes
    rate: float | None
    seconds: tuple[float, ...]
    bytes: tuple[int, ...]

    @classmethod
    def of(cls, trace: Trace, since_s: float | None = None) -> Plotted | None:
        """What is to be seen of somebody from a moment on; None for nothing."""
        points = tuple(point for point in trace.points if since_s is None or point.at_s >= since_s)
        if not points:
            return None
        first, last = points[0], points[-1]
        seconds = last.at_s - first.at_s
        return cls(
            name=trace.name,
            id=trace.id,
            site=trace.site,
            now=Bytes(last.value),
            peak=Bytes(max(point.value for point in points)),
            rate=(last.value - first.value) / seconds if seconds > 0 else None,
            seconds=tuple(point.at_s for point in points),
            bytes=tuple(point.value for point in points),
        )

    @property
    def points(self) -> tuple[Point, ...]:
        """The curve."""
        return tuple(Point(at_s, value) for at_s, value in zip(self.seconds, self.bytes, strict=True))


class Plot(list[Plotted]):
    """Curves that know how they want to be shown.

    Attributes:
        width: columns; None is all that there are.
        ascii_only: draw with ASCII.
        footer: the lines below.
    """

    def __init__(
        self,
        curves: Iterable[Plotted],
        *,
        width: int | None = None,
        ascii_only: bool = False,
        footer: Sequence[str] = (),
    ) -> None:
        super().__init__(curves)
        self.width = width
        self.ascii_only = ascii_only
        self.footer = tuple(footer)

    def lines(self, width: int) -> list[str]:
        """All curves, none of their lines wider than the screen, or than was asked for."""
        width = width if self.width is None else self.width
        rows = ROWS_OF_ONE if len(self) == 1 else ROWS_OF_SEVERAL
        first_s = min((curve.seconds[0] for curve in self), default=0.0)
        last_s = max((curve.seconds[-1] for curve in self), default=0.0)
        lines: list[str] = []
        for curve in self:
            lines.append(cut(self._title(curve), width, ascii_only=self.ascii_only))
            lines += chart(
                curve.points, width, rows, first_s=first_s, last_s=last_s, ascii_only=self.ascii_only
            )
        return [*lines, *(cut(line, width, ascii_only=self.ascii_only) for line in self.footer)]

    def _title(self, curve: Plotted) -> str:
        name = curve.name if curve.id is None else f"co#{curve.id} {curve.name}"
        figures = [f"now {curve.now}", f"peak {curve.peak}"]
        if curve.rate is not None:
            span = Duration(curve.seconds[-1] - curve.seconds[0])
            figures.append(f"{rate_text(curve.rate)} over {span}")
        return printable(f"{name}  {', '.join(figures)}", keep="", ascii_only=self.ascii_only)

    def __repr__(self) -> str:
        return "\n".join(self.lines(100)) or "[]"


def lines_of(shown: Plot, width: int) -> list[str]:
    """Curves as the command shows them."""
    return shown.lines(width)
