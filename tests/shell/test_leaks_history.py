"""What was seen in passing is bounded, and covers all the time."""

from dataclasses import replace
from itertools import pairwise

from coshell.leaks.history import History
from tests.shell.looks import line, look


def looks_of(history):
    return [one.at_s for one in history]


def filled(count, **known):
    history = History(**known)
    for at in range(count):
        history.add(look(float(at), line()))
    return history


def test_looks_are_kept_in_their_order():
    assert looks_of(filled(5)) == [0, 1, 2, 3, 4]


def test_when_there_are_too_many_the_old_ones_are_thinned_out():
    history = filled(1000, max_looks=20)
    kept = looks_of(history)
    assert len(history) <= 20
    assert (kept[0], kept[-1]) == (0, 999)
    assert kept == sorted(kept)
    assert max(after - before for before, after in pairwise(kept)) <= 128


def test_they_may_take_so_much_and_no_more():
    history = History(max_bytes=100_000)
    for at in range(500):
        history.add(look(float(at), *(line(f"f.py:{n} in f") for n in range(20))))
    assert history.bytes <= 100_000
    assert looks_of(history)[0] == 0


def test_another_level_begins_anew():
    history = filled(5)
    history.add(replace(look(9.0, line()), total_bytes=None))
    assert looks_of(history) == [9]


def test_another_clock_begins_anew():
    history = filled(5)
    history.add(look(0.5, line()))
    assert looks_of(history) == [0.5]
