"""A shell without a bar is looked at only if somebody wants that."""

from __future__ import annotations

import threading

import pytest

from coshell import sampling
from coshell.sampling import residues, watched
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
        assert monitor.timeline.heap
        opened.type("set clock virtual")
        assert all(point.at_s < 1000 for point in monitor.timeline.heap)


def test_residues_are_read_again_when_a_coroutine_ends_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([RuntimeError("dictionary changed size during iteration"), ("left",)])

    class Memory:
        @staticmethod
        def residues():
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

    monkeypatch.setattr(sampling, "memory", Memory)
    assert residues() == ("left",)
