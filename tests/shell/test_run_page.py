"""The page that a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from coloop import HeapStack
from coshell.pictures.curve import Point
from coshell.pictures.curve_html import Moment
from coshell.pictures.flame_tree import tree_of
from coshell.pictures.run_page import Happening, RunOfFile, run_page
from coshell.pictures.timeline import Trace
from tests.shell.test_flame_html import Tags

EVIL = "</pre></script><script>alert(1)</script><img src=x onerror='alert(1)'>\x1b[2J\u202e"
STACKS = (HeapStack(2, ("a.py:1 in main", EVIL), 3072, 3),)
SUMMARY: dict[str, Any] = {
    "passed": 3,
    "failed": 1,
    "seconds": 1.25,
    "coroutines": {"spawned": 12_345, "live": 1, "peak": 40, "failed": 0},
    "heap": {"live": 5, "peak": 2048},
    "switches": 99,
    "exit": 1,
    "commands": 2,
    "asserts": 2,
    "updated": 0,
    "virtual_seconds": None,
    "files": 1,
}


@dataclass(frozen=True)
class Verdict:
    verdict: str
    born: str = "blip (<co:6>:1)"
    live: int = 1
    finished: int = 0
    heap: int = 4096
    grew: str = "+2.4M"
    rate: str = "+40.1K/s"
    because: str = "the heap of those that live rises"
    held_by: str | None = "__main__.cache"
    allocated_at: str | None = "<co:4>:3 in blip"
    next: tuple[str, ...] = ("where 2", "kill 2")


def run(**known: Any) -> RunOfFile:
    points = (Point(10.0, 1024), Point(12.0, 4096))
    usual: dict[str, Any] = {
        "name": "leak.cosh",
        "summary": SUMMARY,
        "heap": points,
        "coroutines": points,
        "connections": points,
        "sites": [Trace("a.py:1 in f", None, "a.py:1 in f", points)],
        "verdicts": [Verdict("LEAK"), Verdict("steady", "handle (echo.py:40)")],
        "flames": {"stack": tree_of(STACKS)},
        "level": "sites",
    }
    return RunOfFile(**(usual | known))


def page(*runs: RunOfFile, refused=(), exit_code: int | None = 1) -> str:
    return run_page(runs or (run(),), refused, exit_code, "today")


def test_the_first_line_tells_whether_it_passed() -> None:
    assert '<span class="word bad">failed</span> leak.cosh' in page()
    assert '<span class="word good">passed</span> leak.cosh' in page(exit_code=0)
    assert "exit code 124: timed out" in page(exit_code=124)
    assert "ended by a signal" in page(exit_code=None)


def test_the_figures_of_the_summary_are_told() -> None:
    made = page()
    for value, what in (
        ("1.2s", "real time"),
        ("12,345", "coroutines, 40 at once"),
        ("4.0K", "heap at its peak"),
    ):
        assert f"<b>{value}</b><span>{what}" in made


def test_a_leak_is_told_with_its_reason_its_holder_and_what_to_do() -> None:
    made = page()
    for text in (
        "LEAK",
        "the heap of those that live rises",
        "__main__.cache",
        "&lt;co:4&gt;:3 in blip",
        "where 2 | kill 2",
    ):
        assert text in made
    assert "<b>1</b><span>leaks and cycles" in made


def test_who_is_well_stands_in_a_table() -> None:
    assert '<td class="good">steady</td><td class="code">handle (echo.py:40)</td>' in page()


def test_why_there_are_no_verdicts_and_no_flames_is_told() -> None:
    made = page(
        run(verdicts=None, no_verdicts="a coroutine let nobody else run", flames={}, no_flames="level heap")
    )
    assert "No verdicts: a coroutine let nobody else run." in made
    assert "No flame graph: level heap." in made


def test_what_failed_is_told_with_its_details_and_what_held_is_listed() -> None:
    held = Happening("assert", True, "leak.cosh:3", "@assert 1 == 1")
    failed = Happening(
        "wait", False, "leak.cosh:4", "@wait x", "@wait x failed: still 1", ("  co#2 waits",), 5.0
    )
    made = page(run(happenings=[held, failed], moments=[Moment(11.0, "wait")], left_out=7))
    assert "@wait x failed: still 1" in made
    assert "  co#2 waits" in made
    assert '<span class="word good">held</span>' in made
    assert "and 7 more claims that held" in made
    assert 'class="moment"' in made


def test_a_file_that_was_refused_is_on_the_page() -> None:
    made = run_page([], [Happening("error", False, "a.cosh:2:5", "", "unknown command")], 2, "today")
    assert "a.cosh:2:5" in made
    assert "unknown command" in made


def test_a_run_that_was_killed_at_once_has_a_page() -> None:
    assert "Nobody looked." in page(RunOfFile("x.cosh"), exit_code=None)


def test_several_files_have_a_section_each() -> None:
    made = page(run(name="a.cosh"), run(name="b.cosh"))
    assert "<h2>a.cosh</h2>" in made
    assert "<h2>b.cosh</h2>" in made


def test_nothing_that_anybody_named_is_markup() -> None:
    evil = run(
        name=EVIL,
        happenings=[Happening("assert", False, EVIL, EVIL, EVIL, (EVIL,)), Happening("error", False, EVIL, "", EVIL)],
        sites=[Trace(EVIL, 2, EVIL, (Point(10.0, 1), Point(11.0, 2)))],
        moments=[Moment(11.0, EVIL)],
        verdicts=[Verdict("LEAK", *[EVIL], grew=EVIL, rate=EVIL, because=EVIL, held_by=EVIL, allocated_at=EVIL, next=(EVIL,)),
                  Verdict(EVIL, EVIL)],
        no_flames=EVIL,
    )  # fmt: skip
    tags = Tags()
    tags.feed(run_page([evil], [Happening("error", False, EVIL, EVIL, EVIL)], 1, EVIL))
    assert tags.seen.count("script") == 1
    assert "img" not in tags.seen
    assert tags.handlers == []
    assert tags.open == []


@pytest.mark.parametrize("many", [10_000])
def test_a_huge_run_has_a_page_of_bounded_size(many: int) -> None:
    points = tuple(Point(float(n), n) for n in range(many))
    huge = run(
        happenings=[Happening("error", False, "x", "y" * many, "z" * many, ("w" * many,) * 100)],
        heap=points,
        coroutines=points,
        connections=points,
        sites=[Trace("s" * 100, None, "s", points)] * 100,
        verdicts=[Verdict("LEAK", "b" * many)] * 200 + [Verdict("steady", "b" * many)] * 200,
        flames={"stack": tree_of(HeapStack(1, (f"{'f' * 300}:{n} in g",), 100, 1) for n in range(many))},
    )
    assert len(page(huge)) < 2_000_000
