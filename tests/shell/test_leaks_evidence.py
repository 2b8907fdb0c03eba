"""A verdict is told with who holds what grew, the line that allocated it, and what to try next."""

from dataclasses import replace

from coshell.leaks.evidence import growing_places, records
from coshell.leaks.verdict import CYCLE, LEAK, judge
from tests.shell.looks import CALM, CYCLIC, LEAKING, SITE, line, look, suspect


def verdicts(looks, suspects=()):
    """Those that are bad."""
    return [one for one in records(judge(looks), looks, suspects) if one.verdict in {LEAK, CYCLE}]


def test_a_container_is_given_to_the_one_that_grew_like_it():
    other = "b.py:1 in loop"
    looks = [
        look(
            float(at),
            line(finished=10 * at, residue_bytes=6000 * at),
            line(other, live=1, live_bytes=40_000 * at),
        )
        for at in range(12)
    ]
    held = {
        leak.site: leak.held_by
        for leak in verdicts(looks, [suspect(), suspect(held_by="__main__.cache", grown=11, size=430_000)])
    }
    assert held[SITE].startswith("__main__.kept  ")
    assert held[other].startswith("__main__.cache  ")


def test_a_container_without_a_name_holds_nothing_to_show():
    assert verdicts(LEAKING, [suspect(held_by="")])[0].held_by is None


def test_the_dead_that_are_kept_are_told_with_the_leak_that_they_are():
    (found,) = verdicts(LEAKING, [suspect(dead=110, what="handles")])
    assert found.because.endswith("; 110 handles of coroutines that have ended are kept there")


def test_the_dead_that_are_kept_are_a_leak_of_their_own_where_nobody_noticed_any():
    (found,) = verdicts(CALM, [suspect(dead=110, what="numbers", kind="dict")])
    assert (found.verdict, found.kind, found.things) == ("LEAK", "keys", 110)
    assert found.held_by == "__main__.kept  dict, 130 items"
    assert found.next == ("refs kept",)


def test_the_line_that_allocated_it_is_named_where_it_is_known():
    looks = [
        look(
            float(at),
            line(finished=10 * at, residue_bytes=6000 * at),
            places={
                "app.py:7 in handle": 6100 * at,
                "app.py:9 in other": 100 * at,
                "app.py:2 in once": 900_000,
            },
        )
        for at in range(12)
    ]
    (found,) = verdicts(looks)
    assert found.allocated_at == "app.py:7 in handle"
    assert growing_places(looks) == [("app.py:7 in handle", 11, 67_100), ("app.py:9 in other", 11, 1100)]


def test_what_cannot_be_typed_is_not_advised():
    (found,) = verdicts(LEAKING, [suspect(held_by="__main__.page -> <cache>")])
    assert not any(line.startswith("refs") for line in found.next)


def test_the_types_in_a_cycle_are_those_that_are_in_all_of_the_garbage():
    seen = [
        replace(
            one, garbage_types={"dict": 20, "Page": 10, "Event": 1, **({"Stranger": 99} if not at else {})}
        )
        for at, one in enumerate(CYCLIC)
    ]
    (found,) = verdicts(seen)
    assert found.because.endswith(" (Page)")
    only_dull = [replace(one, garbage_types={"dict": 20}) for one in CYCLIC]
    assert verdicts(only_dull)[0].because.endswith(" (dict)")


def test_what_the_runtime_keeps_for_itself_is_no_leak():
    """Its sockets have numbers, too, and nobody has a name for where they are."""
    assert list(verdicts(CALM, [suspect(dead=110, what="numbers", kind="dict", held_by="")])) == []


def test_one_container_holds_no_two_leaks_and_none_that_grew_otherwise():
    both = [
        look(
            float(at),
            *(line(site, finished=10 * at, residue_bytes=6000 * at) for site in (SITE, "b.py:1 in other")),
        )
        for at in range(12)
    ]
    assert [leak.held_by is None for leak in verdicts(both, [suspect()])] == [False, True]
    assert [leak.held_by for leak in verdicts(both, [suspect(grown=8, size=300)])] == [None, None]
