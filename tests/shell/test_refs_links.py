"""How one object holds another, as it would be written."""

from __future__ import annotations

import contextvars
import functools
import sys
import types
import weakref
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coshell.refs.links import link, steps

HELD = bytearray(9)
Pair = namedtuple("Pair", "first second")  # noqa: PYI024 - the plain form is what is tested


class Plain:
    shared = HELD

    def __init__(self, value: Any) -> None:
        self.value = value


class Slotted:
    __slots__ = ("left", "right")


class Both(Slotted):
    pass


class Dict(dict[Any, Any]):
    pass


def slotted(kind: type[Slotted]) -> Slotted:
    made = kind()
    made.right = HELD
    return made


def with_default(x: Any = HELD) -> Any:
    return x


def with_keyword_default(*, x: Any = HELD) -> Any:
    return x


def closing(x: Any) -> Callable[[], Any]:
    y = 1
    return lambda: (x, y)


def generator() -> Iterator[None]:
    mine = HELD
    yield
    del mine


@pytest.mark.parametrize(
    ("holder", "text"),
    [
        ([0, HELD], "[1]"),
        ((0, HELD), "[1]"),
        (Pair(0, HELD), ".second"),
        (deque([0, HELD]), "[1]"),
        ({"k": HELD}, "['k']"),
        ({(1, b"x"): HELD}, "[(1, b'x')]"),
        ({Plain(1): HELD}, "[<Plain>]"),
        ({Plain: HELD}, "[Plain]"),
        (OrderedDict(k=HELD), "['k']"),
        (defaultdict(list, k=HELD), "['k']"),
        (Dict(k=HELD), "['k']"),
        (Plain(HELD), ".value"),
        (slotted(Slotted), ".right"),
        (slotted(Both), ".right"),
        (functools.partial(print, HELD).args, "[0]"),
        (types.SimpleNamespace(x=HELD), ".x"),
        (ValueError(HELD).args, "[0]"),
        (iter([HELD]), "inside"),
        (Plain, ".shared"),
    ],
)
def test_a_link(holder: object, text: str) -> None:
    assert link(holder, HELD) == text


def test_members_of_sets_and_keys_of_dicts() -> None:
    member = frozenset([1])
    assert link({member}, member) == "member"
    assert link(frozenset([member]), member) == "member"
    assert link({member: 1}, member) == "key <frozenset>"


def test_a_bound_method_and_its_like() -> None:
    plain = Plain(HELD)
    assert link(plain.__init__, plain) == ".__self__"
    assert link(functools.partial(closing, plain), closing) == ".func"
    assert link(staticmethod(closing), closing) == ".__func__"
    assert link(property(closing), closing) == ".fget"
    assert link(weakref.ref(plain, closing), closing) == ".__callback__"
    assert link(plain, Plain) == ".__class__"


def test_an_exception() -> None:
    error = ValueError(1)
    error.__cause__ = cause = KeyError(2)
    error.payload = HELD  # type: ignore[attr-defined]
    assert link(error, cause) == ".__cause__"
    assert link(error, error.args) == ".args"
    assert link(error, HELD) == ".payload"


def test_a_context() -> None:
    variable: contextvars.ContextVar[bytearray] = contextvars.ContextVar("user")
    context = contextvars.copy_context()
    context.run(variable.set, HELD)
    assert link(context, HELD) == "['user']"


def test_what_stores_attributes_is_no_step_of_its_own() -> None:
    plain = Plain(HELD)
    assert told([plain, plain.__dict__, HELD]) == [".value"]
    names = next(one for one in __import__("gc").get_referents(Plain) if type(one) is dict)
    assert told([Plain, names, HELD]) == [".shared"]
    module = types.ModuleType("m")
    module.x = HELD  # type: ignore[attr-defined]
    assert told([module, vars(module), HELD]) == [".x"]


def test_a_closure_is_named_by_its_variable() -> None:
    function = closing(HELD)
    closure = function.__closure__
    assert closure is not None
    assert told([function, closure, closure[0], HELD]) == ["closure x"]


def test_defaults() -> None:
    assert told([with_default, with_default.__defaults__, HELD]) == [".__defaults__", "[0]"]
    assert told([with_keyword_default, with_keyword_default.__kwdefaults__, HELD]) == [
        ".__kwdefaults__",
        "['x']",
    ]


def test_a_variable_of_a_generator() -> None:
    made = generator()
    next(made)
    assert told([made, HELD]) == ["variable mine"]


def test_a_variable_of_a_traceback() -> None:
    def fail() -> None:
        mine = HELD
        raise ValueError(mine)

    with pytest.raises(ValueError, match="bytearray") as caught:
        fail()
    inner = caught.value.__traceback__.tb_next  # type: ignore[union-attr]
    assert inner is not None
    assert told([inner, inner.tb_frame, HELD]) == ["variable mine"]


def test_the_globals_of_a_function() -> None:
    assert told([closing, globals(), HELD]) == [".__globals__", "['HELD']"]


def test_an_attribute_whose_name_is_no_word() -> None:
    plain = Plain(1)
    plain.__dict__["two words"] = HELD
    assert told([plain, plain.__dict__, HELD]) == ["['two words']"]


def told(path: list[Any]) -> list[str]:
    return [step.text for step in steps(path)]


def test_looking_at_a_frame_leaves_nothing_in_it() -> None:
    made = generator()
    next(made)
    before = sys.getrefcount(HELD)
    assert link(made, HELD) == "variable mine"
    assert sys.getrefcount(HELD) == before
