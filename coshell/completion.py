"""What may come next, found without running anything of the user's.

Completion happens between two key presses, on a thread that is not the scheduler's, in the midst of what
the user is building. So a chain of names is followed only as far as it can be seen without a call, and what
the scheduler knows is asked of a snapshot.
"""

from __future__ import annotations

import builtins
import keyword
import os
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from coloop import CoroutinePicture

from .command import Arg, Command, CommandTable
from .lines import classify
from .processes import Number, ProcessPicture
from .static_names import NOWHERE, attributes, object_at
from .text import printable

MAX_CANDIDATES: Final = 500
MAX_DIRECTORY_ENTRIES: Final = 10_000

_NAMES: Final = re.compile(r"(?:[^\W\d]\w*\.)*(?:[^\W\d]\w*)?$")
_PLAIN: Final = re.compile(r"[\w.:#@%+=,/~-]+")


class Candidate(NamedTuple):
    """One way to go on.

    Attributes:
        text: what would stand there.
        replaces: how many characters before the cursor it takes the place of.
        about: a few words about it.
    """

    text: str
    replaces: int
    about: str = ""


@dataclass(frozen=True)
class World:
    """What there is to choose from, asked for when it is needed.

    Attributes:
        commands: the commands.
        names: all names, the user's and the shell's.
        bound: those that the user has bound.
        coroutines: pictures of the living coroutines.
        servers: names of servers.
        sockets: names of sockets.
        settings: names of settings.
        plugins: names of plugins.
        places: where coroutines were born, as `file:line`.
        marks: names of moments that were marked.
        processes: what is known of other processes.
    """

    commands: CommandTable
    names: Mapping[str, Any]
    coroutines: Callable[[], Iterable[CoroutinePicture]]
    bound: Container[str] = ()
    servers: Callable[[], Iterable[str]] = tuple
    sockets: Callable[[], Iterable[str]] = tuple
    settings: Callable[[], Iterable[str]] = tuple
    plugins: Callable[[], Iterable[str]] = tuple
    places: Callable[[], Iterable[str]] = tuple
    marks: Callable[[], Iterable[str]] = tuple
    processes: Callable[[], Iterable[ProcessPicture]] = tuple


class ShellCompleter(Completer):
    """Completion as the prompt wants it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:  # noqa: ARG002
        """All ways to go on at the cursor."""
        for found in candidates(document.text_before_cursor, self._world):
            about = printable(found.about, keep="")
            yield Completion(
                found.text, -found.replaces, display=printable(found.text, keep=""), display_meta=about
            )


def candidates(text: str, world: World) -> list[Candidate]:
    """The ways to go on behind `text`, in the order to offer them, at most `MAX_CANDIDATES`."""
    return list(islice(_unique(_candidates(text, world)), MAX_CANDIDATES))


def _candidates(text: str, world: World) -> Iterable[Candidate]:
    if "\n" in text:
        return _python(text, world)
    line = text.lstrip()
    if line.startswith("!"):
        return _paths(_last_word(line[1:]))
    if line[:1] in {":", "?"} and not re.search(r"\s", line):
        return _commands(line[1:], world)
    found = classify(line, world.commands, world.bound)
    if found.kind == "command" and found.name in world.commands and re.search(r"\s", line):
        return _arguments(world.commands.get(found.name), _behind_name(line, found.name), world)
    if re.fullmatch(r"\w*", line):
        return (*_commands(line, world), *_python(text, world))
    return _python(text, world)


def _behind_name(line: str, name: str) -> str:
    """The arguments as they were typed, with the blank at the end that begins a new word."""
    return line[line.index(name) + len(name) :]


def _commands(prefix: str, world: World) -> Iterator[Candidate]:
    for command in world.commands:
        if command.name.startswith(prefix):
            yield Candidate(command.name, len(prefix), command.summary)


# -- arguments of commands -------------------------------------------------------------------------


def _arguments(command: Command, text: str, world: World) -> Iterable[Candidate]:
    word = _last_word(text)
    before = text[: len(text) - len(word)].split()
    opened = max(word.rfind("{"), word.rfind("$"))
    if opened >= 0 and "}" not in word[opened:]:
        return _python(word[opened + 1 :], world)
    awaiting = _option_that_wants_a_value(command, before)
    if awaiting is not None:
        return _values(command, awaiting, word, world)
    if word.startswith("-"):
        return _options(command, word)
    positional = _positional(command, before)
    return _values(command, positional, word, world) if positional is not None else _options(command, word)


def _options(command: Command, word: str) -> Iterator[Candidate]:
    for arg in command.options:
        if arg.name.startswith(word):
            yield Candidate(arg.name, len(word), arg.help)


def _option_that_wants_a_value(command: Command, before: list[str]) -> Arg | None:
    last = before[-1] if before else ""
    options = (arg for arg in command.options if arg.kind != "flag")
    return next((arg for arg in options if last in {arg.name, arg.short}), None)


def _positional(command: Command, before: list[str]) -> Arg | None:
    """The positional argument that the next word is for."""
    given = [
        word
        for index, word in enumerate(before)
        if not word.startswith("-") and _option_that_wants_a_value(command, before[:index]) is None
    ]
    places = command.positionals
    if given and given[0] in command.forms:
        places = (places[0], *command.forms[given[0]])
    if len(given) < len(places):
        return places[len(given)]
    last = places[-1] if places else None
    return last if last is not None and (last.repeat or last.kind in _ENDLESS) else None


_ENDLESS: Final = frozenset({"rest", "python", "value"})


def _values(command: Command, arg: Arg, word: str, world: World) -> Iterable[Candidate]:
    offered = list(_starting(word, arg.choices))
    if offered or arg.kind == "choice":
        return offered
    match (command.name, arg.name):
        case ("help", _):
            return (
                *_commands(word, world),
                *_starting(word, world.settings(), "setting"),
                *_python(word, world),
            )
        case ("set", "key"):
            return _starting(word, world.settings())
        case ("plugin", "name"):
            return (*_starting(word, world.plugins(), "plugin"), *_paths(word))
        case ("mark" | "diff", _):
            return _starting(word, world.marks(), "mark")
        case ("where" | "show" | "cancel" | "kill", "coroutine"):
            return (*_coroutines(word, world), *_elsewhere(word, world))
        case ("plot", "who"):
            return (*_coroutines(word, world), *_starting(word, world.places(), "born there"))
        case ("heap", _):
            return (*_coroutines(word, world), *_starting(word, world.servers(), "server"))
        case ("refs", "object"):
            return (
                *_python(word, world),
                *(_coroutines(word, world) if word else ()),
                *_starting(word, (*world.servers(), *world.sockets()), "open"),
            )
    match arg.kind:
        case "coroutine":
            return _coroutines(word, world)
        case "server" | "address":
            return _starting(word, world.servers(), "server")
        case "socket":
            return (*_starting(word, world.sockets(), "socket"), *_starting(word, world.servers(), "server"))
        case "path":
            return _paths(word)
        case "python" | "value" | "pair" | "rest" | "name":
            return _python(word, world)
        case _:
            return ()


def _coroutines(word: str, world: World) -> Iterator[Candidate]:
    pictures = list(world.coroutines())
    for picture in pictures:
        about = f"{picture.name} {picture.state}"
        if word[:1] in {"", "c"}:
            yield from _starting(word, [f"co#{picture.id}"], about)
        else:
            yield from _starting(word, [str(picture.id)], about)
    yield from _starting(word, (picture.name for picture in pictures), "coroutine")


def _elsewhere(word: str, world: World) -> Iterator[Candidate]:
    """Coroutines in other processes."""
    for process in world.processes():
        for picture in process.coroutines:
            about = f"{picture.name} {picture.state}"
            yield from _starting(word, [str(Number.of(picture.id, process.name))], about)


def _starting(word: str, names: Iterable[str], about: str = "") -> Iterator[Candidate]:
    """Those that begin with the word, and can be typed as they are."""
    for name in names:
        if name.startswith(word) and _PLAIN.fullmatch(name):
            yield Candidate(name, len(word), about)


def _paths(word: str) -> Iterator[Candidate]:
    folder, _, prefix = word.rpartition("/")
    stem = word[: len(word) - len(prefix)]
    where = Path(os.path.expanduser(folder or ("/" if stem else ".")))  # noqa: PTH111  never raises
    for name, is_folder in sorted(_directory(where)):
        if name.startswith(prefix) and (prefix or not name.startswith(".")) and name.isprintable():
            path = f"{stem}{name}{'/' if is_folder else ''}"
            yield Candidate(path if _PLAIN.fullmatch(path) else f"'{path}'", len(word))


def _directory(where: Path) -> list[tuple[str, bool]]:
    try:
        with os.scandir(where) as entries:
            return [(entry.name, entry.is_dir()) for entry in islice(entries, MAX_DIRECTORY_ENTRIES)]
    except OSError:
        return []


def _last_word(text: str) -> str:
    """The word at the end: what follows the last blank that is in no quotes."""
    start, quote = 0, ""
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in {"'", '"'}:
            quote = char
        elif char.isspace():
            start = index + 1
    return text[start:]


# -- Python ----------------------------------------------------------------------------------------


def _python(text: str, world: World) -> Iterator[Candidate]:
    """Names, or the attributes of what the names before the last dot lead to."""
    tail = _NAMES.search(text)
    path = tail[0] if tail else ""
    *owners, prefix = path.split(".")
    if owners:
        owner = object_at(owners, world.names)
        found = {} if owner is NOWHERE else attributes(owner)
    elif path or _may_start_a_name(text):
        found = _visible_names(world)
    else:
        return
    for name in sorted(found):
        if name.startswith(prefix) and (prefix.startswith("_") or not name.startswith("_")):
            yield Candidate(name, len(prefix), found[name])


def _may_start_a_name(text: str) -> bool:
    return not re.search(r"[\w.)\]}'\"]$", text)


def _visible_names(world: World) -> dict[str, str]:
    names = dict.fromkeys(keyword.kwlist, "keyword")
    names.update((name, "builtin") for name in vars(builtins))
    names.update((name, type(value).__name__) for name, value in list(world.names.items()))
    return names


def _unique(found: Iterable[Candidate]) -> Iterator[Candidate]:
    seen = set()
    for candidate in found:
        if candidate.text not in seen:
            seen.add(candidate.text)
            yield candidate
