"""Containers that grew are found, also those that the collector does not track, and the dead in them."""

import gc
from collections import deque
from types import ModuleType
from typing import Any

import pytest

import coloop
from coloop import current_scheduler, go, yield_now
from coshell.leaks.suspects import Suspect, census, suspects
from tests.secretive import Secret


def found_after(fill, container, rounds=2):
    """What becomes of a container that is filled between the looks; in a coroutine."""
    begun = current_scheduler().spawned
    censuses = []
    for _ in range(rounds):
        censuses.append(census())
        fill()
    names = {id(container): "it"}
    found = suspects(censuses, current_scheduler(), begun, lambda one, _: names.get(id(one), ""), (censuses,))
    return next((one for one in found if one.held_by == "it"), None)


@pytest.mark.parametrize(
    ("container", "add"),
    [
        ([], lambda it, n: it.append(n)),
        ({}, lambda it, n: it.update({n: 1.5})),
        (set(), lambda it, n: it.add(n)),
        (deque(), lambda it, n: it.append(n)),
    ],
)
def test_whatever_grew_in_both_halves_is_a_suspect(container, add):
    def fill():
        for _ in range(20):
            add(container, len(container) + 1_000_000)

    found = coloop.run(lambda: found_after(fill, container))
    assert (found.kind, found.items, found.grown, found.dead) == (type(container).__name__, 40, 40, 0)


def test_no_class_of_a_user_s_is_asked():
    kept = []
    found = coloop.run(lambda: found_after(lambda: kept.extend(Secret() for _ in range(20)), kept))
    assert (found.items, found.dead) == (40, 0)


def test_nor_is_an_object_for_its_size():
    class Builtin:
        __module__ = "builtins"

        def __sizeof__(self):
            raise ZeroDivisionError

    kept = []
    found = coloop.run(lambda: found_after(lambda: kept.extend(Builtin() for _ in range(20)), kept))
    assert found.grown == 40


def test_what_grew_once_is_none():
    kept = []
    fills = iter([lambda: kept.extend(range(100)), lambda: None])
    assert coloop.run(lambda: found_after(lambda: next(fills)(), kept)) is None


def test_what_grew_by_a_few_is_none():
    kept = []
    assert coloop.run(lambda: found_after(lambda: kept.append(1), kept)) is None


@pytest.mark.parametrize(
    ("container", "keep", "what"),
    [
        ({}, lambda it, one: it.update({one.id: "x"}), "numbers"),
        (set(), lambda it, one: it.add(one.id), "numbers"),
        ({}, lambda it, one: it.update({one.name: "x"}), "names"),
        ({}, lambda it, one: it.update({one: "x"}), "handles"),
        ({}, lambda it, one: it.update({f"key {len(it)}": one}), "handles"),
        ([], lambda it, one: it.append(one), "handles"),
    ],
)
def test_numbers_names_and_handles_of_the_dead_are_known(container, keep, what):
    def fill():
        for number in range(15):
            keep(container, go(yield_now, name=f"{len(container)} {number}"))
        for _ in range(3):
            yield_now()

    found = coloop.run(lambda: found_after(fill, container))
    assert (found.what, found.dead, found.grown) == (what, 30, 30)


def test_the_living_are_not_dead():
    kept = {}

    def fill():
        for _ in range(15):
            one = go(coloop.suspend)
            kept[one.id] = one

    def main():
        found = found_after(fill, kept)
        for one in kept.values():
            one.cancel()
        return found

    assert coloop.run(main).dead == 0


def test_the_size_of_what_came_is_estimated():
    kept = []

    def fill():
        kept.extend(bytearray(1000) for _ in range(10))

    assert coloop.run(lambda: found_after(fill, kept)).size == pytest.approx(20 * 1057, rel=0.05)


def test_code_of_the_user_is_not_run():
    class Loud(int):
        def __sizeof__(self):
            raise AssertionError

    kept = []
    found = coloop.run(lambda: found_after(lambda: kept.extend(Loud(n) for n in range(10)), kept))
    assert isinstance(found, Suspect)


def test_without_a_census_nobody_is_a_suspect():
    assert coloop.run(lambda: suspects([{}, {}], current_scheduler(), 0, lambda *_: "")) == []


def test_what_c_code_of_a_module_holds_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to CPython 3.12.5 freed objects are among it: the interpreter hung in its next collection."""
    asked: list[type] = []
    real = gc.get_referents

    def get_referents(*objects: Any) -> list[Any]:
        asked.extend(map(type, objects))
        return real(*objects)

    monkeypatch.setattr(gc, "get_referents", get_referents)
    census()
    assert asked
    assert not any(issubclass(kind, ModuleType) for kind in asked)
