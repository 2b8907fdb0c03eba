"""An entry in a table of the runtime's own: the same in both forms."""

from typing import Any

import pytest

from coloop._own_tables import enter


def test_an_entry_is_made_and_replaced() -> None:
    table: dict[Any, Any] = {}
    enter(table, "a", 1)
    enter(table, "a", 2)
    assert table == {"a": 2}


def test_what_cannot_be_a_key_is_refused_as_ever() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        enter({}, [], 1)  # type: ignore[arg-type]
