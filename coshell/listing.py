"""Records that know how they want to be shown: as a table, and with what has to be said below it.

To Python it is a list, to be filtered and counted. What it says below the table is for eyes only and is
no record, so it is not in the list, and not in JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from .render import Column, table
from .text import cut

if TYPE_CHECKING:
    from .shell import Shell

REPR_WIDTH: Final = 100

T = TypeVar("T")


class Listing(list[T]):
    """A list of records.

    Attributes:
        columns: what the table shows; by default all fields of the records.
        footer: the lines below the table.
        ascii_only: show nothing but ASCII.
        bytes_exact: show sizes in bytes.
    """

    def __init__(
        self,
        records: Iterable[T],
        columns: Sequence[Column] | None = None,
        footer: Sequence[str] = (),
        *,
        ascii_only: bool = False,
        bytes_exact: bool = False,
    ) -> None:
        super().__init__(records)
        self.columns = columns
        self.footer = tuple(footer)
        self.ascii_only = ascii_only
        self.bytes_exact = bytes_exact

    def lines(self, width: int) -> list[str]:
        """The table and what stands below it; no line of the table is wider than `width`."""
        shown = table(self, self.columns, width, ascii_only=self.ascii_only, bytes_exact=self.bytes_exact)
        return [*shown, *self.footer]

    def __repr__(self) -> str:
        return "\n".join(self.lines(REPR_WIDTH)) or "[]"


def listing(
    shell: Shell, records: Iterable[T], columns: Sequence[Column] | None = None, footer: Sequence[str] = ()
) -> Listing[T]:
    """A listing as the shell's settings want it."""
    settings = shell.settings
    return Listing(records, columns, footer, ascii_only=settings.ascii, bytes_exact=settings.bytes)


def lines_of(shown: Listing[T], width: int) -> list[str]:
    """A listing as a command shows it."""
    return shown.lines(width)


def fitted(lines: Iterable[str], width: int) -> list[str]:
    """Lines that are no table, cut so that none is wrapped."""
    return [cut(line, width, ascii_only=True) for line in lines]
