"""Where a block was allocated, and by which calls: of every block, or of some, with the error told."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import coloop
from coloop import CoroutineError, current, go, memory, suspend, yield_now
from coloop._form import native
from tests.runtime.conftest import codes_in, prepare
from tests.secretive import Secret

pytestmark = pytest.mark.skipif(native is None, reason="there is no native core")

coroutine = pytest.mark.coroutine
core: Any = native

HERE = "test_native_sites.py"
BYTE = b"."
HEADER_BYTES = sys.getsizeof(b"")


@pytest.fixture(autouse=True)
def default_level(quiet_collector: None) -> Iterator[None]:
    yield
    memory.set_level("counts")


def line_of(function: Callable[..., object], offset: int) -> str:
    code = function.__code__
    return f"{HERE}:{code.co_firstlineno + offset} in {code.co_name}"


def make(count: int, size: int) -> list[bytes]:
    return [BYTE * size for _ in range(count)]


def make_one(size: int) -> bytes:
    return BYTE * size


def hold(make: Callable[..., object], *args: int) -> None:
    kept = make(*args)
    suspend()
    del kept
    suspend()


# -- every block ---------------------------------------------------------------------------------


@coroutine
def test_the_sites_of_a_coroutine_are_its_account_to_the_byte() -> None:
    memory.set_level("sites", exact=True)
    children = [go(hold, make, 10 * i, 1000) for i in range(1, 6)]
    for i, child in enumerate(children, start=1):
        sites = memory.sites(child.id)
        assert sum(site.heap_bytes for site in sites) == child.account.heap_bytes
        assert sum(site.heap_blocks for site in sites) == child.account.heap_blocks
        assert sites[0].site.startswith(f"{HERE}:{make.__code__.co_firstlineno + 1} in ")
        assert sites[0].heap_bytes >= 10 * i * 1000
        assert {site.error_bytes for site in sites} == {0}
        child.resume()
    yield_now()
    assert all(sum(site.heap_bytes for site in memory.sites(child.id)) < 1_000 for child in children)
    for child in children:
        child.cancel()


@coroutine
def test_the_largest_come_first_and_only_as_many_as_are_asked_for() -> None:
    memory.set_level("sites", exact=True)
    small, large = make_one(10_000), make(10, 10_000)
    sites = memory.sites(top=2)
    assert [site.heap_bytes >= 10_000 for site in sites] == [True, True]
    assert sites[0].heap_bytes > sites[1].heap_bytes
    assert sites[1].site == line_of(make_one, 1)
    assert (len(small), len(large)) == (10_000, 10)


def nested(depth: int, size: int) -> object:
    return make_one(size) if depth == 0 else nested(depth - 1, size)


@coroutine
def test_a_stack_is_told_from_the_outermost_call_and_whose_it_is() -> None:
    memory.set_level("sites", exact=True)
    child = go(hold, nested, 3, 50_000)
    stack = memory.stacks(child.id)[0]
    assert [frame.rpartition(" in ")[2] for frame in stack.frames] == ["hold", *["nested"] * 4, "make_one"]
    assert stack.frames[-1] == line_of(make_one, 1)
    assert (stack.coroutine, stack.heap_blocks) == (child.id, 1)
    assert stack.heap_bytes == 50_000 + HEADER_BYTES
    assert stack in memory.stacks()
    child.cancel()


@coroutine
def test_of_a_deep_stack_the_innermost_calls_are_kept() -> None:
    memory.set_level("sites", exact=True)
    child = go(hold, nested, 200, 50_000)
    stack = memory.stacks(child.id)[0]
    assert len(stack.frames) == 24
    assert stack.frames[-1] == line_of(make_one, 1)
    child.cancel()


@coroutine
def test_calls_through_c_and_generators_are_in_the_stack() -> None:
    memory.set_level("sites", exact=True)
    kept: list[bytes] = []

    def key(size: int) -> int:
        kept.append(make_one(size))
        return size

    def generate() -> Iterator[int]:
        yield from sorted([70_000], key=key)

    list(generate())
    names = [frame.rpartition(" in ")[2] for frame in memory.stacks()[0].frames]
    assert names[-4:] == [
        "test_calls_through_c_and_generators_are_in_the_stack",
        "generate",
        "key",
        "make_one",
    ]


@coroutine
def test_what_is_outside_of_any_coroutine_is_told_as_that_of_nobody() -> None:
    memory.set_level("sites", exact=True)
    kept: list[bytes] = []
    coloop.call_soon_threadsafe(lambda: kept.append(make_one(60_000)))
    coloop.sleep(0.001)
    stack = memory.stacks(0)[0]
    assert stack.coroutine == 0
    assert stack.frames[-1] == line_of(make_one, 1)


@coroutine
def test_the_dead_s_blocks_are_told_with_their_number() -> None:
    memory.set_level("sites", exact=True)
    kept: list[bytes] = []
    dead = go(lambda: kept.append(make_one(60_000)))
    assert memory.sites(dead.id)[0].heap_bytes >= 60_000
    kept.clear()
    gc.collect()
    assert memory.sites(dead.id) == ()


# -- some blocks ---------------------------------------------------------------------------------


@coroutine
def test_an_estimate_is_as_near_as_it_says() -> None:
    memory.set_level("sites")
    for count, size in [(20_000, 100), (2_000, 1_000), (200, 10_000), (40, 100_000)]:
        kept = make(count, size)
        site = memory.sites(current().id, 1)[0]
        truth = sum(len(each) + HEADER_BYTES for each in kept)
        assert abs(site.heap_bytes - truth) < 6 * site.error_bytes + 300_000
        assert site.error_bytes < truth / 4
        if size < 1_000:
            assert site.error_bytes > 0
        del kept
    assert sum(site.heap_bytes for site in memory.sites(current().id)) < 100_000


@coroutine
def test_on_the_average_an_estimate_is_right() -> None:
    """If it were not, the sum of many would be off by more than chance can explain."""
    memory.set_level("sites")
    estimate = truth = variance = 0
    for _ in range(40):
        kept = make(2_000, 200)
        site = memory.sites(current().id, 1)[0]
        estimate += site.heap_bytes
        variance += site.error_bytes**2
        truth += 2_000 * (200 + HEADER_BYTES)
        del kept
    assert abs(estimate - truth) < 6 * variance**0.5 + 40 * 30_000


@coroutine
def test_one_can_be_told_exactly_while_the_others_are_estimated() -> None:
    memory.set_level("sites")
    suspect, other = go(suspend_and_make), go(suspend_and_make)
    memory.note_all_sites(suspect)
    for child in (suspect, other):
        child.resume()
    yield_now()
    line = line_of(make_one, 1)
    told = {site.site: site for site in memory.sites(suspect.id)}
    assert told[line].heap_blocks == 300
    assert told[line].error_bytes == 0
    estimated = {site.site: site for site in memory.sites(other.id)}
    assert line not in estimated or estimated[line].error_bytes > 0
    memory.note_all_sites(suspect, all_blocks=False)
    for child in (suspect, other):
        child.cancel()


@coroutine
def test_at_level_heap_no_place_is_noted_of_anybody() -> None:
    memory.set_level("sites")
    suspect = go(suspend_and_make)
    memory.note_all_sites(suspect)
    memory.set_level("heap")
    suspect.resume()
    yield_now()
    memory.set_level("sites")
    assert memory.sites(suspect.id) == ()
    suspect.cancel()


def suspend_and_make() -> None:
    suspend()
    kept = []
    for _ in range(300):
        kept.append(make_one(100))  # noqa: PERF401 - a call from a line of this function
    suspend()


# -- levels --------------------------------------------------------------------------------------


@coroutine
def test_between_heap_and_sites_the_count_goes_on() -> None:
    memory.set_level("heap")
    child = go(hold, make_one, 90_000)
    before = child.account.heap_bytes
    memory.set_level("sites", exact=True)
    assert child.account.heap_bytes == before
    assert memory.sites(child.id) == ()
    late = go(hold, make_one, 90_000)
    assert memory.sites(late.id)[0].heap_bytes >= 90_000
    memory.set_level("heap")
    assert child.account.heap_bytes == before
    with pytest.raises(CoroutineError, match="sites are not told at level heap"):
        memory.sites()
    memory.set_level("sites", exact=True)
    assert memory.sites(late.id) == ()
    for each in (child, late):
        each.cancel()
    yield_now()
    assert core.ledger_audit()[0] == 0


def test_below_sites_a_coroutine_cannot_be_singled_out() -> None:
    with pytest.raises(CoroutineError, match="sites are not told at level counts"):
        memory.note_all_sites(None)  # type: ignore[arg-type]


@coroutine
def test_code_that_is_gone_is_let_go_of() -> None:
    memory.set_level("sites", exact=True)
    names: dict[str, Any] = {}
    exec(compile("def typed():\n return [bytearray(1000)]", "<typed>", "exec"), names)
    kept = [names["typed"]()]
    assert any(site.site == "<typed>:2 in typed" for site in memory.sites())
    code = weakref.ref(names["typed"].__code__)
    names.clear()
    kept.clear()
    gc.collect()
    assert code() is not None
    memory.set_level("heap")
    assert code() is None


@coroutine
def test_stacks_are_not_kept_without_end() -> None:
    memory.set_level("sites", exact=True)
    first: weakref.ref[object] | None = None
    for i in range(40_000):
        names: dict[str, Any] = {}
        code = compile("def typed():\n return [1]\ntyped()", "<typed>", "exec")
        prepare(codes_in(code))  # else what CPython notes of it is allocated in it, and is of its own holding
        exec(code, names)
        first = first or weakref.ref(names["typed"].__code__)
        if i % 10_000 == 0:
            memory.sites(top=1)
    gc.collect()
    memory.sites(top=1)
    assert first is not None
    assert first() is None
    assert core.ledger_audit()[0] == 0


# -- types ---------------------------------------------------------------------------------------


class Plain:
    def __init__(self) -> None:
        self.name = "n"


class Slotted:
    __slots__ = ("a", "b")


@coroutine
def test_the_objects_of_a_coroutine_are_told_by_type() -> None:
    memory.set_level("heap")

    def make_objects() -> object:
        return [
            [Plain() for _ in range(100)],
            [Slotted() for _ in range(50)],
            [bytearray(1000) for _ in range(30)],
            {str(i) * 3 for i in range(40)},
        ]

    child = go(hold, make_objects)
    told = {each.type: each for each in memory.types(child.id)}
    assert told["Plain"].count == 100
    assert told["Slotted"].count == 50
    assert told["bytearray"].count == 30
    assert told["str"].count == 40
    assert told["set"].count == 1
    assert told["(contents)"].heap_bytes >= 30 * 1000
    gc.collect()
    assert sum(each.heap_bytes for each in memory.types(child.id)) == child.account.heap_bytes
    assert sum(each.count for each in memory.types(child.id)) == child.account.heap_blocks
    child.cancel()


@coroutine
def test_what_has_lain_in_a_block_before_is_not_taken_for_what_lies_there() -> None:
    memory.set_level("heap")

    def make_lists_where_floats_were() -> object:
        floats = [n + 0.5 for n in range(2_000)]
        del floats
        kept: list[list[object]] = []
        for _ in range(500):
            kept.append([])
            kept[-1].append(kept)  # room for four, of which the second word is still that of a float
        return kept

    child = go(hold, make_lists_where_floats_were)
    told = {each.type: each.count for each in memory.types(child.id)}
    assert "float" not in told
    assert told["(contents)"] >= 500
    child.cancel()


@coroutine
def test_texts_of_every_width_are_texts() -> None:
    memory.set_level("heap")
    child = go(hold, lambda: [c * n for c in "a\xe4\u20ac\U0001f600" for n in range(2, 52)])
    assert {each.type: each.count for each in memory.types(child.id)}["str"] == 200
    child.cancel()


@coroutine
def test_no_class_of_a_user_s_is_asked_for_its_name() -> None:
    memory.set_level("heap")
    child = go(hold, lambda: [Secret() for _ in range(50)])
    assert {each.type: each.count for each in memory.types(child.id)}["Secret"] == 50
    child.cancel()
