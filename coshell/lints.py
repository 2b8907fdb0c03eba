"""A lint knows one kind of trouble, and sees in a picture of a coroutine whether it is there.

The idea is tokio-console's: a list of coroutines shows everything and says nothing, so rules of thumb
look at each one and say in a sentence what a practised eye would have seen. A lint judges a picture,
never the running thing, and keeps nothing between two looks; what needs a memory, such as a heap that
keeps rising, is handed in by whoever remembers. Thresholds are the lint's own fields, so that another
opinion is another instance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from coloop import CoroutinePicture

from .text import plural
from .values import Bytes, Duration, Percent


class Lint(Protocol):
    """One rule; those of plugins have the same form."""

    @property
    def name(self) -> str:
        """What the WARN column, the settings and `--deny` call it."""

    @property
    def check(self) -> Callable[[CoroutinePicture], str | None]:
        """From a picture to what is wrong, as the predicate of a sentence; None if all is well."""


@dataclass(frozen=True)
class Finding:
    """One warning about one coroutine.

    Attributes:
        lint: the rule's name.
        coroutine: the coroutine's id.
        name: the coroutine's name.
        sentence: what is wrong, as a predicate: `has run for 2s without a pause`.
    """

    lint: str
    coroutine: int
    name: str
    sentence: str

    def __str__(self) -> str:
        return f"co#{self.coroutine} {self.name} {self.sentence}"


@dataclass(frozen=True)
class Hog:
    """It runs, and lets nobody else run."""

    name: ClassVar = "hog"
    threshold_s: float = 0.1

    def check(self, picture: CoroutinePicture) -> str | None:
        """See `Lint`."""
        if picture.running_for_s < self.threshold_s:
            return None
        return f"has run for {Duration(picture.running_for_s)} without a pause (where {picture.id})"


@dataclass(frozen=True)
class NeverYielded:
    """It has computed since its first line, and has not waited once."""

    name: ClassVar = "never-yielded"
    threshold_s: float = 1.0

    def check(self, picture: CoroutinePicture) -> str | None:
        """See `Lint`."""
        if picture.switches > 1 or picture.running_for_s < self.threshold_s:
            return None
        return "has never yielded since it was started"


@dataclass(frozen=True)
class Stuck:
    """It waits for something that nobody can reach any more; who is suspended can be resumed by number."""

    name: ClassVar = "stuck"

    def check(self, picture: CoroutinePicture) -> str | None:
        """See `Lint`."""
        if not picture.stuck or picture.waiting_on == "suspend":
            return None
        return f"can never be woken: nobody holds what it waits on ({picture.waiting_on})"


@dataclass(frozen=True)
class DiedUnseen:
    """It failed, and nobody had joined it.

    Attributes:
        unseen: whether the failure of the coroutine of that id was nobody's concern.
    """

    name: ClassVar = "died-unseen"
    unseen: Callable[[int], bool]

    def check(self, picture: CoroutinePicture) -> str | None:
        """See `Lint`."""
        if picture.state != "failed" or not self.unseen(picture.id):
            return None
        return f"died, and nobody waited for it: {picture.outcome} (err {picture.id})"


@dataclass(frozen=True)
class DeepStack:
    """Its calls are nested so deeply that the recursion limit is not far."""

    name: ClassVar = "deep-stack"
    threshold_frames: int = 200

    def check(self, picture: CoroutinePicture) -> str | None:
        """See `Lint`."""
        if picture.frames < self.threshold_frames:
            return None
        return f"is {plural(picture.frames, 'call')} deep (where {picture.id})"


@dataclass(frozen=True)
class NearLimit:
    """Its heap is about to reach its limit; 85 % is where observer_cli turns red."""

    name: ClassVar = "near-limit"
    threshold: float = 0.85

    def check(self, picture: CoroutinePicture) -> str | None:
        """See `Lint`."""
        if not picture.limit or picture.heap_bytes is None:
            return None
        share = picture.heap_bytes / picture.limit
        if share < self.threshold:
            return None
        return f"uses {Percent(share * 100)} of its limit of {Bytes(picture.limit)}"


@dataclass(frozen=True)
class DroppedUnsent:
    """It reset a connection over what was still to be sent: its close did not wait, or has waited in vain.

    Of one that lives on it is said for a while; of one that is dead, as long as that is remembered.
    """

    name: ClassVar = "dropped-unsent"
    fresh_s: float = 60.0

    def check(self, picture: CoroutinePicture) -> str | None:
        """See `Lint`."""
        if picture.dropped_ago_s is None:
            return None
        if picture.outcome is None and picture.dropped_ago_s > self.fresh_s:
            return None
        return self.sentence(picture.dropped_bytes)

    @staticmethod
    def sentence(size: int) -> str:
        """What it says of so many bytes."""
        return f"closed over {Bytes(size)} that the other side had not confirmed, and may never get"


@dataclass(frozen=True)
class HeapGrowing:
    """Its heap has risen in one sample after the other.

    Attributes:
        rises: from a coroutine's id to the number of samples in a row in which its heap rose.
    """

    name: ClassVar = "heap-growing"
    rises: Callable[[int], int]
    threshold_samples: int = 20

    def check(self, picture: CoroutinePicture) -> str | None:
        """See `Lint`."""
        samples = self.rises(picture.id)
        if samples < self.threshold_samples:
            return None
        return f"has a heap that rose {samples} samples in a row"


LEAK: Final = "leak"  # it is not a coroutine's but a place's, and needs to have been watched
MEMORABLE: Final = (HeapGrowing.name, DiedUnseen.name, LEAK)  # they need somebody who remembers

BUILT_IN: Final[tuple[Lint, ...]] = (
    Hog(),
    NeverYielded(),
    Stuck(),
    DeepStack(),
    NearLimit(),
    DroppedUnsent(),
)


def findings(pictures: Iterable[CoroutinePicture], lints: Iterable[Lint]) -> list[Finding]:
    """What the lints say about each of the coroutines, in the coroutines' order."""
    rules = tuple(lints)
    return [
        Finding(lint.name, picture.id, picture.name, sentence)
        for picture in pictures
        for lint in rules
        if (sentence := lint.check(picture))
    ]
