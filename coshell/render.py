"""Records become text: tables that fit any width, and JSON lines that any program can read.

A table never wraps. When it is too wide, columns go in the order of their `drop` (highest first);
then cells are cut in the middle, widest column first, because names differ at both ends. Numbers are cut
last: half a name is still a hint, half a number is a lie.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .text import cut, printable, width_of
from .values import Bytes, Count, Duration, Percent

GAP: Final = 2
SPARKS: Final = "▁▂▃▄▅▆▇█"
SPARKS_ASCII: Final = ".:-=+*#@"
MAX_JSON_INTEGER_BITS: Final = 14_000  # CPython writes no integer of more than 4,300 digits
NUMBERS: Final = (Bytes, Count, Duration, Percent, int, float)


@dataclass(frozen=True, slots=True)
class Column:
    """How one field of a record is shown.

    Attributes:
        field: the attribute, or the key, that it shows.
        header: what stands above it.
        align: `<` or `>`.
        drop: left out when the table is too wide, highest first; None never is.
        minimum: columns below which it is not cut.
    """

    field: str
    header: str
    align: str = "<"
    drop: int | None = None
    minimum: int = 4


def table(
    records: Sequence[Any],
    columns: Sequence[Column] | None = None,
    width: int = 80,
    *,
    ascii_only: bool = False,
    bytes_exact: bool = False,
) -> list[str]:
    """A header and a line for each record, none wider than `width`; nothing for no records.

    Args:
        records: dataclasses, named tuples, mappings or objects with attributes.
        columns: what to show; by default all fields of the first record.
        width: columns of the terminal.
        ascii_only: escape what is not ASCII, and cut with `~` instead of an ellipsis.
        bytes_exact: sizes in bytes instead of `71.2K`.
    """
    if not records:
        return []
    chosen = list(columns or columns_of(records[0]))
    rows = [[printable(column.header, keep="", ascii_only=ascii_only) for column in chosen]]
    for record in records:
        values = [value_of(record, column.field) for column in chosen]
        rows.append([cell(value, ascii_only=ascii_only, bytes_exact=bytes_exact) for value in values])
    widths = [max(map(width_of, texts)) for texts in zip(*rows, strict=True)]
    kept = _kept(chosen, widths, width)
    columns = [chosen[place] for place in kept]
    fitted = _fitted(columns, [widths[place] for place in kept], width)
    return [
        _line([row[place] for place in kept], fitted, columns, width, ascii_only=ascii_only) for row in rows
    ]


def _kept(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """The places of the columns that stay: the others are dropped until the table fits."""
    kept = list(range(len(columns)))
    while sum(widths[place] for place in kept) + GAP * (len(kept) - 1) > width:
        droppable = [place for place in kept if columns[place].drop is not None]
        if not droppable:
            break
        kept.remove(max(droppable, key=lambda place: columns[place].drop or 0))
    return kept


def _fitted(columns: Sequence[Column], widths: list[int], width: int) -> list[int]:
    """Widths that fit: the widest text gives first, down to its minimum; numbers only after all text."""
    excess = sum(widths) + GAP * (len(widths) - 1) - width
    while excess > 0:
        givers = [place for place, column in enumerate(columns) if widths[place] > column.minimum]
        if not givers:
            return widths
        givers = [place for place in givers if columns[place].align == "<"] or givers
        widest = max(givers, key=lambda place: widths[place])
        others = [widths[place] for place in givers if widths[place] < widths[widest]]
        floor = max([columns[widest].minimum, *others])
        given = min(excess, max(1, widths[widest] - floor))
        widths[widest] -= given
        excess -= given
    return widths


def _line(
    row: Sequence[str], widths: Sequence[int], columns: Sequence[Column], width: int, *, ascii_only: bool
) -> str:
    padded = []
    for text, size, column in zip(row, widths, columns, strict=True):
        shown = cut(text, size, ascii_only=ascii_only, middle=True)
        space = " " * (size - width_of(shown))
        padded.append(space + shown if column.align == ">" else shown + space)
    return cut((" " * GAP).join(padded).rstrip(), width, ascii_only=ascii_only)


def columns_of(record: Any) -> list[Column]:
    """A column for every field of a record, with its metadata's `column` where a dataclass gives one."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return [
            field.metadata.get("column") or _column_for(field.name, getattr(record, field.name))
            for field in dataclasses.fields(record)
        ]
    return [_column_for(name, value) for name, value in _fields(record).items()]


def _column_for(name: str, value: Any) -> Column:
    is_number = isinstance(value, NUMBERS) and not isinstance(value, bool)
    return Column(name, name.upper().replace("_", "-"), ">" if is_number else "<")


def _has_fields(record: Any) -> bool:
    is_record = isinstance(record, Mapping) or dataclasses.is_dataclass(record) or hasattr(record, "_asdict")
    return is_record and not isinstance(record, type)


def _fields(record: Any) -> dict[str, Any]:
    if not _has_fields(record):
        return {"value": record}
    if isinstance(record, Mapping):
        return {_text_of(key): value for key, value in record.items()}
    if dataclasses.is_dataclass(record):
        return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    named: dict[str, Any] = record._asdict()
    return named


def value_of(record: Any, field: str) -> Any:
    """A field of a record; None where it has none."""
    if isinstance(record, Mapping):
        return record[field] if field in record else _fields(record).get(field)
    return getattr(record, field, record if field == "value" else None)


def cell(value: Any, *, ascii_only: bool = False, bytes_exact: bool = False) -> str:
    """One value as one line of printable text; `-` for None."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Bytes) and bytes_exact:
        return str(int(value))
    if isinstance(value, float) and not isinstance(value, (Duration, Percent)):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(cell(item, ascii_only=ascii_only, bytes_exact=bytes_exact) for item in value) or "-"
    return printable(_text_of(value), keep="", ascii_only=ascii_only)


def _text_of(value: object) -> str:
    """`str` of a value that may be the user's: it may raise, and of an integer of 5,000 digits it does."""
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__}: its str raised {type(error).__name__}>"


def json_line(record: Any) -> str:
    """A record as one line of JSON, ASCII only; sizes and times as plain numbers, bytes as Latin-1 text."""
    return json.dumps(jsonable(record), ensure_ascii=True, allow_nan=False)


def jsonable(value: Any) -> Any:
    """`value` made of what JSON knows; what it cannot say becomes its text, what holds itself `...`."""
    return _jsonable(value, frozenset())


def _jsonable(value: Any, inside: frozenset[int]) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() < MAX_JSON_INTEGER_BITS else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("latin-1")
    if id(value) in inside:
        return "..."
    inside |= {id(value)}
    if _has_fields(value):
        return {key: _jsonable(item, inside) for key, item in _fields(value).items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_jsonable(item, inside) for item in value]
    return _text_of(value)


def sparkline(values: Sequence[float], *, ascii_only: bool = False) -> str:
    """A row of bars, one per value, scaled between the smallest and the largest."""
    if not values:
        return ""
    marks = SPARKS_ASCII if ascii_only else SPARKS
    low, high = min(values), max(values)
    if high <= low:
        return marks[0] * len(values)
    return "".join(marks[int((value - low) / (high - low) * (len(marks) - 1))] for value in values)
