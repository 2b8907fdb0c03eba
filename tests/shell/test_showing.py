"""How values are shown."""

from collections import deque

import pytest

from coshell.showing import MAX_ELEMENTS, MAX_TEXT_CHARS, shown


class Loud:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        if self.text is None:
            raise ValueError("no repr")
        return self.text


@pytest.mark.parametrize(
    "value",
    [
        1,
        "it's",
        b"\x00\xff",
        [1, "a"],
        (1,),
        {"b": 1, "a": [2]},
        {1},
        None,
        1.5,
        bytearray(b"x"),
        deque([1]),
        {},
    ],
)
def test_small_values_are_shown_as_python_does(value):
    assert shown(value) == repr(value)


@pytest.mark.parametrize("kind", [list, tuple, deque, set, frozenset, dict.fromkeys])
def test_of_many_elements_only_those_are_asked_that_are_shown(kind):
    asked = []

    class Element:
        def __repr__(self):
            asked.append(self)
            return "a tide"

    text = shown(kind([Element() for _ in range(10 * MAX_ELEMENTS)]))
    assert len(asked) == MAX_ELEMENTS
    assert text.count("a tide") == MAX_ELEMENTS
    assert "..." in text


def test_a_big_dict_keeps_its_order():
    text = shown({str(n): n for n in range(1000, 0, -1)})
    assert text.startswith("{'1000': 1000, '999': 999")
    assert text.endswith(", ...}")


def test_a_long_text_tells_its_length():
    assert shown("x" * 5000) == f"'{'x' * MAX_TEXT_CHARS}'... (5000 characters)"
    assert shown(b"x" * 5000) == f"b'{'x' * MAX_TEXT_CHARS}'... (5000 bytes)"
    assert shown(bytearray(5000)).endswith("... (5000 bytes))")


def test_deep_nesting_is_cut():
    nested: list = []
    for _ in range(50):
        nested = [nested]
    assert "[...]" in shown(nested)
    assert shown({1: {1: {1: {1: {1: {1: {1: {}}}}}}}}).count("{") == 7


def test_what_holds_itself_is_shown():
    loop: list = []
    loop.append(loop)
    assert "[...]" in shown(loop)


def test_a_repr_that_raises_is_told():
    assert shown([Loud(None)]) == "[<Loud: its repr raised ValueError>]"


def test_a_repr_cannot_command_the_terminal():
    assert shown(Loud("\x1b]0;title\x07\u202e")) == r"\x1b]0;title\x07\u202e"


def test_a_long_repr_is_cut():
    assert shown(Loud("y" * 9999)) == f"{'y' * MAX_TEXT_CHARS}... (9999 characters)"


def test_a_repr_may_have_lines():
    assert shown(Loud("a\nb")) == "a\nb"
