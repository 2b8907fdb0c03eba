"""The file that speedscope.app opens; the form is the one its project publishes.

https://www.speedscope.app/file-format-schema.json: frames are listed once, a sample is a stack of their places in
that list, outermost first, and its weight is what was allocated there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from .flame_tree import BY_COROUTINE, HeapStack

SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"
_FRAME: Final = re.compile(r"(?P<file>.*):(?P<line>\d+) in (?P<name>.*)", re.DOTALL)


def speedscope(
    stacks: Iterable[HeapStack], by: str, title: str, exporter: str, name_of: Callable[[int], str]
) -> str:
    """Live heap as such a file.

    Args:
        stacks: what lives, and below which calls it was allocated.
        by: `stack` makes one profile, `coroutine` one for each, the largest first.
        title: what it is called.
        exporter: who writes it.
        name_of: what a coroutine is called, by its number.
    """
    frames = _Frames()
    groups: dict[int, list[HeapStack]] = {}
    for stack in stacks:
        if stack.heap_bytes > 0:
            groups.setdefault(stack.coroutine if by == BY_COROUTINE else 0, []).append(stack)
    sizes = {owner: sum(stack.heap_bytes for stack in group) for owner, group in groups.items()}
    owners = sorted(groups, key=lambda owner: -sizes[owner]) or [0]
    names = {0: "no coroutine"} if by == BY_COROUTINE else {0: title}
    profiles = [
        _profile(names.get(owner) or name_of(owner), groups.get(owner, ()), frames) for owner in owners
    ]
    return json.dumps(
        {
            "$schema": SCHEMA,
            "shared": {"frames": frames.listed},
            "profiles": profiles,
            "name": title,
            "activeProfileIndex": 0,
            "exporter": exporter,
        }
    )


class _Frames:
    """Frames, each once."""

    def __init__(self) -> None:
        self.listed: list[dict[str, Any]] = []
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        """Where a frame stands in the list."""
        if text not in self._places:
            self._places[text] = len(self.listed)
            self.listed.append(_frame(text))
        return self._places[text]


def _frame(text: str) -> dict[str, Any]:
    found = _FRAME.fullmatch(text)
    if found is None:
        return {"name": text}
    return {"name": found["name"], "file": found["file"], "line": int(found["line"])}


def _profile(name: str, stacks: Sequence[HeapStack], frames: _Frames) -> dict[str, Any]:
    return {
        "type": "sampled",
        "name": name,
        "unit": "bytes",
        "startValue": 0,
        "endValue": sum(stack.heap_bytes for stack in stacks),
        "samples": [[frames.place(frame) for frame in stack.frames] for stack in stacks],
        "weights": [stack.heap_bytes for stack in stacks],
    }
