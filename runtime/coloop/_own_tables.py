"""The runtime's own tables grow on no coroutine's account.

A dict that grows belongs, as any block, to whoever made it grow: with ten thousand connections that is a
coroutine which has nothing to do with the others, and would seem to leave half a megabyte behind.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from ._form import native


def _enter(table: dict[Any, Any], key: Hashable, value: object) -> None:
    """`table[key] = value`; the scheduler pays for the room."""
    table[key] = value


if TYPE_CHECKING or native is None:
    enter = _enter
else:
    enter = native.enter
