"""`plot` and `flame`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coshell.commands.pictures import COMMANDS
from coshell.sampling import watched
from tests.shell.sessions import (
    Session,
    check_example,
    check_json,
    each_example,
    hogged_session,
    hogging,
    session,
)

HELD_BYTES = 5_000_000
_HOLDER = f"""\
def hold():
    kept = bytearray({HELD_BYTES})
    sleep(60)
go hold() --name holder
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@each_example(*COMMANDS)
def test_every_example_runs_as_it_stands(command, example) -> None:
    check_example(command, example)


@each_example(*COMMANDS)
def test_every_command_speaks_json(command, example) -> None:
    check_json(command, example)


# -- plot --------------------------------------------------------------------------------------------


def test_a_heap_that_rises_is_seen_to_rise(at_prompt: Session) -> None:
    at_prompt.type("plot")
    at_prompt.type(
        f"kept = []\ndef fill():\n    while True:\n        kept.append(bytearray({HELD_BYTES})); sleep(1)"
    )
    at_prompt.type("go fill() --name filler")
    for _ in range(4):
        at_prompt.type("sleep(1)\nplot")
    (curve,) = at_prompt.value("plot filler")
    assert curve.id == 2
    assert curve.now == pytest.approx(5 * HELD_BYTES, rel=0.02)
    assert curve.rate == pytest.approx(HELD_BYTES, rel=0.3)
    assert list(curve.bytes) == sorted(curve.bytes)
    lines = at_prompt.type("plot filler --width 60")
    assert lines[0].startswith("co#2 filler  now 23.8M, peak 23.8M, +")
    assert len(lines) == 13


@pytest.mark.parametrize(
    "form", ["plot holder", "plot 2", "plot co#2", "plot('holder')", "plot(holder)", "plot(2)"]
)
def test_a_coroutine_is_found_by_number_by_name_and_by_itself(at_prompt: Session, form: str) -> None:
    at_prompt.type(_HOLDER)
    (curve,) = at_prompt.value(form)
    assert (curve.name, curve.id) == ("holder", 2)
    assert curve.now == pytest.approx(HELD_BYTES, rel=0.02)


def test_a_place_of_birth_has_what_its_dead_have_left(at_prompt: Session) -> None:
    at_prompt.type(
        f"kept = []\ndef leak():\n    kept.append(bytearray({HELD_BYTES}))\ngo -n 3 leak()\nsleep(1)"
    )
    (curve,) = at_prompt.value("plot '<co:3>:1'")
    assert (curve.name, curve.id) == ("<co:3>:1 in go", None)
    assert curve.now == pytest.approx(3 * HELD_BYTES, rel=0.02)


def test_many_of_one_name_and_place_are_shown_together(at_prompt: Session) -> None:
    at_prompt.type("go -n 3 sleep(60 + i) --name nap")
    (curve,) = at_prompt.value("plot nap")
    assert (curve.name, curve.id) == ("<co:1>:1 in go", None)
    assert [one.id for one in at_prompt.value("plot 2 3 2")] == [2, 3]
    assert len(at_prompt.value("plot(nap)")) == 3


def test_the_first_plot_of_a_script_says_that_it_begins_to_look(at_prompt: Session) -> None:
    assert at_prompt.type("plot")[-1] == "looking every 500ms from now on: ask again"
    assert "looking" not in at_prompt.type("plot")[-1]


def test_it_fits_the_width_and_is_ascii_when_asked(at_prompt: Session) -> None:
    at_prompt.type(_HOLDER)
    for line in at_prompt.type("plot holder 1 --width 40 --ascii"):
        assert line.isascii()
        assert len(line) <= 40
    at_prompt.type("set ascii on")
    assert all(line.isascii() for line in at_prompt.type("plot holder"))


def test_the_console_of_the_kernel_has_no_braille(
    at_prompt: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "linux")
    assert all(line.isascii() for line in at_prompt.type("plot"))


def test_there_is_no_escape_code_in_it(at_prompt: Session) -> None:
    assert all(line.isprintable() for line in at_prompt.type("plot"))


def test_json_has_an_object_for_each_curve(at_prompt: Session) -> None:
    at_prompt.type(_HOLDER)
    records = [json.loads(line) for line in at_prompt.type("plot holder 1 --json")]
    assert [record["id"] for record in records] == [2, 1]
    for record in records:
        assert set(record) == {"name", "id", "site", "now", "peak", "rate", "seconds", "bytes"}
        assert len(record["seconds"]) == len(record["bytes"]) >= 1


def test_at_most_eight_curves_are_drawn(at_prompt: Session) -> None:
    at_prompt.type("".join(f"go sleep(60) --name n{n}\n" for n in range(10)))
    shown = at_prompt.value("plot " + " ".join(f"n{n}" for n in range(10)))
    assert (len(shown), shown.footer[0]) == (8, "2 more")


def test_whoever_cannot_be_found_is_told_in_one_line(at_prompt: Session) -> None:
    at_prompt.type(_HOLDER)
    assert "did you mean 'holder'?" in at_prompt.refused("plot holdr")
    assert at_prompt.refused("plot 99").endswith("living: 1-2")
    assert at_prompt.refused("plot --width 5") == "plot: --width 5: at least 20 columns are needed"
    with session(level="counts") as untraced:
        assert untraced.refused("plot") == "heap is not traced at level 'counts': set level heap"


def test_the_window_leaves_out_what_is_older(at_prompt: Session) -> None:
    at_prompt.type("plot\nsleep(100)\nplot\nsleep(5)")
    (curve,) = at_prompt.value("plot --window 10s")
    assert curve.seconds[0] >= 100


def test_while_somebody_lets_nobody_run_it_shows_what_was_seen_before() -> None:
    with session() as opened:
        watched(opened.shell)
        with hogging(opened):
            assert len(opened.value("plot")) == 1
    with hogged_session() as hogged:
        assert hogged.refused("plot") == "nothing was seen: a coroutine lets nobody else run (ps)"


# -- flame -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.svg", "a.html", "a.speedscope.json"])
def test_what_holds_most_is_in_the_file(folder: Path, name: str) -> None:
    with session(level="sites") as opened:
        opened.type(f"kept = [bytearray({HELD_BYTES})]")
        drawn = opened.value(f"flame {name}")
    assert drawn.file == name
    assert drawn.heap >= HELD_BYTES
    assert ":1 in &lt;module&gt;" in (folder / name).read_text() or "<co:1>" in (folder / name).read_text()


def test_a_file_that_is_there_is_not_overwritten_without_force(folder: Path) -> None:
    (folder / "a.svg").write_text("mine")
    with session(level="sites") as opened:
        assert opened.refused("flame a.svg") == "a.svg: there already (-f replaces it)"
        assert (folder / "a.svg").read_text() == "mine"
        assert opened.type("flame a.svg -f")[0].startswith("ok  a.svg: ")
    assert (folder / "a.svg").read_text().startswith("<svg")


def test_below_level_sites_it_is_told_how_to_turn_that_on(at_prompt: Session, folder: Path) -> None:
    told = at_prompt.refused("flame a.svg")
    assert told == "places of allocation are not kept at level 'heap': set level sites"
    assert not (folder / "a.svg").exists()


def test_the_name_tells_the_form(at_prompt: Session) -> None:
    assert at_prompt.refused("flame a.png").startswith("flame: 'a.png': the name must end with .svg or .html")
    assert "none of stack, coroutine" in at_prompt.refused("flame a.svg --by stak")
