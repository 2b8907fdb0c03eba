"""The verdicts as records, as a table with its reasons, and in Tracker's form."""

import json
from dataclasses import replace

from coshell.leaks.report import Leaks, growing_places, records, tracker_lines
from coshell.leaks.suspects import Suspect
from coshell.leaks.verdict import judge
from coshell.render import json_line
from tests.shell.looks import SITE, line, look, series

LEAKING = series(finished=lambda at: 10 * at, residue_bytes=lambda at: 10 * at * 600)
CYCLIC = series(
    finished=lambda at: 10 * at, garbage=lambda at: {SITE: 5000 * (at > 0)}, garbage_objects=lambda _: 20
)
CALM = series(finished=lambda at: 10 * at)
RISING = series(finished=lambda at: 10 * at, residue_bytes=lambda at: min(at, 4) * 9000)


def suspect(**known):
    usual = {
        "kind": "list",
        "items": 130,
        "grown": 110,
        "dead": 0,
        "what": "",
        "size": 66_000,
        "held_by": "__main__.kept",
    }
    return Suspect(**(usual | known))


def leaks(looks, suspects=(), *, everything=False, form="table"):
    found = records(judge(looks), looks, suspects)
    return Leaks(found, looks, everything=everything, form=form, suspects=suspects)


def test_what_is_bad_is_found_and_what_is_well_is_counted():
    assert [leak.verdict for leak in leaks(LEAKING)] == ["LEAK"]
    assert [leak.verdict for leak in leaks(CYCLIC)] == ["cycle"]
    assert not leaks(CALM)
    assert not leaks(RISING)
    assert (leaks(LEAKING).leaked, leaks(CYCLIC).leaked, leaks(CYCLIC).cycles) == (1, 0, 1)
    assert (leaks(CALM).steady, leaks(RISING).warming) == (1, 1)


def test_on_request_all_are_told():
    assert [leak.verdict for leak in leaks(CALM, everything=True)] == ["steady"]
    assert [leak.verdict for leak in leaks(RISING, everything=True)] == ["warming up"]


def test_the_head_tells_what_was_watched_and_what_was_found():
    assert leaks(LEAKING).lines(100)[0] == "11s, 12 looks, 110 coroutines ended: 1 leak, 0 steady"
    assert leaks(CYCLIC).lines(100)[0].endswith("no leak, 1 garbage cycle, 0 steady")
    assert leaks(CALM).lines(100)[0].endswith("no leak, 1 steady")


def test_the_table_tells_the_numbers():
    header, row = leaks(LEAKING).lines(110)[1:3]
    assert header.split()[:3] == ["VERDICT", "COROUTINE", "(born"]
    assert row.split()[:3] == ["LEAK", "handle", "(server.py:12)"]
    assert "600" in row.split()


def test_below_stands_what_it_rests_on_and_what_to_try_next():
    lines = leaks(LEAKING, [suspect()]).lines(110)
    assert any("each that ended left 600 B" in line and "5 of 5 repeats" in line for line in lines)
    assert "    held by __main__.kept  list, 130 items" in lines
    assert any(line.startswith("    next: refs kept | set level sites") for line in lines)
    assert lines[-1].startswith("not judged: ")


def test_no_line_is_wider_than_the_screen():
    for width in (40, 60, 80):
        assert all(len(line) <= width for line in leaks(LEAKING, [suspect()]).lines(width))


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
        for leak in leaks(looks, [suspect(), suspect(held_by="__main__.cache", grown=11, size=430_000)])
    }
    assert held[SITE].startswith("__main__.kept  ")
    assert held[other].startswith("__main__.cache  ")


def test_a_container_without_a_name_holds_nothing_to_show():
    assert leaks(LEAKING, [suspect(held_by="")])[0].held_by is None


def test_the_dead_that_are_kept_are_told_with_the_leak_that_they_are():
    (found,) = leaks(LEAKING, [suspect(dead=110, what="handles")])
    assert found.because.endswith("; 110 handles of coroutines that have ended are kept there")


def test_the_dead_that_are_kept_are_a_leak_of_their_own_where_nobody_noticed_any():
    (found,) = leaks(CALM, [suspect(dead=110, what="numbers", kind="dict")])
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
    (found,) = leaks(looks)
    assert found.allocated_at == "app.py:7 in handle"
    assert growing_places(looks) == [("app.py:7 in handle", 11, 67_100), ("app.py:9 in other", 11, 1100)]
    assert tracker_lines(leaks(looks)) == ["app.py:7 => Growth Times : [11]; Growth Size : [67100]"]


def test_trackers_form_names_the_place_of_birth_where_no_line_is_known():
    assert leaks(LEAKING, form="tracker").lines(80) == [
        "server.py:12 => Growth Times : [5]; Growth Size : [60000]"
    ]
    assert leaks(CALM, form="tracker").lines(80) == []


def test_json_has_plain_numbers_and_every_field():
    (found,) = leaks(LEAKING, [suspect()])
    record = json.loads(json_line(found))
    assert record["verdict"] == "LEAK"
    assert (record["growth"], record["per_finished"], record["times"]) == (60_000, 600, 5)
    assert set(record) == {
        "verdict", "kind", "function", "site", "first", "live", "finished", "heap", "growth", "things", "times", "repeats",
        "slope", "r2", "confidence", "per_finished", "freed", "exact", "allocated_at", "held_by", "because", "next",
    }  # fmt: skip


def test_what_cannot_be_typed_is_not_advised():
    (found,) = leaks(LEAKING, [suspect(held_by="__main__.page -> <cache>")])
    assert not any(line.startswith("refs") for line in found.next)


def test_names_of_the_user_are_made_printable():
    looks = [
        look(float(at), line("a.py:1 in f", function="\x1b[2J", finished=9 * at, residue_bytes=9999 * at))
        for at in range(12)
    ]
    assert all(text.isprintable() for text in leaks(looks).lines(80))


def test_the_types_in_a_cycle_are_those_that_are_in_all_of_the_garbage():
    seen = [
        replace(
            one, garbage_types={"dict": 20, "Page": 10, "Event": 1, **({"Stranger": 99} if not at else {})}
        )
        for at, one in enumerate(CYCLIC)
    ]
    (found,) = leaks(seen)
    assert found.because.endswith(" (Page)")
    only_dull = [replace(one, garbage_types={"dict": 20}) for one in CYCLIC]
    assert leaks(only_dull)[0].because.endswith(" (dict)")


def test_what_the_runtime_keeps_for_itself_is_no_leak():
    """Its sockets have numbers, too, and nobody has a name for where they are."""
    assert list(leaks(CALM, [suspect(dead=110, what="numbers", kind="dict", held_by="")])) == []


def test_connections_are_named_by_their_server():
    seen = [look(float(at), unattended={"server 127.0.0.1:80": 3 * at}) for at in range(12)]
    assert leaks(seen)[0].born == "server 127.0.0.1:80"


def test_one_container_holds_no_two_leaks_and_none_that_grew_otherwise():
    both = [
        look(
            float(at),
            *(line(site, finished=10 * at, residue_bytes=6000 * at) for site in (SITE, "b.py:1 in other")),
        )
        for at in range(12)
    ]
    assert [leak.held_by is None for leak in leaks(both, [suspect()])] == [False, True]
    assert [leak.held_by for leak in leaks(both, [suspect(grown=8, size=300)])] == [None, None]
