"""From the roots outwards the target is met on a shortest way."""

from __future__ import annotations

import contextvars
import gc
import types
from collections import deque
from typing import Any

import pytest

from coshell.refs.roots import Root
from coshell.refs.walk import Walk, collector_at_rest


class Node:
    def __init__(self, **names: Any) -> None:
        self.__dict__.update(names)


class Slotted:
    __slots__ = ("right",)

    def __init__(self, right: Any) -> None:
        self.right = right


def walked(holders: list[Any], targets: list[Any], count: int = 1, **more: Any) -> Walk:
    walk = Walk([Root(one, "module global", "m", "x") for one in holders], targets, **more)
    walk.run(lambda so_far: len(so_far.roots) + len(so_far.holders) >= count)
    return walk


def way(holder: Any, target: Any) -> list[str]:
    """The types of the objects on the way, the target's holder last."""
    walk = walked([holder], [target])
    ((_, path),) = walk.paths(walk.holders[:1])
    return [type(one).__name__ for one in path]


@pytest.mark.parametrize("target", [bytearray(9), [bytearray(9)]], ids=["untracked", "tracked"])
def test_through_every_kind_of_container(target: Any) -> None:
    def closing() -> Any:
        return target

    def generator() -> Any:
        mine = target
        yield mine

    running = generator()
    next(running)
    context = contextvars.copy_context()
    variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable")
    context.run(variable.set, target)
    module = types.ModuleType("made")
    module.x = target  # type: ignore[attr-defined]
    for holder in (
        [target],
        (target,),
        {"k": target},
        deque([target]),
        Node(x=target),
        Slotted(target),
        closing,
        running,
        context,
        module,
        iter([target]),
        {"k": (1, (2, target))},
        [[[[target]]]],
        types.MappingProxyType({"k": target}),
    ):
        assert walked([holder], [target]).holders, type(holder)


def test_a_dictionary_that_the_collector_does_not_track() -> None:
    target = bytearray(9)
    holder = {"k": target}
    gc.collect()
    assert way([holder], target) == ["list", "dict"]


def test_the_shortest_way_is_found() -> None:
    target = bytearray(9)
    assert way({"long": [[[target]]], "short": [target]}, target) == ["dict", "list"]


def test_the_root_holds_it_itself() -> None:
    target = bytearray(9)
    walk = walked([target], [target])
    assert [root.value for root in walk.roots] == [target]
    assert walk.holders == []


def test_holders_of_one_ring_and_of_the_next() -> None:
    target = bytearray(9)
    first, second, third = [target], [target], [[target]]
    walk = walked([first, second, third], [target], count=3)
    assert [depth for depth, _, _ in walk.holders] == [0, 0, 1]
    assert [holder for _, holder, _ in walk.holders][:2] == [first, second]


def test_it_does_not_go_on_behind_a_target() -> None:
    child = [1]
    target = [child]
    child.append(target)  # type: ignore[arg-type]
    walk = walked([[target]], [target], count=9)
    assert len(walk.holders) == 1


def test_a_cycle_among_the_holders_ends() -> None:
    target = bytearray(9)
    ring: list[Any] = []
    ring.append(ring)
    assert walked([ring], [target]).holders == []


def test_closed_objects_and_barred_types_are_not_entered() -> None:
    target = bytearray(9)
    closed = [target]
    assert walked([[closed], Node(x=target)], [target], closed=[closed], barred=[Node]).holders == []
    assert walked([Node(x=target)], [target]).holders != []


def test_what_is_barred_can_be_a_target() -> None:
    target = Node()
    assert walked([[target]], [target], barred=[Node]).holders != []


def test_several_targets_and_a_way_to_each() -> None:
    targets = [bytearray(9) for _ in range(3)]
    holder = [[one] for one in targets]
    walk = walked([holder], targets, count=3)
    paths = [path for _, path in walk.paths(walk.holders)]
    assert [path[-1][0] for path in paths] == targets
    assert all(path[0] is holder for path in paths)


def test_it_gives_up_at_its_deadline() -> None:
    walk = walked([[[bytearray(9)]]], [bytearray(8)], deadline_s=0.0)
    assert walk.gave_up


def test_a_huge_list() -> None:
    target = bytearray(9)
    many: list[Any] = [[number] for number in range(200_000)]
    many[150_000].append(target)
    assert way(many, target) == ["list", "list"]


def test_it_holds_nothing_afterwards() -> None:
    target = [1]
    before = len(gc.get_referrers(target))
    walk = walked([[target]], [target])
    del walk
    assert len(gc.get_referrers(target)) == before


def test_a_hostile_type_is_walked_through() -> None:
    class Meta(type):
        def __hash__(cls) -> int:
            raise RuntimeError

        def __eq__(cls, other: object) -> bool:
            raise RuntimeError

    class Hostile(metaclass=Meta):
        def __init__(self, x: Any) -> None:
            self.x = x

        def __hash__(self) -> int:
            raise RuntimeError

        def __eq__(self, other: object) -> bool:
            raise RuntimeError

    target = Hostile(1)
    assert walked([[Hostile(target)]], [target], barred=[Hostile, Node]).holders == []
    assert walked([[Hostile(target)]], [target]).holders != []


def test_the_collector_rests_meanwhile() -> None:
    with collector_at_rest():
        assert not gc.isenabled()
    assert gc.isenabled()
