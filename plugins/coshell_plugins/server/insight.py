"""What the shell wants of coroutines in workers: a look at one, its end, another level of accounting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import coloop
from coshell.api import CommandError, Sight, printable
from coshell_plugins.worker.channel import Message

from .hearsay import Nonsense, coroutine_in, list_in, socket_in, value_in
from .pictures import named_mates
from .questions import HasEnded, NoAnswer
from .workers import Mate, Workers

ENDINGS: Final = ("ended", "had ended", "cleaning up", "zombie", "unstoppable")
ANSWER_S: Final = 1.0
BEGIN_S: Final = 10.0  # who is asked while it is being started answers when it has been


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
        picture=coroutine_in(answer.get("picture")),
        stack=None if stack is None else tuple(map(_place, list_in(stack))),
        coroutines=tuple(map(coroutine_in, list_in(answer.get("coroutines", [])))),
        dead=tuple(map(coroutine_in, list_in(answer.get("dead", [])))),
        sockets=tuple(map(socket_in, list_in(answer.get("sockets", [])))),
        children=tuple(value_in(one, int) for one in list_in(answer.get("children", []))),
        responsive=value_in(answer.get("responsive"), bool),
        hog=None if hog is None else coroutine_in(hog),
    )


def _place(one: object) -> tuple[str, str]:
    at, source = list_in(one, 2)
    return value_in(at, str), value_in(source, str)


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
