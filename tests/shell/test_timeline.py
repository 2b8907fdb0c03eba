"""What is remembered of many pictures."""

from __future__ import annotations

import threading

import pytest

from coloop import Snapshot
from coshell.pictures.timeline import LIMIT_BYTES, NAME_LENGTH, Timeline
from tests.shell.pictures import coroutine, snapshot, socket


def at(taken_at: float, *coroutines, **known) -> Snapshot:
    return snapshot(*coroutines, taken_at=taken_at, **known)


def values(points) -> list[int]:
    return [point.value for point in points]


def test_the_heap_of_all_and_of_each_is_remembered() -> None:
    timeline = Timeline()
    for n in range(3):
        timeline.add(at(n, coroutine(1, heap_bytes=n), coroutine(2, "leaky", heap_bytes=10 * n)))
    assert values(timeline.heap) == [0, 11, 22]
    leaky = timeline.of(2)
    assert leaky is not None
    assert (leaky.label, values(leaky.points)) == ("co#2 leaky", [0, 10, 20])
    assert timeline.of(3) is None


def test_coroutines_and_connections_are_counted_listeners_are_not() -> None:
    timeline = Timeline()
    held = (socket("listener", ":1"), socket("server", ":1"), socket("client", ":2"))
    timeline.add(at(0, coroutine(1), live=7))
    timeline.add(at(1, coroutine(1), live=9, sockets=held))
    assert values(timeline.coroutines) == [7, 9]
    assert values(timeline.connections) == [0, 2]


def test_the_heap_by_place_of_birth_is_remembered_the_largest_first() -> None:
    timeline = Timeline()
    timeline.add(at(0, coroutine(1)), {"b.py:2 in g": 50, "a.py:1 in f": 100})
    assert [(trace.name, values(trace.points)) for trace in timeline.sites()] == [
        ("a.py:1 in f", [100]),
        ("b.py:2 in g", [50]),
    ]


def test_a_place_of_which_nothing_is_left_has_come_down_to_zero() -> None:
    timeline = Timeline()
    for n in range(4):
        timeline.add(at(n, coroutine(1)), {"a.py:1 in f": 100} if n < 2 else {"b.py:2 in g": 50})
    assert [values(trace.points) for trace in timeline.sites()] == [[50, 50], [100, 100, 0]]


def test_if_nobody_knows_it_the_picture_is_added_up_if_it_shows_everybody() -> None:
    timeline = Timeline()
    pair = (coroutine(1, heap_bytes=5), coroutine(2, heap_bytes=6))
    timeline.add(at(0, *pair))
    timeline.add(at(1, *pair, live=3))
    assert [values(trace.points) for trace in timeline.sites()] == [[11]]


def test_the_dead_are_remembered() -> None:
    timeline = Timeline()
    timeline.add(at(0, coroutine(1), coroutine(2, heap_bytes=7)))
    timeline.add(at(1, coroutine(1)))
    gone = timeline.of(2)
    assert gone is not None
    assert values(gone.points) == [7]


def test_several_of_one_name_are_found_by_it() -> None:
    timeline = Timeline()
    timeline.add(at(0, coroutine(1, "nap"), coroutine(2, "nap"), coroutine(3)))
    assert [trace.id for trace in timeline.named("nap")] == [1, 2]


def test_the_last_values_of_each_are_had_at_once() -> None:
    timeline = Timeline()
    for n in range(5):
        timeline.add(at(n, coroutine(1, heap_bytes=n), coroutine(2, heap_bytes=-n)))
    assert timeline.recent(3) == {1: (2, 3, 4), 2: (-2, -3, -4)}


def test_a_light_picture_changes_nothing() -> None:
    timeline = Timeline()
    timeline.add(at(0, coroutine(1, heap_bytes=5)))
    timeline.add(at(1, responsive=False))
    assert values(timeline.heap) == [5]


def test_without_heap_figures_the_others_are_kept() -> None:
    timeline = Timeline()
    timeline.add(at(0, coroutine(1), heap_bytes=None))
    assert (values(timeline.heap), values(timeline.coroutines)) == ([], [1])


def test_another_scheduler_begins_with_nothing() -> None:
    timeline = Timeline()
    timeline.add(at(5, coroutine(1, heap_bytes=5)))
    timeline.clear()
    timeline.add(at(0, coroutine(1, heap_bytes=6)))
    assert [tuple(point) for point in timeline.heap] == [(0.0, 6)]


@pytest.mark.parametrize("living", [1, 40, 1000])
def test_a_long_life_stays_within_the_limit(living: int) -> None:
    timeline = Timeline()
    for n in range(700 if living < 1000 else 30):
        timeline.add(at(n, *(coroutine(id, heap_bytes=n) for id in range(living))))
    assert timeline.own_bytes <= LIMIT_BYTES


def test_a_hundred_thousand_short_lives_stay_within_the_limit() -> None:
    timeline = Timeline()
    for n in range(200):
        born = range(500 * n, 500 * n + 500)
        timeline.add(at(n, *(coroutine(id, "x" * 1000, spawned_at=f"{'y' * 1000}{id}") for id in born)))
    assert timeline.own_bytes <= LIMIT_BYTES
    assert timeline.of(500 * 200 - 1) is not None
    assert timeline.of(0) is None


def test_the_dead_go_before_the_living_and_the_small_before_the_large() -> None:
    timeline = Timeline(limit_bytes=20_000)
    timeline.add(at(0, coroutine(1, heap_bytes=10**9)))
    timeline.add(at(1, *(coroutine(id, heap_bytes=id) for id in range(2, 100))))
    assert timeline.of(1) is None
    assert timeline.of(2) is None
    assert timeline.of(99) is not None


def test_a_long_name_is_cut() -> None:
    timeline = Timeline()
    timeline.add(at(0, coroutine(1, "x" * 10_000)))
    trace = timeline.of(1)
    assert trace is not None
    assert len(trace.name) == NAME_LENGTH


def test_it_may_be_read_while_another_thread_adds() -> None:
    timeline = Timeline()
    pictures = [at(n, *(coroutine(id, heap_bytes=n) for id in range(n % 50))) for n in range(300)]
    adding = threading.Thread(target=lambda: [timeline.add(picture) for picture in pictures])
    adding.start()
    while adding.is_alive():
        assert timeline.own_bytes > 0
        assert len(timeline.sites()) <= 1
        timeline.named("main")
    adding.join()
