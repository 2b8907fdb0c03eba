"""How one object holds another, as it would be written: `[12]`, `.name`, `['key']`, `closure x`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context
from types import (
    AsyncGeneratorType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    ModuleType,
    TracebackType,
)
from typing import Any, Final, NamedTuple

from .attributes import class_dict, instance_dict, isinstance_of, module_dict, slots
from .frames import variables
from .naming import key_text

INSIDE: Final = "inside"  # it is held, and Python has no way to say where
_HAVE_A_FRAME: Final = (GeneratorType, CoroutineType, TracebackType)


class Step(NamedTuple):
    """One link of a chain.

    Attributes:
        text: how it is written.
        value: what it leads to.
    """

    text: str
    value: Any


def steps(path: list[Any]) -> list[Step]:
    """The links of a path, from its first object on; what only stores attributes is no step of its own."""
    found: list[Step] = []
    at = 0
    while at + 1 < len(path):
        text, taken = _step(path, at)
        at += taken
        found.append(Step(text, path[at]))
    return found


def _step(path: list[Any], at: int) -> tuple[str, int]:
    """The link that begins at a place, and how many references it consists of."""
    holder, held = path[at], path[at + 1]
    if at + 2 < len(path):
        if type(held) is dict and _stores_attributes(holder, held):
            return _named_in(held, path[at + 2]), 2
        if type(holder) is FunctionType and type(held) is tuple and at + 3 < len(path):
            place = _closure_variable(holder, held, path[at + 2])
            if place:
                return place, 3
        if isinstance_of(held, FrameType) and isinstance_of(holder, _HAVE_A_FRAME):
            return link(held, path[at + 2]), 2
    return link(holder, held), 1


def _stores_attributes(holder: object, held: dict[str, Any]) -> bool:
    # A class keeps its names in a dictionary that only the collector hands out.
    return isinstance_of(holder, type) or instance_dict(holder) is held


def _named_in(names: dict[str, Any], value: object) -> str:
    for name, found in list(names.items()):
        if found is value:
            return _dotted(name)
    return INSIDE


def _closure_variable(function: FunctionType, closure: tuple[Any, ...], cell: object) -> str:
    if function.__closure__ is not closure:
        return ""
    names = function.__code__.co_freevars
    return next((f"closure {name}" for name, its in zip(names, closure, strict=False) if its is cell), "")


def link(holder: Any, held: Any) -> str:
    """How the one holds the other."""
    for kind, places, text in _PLACES:
        if isinstance_of(holder, kind):
            for name, value in places(holder):
                if value is held:
                    return text(name)
    if type(holder) is not type and isinstance_of(holder, dict) and _is_key(holder, held):
        return f"key {key_text(held)}"
    return _attribute(holder, held)


def _is_key(holder: dict[Any, Any], held: object) -> bool:
    return any(key is held for key in list(dict.keys(holder)))


def _attribute(holder: Any, held: Any) -> str:
    if held is type(holder):
        return ".__class__"
    names = instance_dict(holder)
    for name, value in (*names.items(), *slots(holder)):
        if value is held:
            return _dotted(_FRIENDLY.get(name, name) if type(name) is str else name)
    return ".__dict__" if names is held else INSIDE


_FRIENDLY: Final = {  # of a coroutine's handle
    "_value": "result",
    "_error": "error",
    "_defers": "defers",
    "_subject": "waiting_on",
}


# -- the places of each kind -------------------------------------------------------------------------

Places = Iterable[tuple[Any, Any]]


def _at(name: Any) -> str:
    return f"[{key_text(name)}]"


def _dotted(name: Any) -> str:
    return f".{name}" if type(name) is str and name.isidentifier() else _at(name)


def _field(name: Any) -> str:
    return _dotted(name) if type(name) is str else _at(name)


def _variable(name: str) -> str:
    return f"variable {name}"


def _plainly(name: str) -> str:
    return name


def _fields_of(holder: tuple[Any, ...]) -> Places:
    values = list(tuple.__iter__(holder))
    fields = class_dict(type(holder)).get("_fields")
    is_named = type(fields) is tuple and all(type(field) is str for field in fields)
    return zip(fields if is_named and fields else range(len(values)), values, strict=False)


def _names_of_class(holder: type) -> Places:
    yield from class_dict(holder).items()
    for name in ("__mro__", "__bases__"):
        yield name, type.__dict__[name].__get__(holder)


def _variables_of_generator(holder: Any) -> Places:
    for kind, name in (
        (GeneratorType, "gi_frame"),
        (CoroutineType, "cr_frame"),
        (AsyncGeneratorType, "ag_frame"),
    ):
        if isinstance_of(holder, kind):
            frame = class_dict(kind)[name].__get__(holder)
            return [] if frame is None else variables(frame)
    return []


def _frames_of(holder: TracebackType) -> Places:
    yield "frame", holder.tb_frame
    yield "next", holder.tb_next


def _parts_of_function(holder: FunctionType) -> Places:
    yield "__globals__", holder.__globals__
    yield "__code__", holder.__code__
    yield "__closure__", holder.__closure__


_PLACES: Final[tuple[tuple[type, Callable[[Any], Places], Callable[[Any], str]], ...]] = (
    (dict, lambda holder: list(dict.items(holder)), _at),
    (list, lambda holder: enumerate(list.__iter__(holder)), _at),
    (tuple, _fields_of, _field),
    (deque, lambda holder: enumerate(list(deque.__iter__(holder))), _at),
    (set, lambda holder: [("member", value) for value in set.__iter__(holder)], _plainly),
    (frozenset, lambda holder: [("member", value) for value in frozenset.__iter__(holder)], _plainly),
    (type, _names_of_class, _dotted),
    (FrameType, variables, _variable),
    (GeneratorType, _variables_of_generator, _variable),
    (CoroutineType, _variables_of_generator, _variable),
    (AsyncGeneratorType, _variables_of_generator, _variable),
    (TracebackType, _frames_of, _plainly),
    (FunctionType, _parts_of_function, _dotted),
    (Context, lambda holder: [(variable.name, value) for variable, value in holder.items()], _at),
    (ModuleType, lambda holder: list(module_dict(holder).items()), _dotted),
)
