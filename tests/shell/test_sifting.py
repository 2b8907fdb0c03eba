"""A list that is too long to read is made short."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coloop import CoroutinePicture
from coshell.command import CommandError
from coshell.roster import Look, Row, row_columns, rows
from coshell.sifting import group_columns, grouped, matching, ordered, tree
from tests.shell.pictures import coroutine, snapshot

SHELL = coroutine(1, "shell", heap_bytes=114_688)
LEAKY = coroutine(2, "leaky", parent_id=1, heap_bytes=1_677_722)


def made(*living: CoroutinePicture) -> list[Row]:
    return rows(Look(snapshot(*living)))


def test_rows_are_chosen_by_an_expression_over_their_columns() -> None:
    shown = made(SHELL, LEAKY)
    assert [row.id for row in matching(shown, "heap > 200 * 1024 and 'leak' in name", {})] == [2]
    assert [row.id for row in matching(shown, "id in mine", {"mine": {1}})] == [1]
    assert [row.id for row in matching(shown, "any(id == k for k in [2])", {})] == [2]


def test_sizes_may_be_written_with_units() -> None:
    assert [row.id for row in matching(made(SHELL, LEAKY), "heap > 1M", {})] == [2]


def test_what_is_unknown_does_not_match() -> None:
    shown = made(SHELL, replace(LEAKY, heap_bytes=None))
    assert [row.id for row in matching(shown, "heap > 0", {})] == [1]


@pytest.mark.parametrize(
    ("expression", "told"), [("heep > 1", "NameError"), ("heap >", "SyntaxError"), ("id()", "TypeE")]
)
def test_an_expression_that_fails_is_told_of_in_one_line(expression: str, told: str) -> None:
    with pytest.raises(CommandError, match=f"--where .*{told}"):
        matching(made(SHELL), expression, {})


def test_sizes_and_times_are_sorted_biggest_first_and_names_by_the_alphabet() -> None:
    shown = made(SHELL, LEAKY, replace(LEAKY, id=4, name="able", heap_bytes=None))
    columns = row_columns(shown)
    assert [row.id for row in ordered(shown, "heap", columns)] == [2, 1, 4]
    assert [row.id for row in ordered(shown, "-HEAP", columns)] == [1, 2, 4]
    assert [row.name for row in ordered(shown, "name", columns)] == ["able", "leaky", "shell"]
    assert [row.id for row in ordered(shown, "id", columns)] == [1, 2, 4]


def test_a_column_can_be_called_as_it_is_headed() -> None:
    shown = made(SHELL, LEAKY)
    assert ordered(shown, "WAITING-ON", row_columns(shown)) == ordered(
        shown, "waiting_on", row_columns(shown)
    )


def test_a_column_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(CommandError, match=r"no column 'heep'.*heap"):
        ordered(made(SHELL), "heep", row_columns(made(SHELL)))


def test_many_of_a_kind_are_one_row() -> None:
    workers = [replace(LEAKY, id=number, name=f"echo#1/c{number}", busy_s=0.5) for number in range(10, 1043)]
    first, second = grouped(made(SHELL, *workers))
    assert (first.count, first.name, first.states) == (1033, "echo#1/c*", "1,033 waiting")
    assert first.heap == 1033 * LEAKY.heap_bytes
    assert first.busy == pytest.approx(516.5)
    assert (second.count, second.name) == (1, "shell")
    assert [column.header for column in group_columns([first, second])][:3] == ["COUNT", "NAME", "STATES"]


def test_one_name_started_at_two_places_is_two_groups() -> None:
    assert len(grouped(made(LEAKY, replace(LEAKY, id=5, spawned_at="elsewhere")))) == 2


def test_a_tree_has_children_below_who_started_them() -> None:
    child = replace(LEAKY, id=4, parent_id=2, name="child")
    orphan = replace(LEAKY, id=5, parent_id=99, name="orphan")
    shown = tree(made(SHELL, LEAKY, orphan, child))
    assert [(row.id, row.depth) for row in shown] == [(1, 0), (2, 1), (4, 2), (5, 0)]
    assert shown[2].label == "    child"


def test_a_chain_of_any_length_is_a_tree() -> None:
    chain = [replace(LEAKY, id=number, parent_id=number - 1) for number in range(1, 5001)]
    assert tree(made(*chain))[-1].depth == 4999
