"""Why an object is still there: the chain of references that begins at a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from coshell.command import Arg, Command, CommandError, UsageError
from coshell.refs.chain import Chain
from coshell.refs.meant import Gone, handle_of, meant
from coshell.refs.residue import residue
from coshell.refs.search import LIMIT_S, Probe, chains, own_when_called, own_when_typed

if TYPE_CHECKING:
    from coshell.shell import Shell

NAME: Final = "refs"


def refs(shell: Shell, object: Any, all: int | None, limit: float) -> Chain | list[Chain]:  # noqa: A002
    """The shortest chain to an object, or several."""
    count = 1 if all is None else all
    if count < 1:
        raise UsageError(f"refs: --all {all}: at least one is needed")
    if type(object) is str or type(object) is int:  # no set: the type of anything may have no hash
        target = meant(shell, str(object))
        if type(target) is Gone:
            left = residue(shell, target.picture, limit)
            if left.kind != "nothing":
                return left if all is None else [left]
            target = handle_of(shell, target)
            if target is None:
                raise CommandError(left.remark)
        found = chains(shell, target, own_when_typed(shell), count, limit)
    elif type(object) is Probe:
        return chains(shell, object, 0)
    else:
        found = chains(shell, object, own_when_called(shell, NAME), count, limit)
    return found if all is not None else found[0]


def _refs_lines(value: Chain | list[Chain], width: int) -> list[str]:
    chains_ = [value] if isinstance(value, Chain) else value
    return [line for chain in chains_ for line in chain.lines(width)]


COMMANDS: Final = (
    Command(
        NAME,
        "show who holds an object: the shortest chain of references from a root",
        refs,
        (
            Arg(
                "object", "an expression; or the number or name of a coroutine, a server, a client", "python"
            ),
            Arg("--all", "so many chains, each by another holder", "int"),
            Arg("--limit", "give up after so much computing", "duration", default=LIMIT_S),
        ),
        (
            "cache = []\ncache.append(bytearray(4096))\nrefs cache[0]",
            "go sleep(60) --name nap\nrefs nap",
            "def f(): return held\nheld = [f]\nrefs f --all 3",
        ),
        show=_refs_lines,
        details=(
            "Roots are the globals of modules, variables and deferred calls of coroutines, context variables, timers,"
            " servers, open sockets, signal handlers, weakref.finalize, threads. What belongs to the shell is"
            " left out. If no root leads to it, it is said whether it is cyclic garbage, or held where the collector"
            " cannot see. No coroutine runs during the search, which takes up to 1 s for each million objects."
            " As a function, refs(x), it takes any object; a str or an int is read as it would be on the line. Of a coroutine"
            " that has ended, co#3, it is told what holds most of what it has left; that takes the native core."
        ),
    ),
)
