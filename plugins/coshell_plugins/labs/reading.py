"""A lab is a session file that reads like a text: a story, and then steps of prose, code and claims.

The comment at its head tells the story. A heading, `# -- The trouble: ...`, begins a part; what a part shows is told by
its first words: a trouble, a cure, or neither. Within a part each comment begins a step, and the code
below it belongs to it, up to the next comment. What explains a result (`so`) or gives a number (`figure`)
is code that nobody reads before it has run, so a step is shown without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Final

TROUBLE: Final = "trouble"
CURE: Final = "cure"

_HEADING: Final = "# -- "
_KIND: Final = re.compile(r"(?:The|Another|A second) (trouble|cure)s?\b", re.IGNORECASE)
_SENTENCE_END: Final = re.compile(r"(?<=[.?!]) ")
_TELLING: Final = re.compile(r"(?:so|figure)\(|from coshell_plugins\.labs\.telling\b")


@dataclass(frozen=True)
class LabStep:
    """A piece of a lab that is shown, run and explained as one.

    Attributes:
        part: the heading that it stands under; empty before the first one.
        kind: `trouble` or `cure`, if its part shows one; else empty.
        told: what is said about it beforehand.
        first_line: the number of the first line of its code in the file.
        code: its lines, from there on.
    """

    part: str
    kind: str
    told: str
    first_line: int
    code: tuple[str, ...]

    @property
    def last_line(self) -> int:
        """The number of the last line of its code."""
        return self.first_line + len(self.code) - 1

    @property
    def shown(self) -> list[str]:
        """Its code as it is shown before it runs: without claims, and without what explains the result."""
        return [line for unit in self.units() if not unit.is_claim for line in _without_telling(unit.lines)]

    def units(self) -> list[Unit]:
        """Its code in pieces: each claim is one, and what stands between claims is one."""
        units: list[Unit] = []
        for number, line in enumerate(self.code, self.first_line):
            is_claim = line.startswith(("@assert ", "@wait "))
            if is_claim or not units or units[-1].is_claim:
                units.append(Unit(number, [line], is_claim))
            else:
                units[-1].lines.append(line)
        return [unit for unit in units if any(unit.lines)]


@dataclass
class Unit:
    """Some lines of code that are run at once.

    Attributes:
        first_line: the number of the first one in the file.
        lines: the lines.
        is_claim: it is one line that says what must be so.
    """

    first_line: int
    lines: list[str]
    is_claim: bool


@dataclass(frozen=True)
class Lab:
    """One experiment.

    Attributes:
        name: what it is called.
        about: what it shows, in half a line.
        story: what happened, and what is to be learned.
        file: the session file.
    """

    name: str
    about: str
    story: str
    file: str

    @property
    def sets_clock(self) -> bool:
        """Whether it begins with a clock of its own."""
        return any(line.startswith("@set clock ") for line in self._lines())

    def steps(self) -> list[LabStep]:
        """Its steps, in their order."""
        return list(_steps_of(self._lines()))

    def _lines(self) -> list[str]:
        return Path(self.file).read_text(encoding="utf-8").split("\n")


def read_lab(path: Path) -> Lab:
    """The lab in a file."""
    lines = path.read_text(encoding="utf-8").split("\n")
    title, *story = [_text_of(line) for line in takewhile(_is_comment, lines)] or [""]
    about = title.removeprefix(f"{path.stem}:").strip()
    return Lab(path.stem, about, " ".join(filter(None, story)), str(path))


def _is_comment(line: str) -> bool:
    return line.startswith("#")


def _text_of(line: str) -> str:
    return line.removeprefix("#").strip()


@dataclass
class _Begun:
    """A step of which not all lines have come."""

    part: str = ""
    kind: str = ""
    prose: list[str] = field(default_factory=list)
    first_line: int = 0
    code: list[str] = field(default_factory=list)

    def finished(self) -> Iterator[LabStep]:
        while self.code and not self.code[-1]:
            self.code.pop()
        if self.code:
            yield LabStep(self.part, self.kind, " ".join(self.prose), self.first_line, tuple(self.code))


def _steps_of(lines: list[str]) -> Iterator[LabStep]:
    story = sum(1 for _ in takewhile(_is_comment, lines))
    begun = _Begun()
    for number, line in enumerate(lines[story:], story + 1):
        if line.startswith(_HEADING):
            yield from begun.finished()
            heading = line.removeprefix(_HEADING)
            begun = _Begun(prose=[heading], kind=_kind_of(heading))
            begun.part = heading
        elif _is_comment(line) and begun.code:
            yield from begun.finished()
            begun = _Begun(begun.part, begun.kind, [_text_of(line)])
        elif _is_comment(line):
            begun.prose.append(_text_of(line))
        elif line or begun.code:
            begun.first_line = begun.first_line or number
            begun.code.append(line)
    yield from begun.finished()


def _kind_of(heading: str) -> str:
    found = _KIND.match(heading)
    return found[1].lower() if found else ""


def title_of(part: str) -> str:
    """The first sentence of a heading, without its full stop."""
    return _SENTENCE_END.split(part, maxsplit=1)[0].removesuffix(".")


def _without_telling(lines: list[str]) -> Iterator[str]:
    """The lines, but for calls of `so` and `figure`, which may go on over indented lines."""
    hidden = False
    for line in lines:
        if line and not line.startswith((" ", ")")):
            hidden = _TELLING.match(line) is not None
        if not hidden:
            yield line
