"""A chain of references as it is told: plain text, that holds nothing of what it tells of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from coshell.text import plural, printable

from .links import Step, steps
from .naming import type_name
from .roots import GLOBAL, Root

MAX_LINKS: Final = 8
_ARROW: Final = " -> "


@dataclass(frozen=True)
class Link:
    """One link.

    Attributes:
        at: where in the holder: `[12]`, `.name`, `['key']`, `closure x`; `inside` where Python has no word for it.
        type: the type of what is held there.
    """

    at: str
    type: str


@dataclass(frozen=True)
class Chain:
    """Why an object is alive.

    Attributes:
        root: what begins the chain, as `__main__.cache`; empty if there is no chain.
        kind: what the root is: `module global`, `class attribute`, `closure`, `local variable`, `deferred call`,
            `timer` ...; or `cycle`, `unseen`, `nothing`, `immortal`, `gave up`, `only the scheduler`.
        type: the type of what the root holds.
        chain: the links from there to the object.
        remark: why there is none, in a sentence; or of what it is, if not of an object.
    """

    root: str
    kind: str
    type: str = ""
    chain: tuple[Link, ...] = ()
    remark: str = ""

    def __str__(self) -> str:
        head = f"{self.remark}: " if self.root and self.remark else ""
        return head + _ARROW.join(self.parts())

    def __repr__(self) -> str:
        return f"<{self}>"

    @property
    def written(self) -> str:
        """The root and the links as one would write them: `__main__.table['open']`; empty if there is no chain."""
        links = (link.at if link.at[:1] in {".", "["} else f"{_ARROW}{link.at}" for link in self.chain)
        return self.root + "".join(links)

    def parts(self) -> list[str]:
        """The chain as it is read: the root, the links, the object; or why there is none."""
        if not self.root:
            return [self.remark]
        return [f"{self.root} ({self.type}, {self.kind})", *_cut(self._links())]

    def lines(self, width: int) -> list[str]:
        """The same, broken between two links where it is too wide."""
        first, *others = self.parts()
        found = [f"{self.remark}:", first] if self.root and self.remark else [first]
        for part in others:
            if len(found[-1]) + len(part) + len(_ARROW) <= width:
                found[-1] += f"{_ARROW}{part}"
            else:
                found.append(f"   {_ARROW}{part}")
        return found

    def _links(self) -> list[str]:
        if not self.chain:
            return []
        *between, last = self.chain
        return [*(f"{link.at} ({link.type})" for link in between), last.at, last.type]


def _cut(links: list[str]) -> list[str]:
    """Those in the middle are left out, if there are many; the last link is two parts."""
    more = len(links) - 1 - MAX_LINKS
    if more <= 0:
        return links
    head = MAX_LINKS // 2
    return [*links[:head], f"... {plural(more, 'more link')} ...", *links[head + more :]]


def chain_of(root: Root, path: list[Any]) -> Chain:
    """A way from what a root holds to the object, as text."""
    name, kind, first = str(root), root.kind, path[0]
    links = steps(path)
    if kind == GLOBAL and links:
        name, kind, first, links = _folded(name, first, links)
    told = tuple(Link(printable(step.text, keep=""), type_name(step.value)) for step in links)
    return Chain(name, kind, type_name(first), told)


def _folded(name: str, first: Any, links: list[Step]) -> tuple[str, str, Any, list[Step]]:
    """What a class or a function holds is a root itself, in the words of whoever wrote it."""
    text, value = links[0]
    if issubclass(type(first), type) and text.startswith("."):
        return f"{name}{text}", "class attribute", value, links[1:]
    if text.startswith("closure "):
        return f"{text.removeprefix('closure ')} in {name}", "closure", value, links[1:]
    return name, GLOBAL, first, links


def ring_of(path: list[Any]) -> str:
    """A cycle as text: `Node -> .next (Node) -> .back`."""
    links = [f"{printable(step.text, keep='')} ({type_name(step.value)})" for step in steps(path)]
    return " -> ".join([type_name(path[0]), *_cut(links)])
