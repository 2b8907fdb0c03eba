"""Functions typed at the prompt are sent to workers by value, with all that they refer to.

A function of an importable module is sent by its name, and the worker imports that module anew; that is how an edited
file gets its way at a reload. What was typed is in no module that a worker could import, so its code goes along, and
a copy of each global that it uses. A copy: a list that a handler appends to is another one in each worker.

All of one server goes in one piece, so that its callbacks share their globals there as they do here. What
cannot be sent, a lock, an open file, the shell itself, is named with the name under which the function uses it.
"""

from __future__ import annotations

import base64
import binascii
import linecache
import pickle
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from types import CodeType
from typing import Any, Final

import cloudpickle  # not late: it would be on the account of who ships, and of the worker

from .channel import MAX_BYTES

MAX_DEPTH: Final = 8  # of functions that use functions, when the culprit is looked for
PROMPT: Final = "<co:"  # how the names of what was typed begin


class NotShippable(Exception):
    """Something cannot be sent to another process; one line."""


def pack(thing: Any) -> str:
    """Something as text, for a message.

    Raises:
        NotShippable: it cannot be sent, and what of it is to blame.
    """
    sources = {name: lines for name in _files_of(thing) if (lines := "".join(linecache.getlines(name)))}
    try:
        text = base64.b64encode(cloudpickle.dumps((thing, sources))).decode("ascii")
    except Exception as error:
        raise NotShippable(_blame(thing) or f"it cannot be sent to a worker: {_reason(error)}") from error
    if len(text) > MAX_BYTES - 4096:
        raise NotShippable(
            f"it is too large to be sent to a worker ({len(text):,} bytes with all that it refers to, "
            f"{MAX_BYTES:,} are allowed): make its data in on_worker_start, or in a module"
        )
    return text


def unpack(text: str) -> Any:
    """What was packed; runs whatever that wants, so only what a parent sends may come here.

    Raises:
        Exception: whatever hinders it: a module that is missing, most of the time.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotShippable(f"what came is no pickle: {error}") from None
    thing, sources = pickle.loads(data)  # noqa: S301 - see `is_from_parent`
    for name, source in sources.items():
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    return thing


def _blame(thing: Any) -> str | None:
    """Which name leads to what cannot be sent."""
    for path, value in _parts(thing, (), set()):
        if not hasattr(getattr(value, "__func__", value), "__code__") and not isinstance(value, dict):
            try:
                cloudpickle.dumps(value)
            except Exception as error:
                user = f"{path[-2]} uses " if len(path) > 1 else ""
                return f"{user}{path[-1]!r}, which cannot be sent to a worker: {_reason(error)}"
    return None


def _parts(thing: Any, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What is in it, and what the functions in it use, each with the names that lead there."""
    if id(thing) in seen or len(path) > MAX_DEPTH:
        return
    seen.add(id(thing))
    for name, value in _used_by(thing):
        here = (*path, str(getattr(value, "__name__", name)) if not path else name)
        yield here, value
        yield from _parts(value, here, seen)


def _used_by(thing: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, dict):
        yield from ((str(name), value) for name, value in thing.items())
        return
    if is_dataclass(thing) and not isinstance(thing, type):
        yield from ((entry.name, getattr(thing, entry.name)) for entry in fields(thing))
        return
    function = getattr(thing, "__func__", thing)
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType) or getattr(function, "__module__", None) != "__main__":
        return
    names = function.__globals__
    yield from ((name, names[name]) for name in _names_in(code) if name in names)
    for name, held in zip(code.co_freevars, function.__closure__ or (), strict=False):
        yield name, held.cell_contents
    if function is not thing:
        yield "self", thing.__self__


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _files_of(thing: Any) -> set[str]:
    """The inputs at the prompt in which its functions were typed: a traceback shows their lines."""
    functions = [value for _, value in _parts({"": thing}, (), set())]
    codes = (getattr(getattr(one, "__func__", one), "__code__", None) for one in functions)
    return {
        code.co_filename
        for code in codes
        if isinstance(code, CodeType) and code.co_filename.startswith(PROMPT)
    }


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


Handler = Callable[..., Any]
