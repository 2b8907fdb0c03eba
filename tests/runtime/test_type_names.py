"""Names of types are read past their metaclass."""

import pytest

from coloop._type_names import type_module, type_name
from tests.secretive import Asked, Secret


def test_a_type_is_not_asked_for_its_names() -> None:
    with pytest.raises(Asked):
        _ = Secret.__name__
    assert (type_name(Secret), type_module(Secret)) == ("Secret", "tests.secretive")
    assert (type_name(int), type_module(int)) == ("int", "builtins")


def test_nor_is_the_name_itself() -> None:
    class Name(str):
        __slots__ = ()

        def __str__(self) -> str:
            raise Asked

    named = type("Before", (), {})
    named.__name__ = Name("After")
    assert type(type_name(named)) is str
    assert type_name(named) == "After"


def test_a_module_that_is_no_text_is_none() -> None:
    assert type_module(type("Odd", (), {"__module__": 3})) == ""
