"""People call the same thing by its number, by its own name, or by a name they gave it; all of them find it.

Who finds nothing has probably mistyped, or came too late. So the answer names the nearest, or tells that the
thing has been there and how it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from coloop import Coroutine, Scheduler

from .command import CommandError
from .command_error import did_you_mean
from .namespace import Bound
from .processes import Number
from .things import Things

MAX_LISTED: Final = 8


def living(scheduler: Scheduler) -> list[Coroutine]:
    """The coroutines that have not ended, by id; from any thread, also while one of them holds the scheduler."""
    return [coroutine for _, coroutine in sorted(scheduler.living.copy().items())]


def coroutine(scheduler: Scheduler, names: Mapping[str, Any], ref: Coroutine | int | str) -> Coroutine:
    """The living coroutine that is meant.

    Args:
        scheduler: whose coroutine it is.
        names: the user's names.
        ref: itself, its id, `co#3`, its name, or a name of the user's that is bound to it.

    Raises:
        CommandError: there is none, or several; the message names them, or the nearest.
    """
    if isinstance(ref, Coroutine):
        return ref
    text = str(ref).strip()
    number = text.removeprefix("co#")
    if number.isdecimal():
        return _by_id(scheduler, int(number))
    alive = living(scheduler)
    named = [one for one in alive if one.name == text]
    if len(named) > 1:
        raise CommandError(f"{len(named)} coroutines are named {text!r}: {_listed(named)}")
    if named:
        return named[0]
    bound = names.get(text)
    if isinstance(bound, Coroutine):
        return bound
    if Number.parse(text) is not None:
        raise CommandError(
            f"{text} runs in another process: from here where, show, cancel and kill reach it, and nothing else"
        )
    hint = did_you_mean(text, [one.name for one in alive]) or " (ps lists them)"
    raise CommandError(f"no coroutine {text!r}{hint}")


def _by_id(scheduler: Scheduler, number: int) -> Coroutine:
    found = scheduler.coroutine(number)
    if found is not None:
        return found
    dead = next((picture for picture in scheduler.snapshot(0).dead if picture.id == number), None)
    if dead is not None:
        raise CommandError(f"co#{number} {dead.name} has ended ({dead.outcome})")
    known = "it ended long ago" if 0 < number <= scheduler.spawned else "there has been none"
    raise CommandError(f"no coroutine co#{number}: {known}")


@dataclass(frozen=True)
class Finder:
    """Finds what is open.

    Attributes:
        names: the user's names.
        bound: those of them that the user has bound.
        things: what the shell has opened.
    """

    names: Mapping[str, Any]
    bound: Bound
    things: Things

    def socket(self, ref: Any) -> Any:
        """The socket that is meant: itself, a name of the user's, or its own name; raises CommandError."""
        return self._find(ref, "socket", lambda value: hasattr(value, "recv"))

    def server(self, ref: Any) -> Any:
        """The server that is meant, likewise."""
        return self._find(ref, "server", lambda value: hasattr(value, "stop") and hasattr(value, "address"))

    def address(self, ref: Any) -> Any:
        """The address of a server, if one is meant; else what was given."""
        value = self._named(ref) if isinstance(ref, str) else ref
        address = getattr(value, "address", None)
        return ref if address is None else address

    def _named(self, name: str) -> Any:
        if name in self.bound:
            return self.names[name]
        return self.things[name].value if name in self.things else None

    def _find(self, ref: Any, what: str, fits: Callable[[Any], bool]) -> Any:
        value = self._named(ref) if isinstance(ref, str) else ref
        if value is not None and fits(value):
            return value
        if Number.parse(ref) is not None:
            raise CommandError(
                f"{ref} belongs to another process: from here it can be looked at only (conns)"
            )
        if value is not None:
            raise CommandError(f"{ref!r} is no {what} but a {type(value).__name__}")
        candidates = [name for name in (*self.bound, *self.things) if fits(self._named(name))]
        hint = did_you_mean(str(ref), candidates) or " (conns lists them)"
        raise CommandError(f"no {what} {ref!r}{hint}")


def _listed(coroutines: Iterable[Coroutine]) -> str:
    found = [str(one) for one in coroutines]
    return ", ".join(found[:MAX_LISTED]) + (", ..." if len(found) > MAX_LISTED else "")
