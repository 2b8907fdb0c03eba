"""A thorough look weighs garbage to the byte, and leaves the collector as it was."""

import gc

import pytest

from coloop import FORM
from coshell.leaks.looking import added, by_command
from tests.shell.looks import line
from tests.shell.sessions import session

PAYLOAD = 50_000

_CYCLE = f"""\
class Node: pass
def make():
    node = Node()
    node.me, node.page = node, bytearray({PAYLOAD})
"""


@pytest.fixture
def at_prompt():
    with session(clock="virtual") as opened:
        opened.type("from coloop import *")
        gc.disable()
        yield opened
        gc.enable()


def look(opened):
    return opened.shell.bridge.call(opened.shell.watch.look)


def test_garbage_is_weighed(at_prompt):
    look(at_prompt)
    at_prompt.type(_CYCLE + "\ngo -n 3 make()")
    seen = look(at_prompt)
    assert seen.garbage_bytes == pytest.approx(3 * PAYLOAD, rel=0.05)
    assert seen.garbage_objects >= 3
    assert seen.garbage_types["Node"] == 3


@pytest.mark.skipif(FORM == "pure", reason="only the native ledger knows whose a freed block was")
def test_it_is_known_whose_garbage_it_was(at_prompt):
    look(at_prompt)
    at_prompt.type(_CYCLE + "\ngo -n 3 make()")
    assert look(at_prompt).garbage["go make()"] == pytest.approx(3 * PAYLOAD, rel=0.05)
    assert "go make()" not in look(at_prompt).garbage


@pytest.mark.skipif(FORM == "pure", reason="only the native ledger knows whose a freed block was")
def test_what_a_closed_generator_lets_go_is_garbage_too(at_prompt):
    at_prompt.type(
        f"class Lines:\n    def __init__(self):\n        self.page = bytearray({PAYLOAD})\n"
        "        self.all = self.lines()\n        next(self.all)\n"
        "    def lines(self):\n        yield self\n        yield self\ndef make(): Lines()"
    )
    look(at_prompt)
    at_prompt.type("go make()")
    assert look(at_prompt).garbage["go make()"] == pytest.approx(PAYLOAD, rel=0.1)


@pytest.mark.skipif(FORM == "pure", reason="only the native ledger knows whose a freed block was")
def test_free_lists_are_no_garbage(at_prompt):
    at_prompt.type("def work():\n    [dict(a=n) for n in range(500)]\n    [(n, n) for n in range(500)]")
    look(at_prompt)
    at_prompt.type("go -n 3 work()")
    seen = look(at_prompt)
    assert seen.garbage.get("go work()", 0) == 0


def test_what_the_looks_themselves_find_is_not_found_unasked(at_prompt):
    before = look(at_prompt)
    at_prompt.type(_CYCLE + "\ngo -n 30 make()")
    first = look(at_prompt)
    second = look(at_prompt)
    assert first.garbage_objects >= 30
    assert second.found_unasked == before.found_unasked == first.found_unasked


def test_the_collector_is_left_as_it_was(at_prompt):
    frozen, flags, kept = gc.get_freeze_count(), gc.get_debug(), list(gc.garbage)
    at_prompt.type(_CYCLE + "\ngo make()")
    look(at_prompt)
    assert (gc.get_debug(), gc.garbage) == (flags, kept)
    assert gc.get_freeze_count() <= max(frozen, 2000)
    assert not gc.isenabled()


def test_what_the_user_has_frozen_stays_so(at_prompt):
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        look(at_prompt)
        assert gc.get_freeze_count() >= frozen - 100
    finally:
        gc.unfreeze()


def test_a_glance_collects_nothing(at_prompt):
    at_prompt.type(_CYCLE + "\ngo make()")
    at_prompt.shell.watch.glance()
    *_, last = at_prompt.shell.watch.history
    assert not last.collected
    assert look(at_prompt).garbage_objects > 0


def test_connections_at_which_nobody_waits_are_counted_but_not_those_at_the_prompt(at_prompt):
    at_prompt.type("kept = []\ndef keep(conn):\n    kept.append(conn.recv())\n    suspend()\n")
    at_prompt.type("serve 127.0.0.1:0 keep --as s\nconnect s as a\nconnect s as b")
    at_prompt.type("a.send(b'x')\nb.send(b'x')\ncoloop.testing.wait_until_idle()")
    assert list(look(at_prompt).unattended.values()) == [2]


def test_commands_that_start_the_same_function_are_one_place():
    names = {}
    lines = [
        line("<co:3>:1 in go", function="work", finished=2),
        line("<co:9>:1 in go", function="work", live=1),
    ]
    found = by_command(lines, names)
    assert list(found) == ["go work()"]
    assert (found["go work()"].spawned, found["go work()"].function) == (3, "work")
    assert names == {"<co:3>:1 in go": "work", "<co:9>:1 in go": "work"}


def places_seen(opened):
    opened.type("set level sites")
    opened.type(f"kept = [bytearray(1000) for _ in range({PAYLOAD // 100})]")
    look(opened)
    return look(opened).places


def test_the_shell_s_own_lines_are_no_places(aside):
    with aside.session(clock="virtual") as opened:
        files = {place.partition(":")[0] for place in opened.do(places_seen)}
    assert "<co" in files
    assert not {"looking.py", "suspects.py", "bridge.py", "linecache.py"} & files


def test_whom_nobody_remembers_is_known_from_before():
    names = {"<co:3>:1 in go": "work"}
    assert list(by_command([line("<co:3>:1 in go", function="")], names)) == ["go work()"]
    assert list(by_command([line("<co:4>:1 in go", function="")], names)) == ["<co:4>:1 in go"]


def test_two_places_are_added_field_by_field():
    one = line("x", live=1, live_bytes=5, oldest_s=2.0, first_id=7, parked=1, residue_blocks=None)
    other = line("y", finished=3, residue_bytes=9, oldest_s=1.0, first_id=4, defers=2)
    both = added(one, other)
    assert (both.site, both.live, both.finished, both.spawned, both.first_id) == ("x", 1, 3, 4, 4)
    assert (both.live_bytes, both.residue_bytes, both.residue_blocks) == (5, 9, None)
    assert (both.oldest_s, both.parked, both.defers) == (2.0, 1, 2)
