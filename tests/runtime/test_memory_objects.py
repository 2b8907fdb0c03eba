"""Which objects are on an account, one by one."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

import coloop
from coloop import CoroutineError, go, memory, suspend
from coloop._form import native

pytestmark = pytest.mark.coroutine

needs_core = pytest.mark.skipif(native is None, reason="there is no native core")


class Thing:
    pass


class Slotted:
    __slots__ = ()


@pytest.fixture(autouse=True)
def heap() -> Iterator[None]:
    yield
    memory.set_level("counts")


def ours(found: list[Any]) -> list[Any]:
    return [
        one
        for one in found
        if type(one) in {Thing, Slotted} or (type(one) is bytearray and len(one) == 98_765)
    ]


@needs_core
def test_those_of_a_coroutine_and_of_no_other() -> None:
    memory.set_level("heap")
    other = Thing()

    def make() -> None:
        mine = Thing(), Slotted(), bytearray(98_765), [bytearray(98_765)]
        suspend()
        del mine

    co = go(make)
    found = ours(memory.objects(co.id))
    assert sorted(type(one).__name__ for one in found) == ["Slotted", "Thing", "bytearray", "bytearray"]
    assert all(one is not other for one in found)
    del found
    co.resume()


@needs_core
def test_what_the_dead_have_left_by_id_and_by_place_of_birth() -> None:
    memory.set_level("heap")
    kept: list[Any] = []
    living: list[Any] = []

    def leak(where: list[Any], *, lives: bool) -> None:
        where.append(bytearray(98_765))
        if lives:
            suspend()

    first, second, third = (start(leak, *one) for one in ((kept, False), (kept, False), (living, True)))
    assert ours(memory.objects(first.id))[0] is kept[0]
    assert ours(memory.objects(second.id))[0] is kept[1]
    assert first.spawned_at == second.spawned_at
    found = ours(memory.objects(first.spawned_at))
    assert {id(one) for one in found} == {id(one) for one in kept}  # not that of who lives
    third.resume()


def start(fn: Any, where: list[Any], lives: bool) -> coloop.Coroutine:
    return go(fn, where, lives=lives)


@needs_core
def test_a_residue_that_was_freed_is_gone() -> None:
    memory.set_level("heap")
    kept: list[Any] = []
    co = go(lambda: kept.append(bytearray(98_765)))
    assert len(ours(memory.objects(co.id))) == 1
    kept.clear()
    assert ours(memory.objects(co.id)) == []


@needs_core
def test_nothing_is_kept_of_the_question() -> None:
    memory.set_level("heap")
    kept = [Thing()]
    before = len(gc.get_referrers(kept[0]))
    memory.objects(1)
    assert len(gc.get_referrers(kept[0])) == before


@needs_core
def test_a_place_where_nobody_was_born() -> None:
    memory.set_level("heap")
    assert memory.objects("nowhere.py:1 in nobody") == []


def test_below_level_heap_it_is_refused() -> None:
    memory.set_level("counts")
    with pytest.raises(CoroutineError, match="objects are not told at level counts"):
        memory.objects(1)


@pytest.mark.skipif(native is not None, reason="the native core can tell")
def test_tracemalloc_cannot_tell() -> None:
    memory.set_level("heap")
    with pytest.raises(CoroutineError, match="objects of co#1: this needs the native core"):
        memory.objects(1)


@needs_core
def test_the_core_refuses_what_it_cannot_use() -> None:
    core: Any = native
    for wrong in ((), ([],), ([], "x"), ((), 1), ([], [1]), ([], [(1, "x")])):
        with pytest.raises(TypeError, match="ledger_objects takes"):
            core.ledger_objects(*wrong)
