"""Who has run between two looks."""

from __future__ import annotations

from coloop import CoroutinePicture
from coshell.busiest import TwoLooks, Use, totals, uses
from coshell.processes import ProcessPicture
from tests.shell.pictures import coroutine, process, snapshot


def seen(
    before: list[CoroutinePicture],
    after: list[CoroutinePicture],
    told_before: list[ProcessPicture] | None = None,
    told_after: list[ProcessPicture] | None = None,
    apart_s: float = 2.0,
) -> list[Use]:
    first = snapshot(*before), told_before or []
    return uses(TwoLooks(first, (snapshot(*after), told_after or []), apart_s))


def test_only_what_was_used_in_between_counts_and_the_busiest_come_first() -> None:
    found = seen(
        [coroutine(2, "old", busy_s=9.0), coroutine(3, "new", busy_s=1.0), coroutine(4, "ping", switches=10)],
        [
            coroutine(2, "old", busy_s=9.0),
            coroutine(3, "new", busy_s=2.0, heap_bytes=2048),
            coroutine(4, "ping", switches=30),
        ],
    )
    assert [(use.name, float(use.cpu), use.switches, use.heap_rate) for use in found] == [
        ("new", 50.0, 0, 1024),
        ("ping", 0.0, 10, 0),
    ]


def test_one_that_was_born_in_between_has_used_all_that_it_has() -> None:
    (use,) = seen([], [coroutine(2, "child", busy_s=0.5, switches=4, heap_bytes=None)])
    assert (float(use.cpu), use.switches, use.heap, use.heap_rate) == (25.0, 2, None, None)


def test_nobody_runs_for_more_than_all_the_time() -> None:
    (use,) = seen([coroutine(2)], [coroutine(2, busy_s=2.1)])
    assert use.cpu == 100.0


def test_what_workers_have_used_is_divided_by_the_time_between_their_reports() -> None:
    before = process("web/w1", coroutine(2, "web", busy_s=1.0), taken_ago_s=0.4)
    after = process("web/w1", coroutine(2, "web", busy_s=1.5), taken_ago_s=0.9)
    (use,) = seen([], [], [before], [after])  # 2 s between our looks, 1.5 s between their reports
    assert (str(use.id), use.process, use.pid) == ("web/w1:2", "web/w1", 77)
    assert round(use.cpu, 1) == 33.3


def test_of_a_worker_that_has_not_reported_again_or_is_another_nothing_is_known() -> None:
    before = process("web/w1", coroutine(2, busy_s=1.0), taken_ago_s=0.0)
    silent = process("web/w1", coroutine(2, busy_s=1.0), taken_ago_s=2.0)
    another = process("web/w1", coroutine(2, busy_s=9.0), taken_ago_s=0.0, pid=99)
    assert seen([], [], [before], [silent]) == []
    assert seen([], [], [before], [another]) == []
    assert seen([], [], [], [before]) == []


def test_the_totals_tell_of_each_process_and_of_who_is_not_shown() -> None:
    before = process("web/\x1b[2J", coroutine(2), taken_ago_s=0.0)
    after = process("web/\x1b[2J", coroutine(2, busy_s=1.0), taken_ago_s=0.0)
    found = seen([coroutine(2)], [coroutine(2, busy_s=1.0), coroutine(3, busy_s=0.5)], [before], [after])
    assert totals(found, 2) == [
        r"coroutines have run for here 75.0%, web/\x1b[2J 50.0% of the time; 1 more have run"
    ]
    assert totals([], 0) == ["coroutines have run for here 0.0% of the time"]
