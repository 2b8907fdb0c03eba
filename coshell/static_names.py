"""What an object has can be seen without asking it.

`dir(x)` and `x.name` run code of the object's class: `__dir__`, `__getattr__`, properties. Such code may park,
print, or have effects that nobody asked for who only wanted to look. So attributes are read here from
where they lie: the dictionaries of the object and of its classes, and slots, which only C code reads.
"""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Mapping, Sequence
from types import MemberDescriptorType
from typing import Any, Final

NOWHERE: Final = object()


def object_at(path: Sequence[str], names: Mapping[str, Any]) -> Any:
    """What a chain of names leads to, `a.b.c` as ["a", "b", "c"]; `NOWHERE` if only a call could tell."""
    value: Any = names.get(path[0], getattr(builtins, path[0], NOWHERE))
    for name in path[1:]:
        value = attribute(value, name)
    return value


def attribute(owner: Any, name: str) -> Any:
    """The attribute's value if it lies there ready; `NOWHERE` if only code could make it."""
    found = inspect.getattr_static(owner, name, NOWHERE)
    if isinstance(found, MemberDescriptorType) and not isinstance(owner, type):
        return _slot(owner, found)
    if isinstance(found, (staticmethod, classmethod)):
        return found.__func__
    return NOWHERE if inspect.isdatadescriptor(found) else found


def attributes(owner: Any) -> dict[str, str]:
    """The names of the attributes that an object, its class and their bases hold, each with its type's name."""
    found: dict[str, str] = {}
    # Read past a metaclass that redefines these.
    classes = type.__dict__["__mro__"].__get__(owner if isinstance(owner, type) else type(owner))
    for holder in reversed(classes):
        found.update(_described(type.__dict__["__dict__"].__get__(holder)))
    if not isinstance(owner, type):
        found.update(_described(_instance_dict(owner)))
    return found


def _slot(owner: Any, slot: MemberDescriptorType) -> Any:
    try:
        return slot.__get__(owner)
    except AttributeError:
        return NOWHERE  # never assigned


def _described(held: Mapping[str, Any]) -> dict[str, str]:
    # One step for the copy: another thread may be adding names.
    return {str(name): type(value).__name__ for name, value in list(held.items())}


def _instance_dict(owner: Any) -> Mapping[str, Any]:
    try:
        found = object.__getattribute__(owner, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, dict) else {}
