"""What tracemalloc credits to the wrong ones is taken from those that grew."""

from coshell.leaks.look import heap_of
from coshell.leaks.sharing import HANDLE_BYTES, shared
from tests.shell.looks import line, look

HANDLER, OTHER, SHELL = "a.py:1 in handle", "b.py:2 in other", "bridge.py:3 in serve"


def pair(before, after, **known):
    return [look(0.0, *before, exact=False), look(1.0, *after, exact=False, **known)]


def test_exact_looks_stay_as_they_are():
    looks = [look(0.0, line()), look(1.0, line(residue_bytes=5000), garbage_bytes=5000)]
    assert shared(looks) == looks
    assert shared([]) == []


def test_garbage_is_theirs_who_grew():
    found = shared(
        pair([line(HANDLER)], [line(HANDLER, finished=10, residue_bytes=9000)], garbage_bytes=9000)
    )
    assert heap_of(found[1].sites[HANDLER]) == 0
    assert found[1].garbage == {HANDLER: 9000}


def test_two_that_grew_share_it_in_proportion():
    found = shared(
        pair(
            [line(HANDLER), line(OTHER)],
            [line(HANDLER, residue_bytes=9000), line(OTHER, residue_bytes=3000)],
            garbage_bytes=4000,
        )
    )
    assert found[1].garbage == {HANDLER: 3000, OTHER: 1000}
    assert [heap_of(found[1].sites[site]) for site in (HANDLER, OTHER)] == [6000, 2000]


def test_what_made_another_one_rich_is_taken_back():
    before = [line(HANDLER), line(OTHER, live=1, live_bytes=50_000)]
    after = [line(HANDLER, residue_bytes=9000), line(OTHER, live=1, live_bytes=43_000)]
    found = shared(pair(before, after))
    assert found[1].sites[HANDLER].residue_bytes == 2000
    assert found[1].garbage == {}


def test_whoever_looks_gets_nothing_of_it():
    before = [line(HANDLER), line(SHELL, live=1, live_bytes=50_000)]
    after = [line(HANDLER, residue_bytes=9000), line(SHELL, live=1, live_bytes=10_000)]
    assert shared(pair(before, after), {SHELL})[1].sites[HANDLER].residue_bytes == 9000


def test_the_handles_of_those_that_ended_are_taken_from_those_that_live_first():
    before = [line(HANDLER), line(OTHER, live=1)]
    grown = 10 * HANDLE_BYTES
    after = [line(HANDLER, finished=10, residue_bytes=5000), line(OTHER, live=1, live_bytes=grown)]
    looks = pair([*before, line(SHELL, residue_bytes=grown)], [*after, line(SHELL)])
    found = shared(looks)
    assert found[1].sites[OTHER].live_bytes == 0
    assert found[1].sites[HANDLER].residue_bytes == 5000


def test_what_was_taken_stays_taken():
    looks = [
        look(float(at), line(HANDLER, residue_bytes=9000 * at), exact=False, garbage_bytes=9000 if at else 0)
        for at in range(4)
    ]
    assert [heap_of(one.sites[HANDLER]) for one in shared(looks)] == [0, 0, 0, 0]


def test_who_ends_takes_what_it_had_to_the_dead_of_its_place():
    before = [line(HANDLER, live=10, live_bytes=13_000)]
    after = [line(HANDLER, finished=10, residue_bytes=11_000)]
    assert shared(pair(before, after))[1].sites[HANDLER].residue_bytes == 11_000
