"""What tracemalloc can tell of places: those of the whole process, and of no coroutine."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coloop import CoroutineError, go, memory, suspend
from coloop import _tracemalloc_ledger as module
from coloop._account import Tally
from coloop._tracemalloc_ledger import TracemallocLedger

UNMISTAKABLE = 1_234_567
NOISE = 2_000


@pytest.fixture
def ledger() -> Iterator[TracemallocLedger]:
    opened = TracemallocLedger(8)
    yield opened
    opened.close()


def inner() -> bytearray:
    return bytearray(UNMISTAKABLE)


def outer() -> bytearray:
    return inner()


def test_a_site_is_the_line_that_allocates(ledger: TracemallocLedger) -> None:
    kept = outer()
    (largest,) = ledger.sites(None, 1)
    line = inner.__code__.co_firstlineno + 1
    assert largest.site == f"test_tracemalloc_ledger.py:{line} in inner"
    assert abs(largest.heap_bytes - len(kept)) < NOISE
    assert largest.heap_blocks == 2  # the object and its bytes
    assert largest.error_bytes == 0


def test_a_stack_is_told_outermost_first(ledger: TracemallocLedger) -> None:
    kept = outer()
    largest = ledger.stacks(None)[0]
    names = [frame.rpartition(" in ")[2] for frame in largest.frames]
    assert names[-3:] == ["test_a_stack_is_told_outermost_first", "outer", "inner"]
    assert largest.coroutine == 0
    assert abs(largest.heap_bytes - len(kept)) < NOISE


@pytest.mark.coroutine
def test_what_the_runtime_allocates_for_somebody_is_at_the_line_that_asked(ledger: TracemallocLedger) -> None:
    parked = [go(suspend) for _ in range(100)]
    here = Path(__file__).name
    assert any(site.site.startswith(here) and site.heap_blocks >= 100 for site in ledger.sites(None, 10))
    for each in parked:
        each.resume()


def test_a_file_that_cannot_be_read_has_lines_all_the_same(ledger: TracemallocLedger) -> None:
    kept: dict[str, object] = {}
    exec(compile(f"kept = bytearray({UNMISTAKABLE})", "<typed>", "exec"), kept)
    assert ledger.sites(None, 1)[0].site == "<typed>:1 in <module>"


def test_blocks_of_one_stack_are_added_up_and_those_of_another_are_not(ledger: TracemallocLedger) -> None:
    kept = [inner() for _ in range(3)] + [outer()]
    first, second = ledger.stacks(None)[:2]
    assert len(kept) == 4
    assert (first.heap_blocks, second.heap_blocks) == (6, 2), "a bytearray is an object and a buffer"
    assert abs(first.heap_bytes - 3 * UNMISTAKABLE) < NOISE
    assert abs(second.heap_bytes - UNMISTAKABLE) < NOISE


def test_the_functions_of_a_file_are_found_and_nothing_is_written_beside_it(
    ledger: TracemallocLedger, tmp_path: Path
) -> None:
    file = tmp_path / "users.py"
    text = f"def first(): pass\n\ndef allocates():\n    return bytearray({UNMISTAKABLE})\n"
    file.write_text(text, encoding="utf-8")
    names: dict[str, Any] = {}
    exec(compile(text, str(file), "exec"), names)
    kept = names["allocates"]()
    assert len(kept) == UNMISTAKABLE
    assert ledger.sites(None, 1)[0].site == "users.py:4 in allocates"
    assert list(tmp_path.iterdir()) == [file]


def test_whose_a_block_is_cannot_be_told(ledger: TracemallocLedger) -> None:
    with pytest.raises(
        CoroutineError, match="sites of co#7: without the native core only those of the whole"
    ):
        ledger.sites(7, 1)
    with pytest.raises(CoroutineError, match="sites of co#7"):
        ledger.stacks(7)
    with pytest.raises(CoroutineError, match="heap of co#7 by type: this needs the native core"):
        ledger.types(7)


def test_if_another_stops_the_tracing_the_figures_are_void(ledger: TracemallocLedger) -> None:
    assert ledger.trouble() is None
    assert ledger.held() is not None
    tracemalloc.stop()
    assert ledger.trouble() == "another tool has stopped tracemalloc"
    assert ledger.held() is None


def test_below_its_level_a_question_is_refused_in_one_line() -> None:
    for ask in (memory.sites, memory.stacks):
        with pytest.raises(
            CoroutineError, match=r"^sites are not told at level counts: call memory\.set_level"
        ):
            ask()
    with pytest.raises(CoroutineError, match=r"^types are not told at level counts"):
        memory.types(1)


def test_the_places_of_birth_that_are_kept_are_the_largest_and_not_without_end(
    ledger: TracemallocLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_RESIDUE_SITES", 10)
    for i in range(100):
        tally = Tally()
        tally.add(i if i % 2 else -i)
        ledger.bury(tally, f"place {i}")
    kept = ledger.residues()
    assert {abs(found.heap_bytes) for found in kept} == set(range(90, 100))
    assert ledger.dead.heap_bytes == sum(i if i % 2 else -i for i in range(100))
