"""What the allocator holds beyond what it has handed out.

CPython's allocator for small objects (blocks up to 512 bytes) takes arenas of 1 MiB from the system, and gives one
back when not a single block in it is in use. What was freed in the others stays with the process: it is room for
more objects, but the system still counts it. That is why a process does not shrink as its objects go.
"""

from __future__ import annotations

from ._form import native


def with_spare_room(used_bytes: int | None) -> int | None:
    """`used_bytes` and what lies unused in the allocator's arenas, in bytes; None where that cannot be told."""
    room = None if native is None else native.spare_room()
    return None if used_bytes is None or room is None else used_bytes + room
