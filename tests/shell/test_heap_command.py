"""How much heap somebody holds, and of what it consists."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from coloop import FORM, memory
from coshell.commands.heap import COMMANDS
from coshell.values import Bytes
from tests.shell.sessions import Session, check_example, check_json, session

HELD_BYTES = 5_000_000
PAGES = 50
_HOLDER = f"""\
def hold():
    kept = [bytearray({HELD_BYTES // PAGES}) for _ in range({PAGES})]
    sleep(60)
go hold() --name holder
coloop.testing.wait_until_idle()
"""
(HEAP,) = COMMANDS

only_native = pytest.mark.skipif(FORM == "pure", reason="only the native ledger knows whose a block is")


@pytest.fixture
def at_prompt() -> Iterator[Session]:
    with session(clock="virtual") as opened:
        yield opened


@pytest.mark.parametrize("example", HEAP.examples)
def test_every_example_runs_as_it_stands(example: str) -> None:
    check_example(HEAP, example)


@pytest.mark.parametrize("example", HEAP.examples)
def test_it_speaks_json(example: str) -> None:
    check_json(HEAP, example)


def test_the_heap_of_a_coroutine(at_prompt: Session) -> None:
    at_prompt.type(_HOLDER)
    for form in ("heap holder", "heap 2", "heap('holder')", "heap(holder)", "heap(2)"):
        assert at_prompt.value(form) == pytest.approx(HELD_BYTES, rel=0.02)
    first, *_ = at_prompt.type("heap holder")
    assert first.startswith(f"{Bytes(at_prompt.value('heap holder'))} held by co#2 holder; at most ")


def test_to_python_it_is_a_number(at_prompt: Session) -> None:
    at_prompt.type(_HOLDER)
    assert at_prompt.value("heap('holder') < 64 * 1024") is False
    assert at_prompt.type("heap('holder')") == [f"{at_prompt.value('heap holder'):d}"]


def test_the_heap_of_a_server_is_that_of_all_its_coroutines(at_prompt: Session) -> None:
    at_prompt.type(f"def hold(conn):\n    kept = bytearray({HELD_BYTES})\n    conn.recv()")
    at_prompt.type("serve :0 hold --as s\nconnect s as a\nconnect s as b\ncoloop.testing.wait_until_idle()")
    for form in ("heap s", "heap('hold#1')", "heap(s)"):
        assert at_prompt.value(form) == pytest.approx(2 * HELD_BYTES, rel=0.02)
    assert at_prompt.value("heap('hold#1/c1')") == pytest.approx(HELD_BYTES, rel=0.02)


def test_of_a_server_those_who_hold_most_are_shown(at_prompt: Session) -> None:
    at_prompt.type("def hold(conn):\n    kept = bytearray(100_000 * len(conn.recv()))\n    conn.recv()")
    at_prompt.type("serve :0 hold --as s\nconnect s as a\nconnect s as b\na.send(b'x')\nb.send(b'x' * 9)")
    at_prompt.type("coloop.testing.wait_until_idle()")
    parts = at_prompt.value("heap s --top 2").parts()
    assert [share.name.split("/")[-1] for share in parts.coroutines] == ["c2", "c1"]
    assert at_prompt.type("heap s --top 1")[-1] == "2 more coroutines: --top 3"


@only_native
def test_a_heap_consists_of_objects_by_type(at_prompt: Session) -> None:
    at_prompt.type(_HOLDER)
    types = {share.name: share for share in at_prompt.value("heap holder").parts().types}
    assert types["bytearray"].blocks == PAGES
    assert types["(contents)"].heap == pytest.approx(HELD_BYTES, rel=0.02)
    assert sum(share.heap for share in types.values()) <= at_prompt.value("heap holder")


@only_native
def test_it_is_told_where_it_was_allocated_at_level_sites(at_prompt: Session) -> None:
    at_prompt.type("set level sites")
    memory.set_level("sites", exact=True)
    at_prompt.type(_HOLDER)
    (site, *_) = at_prompt.value("heap holder").parts().sites
    assert site.name in {"<co:1>:2 in hold", "<co:1>:2 in <listcomp>"}  # inlined from 3.12 on
    assert site.heap == pytest.approx(HELD_BYTES, rel=0.02)
    assert site.error is None


@only_native
def test_what_was_sampled_is_shown_with_its_error(at_prompt: Session) -> None:
    at_prompt.type("set level sites")
    at_prompt.type(_HOLDER.replace("100000", "1000").replace("range(50)", "range(5000)"))
    header = at_prompt.type("heap holder")[1]
    assert header.split() == ["HEAP", "+-", "BLOCKS", "ALLOCATED-AT"]


@only_native
def test_below_level_sites_it_says_how_lines_are_told(at_prompt: Session) -> None:
    at_prompt.type(_HOLDER)
    assert at_prompt.type("heap holder")[-1] == "set level sites tells which lines allocate it"


@only_native
def test_of_everything_as_much_is_shown_as_is_asked_for(at_prompt: Session) -> None:
    at_prompt.type(_HOLDER)
    assert len(at_prompt.value("heap holder --top 1").parts().types) == 1
    assert at_prompt.refused("heap holder --top 0") == "--top must be at least 1, not 0"


@pytest.mark.skipif(FORM == "native", reason="the native ledger knows")
def test_without_the_native_core_it_says_what_cannot_be_told(at_prompt: Session) -> None:
    at_prompt.type(_HOLDER)
    assert at_prompt.type("heap holder")[-1].endswith("this needs the native core, which is not there")


@only_native
def test_json_tells_all_of_it(at_prompt: Session) -> None:
    at_prompt.type(_HOLDER)
    (line,) = at_prompt.type("heap holder --json")
    record = json.loads(line)
    assert record["owner"] == "co#2 holder"
    assert record["heap"] == at_prompt.value("heap holder")
    assert {"name": "bytearray", "blocks": PAGES}.items() <= next(
        share for share in record["types"] if share["name"] == "bytearray"
    ).items()


def test_what_the_dead_left_is_looked_into_as_well(at_prompt: Session) -> None:
    at_prompt.type("kept = []\nco = go(lambda: kept.append(bytearray(100_000)))\njoin(co)")
    assert at_prompt.value("heap 2") == pytest.approx(100_000, rel=0.02)
    assert at_prompt.type("heap 2")[0].endswith("K held by co#2 <lambda>, which has ended")


def test_a_name_is_told_as_text_and_not_raw(at_prompt: Session) -> None:
    at_prompt.type("go(suspend, name='a\\x1b[31mb')")
    assert at_prompt.value("heap 2").parts().owner == r"co#2 a\x1b[31mb"


def test_the_heap_of_nobody_is_told_in_one_line(at_prompt: Session) -> None:
    assert at_prompt.refused("heap 9").endswith("living: 1")
    with session(level="counts") as untraced:
        assert untraced.refused("heap 1") == "heap is not traced at level 'counts': set level heap"
