"""What the shell wants of coroutines in workers: a look at one, its end, another level of accounting.

The worker is asked, and what it answers is not believed unseen: whatever runs there may have written it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final, TypeVar, cast, get_type_hints

import coloop
from coloop import CoroutinePicture, SocketPicture
from coshell.api import CommandError, Sight, printable
from coshell_plugins.worker.channel import Message
from coshell_plugins.worker.lookout import COROUTINE_FIELDS, SOCKET_FIELDS

from .pictures import named_mates
from .questions import HasEnded, NoAnswer
from .workers import Mate, Workers

ENDINGS: Final = ("ended", "had ended", "cleaning up", "zombie", "unstoppable")
ANSWER_S: Final = 1.0
BEGIN_S: Final = 10.0  # who is asked while it is being started answers when it has been
MAX_NUMBER: Final = 2**63
# JSON writes a whole number as such, also where it may have a fraction.
_ALSO_WHOLE: Final[dict[Any, Any]] = {float: int | float, float | None: int | float | None}

T = TypeVar("T")


class Nonsense(Exception):
    """An answer that is none."""


def look(servers: Iterable[Workers], process: str, number: int) -> Sight | None:
    """What a worker tells of one of its coroutines; parks. None if it is no worker of these servers.

    Raises:
        CommandError: there is no such coroutine, or no answer.
    """
    mate = _mate(servers, process)
    if mate is None:
        return None
    answer = _asked(mate, process, number, {"ask": "look", "id": number})
    try:
        return sight_in(answer)
    except Nonsense as error:
        raise _refusal(mate, process, f"answers nonsense: {error}") from None


def end(
    servers: Iterable[Workers], process: str, number: int, grace_s: float | None
) -> tuple[str, str] | None:
    """Cancel a coroutine of a worker, or kill it; parks. Its name and how it went; None as above.

    Raises:
        CommandError: it cannot be ended, or there is no answer.
    """
    mate = _mate(servers, process)
    if mate is None:
        return None
    if grace_s is None:
        answer = _asked(mate, process, number, {"ask": "cancel", "id": number})
    else:
        question = {"ask": "kill", "id": number, "grace_s": grace_s}
        answer = _asked(mate, process, number, question, 2 * max(grace_s, 1.0))
    match answer:
        case {"name": str(name), "how": str(how)} if how in ENDINGS:
            return name, how
        case {"hog": int(hog), "name": str(name)}:
            who = "it" if hog == number else f"{process}:{hog} {name}"
            why = f"{who} lets nobody run there (where {process}:{hog}, kill {process}:{hog})"
            raise CommandError(printable(f"{process}:{number} cannot be cancelled: {why}", keep=""))
    raise _refusal(mate, process, "answers nonsense")


def sight_in(answer: Message) -> Sight:
    """An answer, checked.

    Raises:
        Nonsense: it is none.
    """
    hog, stack = answer.get("hog"), answer.get("stack")
    return Sight(
        picture=_coroutine(answer.get("picture")),
        stack=None if stack is None else tuple(_place(one) for one in _list(stack)),
        coroutines=tuple(map(_coroutine, _list(answer.get("coroutines", [])))),
        dead=tuple(map(_coroutine, _list(answer.get("dead", [])))),
        sockets=tuple(
            _checked(SocketPicture, SOCKET_FIELDS, one) for one in _list(answer.get("sockets", []))
        ),
        children=tuple(_typed(one, int) for one in _list(answer.get("children", []))),
        responsive=_typed(answer.get("responsive"), bool),
        hog=None if hog is None else _coroutine(hog),
    )


def _mate(servers: Iterable[Workers], process: str) -> Mate | None:
    return next((mate for server in servers for name, mate in named_mates(server) if name == process), None)


def _asked(mate: Mate, process: str, number: int, question: Message, more_s: float = 0.0) -> Message:
    if mate.questions is None:
        raise _refusal(mate, process, "has not begun")
    try:
        answer = mate.questions.ask(question, ANSWER_S + more_s)
    except NoAnswer as error:
        raise _refusal(mate, process, str(error)) from None
    if "unknown" in answer:
        raise CommandError(printable(f"no coroutine {process}:{number}: {answer['unknown']}", keep=""))
    if "error" in answer:
        raise CommandError(printable(f"{process}:{number}: {answer['error']}", keep=""))
    return answer


def _refusal(mate: Mate, process: str, why: str) -> CommandError:
    return CommandError(printable(f"{process} (pid {mate.pid}) {why}", keep=""))


# -- what came ----------------------------------------------------------------------------------


def _coroutine(values: object) -> CoroutinePicture:
    return _checked(CoroutinePicture, COROUTINE_FIELDS, values)


def _place(one: object) -> tuple[str, str]:
    at, source = _list(one, 2)
    return _typed(at, str), _typed(source, str)


def _checked(kind: type[T], names: tuple[str, ...], values: object) -> T:
    hints = _hints(cast("Any", kind))
    given = zip(names, _list(values, len(names)), strict=True)
    return kind(**{name: _typed(value, hints[name]) for name, value in given})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _list(value: object, length: int | None = None) -> list[Any]:
    if not isinstance(value, list) or length not in {None, len(value)}:
        raise Nonsense(f"no list but {str(value)[:80]!r}")
    return value


def _typed(value: Any, kind: Any) -> Any:
    if not isinstance(value, _ALSO_WHOLE.get(kind, kind)) or (
        isinstance(value, int) and abs(value) > MAX_NUMBER
    ):
        raise Nonsense(f"{str(value)[:80]!r} is no {kind}")
    return value


# -- accounting -----------------------------------------------------------------------------------


def set_level(server: Workers, level: str) -> None:
    """Have all workers of a server count what the shell does; what one cannot do is said. On the scheduler's thread."""
    for name, mate in named_mates(server):
        if mate.questions is not None:
            coloop.go(_set_level, server, mate, level, name=f"{name}/level")


def _set_level(server: Workers, mate: Mate, level: str) -> None:
    assert mate.questions is not None
    has_begun = mate.report.at > 0
    try:
        answer = mate.questions.ask({"ask": "level", "level": level}, ANSWER_S if has_begun else BEGIN_S)
    except HasEnded:
        return
    except NoAnswer as error:
        server.tell(f"worker {mate.number} (pid {mate.pid}) is not at level {level} yet: it {error}")
    else:
        if "error" in answer:
            server.tell(f"worker {mate.number} (pid {mate.pid}) is not at level {level}: {answer['error']}")
