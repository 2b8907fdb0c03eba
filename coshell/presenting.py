"""A command gives a value; the shell decides how that is seen: as a table, as text, as JSON.

So no command formats what it returns unless it knows better, and whoever wants the value itself calls the
command as a function.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .command import Command
from .config import Settings
from .render import json_line, table


def lines_of(command: Command, value: Any, settings: Settings, width: int, *, as_json: bool) -> Iterable[str]:
    """How a command's value is shown.

    Args:
        command: the command, which may have a form of its own.
        value: what it returned: None is shown as nothing.
        settings: how the shell behaves.
        width: columns of the screen.
        as_json: one object per line instead.
    """
    if as_json:
        return json_lines(value if command.record is None else command.record(value))
    if command.show is not None:
        return command.show(value, width)
    if value is None:
        return ()
    if isinstance(value, str):
        return value.split("\n") if value else ()
    records = value if isinstance(value, (list, tuple)) else [value]
    columns = command.columns or None
    return table(records, columns, width, ascii_only=settings.ascii, bytes_exact=settings.bytes)


def json_lines(value: Any) -> list[str]:
    """A value as JSON: a line for each record of a list, one line for anything else, none for None."""
    if value is None:
        return []
    return [json_line(record) for record in (value if isinstance(value, (list, tuple)) else [value])]
