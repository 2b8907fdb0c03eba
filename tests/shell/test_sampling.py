"""A shell without a bar is looked at only if somebody wants that."""

from __future__ import annotations

import threading

import pytest

from coshell.monitor import MAX_PICTURES
from coshell.sampling import HeapBySite, watched
from tests.shell.sessions import session


def monitors() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "coshell monitor"]


def test_nobody_looks_unasked() -> None:
    with session():
        assert monitors() == []


def test_there_is_one_monitor_and_it_ends_with_the_shell() -> None:
    with session() as opened:
        monitor = watched(opened.shell)
        assert watched(opened.shell) is monitor is opened.shell.monitor
        assert len(monitors()) == 1
        assert monitor.latest is not None
    assert monitors() == []


def test_with_another_clock_all_begins_anew() -> None:
    with session() as opened:
        monitor = watched(opened.shell)
        before = set(monitor.timeline.heap)
        assert before
        opened.type("set clock virtual")
        assert before.isdisjoint(monitor.timeline.heap)


def test_the_heap_by_place_of_birth_has_what_the_dead_have_left() -> None:
    with session() as opened:
        opened.type("kept = []\ndef leak(): kept.append(bytearray(1_000_000))\ngo -n 3 leak()")
        found = HeapBySite()(asked=True)
        assert found is not None
        assert found["<co:3>:1 in go"] == pytest.approx(3_000_000, rel=0.02)


def test_a_look_that_took_long_is_not_taken_again_at_once() -> None:
    times = iter([10.0, 10.5, 11.0, 19.9, 20.1, 20.1, 20.2, 20.2])
    with session():
        heap = HeapBySite(now=times.__next__)
        assert [bool(heap(asked=False)) for _ in range(4)] == [True, False, False, True]
        assert heap(asked=True)


def test_without_heap_figures_nobody_knows() -> None:
    with session(level="counts"):
        assert HeapBySite()(asked=True) is None


def test_the_heap_of_thousands_is_told_by_their_place_of_birth() -> None:
    with session() as opened:
        monitor = watched(opened.shell)
        opened.type(
            f"def hold():\n    kept = bytearray(1000)\n    suspend()\ngo -n {2 * MAX_PICTURES} hold()"
        )
        monitor.look()
        (largest, *_) = monitor.timeline.sites()
        assert largest.points[-1].value >= 2 * MAX_PICTURES * 1000
