"""What the shell has opened has a name of its own, `echo#1`, by which it can be found again.

A Python name may be bound anew, or never have been given; the name here stays as long as the thing is open.
What is closed is forgotten, and its number is not given again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Thing:
    """A server, a client, or something else that is open.

    Attributes:
        name: `echo#1`.
        value: a `coloop.Server`, a `coloop.Socket`, or what a plugin has opened.
        asked: for a server, the address as it was asked for: the same again means the same server.
    """

    name: str
    value: Any
    asked: str = ""

    @property
    def closed(self) -> bool:
        """Whether it says of itself that it is closed."""
        state = getattr(self.value, "state", None)
        return getattr(self.value, "closed", False) is True or state in {"stopped", "closed"}


class Things(Mapping[str, Thing]):
    """All that is open, by name, in the order in which it was opened."""

    def __init__(self) -> None:
        self._things: dict[str, Thing] = {}
        self._counts: Counter[str] = Counter()
        self._claimed: set[str] = set()

    def next_name(self, kind: str) -> str:
        """The name that the next thing of this kind gets: `echo#1` for `echo`."""
        return f"{kind}#{self._counts[kind] + 1}"

    def add(self, kind: str, value: Any, asked: str = "") -> Thing:
        """Give something a name, and keep it while it is open."""
        thing = Thing(self.next_name(kind), value, asked)
        self._counts[kind] += 1
        self._things[thing.name] = thing
        return thing

    def note_asked(self, value: Any, asked: str) -> None:
        """For something that somebody else has added: it was asked for by this address."""
        for name, thing in list(self._things.items()):
            if thing.value is value:
                self._things[name] = replace(thing, asked=asked)

    def claim_none(self) -> None:
        """From now on each server may be claimed once more."""
        self._claimed.clear()

    def claim(self, asked: str, kind: type[Any]) -> Thing | None:
        """The oldest open server of this kind for which that address was asked, if there is one; each once."""
        self._forget_closed()
        for thing in list(self._things.values()):
            if thing.asked == asked and isinstance(thing.value, kind) and thing.name not in self._claimed:
                self._claimed.add(thing.name)
                return thing
        return None

    def remove(self, value: Any) -> None:
        """Forget something; nothing happens if it is not known."""
        for name, thing in list(self._things.items()):
            if thing.value is value:
                del self._things[name]

    def name_of(self, value: Any) -> str | None:
        """The name that something has here."""
        return next((thing.name for thing in list(self._things.values()) if thing.value is value), None)

    def as_they_are(self) -> list[Thing]:
        """All of them, without asking each whether it is closed."""
        return list(self._things.values())

    def _forget_closed(self) -> None:
        for name, thing in list(self._things.items()):
            if thing.closed:
                del self._things[name]

    def __getitem__(self, name: str) -> Thing:
        self._forget_closed()
        return self._things[name]

    def __iter__(self) -> Iterator[str]:
        self._forget_closed()
        return iter(list(self._things))

    def __len__(self) -> int:
        self._forget_closed()
        return len(self._things)
