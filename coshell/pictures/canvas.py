"""Characters are made of dots: a braille letter of eight, an ASCII one of two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

BRAILLE: Final = 0x2800
BRAILLE_BITS: Final = (
    (0x01, 0x08),
    (0x02, 0x10),
    (0x04, 0x20),
    (0x40, 0x80),
)  # by row and column of its dots
ASCII_MARKS: Final = (" ", "'", ".", ":")  # by the upper dot and the lower


class Canvas:
    """A field of dots, drawn with characters.

    Args:
        columns: characters in a line.
        rows: lines.
        ascii_only: whether braille is out of the question.

    Attributes:
        width: dots in a row.
        height: rows of dots.
    """

    def __init__(self, columns: int, rows: int, *, ascii_only: bool = False) -> None:
        self._across, self._down = (1, 2) if ascii_only else (2, 4)
        self._ascii_only = ascii_only
        self._columns, self._rows = columns, rows
        self._cells = [bytearray(columns) for _ in range(rows)]
        self.width, self.height = columns * self._across, rows * self._down

    def dot(self, x: int, y: int) -> None:
        """Set one dot; it is counted from the lower left corner, and outside there are none."""
        if not (0 <= x < self.width and 0 <= y < self.height):
            return
        column, dot_column = divmod(x, self._across)
        row, dot_row = divmod(self.height - 1 - y, self._down)
        self._cells[row][column] |= 1 << dot_row if self._ascii_only else BRAILLE_BITS[dot_row][dot_column]

    def line(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Set all dots between two, and both of them."""
        (x, y), (to_x, to_y) = start, end
        steps = max(abs(to_x - x), abs(to_y - y), 1)
        for step in range(steps + 1):
            self.dot(x + round((to_x - x) * step / steps), y + round((to_y - y) * step / steps))

    def lines(self) -> Iterator[str]:
        """The picture, from the top."""
        for row in self._cells:
            yield "".join(ASCII_MARKS[cell] if self._ascii_only else _braille(cell) for cell in row)


def _braille(cell: int) -> str:
    return chr(BRAILLE + cell) if cell else " "
