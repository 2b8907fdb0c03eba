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


def found_after(fill, container):
    """What becomes of a container that is filled between the looks; in a coroutine."""
    begun = current_scheduler().spawned
    censuses = []
    for _ in range(2):
        censuses.append(census())
        fill()
    names = {id(container): "it"}
    found = suspects(censuses, current_scheduler(), begun, lambda one, _: names.get(id(one), ""), (censuses,))
    return next((one for one in found if one.held_by == "it"), None)


# Each of these is called in the other process, by the test below it.


def grown(container: type, add: str) -> Suspect | None:
    it, add_to = container(), eval(add)

    def fill():
        for _ in range(20):
            add_to(it, len(it) + 1_000_000)

    return coloop.run(lambda: found_after(fill, it))


@pytest.mark.parametrize(
    ("container", "add"),
    [
        (list, "lambda it, n: it.append(n)"),
        (dict, "lambda it, n: it.update({n: 1.5})"),
        (set, "lambda it, n: it.add(n)"),
        (deque, "lambda it, n: it.append(n)"),
    ],
)
def test_whatever_grew_in_both_halves_is_a_suspect(aside, container, add):
    found = aside.do(grown, container, add)
    assert (found.kind, found.items, found.grown, found.dead) == (container.__name__, 40, 40, 0)


class Odd:
    __module__ = "builtins"

    def __sizeof__(self):
        raise ZeroDivisionError


def grown_by(kind: type) -> Suspect | None:
    kept = []
    return coloop.run(lambda: found_after(lambda: kept.extend(kind() for _ in range(20)), kept))


def grown_by_secrets() -> Suspect | None:
    return grown_by(Secret)


def grown_by_the_odd() -> Suspect | None:
    return grown_by(Odd)


def test_no_class_of_a_user_s_is_asked(aside):
    found = aside.do(grown_by_secrets)
    assert (found.items, found.dead) == (40, 0)


def test_nor_is_an_object_for_its_size(aside):
    assert aside.do(grown_by_the_odd).grown == 40


def grown_once() -> Suspect | None:
    kept = []
    fills = iter([lambda: kept.extend(range(100)), lambda: None])
    return coloop.run(lambda: found_after(lambda: next(fills)(), kept))


def test_what_grew_once_is_none(aside):
    assert aside.do(grown_once) is None


def grown_by_a_few() -> Suspect | None:
    kept = []
    return coloop.run(lambda: found_after(lambda: kept.append(1), kept))


def test_what_grew_by_a_few_is_none(aside):
    assert aside.do(grown_by_a_few) is None


def grown_by_the_dead(container: type, keep: str) -> Suspect | None:
    it, keep_in = container(), eval(keep)

    def fill():
        for number in range(15):
            keep_in(it, go(yield_now, name=f"{len(it)} {number}"))
        for _ in range(3):
            yield_now()

    return coloop.run(lambda: found_after(fill, it))


@pytest.mark.parametrize(
    ("container", "keep", "what"),
    [
        (dict, "lambda it, one: it.update({one.id: 'x'})", "numbers"),
        (set, "lambda it, one: it.add(one.id)", "numbers"),
        (dict, "lambda it, one: it.update({one.name: 'x'})", "names"),
        (dict, "lambda it, one: it.update({one: 'x'})", "handles"),
        (dict, "lambda it, one: it.update({f'key {len(it)}': one})", "handles"),
        (list, "lambda it, one: it.append(one)", "handles"),
    ],
)
def test_numbers_names_and_handles_of_the_dead_are_known(aside, container, keep, what):
    found = aside.do(grown_by_the_dead, container, keep)
    assert (found.what, found.dead, found.grown) == (what, 30, 30)


def grown_by_the_living() -> Suspect | None:
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

    return coloop.run(main)


def test_the_living_are_not_dead(aside):
    assert aside.do(grown_by_the_living).dead == 0


def grown_by_pages() -> Suspect | None:
    kept = []

    def fill():
        kept.extend(bytearray(1000) for _ in range(10))

    return coloop.run(lambda: found_after(fill, kept))


def test_the_size_of_what_came_is_estimated(aside):
    assert aside.do(grown_by_pages).size == pytest.approx(20 * 1057, rel=0.05)


def grown_by_what_runs_code() -> Suspect | None:
    class Loud(int):
        def __sizeof__(self):
            raise AssertionError

    kept = []
    return coloop.run(lambda: found_after(lambda: kept.extend(Loud(n) for n in range(10)), kept))


def test_code_of_the_user_is_not_run(aside):
    assert isinstance(aside.do(grown_by_what_runs_code), Suspect)


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
