"""Why an object lives that no root leads to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.shell.aside import Aside, Seat


@pytest.fixture
def at_prompt(aside: Aside) -> Iterator[Seat]:
    with aside.session(clock="virtual", level="counts") as opened:
        opened.type("import gc\ngc.disable()")
        opened.type("import weakref\nclass Node: pass\nclass Data(bytearray): pass\nclass Box(list): pass")
        yield opened
        opened.type("gc.enable()")


CYCLE = "that only the collector frees (gc): "


def test_an_object_in_a_cycle(at_prompt: Seat) -> None:
    at_prompt.type("n = Node()\nn.me = n\ngone = weakref.ref(n)\ndel n")
    told = at_prompt.value("refs gone()")
    assert (told.root, told.kind) == ("", "cycle")
    assert told.remark == f"it is in a cycle {CYCLE}Node -> .me (Node)"


def test_a_cycle_of_two(at_prompt: Seat) -> None:
    at_prompt.type("a = Node()\nb = Node()\na.b = b\nb.a = a\ngone = weakref.ref(a)\ndel a, b")
    assert at_prompt.value("refs gone()").remark == f"it is in a cycle {CYCLE}Node -> .b (Node) -> .a (Node)"


def test_an_object_that_a_cycle_holds(at_prompt: Seat) -> None:
    at_prompt.type("n = Node()\nn.me = n\nn.data = [Data()]\ngone = weakref.ref(n.data[0])\ndel n")
    assert at_prompt.value("refs gone()").remark == f"nobody holds it but a cycle {CYCLE}Node -> .me (Node)"


def test_a_cycle_through_a_list(at_prompt: Seat) -> None:
    at_prompt.type("b = Box()\nb.append([b])\ngone = weakref.ref(b)\ndel b")
    assert at_prompt.value("refs gone()").remark == f"it is in a cycle {CYCLE}Box -> [0] (list) -> [0] (Box)"


def test_after_a_collection_there_is_none(at_prompt: Seat) -> None:
    at_prompt.type("n = Node()\nn.me = n\ngone = weakref.ref(n)\ndel n")
    at_prompt.type("gc.collect()")
    assert at_prompt.value("gone() is None") is True


_WAITS_IN_AN_EXPRESSION = """\
kept = []
def make():
    made = Data()
    kept.append(weakref.ref(made))
    return made
def call(*_): pass
def hold():
    call({}, sleep(60))
go hold()
"""


def test_held_where_the_collector_cannot_see(at_prompt: Seat) -> None:
    """An expression that is not finished: the argument of a call whose other argument has yet to come."""
    at_prompt.type(_WAITS_IN_AN_EXPRESSION.format("make()"))
    told = at_prompt.value("refs kept[0]()")
    assert told.kind == "unseen"
    assert told.remark == "it is held by something that the collector cannot see: 1 reference unaccounted"
    assert at_prompt.value("refs(kept[0]())") == told


def test_references_that_cannot_be_seen_are_counted(at_prompt: Seat) -> None:
    at_prompt.type(_WAITS_IN_AN_EXPRESSION.format("make()"))
    at_prompt.type("pair = [make()]\ndef twice():\n    call(pair[0], pair.pop(), sleep(60))\ngo twice()")
    told = at_prompt.value("refs kept[1]()")
    assert told.remark.endswith(": 2 references unaccounted")


def test_held_by_a_list_that_is_held_there(at_prompt: Seat) -> None:
    at_prompt.type(_WAITS_IN_AN_EXPRESSION.format("[make()]"))
    told = at_prompt.value("refs kept[0]()")
    assert told.kind == "unseen"
    assert told.remark.startswith("it is held by a list that something holds which the collector cannot see")
