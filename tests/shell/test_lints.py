"""What is worth a warning is seen in a picture."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coloop import CoroutinePicture
from coshell.lints import (
    BUILT_IN,
    DeepStack,
    DiedUnseen,
    DroppedUnsent,
    HeapGrowing,
    Hog,
    NearLimit,
    NeverYielded,
    Stuck,
    findings,
)
from tests.shell.pictures import coroutine

HEALTHY = coroutine(7, "worker", switches=40, heap_bytes=1000, frames=6, limit=1_000_000)


def test_a_healthy_coroutine_gets_no_warning() -> None:
    assert findings([HEALTHY], [*BUILT_IN, DiedUnseen(lambda _: True), HeapGrowing(lambda _: 0)]) == []


@pytest.mark.parametrize(
    ("lint", "below", "at"),
    [
        (Hog(), {"running_for_s": 0.099}, {"running_for_s": 0.1}),
        (NeverYielded(), {"switches": 1, "running_for_s": 0.99}, {"switches": 1, "running_for_s": 1.0}),
        (NeverYielded(), {"switches": 2, "running_for_s": 5.0}, {"switches": 1, "running_for_s": 5.0}),
        (Stuck(), {"stuck": False}, {"stuck": True}),
        (Stuck(), {"stuck": True, "waiting_on": "suspend"}, {"stuck": True}),
        (DeepStack(), {"frames": 199}, {"frames": 200}),
        (NearLimit(), {"heap_bytes": 849_999}, {"heap_bytes": 850_000}),
        (NearLimit(), {"heap_bytes": 9_000_000, "limit": None}, {"heap_bytes": 9_000_000}),
        (NearLimit(), {"heap_bytes": None}, {"heap_bytes": 1_000_000}),
        (DroppedUnsent(), {}, {"dropped_bytes": 1, "dropped_ago_s": 0.0}),
        (
            DroppedUnsent(),
            {"dropped_bytes": 9, "dropped_ago_s": 61.0},
            {"dropped_bytes": 9, "dropped_ago_s": 60.0},
        ),
    ],
)
def test_each_lint_speaks_at_its_threshold_and_not_before(lint, below, at) -> None:
    assert lint.check(replace(HEALTHY, **below)) is None
    assert lint.check(replace(HEALTHY, **at))


def test_a_hog_is_told_of_with_its_time_and_the_command_that_goes_on() -> None:
    assert Hog().check(replace(HEALTHY, running_for_s=2.0)) == "has run for 2s without a pause (where 7)"


def test_what_the_dead_have_dropped_does_not_lapse() -> None:
    dead = replace(HEALTHY, state="done", outcome="returned", dropped_bytes=3 << 20, dropped_ago_s=3600.0)
    told = DroppedUnsent().check(dead)
    assert told == "closed over 3.0M that the other side had not confirmed, and may never get"


def test_a_death_is_unseen_only_if_nobody_joined() -> None:
    dead = replace(HEALTHY, state="failed", outcome="ValueError: bad size")
    assert DiedUnseen(lambda _: False).check(dead) is None
    told = DiedUnseen({7}.__contains__).check(dead)
    assert told == "died, and nobody waited for it: ValueError: bad size (err 7)"


def test_a_growing_heap_is_judged_by_whoever_remembers() -> None:
    assert HeapGrowing(lambda _: 19).check(HEALTHY) is None
    assert HeapGrowing(lambda _: 20).check(HEALTHY) == "has a heap that rose 20 samples in a row"


def test_findings_come_in_the_order_of_the_coroutines() -> None:
    pictures = [replace(HEALTHY, id=1, stuck=True), replace(HEALTHY, id=2, frames=500, stuck=True)]
    found = findings(pictures, BUILT_IN)
    assert [(finding.coroutine, finding.lint) for finding in found] == [
        (1, "stuck"),
        (2, "stuck"),
        (2, "deep-stack"),
    ]
    assert str(found[0]).startswith("co#1 worker can never be woken")


def test_a_lint_may_be_any_object_with_a_name_and_a_check() -> None:
    class Always:
        name = "always"

        def check(self, picture: CoroutinePicture) -> str:
            return "is looked at"

    assert [str(finding) for finding in findings([HEALTHY], [Always()])] == ["co#7 worker is looked at"]
