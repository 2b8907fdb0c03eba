"""Attributes are read from where they lie."""

from __future__ import annotations

import asyncio
import types

from coshell.refs.attributes import (
    class_dict,
    classes_of,
    instance_dict,
    isinstance_of,
    module_dict,
    referents,
    slots,
)


class Hidden:
    def __init__(self) -> None:
        object.__setattr__(self, "x", 1)

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(name)


class Sub(Hidden):
    @property
    def __dict__(self) -> dict[str, object]:  # type: ignore[override]
        raise RuntimeError

    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise RuntimeError


class Slotted:
    __slots__ = ("empty", "full")

    def __init__(self) -> None:
        self.full = 1


def test_the_dictionary_is_found_past_what_hides_it() -> None:
    assert instance_dict(Hidden()) == {"x": 1}
    assert instance_dict(Sub()) == {"x": 1}


def test_it_is_the_dictionary_itself() -> None:
    namespace = types.SimpleNamespace()
    assert instance_dict(namespace) is namespace.__dict__
    module = types.ModuleType("m")
    assert instance_dict(module) is module_dict(module) is vars(module)


def test_what_has_none_has_an_empty_one() -> None:
    assert instance_dict(1) == {}
    assert instance_dict(Slotted()) == {}


def test_slots_that_were_never_assigned_are_left_out() -> None:
    assert dict(slots(Slotted())) == {"full": 1}


def test_the_contents_of_a_cell_and_of_an_empty_one() -> None:
    assert dict(slots(types.CellType(7))) == {"cell_contents": 7}
    assert dict(slots(types.CellType())) == {}


def test_the_kind_is_not_asked_of_the_object() -> None:
    assert isinstance_of(Sub(), Hidden)
    assert classes_of(Sub) == (Sub, Hidden, object)
    assert "empty" in class_dict(Slotted)


def test_of_a_module_only_its_globals_are_asked_for() -> None:
    """Up to CPython 3.12.5 freed objects are among what its C code holds."""
    assert [id(found) for found in referents(asyncio)] == [id(vars(asyncio))]
