"""What was printed is held against what should have been printed, hole by hole.

An expected line is a pattern. `...` alone stands for any number of lines, `[..]` for any text within a
line, and `[NAME]` for some text that must be the same wherever the name comes again: a port, an id.
Blanks at the end of a line, and empty lines at the end of the output, count for nothing, because
editors remove them.

A hole takes as little as it can: the place where the text behind it first fits is where it ends, and
that is never taken back. So a comparison costs as much as the output is long, and no pattern can make
it explode.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import groupby, zip_longest
from typing import Final

PROMPT: Final = "co> "
CONTINUATION: Final = "..> "
ANY_LINES: Final = "..."
ANY_TEXT: Final = "[..]"

MAX_ALIGNED: Final = 250_000  # pairs of lines; 500 by 500 take half a second
MAX_TOKENS: Final = 2_000
MAX_DIFF_ROWS: Final = 24
CONTEXT_ROWS: Final = 2

# What a pairing pays for a pattern that no line fits, a line more than there are patterns, a line in a
# `...`. Far apart, so that no number of the lesser outweighs one of the greater.
_MISSING: Final = 1 << 40
_EXTRA: Final = 1 << 20
_ABSORBED: Final = 1

_HOLE: Final = re.compile(r"\[(?:\.\.|([A-Z][A-Z0-9_]*))\]")
_BRACES_OR_HOLE: Final = re.compile(r"\{[^{}]*\}|\[([A-Z][A-Z0-9_]*)\]")
_TOKEN: Final = re.compile(rf"{_HOLE.pattern}|\w+|\s+|[^\w\s]")
_MISREAD: Final = re.compile(r"co>(?: |$)|\.\.>(?: |$)|@\w|#|\s*(?:```|~~~)|\s*\.\.\.\s*$")

Holes = Mapping[str, str]


def match(expected: Sequence[str], actual: Sequence[str], holes: Holes) -> dict[str, str] | None:
    """Whether the output is as expected.

    Args:
        expected: patterns, one a line.
        actual: the lines that were printed.
        holes: what the named holes stand for so far.

    Returns:
        What they stand for now; None if the output is different.
    """
    lines = _without_blank_end(actual)
    head, *rest = _blocks(_without_blank_end(expected))
    bound = _match_block(head, lines[: len(head)] if rest else lines, holes)
    at = len(head)
    if not rest:
        return bound
    *middle, tail = rest
    for block in middle:
        if bound is None:
            return None
        at, bound = _find_block(block, lines, at, bound)
    if bound is None or len(lines) - at < len(tail):
        return None
    return _match_block(tail, lines[len(lines) - len(tail) :], bound)


def difference(expected: Sequence[str], actual: Sequence[str], holes: Holes, first_line: int) -> list[str]:
    """The lines that differ, each with its number in the file, and some lines around them.

    Args:
        expected: patterns, one a line.
        actual: the lines that were printed.
        holes: what the named holes stand for so far.
        first_line: the number of the first pattern's line.
    """
    rows = _align(expected, actual, holes)
    shown = _near_changes(rows)
    number = first_line
    result: list[str] = []
    skipped = False
    for row, near in zip(rows, shown, strict=True):
        if near and len(result) < MAX_DIFF_ROWS:
            if skipped and result:
                result.append("      --")
            result.append(_diff_line(row, number))
        skipped = not near
        number += row.starts_pattern
    if sum(shown) > MAX_DIFF_ROWS:
        result.append(f"      {sum(shown) - MAX_DIFF_ROWS} more")
    return result + [f"      [{name}] is {holes[name]!r}" for name in _bound_names_in(rows, holes)]


def updated(expected: Sequence[str], actual: Sequence[str], holes: Holes) -> tuple[str, ...]:
    """Expectations that the output meets, with the old holes wherever they still fit.

    Args:
        expected: the old patterns, one a line; may be empty.
        actual: the lines that were printed.
        holes: what the named holes stand for so far.
    """
    patterns = tuple(_patterns_of(_align(expected, actual, holes), holes))
    if match(patterns, actual, holes) is not None:
        return patterns
    return tuple(as_expected(line) for line in _without_blank_end(actual))


def filled(text: str, holes: Holes) -> str:
    """A typed line in which the names of known holes are replaced by their text, outside `{...}`."""

    def fill(found: re.Match[str]) -> str:
        return holes.get(found[1] or "", found[0])

    return _BRACES_OR_HOLE.sub(fill, text)


def with_any_holes(text: str) -> str:
    """A typed line as it could read when all holes in it are known: each is `0`."""
    return _BRACES_OR_HOLE.sub(lambda found: "0" if found[1] else found[0], text)


def typed(source: str) -> list[str]:
    """A command or block as it stands in a transcript, with prompts."""
    first, *rest = source.split("\n")
    return [(PROMPT + first).rstrip(), *((CONTINUATION + line).rstrip() for line in rest)]


def as_expected(line: str) -> str:
    """A pattern for exactly this line of output, or for a little more where it would be misread."""
    pattern = _HOLE.sub(lambda _: ANY_TEXT, line).rstrip()
    return ANY_TEXT + pattern if _MISREAD.match(line) else pattern


def _is_any(pattern: str) -> bool:
    return pattern.strip() == ANY_LINES


# -- lines against patterns ----------------------------------------------------------------------


def _without_blank_end(lines: Sequence[str]) -> Sequence[str]:
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return lines[:end]


def _blocks(expected: Sequence[str]) -> list[list[str]]:
    """The patterns between the `...` lines."""
    blocks: list[list[str]] = [[]]
    for pattern in expected:
        if _is_any(pattern):
            blocks.append([])
        else:
            blocks[-1].append(pattern)
    return blocks


def _find_block(
    block: Sequence[str], lines: Sequence[str], start: int, holes: Holes
) -> tuple[int, dict[str, str] | None]:
    """The end of the first place where all of a block fits, and the holes then."""
    for at in range(start, len(lines) - len(block) + 1):
        bound = _match_block(block, lines[at : at + len(block)], holes)
        if bound is not None:
            return at + len(block), bound
    return start, None


def _match_block(block: Sequence[str], lines: Sequence[str], holes: Holes) -> dict[str, str] | None:
    if len(block) != len(lines):
        return None
    bound = dict(holes)
    for pattern, line in zip(block, lines, strict=True):
        found = _match_line(pattern, line, bound)
        if found is None:
            return None
        bound.update(found)
    return bound


def _match_line(pattern: str, line: str, holes: Holes) -> dict[str, str] | None:
    """What the new holes of one pattern stand for; None if the line does not fit it."""
    pattern, line = pattern.rstrip(), line.rstrip()
    names = {found[1] for found in _HOLE.finditer(pattern)}
    if not names:
        return {} if pattern == line else None
    known = tuple((name, holes[name]) for name in sorted(names - {None}) if name in holes)
    fits = _compiled(pattern, known).fullmatch(line)
    return None if fits is None else fits.groupdict()


@lru_cache(maxsize=1024)
def _compiled(pattern: str, known: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    """A regular expression for a pattern; each hole but the last is atomic together with what follows it."""
    head, holes = _pieces(pattern, dict(known))
    *others, last = holes or [""]
    return re.compile(head + "".join(f"(?>{hole})" for hole in others) + last, re.DOTALL)


def _pieces(pattern: str, values: Holes) -> tuple[str, list[str]]:
    """The fixed text before the first open hole, then each open hole with the fixed text behind it."""
    pieces = [""]
    end, seen = 0, set[str]()
    for found in _HOLE.finditer(pattern):
        pieces[-1] += re.escape(pattern[end : found.start()])
        end, name = found.end(), found[1]
        if name is None:
            pieces.append(".*?")
        elif name in values:
            pieces[-1] += re.escape(values[name])
        elif name in seen:
            pieces[-1] += f"(?P={name})"
        else:
            pieces.append(f"(?P<{name}>.+?)")
            seen.add(name)
    pieces[-1] += re.escape(pattern[end:])
    return pieces[0], pieces[1:]


# -- both side by side ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """A pattern and a line that belong together; or one that has no partner."""

    pattern: str | None
    line: str | None
    starts_pattern: bool = True  # False for the second and later lines that one `...` stands for

    @property
    def fits(self) -> bool:
        return self.pattern is not None and (self.line is not None or self.is_any)

    @property
    def is_any(self) -> bool:
        return self.pattern is not None and _is_any(self.pattern)


def _align(expected: Sequence[str], actual: Sequence[str], holes: Holes) -> list[_Row]:
    """The pairing that keeps the most patterns; then the one in which the fewest lines stay alone."""
    lines = _without_blank_end(actual)
    if len(expected) * len(lines) > MAX_ALIGNED:
        return _paired_at_ends(expected, lines, holes)
    return list(_consistent(_walk(expected, lines, _costs(expected, lines, holes)), holes))


def _costs(expected: Sequence[str], lines: Sequence[str], holes: Holes) -> list[list[int]]:
    """`costs[i][j]`: what pairing `expected[i:]` with `lines[j:]` costs, at best."""
    width = len(lines)
    costs = [[_EXTRA * (width - j) for j in range(width + 1)]]
    for pattern in reversed(expected):
        below = costs[-1]
        skip, take = (0, _ABSORBED) if _is_any(pattern) else (_MISSING, _EXTRA)
        row = [*[0] * width, below[width] + skip]
        for j in range(width - 1, -1, -1):
            row[j] = min(below[j] + skip, row[j + 1] + take, below[j + 1] + _MISSING)
            if below[j + 1] < row[j] and _match_line(pattern, lines[j], holes) is not None:
                row[j] = below[j + 1]
        costs.append(row)
    return costs[::-1]


def _walk(expected: Sequence[str], lines: Sequence[str], costs: list[list[int]]) -> Iterator[_Row]:
    """The rows of the cheapest pairing, from the first to the last."""
    i = j = 0
    while i < len(expected) or j < len(lines):
        rest = costs[i][j]
        if i < len(expected) and _is_any(expected[i]):
            first = j
            while j < len(lines) and costs[i][j] == costs[i][j + 1] + _ABSORBED:
                j += 1
            yield from _absorbed(expected[i], lines[first:j])
            i += 1
        elif i < len(expected) and j < len(lines) and rest == costs[i + 1][j + 1] + _MISSING:
            yield from (_Row(expected[i], None), _Row(None, lines[j], starts_pattern=False))
            i, j = i + 1, j + 1
        elif i < len(expected) and rest == costs[i + 1][j] + _MISSING:
            yield _Row(expected[i], None)
            i += 1
        elif j < len(lines) and rest == costs[i][j + 1] + _EXTRA:
            yield _Row(None, lines[j], starts_pattern=False)
            j += 1
        else:
            yield _Row(expected[i], lines[j])
            i, j = i + 1, j + 1


def _absorbed(pattern: str, lines: Sequence[str]) -> Iterator[_Row]:
    """The rows of one `...`."""
    yield _Row(pattern, lines[0] if lines else None)
    for line in lines[1:]:
        yield _Row(pattern, line, starts_pattern=False)


def _consistent(rows: Iterator[_Row], holes: Holes) -> Iterator[_Row]:
    """The same rows, but pairs that give one hole two meanings are parted."""
    bound = dict(holes)
    for row in rows:
        if row.is_any or row.pattern is None or row.line is None:
            yield row
            continue
        found = _match_line(row.pattern, row.line, bound)
        if found is None:
            yield _Row(row.pattern, None)
            yield _Row(None, row.line, starts_pattern=False)
        else:
            bound.update(found)
            yield row


def _paired_at_ends(expected: Sequence[str], lines: Sequence[str], holes: Holes) -> list[_Row]:
    """A pairing for long outputs: what fits at the beginning, and everything else without a partner."""
    same = 0
    for pattern, line in zip(expected, lines, strict=False):
        if _match_line(pattern, line, holes) is None:
            break
        same += 1
    return [
        *(_Row(pattern, line) for pattern, line in zip(expected[:same], lines[:same], strict=True)),
        *(_Row(pattern, None) for pattern in expected[same:]),
        *(_Row(None, line, starts_pattern=False) for line in lines[same:]),
    ]


# -- what differs --------------------------------------------------------------------------------


def _near_changes(rows: Sequence[_Row]) -> list[bool]:
    near = [False] * len(rows)
    for index, row in enumerate(rows):
        if not row.fits:
            first, last = max(0, index - CONTEXT_ROWS), min(len(rows), index + CONTEXT_ROWS + 1)
            near[first:last] = [True] * (last - first)
    return near


def _diff_line(row: _Row, number: int) -> str:
    if row.pattern is None:
        return f"      + {row.line}"
    place = f"{number:>5}" if row.starts_pattern else " " * 5
    return f"{place} {' ' if row.fits else '-'} {row.pattern if row.starts_pattern else row.line}"


def _bound_names_in(rows: Sequence[_Row], holes: Holes) -> list[str]:
    patterns = (row.pattern for row in rows if row.pattern is not None and not row.fits)
    names = {found[1] for pattern in patterns for found in _HOLE.finditer(pattern)}
    return sorted(name for name in names if name in holes)


# -- new expectations ----------------------------------------------------------------------------


def _patterns_of(rows: Sequence[_Row], holes: Holes) -> Iterator[str]:
    for fits, group in groupby(rows, key=lambda row: row.fits):
        run = list(group)
        if fits:
            yield from (row.pattern.rstrip() for row in run if row.pattern is not None and row.starts_pattern)
            continue
        old = [row.pattern for row in run if row.pattern is not None]
        new = [row.line for row in run if row.line is not None]
        pairs = zip_longest(old[: len(new)], new)
        yield from (_renewed(pattern, line, holes) for pattern, line in pairs)


def _renewed(pattern: str | None, line: str, holes: Holes) -> str:
    """A pattern for a changed line that keeps the holes of the old one where they replace one thing."""
    if pattern is not None and _HOLE.search(pattern):
        candidate = _with_holes_kept(pattern, line)
        if _match_line(candidate, line, holes) is not None and not _MISREAD.match(candidate):
            return candidate
    return as_expected(line)


def _with_holes_kept(pattern: str, line: str) -> str:
    """The line, with a hole where one thing stands for a hole and beside a word that has not changed."""
    old, new = _tokens(pattern), _tokens(line)
    if len(old) > MAX_TOKENS or len(new) > MAX_TOKENS:
        return line
    pieces = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    holds = [tag == "equal" and any(map(str.strip, old[i:k])) for tag, i, k, _, _ in pieces]
    kept: list[str] = []
    for index, (tag, old_from, old_to, new_from, new_to) in enumerate(pieces):
        replaced, by = old[old_from:old_to], "".join(new[new_from:new_to])
        is_hole = tag == "replace" and len(replaced) == 1 and _HOLE.fullmatch(replaced[0])
        is_held = any(holds[max(0, index - 1) : index + 2])
        kept.append(_with_hole_in(replaced[0], by) if is_hole and is_held else by)
    return "".join(kept).rstrip()


def _with_hole_in(hole: str, text: str) -> str:
    """A named hole takes one word: what else is new there may be there by chance."""
    return hole if hole == ANY_TEXT else re.sub(r"\S+", lambda _: hole, text, count=1)


def _tokens(text: str) -> list[str]:
    return [found[0] for found in _TOKEN.finditer(text)]
