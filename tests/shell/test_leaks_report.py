"""The verdicts as a table with its reasons, in Tracker's form, and as JSON."""

import json

from coshell.leaks.evidence import records
from coshell.leaks.report import Leaks, tracker_lines
from coshell.leaks.verdict import judge
from coshell.render import json_line
from tests.shell.looks import CALM, CYCLIC, LEAKING, RISING, line, look, suspect


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


def test_trackers_form_names_the_line_that_allocated_it():
    looks = [
        look(
            float(at),
            line(finished=10 * at, residue_bytes=6000 * at),
            places={"app.py:7 in handle": 6100 * at},
        )
        for at in range(12)
    ]
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


def test_names_of_the_user_are_made_printable():
    looks = [
        look(float(at), line("a.py:1 in f", function="\x1b[2J", finished=9 * at, residue_bytes=9999 * at))
        for at in range(12)
    ]
    assert all(text.isprintable() for text in leaks(looks).lines(80))


def test_connections_are_named_by_their_server():
    seen = [look(float(at), unattended={"server 127.0.0.1:80": 3 * at}) for at in range(12)]
    assert leaks(seen)[0].born == "server 127.0.0.1:80"
