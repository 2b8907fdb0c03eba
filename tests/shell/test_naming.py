"""What a user calls a coroutine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coloop import Coroutine, CoroutinePicture
from coshell.command import CommandError
from coshell.naming import find, find_all, number_in, ranges
from tests.shell.sessions import Session, session


@pytest.fixture
def at_prompt() -> Iterator[Session]:
    with session(clock="virtual") as opened:
        opened.type("go sleep(60) --name nap\ngo len('abc')\nmine = nap")
        yield opened


@pytest.mark.parametrize("ref", [2, "2", "co#2", "nap", "mine"])
def test_a_living_one_is_found_by_number_label_and_names(at_prompt: Session, ref: object) -> None:
    found = find(at_prompt.shell, ref)
    assert isinstance(found, Coroutine)
    assert found.id == 2


@pytest.mark.parametrize("ref", [3, "co#3", "len"])
def test_a_dead_one_is_found_as_a_picture(at_prompt: Session, ref: object) -> None:
    found = find(at_prompt.shell, ref)
    assert isinstance(found, CoroutinePicture)
    assert (found.id, found.state) == (3, "done")


def test_who_never_was_is_told_with_the_living(at_prompt: Session) -> None:
    with pytest.raises(CommandError, match=r"no coroutine .*9.*; living: 1-2$"):
        find(at_prompt.shell, 9)


def test_a_name_that_nobody_has_names_the_nearest(at_prompt: Session) -> None:
    with pytest.raises(CommandError, match="no coroutine 'nip', did you mean 'nap'"):
        find(at_prompt.shell, "nip")


def test_a_list_of_coroutines_means_all_of_them(at_prompt: Session) -> None:
    at_prompt.type("go -n 3 sleep(1) --name many")
    found = find_all(at_prompt.shell, [at_prompt.shell.names["many"], "nap"])
    assert [one.id for one in found] == [4, 5, 6, 2]


@pytest.mark.parametrize(("ref", "number"), [(7, 7), ("7", 7), ("co#7", 7), ("seven", None), ("7th", None)])
def test_the_number_in_a_reference(ref: object, number: int | None) -> None:
    assert number_in(ref) == number


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([3], "3"),
        ([2, 1, 3], "1-3"),
        ([1, 3, 4, 9], "1, 3-4, 9"),
        (range(0, 40, 2), "0, 2, 4, 6, 8, 10, 12, 14, ..."),
    ],
)
def test_numbers_are_told_as_ranges(numbers: list[int], text: str) -> None:
    assert ranges(numbers) == text
