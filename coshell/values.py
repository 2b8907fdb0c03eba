"""Typed cells: numbers that know their unit, so that they can be shown, sorted and made JSON of.

They are plain ints and floats to whoever computes with them; only `str()` speaks to people.
Sizes count in 1024, as ncat and Erlang's tools do, and durations are shown as tokio-console
shows them: two units at most, and no more digits than a reader can use.
"""

from __future__ import annotations

import math
import re
from typing import Final

_SIZE_UNITS: Final = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_TIME_UNITS: Final = {"us": 1e-6, "ms": 1e-3, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER: Final = re.compile(r"(?P<number>\d+(?:\.\d*)?|\.\d+)\s?(?P<unit>[a-zA-Z]*)", re.ASCII)
_BETWEEN_TWO_UNITS: Final = re.compile(r"(?<=\d[dhm])(?=\d\d[hms]$)", re.ASCII)
# A format that only pads is meant for people, so it gets the unit.
_ALIGNS: Final = re.compile(r"(.?[<>^])?\d*")


class Bytes(int):
    """A size. `str` gives `71.2K`; below 1024 the plain number."""

    def __str__(self) -> str:
        size = abs(int(self))
        sign = "-" if self < 0 else ""
        if size < 1024:
            return f"{sign}{size}"
        for unit, factor in (("K", 1024), ("M", 1024**2), ("G", 1024**3)):
            if round(size / factor, 1) < 1024:
                return f"{sign}{size / factor:.1f}{unit}"
        return f"{sign}{size / 1024**4:.1f}T"

    def __format__(self, spec: str) -> str:
        return format(str(self) if _ALIGNS.fullmatch(spec) else int(self), spec)


class Count(int):
    """A number of things. `str` groups thousands from 10,000 on: `1204`, `413,986`."""

    def __str__(self) -> str:
        return f"{int(self):,}" if abs(self) >= 10_000 else f"{int(self)}"

    def __format__(self, spec: str) -> str:
        return format(str(self) if _ALIGNS.fullmatch(spec) else int(self), spec)


class Duration(float):
    """Seconds. `str` gives `418us`, `2ms`, `1.2s`, `43m02s`, `14h32m`, `12d03h`, `102d`."""

    def __str__(self) -> str:
        if not math.isfinite(self):
            return f"{float(self)}"
        if self < 0:
            return f"-{Duration(-self)}"
        if round(self, 1) >= 60:
            return _in_two_units(round(self))
        if round(self * 1e3) >= 1000:
            return f"{self:.1f}".removesuffix(".0") + "s"
        if round(self * 1e6) >= 1000:
            return f"{round(self * 1e3)}ms"
        return f"{round(self * 1e6)}us" if self else "0s"

    def __format__(self, spec: str) -> str:
        return format(str(self) if _ALIGNS.fullmatch(spec) else float(self), spec)


class Percent(float):
    """A share of a hundred. `str` gives `3.1%`."""

    def __str__(self) -> str:
        return f"{float(self):.1f}%"

    def __format__(self, spec: str) -> str:
        return format(str(self) if _ALIGNS.fullmatch(spec) else float(self), spec)


def _in_two_units(seconds: int) -> str:
    if seconds >= 100 * 86400:
        return f"{seconds // 86400}d"
    for big, small, size, part in (("d", "h", 86400, 3600), ("h", "m", 3600, 60), ("m", "s", 60, 1)):
        if seconds >= size:
            return f"{seconds // size}{big}{seconds % size // part:02}{small}"
    return f"{seconds}s"


def rate_text(bytes_per_s: float) -> str:
    """A rate with its sign: `+40.1K/s`."""
    return f"{'-' if bytes_per_s < 0 else '+'}{Bytes(round(abs(bytes_per_s)))}/s"


def parse_size(text: str) -> int:
    """Read `64K`, `2M`, `1.5G` or a plain number as bytes.

    Raises:
        ValueError: it is no size.
    """
    number, unit = _split(text, _SIZE_UNITS, "size", "64K")
    return int(number * unit)


def parse_duration(text: str) -> float:
    """Read `300ms`, `5s`, `2m`, `1h`, `43m02s` or a plain number as seconds.

    Raises:
        ValueError: it is no duration.
    """
    parts = [
        _split(part, _TIME_UNITS, "duration", "300ms") for part in _BETWEEN_TWO_UNITS.split(text.strip())
    ]
    return sum(number * unit for number, unit in parts)


def _split(
    text: str, units: dict[str, float] | dict[str, int], what: str, example: str
) -> tuple[float, float]:
    found = _NUMBER.fullmatch(text.strip())
    unit = units.get(found["unit"].lower()) if found else None
    if found is None or unit is None or len(text) > 40:
        raise ValueError(f"not a {what}: {text[:40]!r} (as in {example})")
    return float(found["number"]), unit
