"""The dictionaries and slots in which objects keep their attributes, found past whatever hides them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import (
    CellType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    ModuleType,
    TracebackType,
)
from typing import Any, Final

NO_NAMES: Final[dict[str, Any]] = {}

# What C keeps behind a getter that only hands it out.
_GETTERS: Final[tuple[tuple[type, tuple[str, ...]], ...]] = (
    (FunctionType, ("__defaults__", "__kwdefaults__")),
    (CellType, ("cell_contents",)),
    (BaseException, ("args", "__traceback__", "__context__", "__cause__")),
    (TracebackType, ("tb_next",)),
)


def classes_of(kind: type) -> tuple[type, ...]:
    """A class and its bases, in the order in which names are looked up."""
    found: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return found


def class_dict(kind: type) -> dict[str, Any]:
    """The names that a class itself defines."""
    return dict(type.__dict__["__dict__"].__get__(kind))


def module_dict(module: ModuleType) -> dict[str, Any]:
    """The globals of a module, itself."""
    found: dict[str, Any] = class_dict(ModuleType)["__dict__"].__get__(module)
    return found


def referents(value: object) -> list[Any]:
    """What an object refers to. Of a module its globals only: up to CPython 3.12.5 freed objects are among the rest."""
    if isinstance_of(value, ModuleType):
        return [module_dict(value)]  # type: ignore[arg-type]
    return gc.get_referents(value)


def instance_dict(value: object) -> dict[str, Any]:
    """The dictionary of an instance, itself; an empty one if it has none.

    An instance that keeps its values without one gets it by being asked; it works as before.
    """
    if isinstance_of(value, ModuleType):
        return module_dict(value)  # type: ignore[arg-type]
    for kind in classes_of(type(value)):
        descriptor = type.__dict__["__dict__"].__get__(kind).get("__dict__")
        if type(descriptor) is GetSetDescriptorType or type(descriptor) is MemberDescriptorType:
            found = descriptor.__get__(value, type(value))
            return found if type(found) is dict else NO_NAMES
    return NO_NAMES


def slots(value: object) -> Iterator[tuple[str, Any]]:
    """What lies in slots, Python's and C's, with their names."""
    for kind in classes_of(type(value)):
        for name, descriptor in class_dict(kind).items():
            if type(descriptor) is MemberDescriptorType:
                yield from _read(descriptor, value, name)
    for kind, names in _GETTERS:
        if isinstance_of(value, kind):
            for name in names:
                yield from _read(class_dict(kind)[name], value, name)


def _read(descriptor: Any, value: object, name: str) -> Iterator[tuple[str, Any]]:
    try:
        yield str(name), descriptor.__get__(value, type(value))
    except (AttributeError, ValueError):  # never assigned, or an empty cell
        return


def isinstance_of(value: object, kind: type | tuple[type, ...]) -> bool:
    """As `isinstance`, without asking the value's `__class__`, which may be a property."""
    return issubclass(type(value), kind)
