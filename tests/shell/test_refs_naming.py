"""Objects are named without asking them."""

from __future__ import annotations

import pytest

from coshell.refs.naming import class_name, key_text, type_name


class Hostile(type):
    def __getattribute__(cls, name: str) -> object:
        raise RuntimeError(name)

    def __hash__(cls) -> int:
        raise RuntimeError

    def __eq__(cls, other: object) -> bool:
        raise RuntimeError


class Shy(metaclass=Hostile):
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("a", "'a'"),
        (b"a", "b'a'"),
        (7, "7"),
        (1.5, "1.5"),
        (None, "None"),
        (True, "True"),
        ((1, "a"), "(1, 'a')"),
        ((1,), "(1,)"),
        ((1, 2, 3, 4, 5), "(1, 2, 3, 4, ...)"),
        (1 << 10_000, "<int>"),
        ([1], "<list>"),
        (int, "int"),
        ("\x1b[2J", r"'\x1b[2J'"),
    ],
)
def test_a_key(key: object, text: str) -> None:
    assert key_text(key) == text


def test_a_long_key_is_cut() -> None:
    assert len(key_text("x" * 1_000_000)) == 40


def test_what_does_not_want_to_be_named_is() -> None:
    assert type_name(Shy()) == "Shy"
    assert type_name(Shy) == "class"
    assert class_name(Shy) == "Shy"
    assert key_text(Shy()) == "<Shy>"
    assert key_text((Shy(), 1)) == "(<Shy>, 1)"
