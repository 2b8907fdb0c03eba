"""A picture becomes rows, and the rows say what they leave out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from coloop import CoroutinePicture
from coshell.lints import Finding
from coshell.plugin import PsColumn
from coshell.render import json_line, table
from coshell.roster import (
    ByteRate,
    Look,
    StackSize,
    Trend,
    footer,
    row_columns,
    rows,
)
from coshell.values import Bytes
from tests.shell.pictures import coroutine, snapshot, socket

PICTURE = coroutine(
    1, "shell", age_s=134.0, busy_s=0.4, switches=1204, heap_bytes=114_688, stack_bytes=2150, frames=6
)
LEAKY = replace(
    PICTURE,
    id=2,
    name="leaky",
    parent_id=1,
    waiting_on="sleep 0.062s",
    where="<co:2>:3 in blip",
    heap_bytes=1_677_722,
)
DEAD = replace(
    LEAKY, id=3, name="warm", state="done", waiting_on=None, outcome="returned", ended_ago_s=2.0, where=None
)


def made(*living: CoroutinePicture, **changes: Any) -> list:
    return rows(Look(snapshot(*living, **changes)))


def test_a_row_has_an_attribute_for_each_column() -> None:
    row = made(LEAKY)[0]
    assert (row.id, row.name, row.state, row.heap) == (2, "leaky", "waiting", 1_677_722)
    assert (str(row.stack), row.frames, row.waiting_on, row.parent) == ("2.1K/6", 6, "sleep 0.062s", 1)


def test_json_has_documented_keys_and_plain_numbers() -> None:
    record = json.loads(json_line(made(LEAKY)[0]))
    assert set(record) == {
        "id", "state", "name", "age", "busy", "switches", "stack", "frames", "heap", "heap_rate", "waiting_on",
        "where", "warn", "parent", "spawned_at", "outcome", "depth", "heap_trend", "process", "pid",
    }  # fmt: skip
    assert (record["heap"], record["stack"], record["frames"], record["heap_rate"]) == (
        1_677_722,
        2150,
        6,
        None,
    )


def test_the_dead_are_shown_for_six_seconds_and_ten_of_them_at_most() -> None:
    dead = [replace(DEAD, id=number, ended_ago_s=5.0) for number in range(10, 30)] + [
        replace(DEAD, id=9, ended_ago_s=7.0)
    ]
    look = Look(snapshot(PICTURE, dead=tuple(dead)))
    assert [row.id for row in rows(look)] == [1, *range(20, 30)]
    assert len(rows(look, all_dead=True)) == 22


def test_rates_and_warnings_stand_in_the_rows_they_belong_to() -> None:
    findings = [Finding("stuck", 2, "leaky", "is stuck"), Finding("hog", 2, "leaky", "is a hog")]
    shell, leaky = rows(Look(snapshot(PICTURE, LEAKY), {2: 41_062.4}, findings))
    assert (shell.heap_rate, shell.warn) == (None, ())
    assert (str(leaky.heap_rate), leaky.warn, leaky.warnings) == ("+40.1K", ("stuck", "hog"), "stuck hog")


def test_a_trend_is_drawn_and_is_numbers_to_programs() -> None:
    trends = {2: Trend.of((0, 700, 1000)), 3: Trend.of((5, 5), ascii_only=True)}
    found = rows(Look(snapshot(PICTURE, LEAKY, replace(LEAKY, id=3)), heap_trends=trends))
    assert [row.trend for row in found] == ["", "▁▅█", ".."]
    assert "TREND" in table(found, row_columns(found), 160)[0]
    assert "TREND" not in table(found, row_columns(found), 60)[0]
    assert json.loads(json_line(found[1]))["heap_trend"] == [0, 700, 1000]


@pytest.mark.parametrize(("rate", "shown"), [(0, "."), (-2048, "-2.0K"), (1, "+1")])
def test_a_rate_has_a_sign(rate: int, shown: str) -> None:
    assert str(ByteRate(rate)) == shown


def test_a_stack_size_is_a_number_of_bytes() -> None:
    assert StackSize.of(2150, 6) + 1 == 2151
    assert StackSize.of(2150, 6) > StackSize.of(100, 60)


def test_columns_that_would_be_empty_are_left_out() -> None:
    shown = made(PICTURE)
    fields = [column.field for column in row_columns(shown)]
    assert "heap" in fields
    assert not {"heap_rate", "warnings", "place"} & set(fields)
    assert "heap" not in [c.field for c in row_columns(made(replace(PICTURE, heap_bytes=None)))]


def test_on_a_narrow_screen_the_leak_can_still_be_seen() -> None:
    shown = rows(Look(snapshot(PICTURE, LEAKY), {1: 0.0, 2: 41_062.4}))
    head, *lines = table(shown, row_columns(shown), 45)
    assert head.split() == ["ID", "STATE", "NAME", "HEAP", "dHEAP/s"]
    assert lines[1].split() == ["2", "waiting", "leaky", "1.6M", "+40.1K"]
    wide = table(shown, row_columns(shown), 160)
    assert "WHERE" in wide[0]
    assert "WAITING-ON" in wide[0]


def test_a_name_from_outside_cannot_reach_the_screen_raw() -> None:
    shown = made(replace(LEAKY, name="\x1b]0;x\x07\u202e"))
    lines = table(shown, row_columns(shown), 120)
    assert all(line.isprintable() for line in lines)


def test_one_long_cell_does_not_push_other_columns_off_the_screen() -> None:
    died = replace(DEAD, state="failed", outcome="TypeError: " + "x" * 200)
    shown = made(PICTURE, replace(LEAKY, name="n" * 100, where="w" * 100), dead=(died,))
    head = table(shown, row_columns(shown), 110)[0]
    assert head.split() == ["ID", "STATE", "NAME", "AGE", "BUSY", "STACK", "HEAP", "WAITING-ON"]
    assert json.loads(json_line(shown[-1]))["outcome"] == died.outcome


# -- columns of plugins ------------------------------------------------------------------------------


def test_a_plugin_column_is_an_attribute_a_column_and_a_json_key() -> None:
    added = [PsColumn("HELD-FDS", lambda picture: Bytes(picture.id * 1024))]
    row = rows(Look(snapshot(LEAKY), columns=added))[0]
    assert row.held_fds == 2048
    assert json.loads(json_line(row))["held_fds"] == 2048
    assert [column.header for column in row_columns([row], added)][-1] == "HELD-FDS"
    assert "2.0K" in "\n".join(table([row], row_columns([row], added), 200))


# -- what stands below -------------------------------------------------------------------------------


def test_the_totals_say_how_much_of_the_heap_is_attributed() -> None:
    look = Look(snapshot(PICTURE, LEAKY, ready=1, waiting=0, heap_bytes=1_782_579, traced_bytes=1_992_294))
    assert footer(look, matched=2, shown=2) == [
        "2 coroutines: 1 running, 1 ready; heap attributed ~1.7M of 1.9M"
    ]
    exact = replace(look, snapshot=replace(look.snapshot, exact=True))
    assert footer(exact, matched=2, shown=2) == [
        "2 coroutines: 1 running, 1 ready; heap attributed 1.7M of 1.9M"
    ]


def test_without_a_traced_heap_the_totals_say_so() -> None:
    look = Look(snapshot(PICTURE, heap_bytes=None, traced_bytes=None, level="counts"))
    assert footer(look, matched=1, shown=1) == ["1 coroutine: 1 waiting; heap not traced (level counts)"]


def test_what_is_cut_off_is_told() -> None:
    lines = footer(Look(snapshot(PICTURE)), shown=200, matched=100_000)
    assert lines[0].startswith("200 of 100,000 shown: ps --all")


def test_the_dead_that_have_no_row_are_counted() -> None:
    look = Look(snapshot(PICTURE, dead=(DEAD,) * 256))
    assert footer(look, shown=11, matched=11)[0] == "246 more have just ended: ps --all"
    assert len(footer(look, shown=11, matched=11, dead_told=False)) == 1


def test_a_server_that_is_open_to_other_machines_is_told_of() -> None:
    sockets = (socket("listener", "127.0.0.1:1", 2), socket("listener", "0.0.0.0:9501", 2))
    lines = footer(Look(snapshot(PICTURE, LEAKY, sockets=sockets)), shown=2, matched=2)
    assert lines[1:] == ["! co#2 leaky is open to other machines: 0.0.0.0:9501"]


def test_a_light_picture_names_the_hog_and_what_is_missing() -> None:
    hog = replace(LEAKY, id=7, name="hog", running_for_s=2.0)
    line = footer(Look(snapshot(PICTURE, responsive=False, hog=hog)), matched=1, shown=1)[0]
    assert line.startswith("the scheduler does not answer: co#7 hog has run for 2s (where 7, kill 7)")
    assert "left out" in line


def test_three_warnings_are_told_and_the_others_counted() -> None:
    findings = [Finding("stuck", number, "x", "is stuck") for number in range(5)]
    lines = footer(Look(snapshot(PICTURE), findings=findings), matched=1, shown=1)
    assert lines[-4:] == [
        "! co#0 x is stuck",
        "! co#1 x is stuck",
        "! co#2 x is stuck",
        "! and 2 more warnings",
    ]
