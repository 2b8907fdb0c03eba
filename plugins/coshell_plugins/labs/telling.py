"""What a lab says about what has come of a step: in words, with the numbers of this run, and as bare numbers.

Both are printed where they are called. `labs --check` reads the numbers back from there; so a lab can be run by
anybody, with `coshell run`, and needs nobody who listens.
"""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

MAX_COLUMNS: Final = 100
_FIGURE: Final = "figure: "

Figure = int | float | str | bool


def so(text: str) -> None:
    """Explain a result.

    Args:
        text: what it means.
    """
    columns = min(shutil.get_terminal_size().columns, MAX_COLUMNS)
    print(textwrap.fill(" ".join(text.split()), columns, initial_indent="so: ", subsequent_indent="    "))


def figure(name: str, value: Figure) -> None:
    """Give a number that the lab has measured.

    Args:
        name: what was measured, with its unit, as in `heap_bytes`.
        value: the number; a fraction is cut to what can be compared.
    """
    print(f"{_FIGURE}{name} = {json.dumps(round(value, 4) if isinstance(value, float) else value)}")


def figures_in(lines: Iterable[str]) -> Iterator[tuple[str, Figure]]:
    """The figures among the lines that a lab has printed."""
    for line in lines:
        name, equals, value = line.removeprefix(_FIGURE).partition(" = ")
        if line.startswith(_FIGURE) and equals:
            yield name, json.loads(value)
