"""The small first chunk of a coroutine's Python frames: `runtime/native/stacks.c`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import coloop
from coloop import current, go, suspend, yield_now
from coloop._memory import CHUNK_BYTES, FIRST_CHUNK_BYTES

native = pytest.mark.skipif(coloop.FORM != "native", reason="CPython's own first chunk is used")

PARKED_BYTES = """
import gc, coloop
from pathlib import Path

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def main():
    event = coloop.Event()
    for _ in range(500):
        coloop.go(event.wait)
    gc.collect()
    before = resident()
    for _ in range(20_000):
        coloop.go(event.wait)
    print((resident() - before) // 20_000)
    event.set()

coloop.run(main)
"""


def deep(levels: int) -> int:
    """Recurse with a frame of some size; park at the bottom."""
    if levels == 0:
        suspend()
        return 0
    a, b, c, d, e, f = range(6)
    return deep(levels - 1) + (a + b + c + d + e + f) // 15


@native
def test_a_parked_coroutine_takes_less_than_the_contract_allows() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", PARKED_BYTES], env=environment, capture_output=True, text=True
    )
    assert run.stderr == ""
    assert int(run.stdout) < 6_200


@native
@pytest.mark.coroutine
def test_a_shallow_stack_is_one_small_chunk() -> None:
    parked = go(deep, 1)
    c_stack = parked._greenlet._stack_saved  # type: ignore[union-attr]
    assert parked.account.stack_bytes == c_stack + FIRST_CHUNK_BYTES < CHUNK_BYTES
    parked.resume()


@pytest.mark.coroutine
def test_a_stack_that_outgrows_its_first_chunk_keeps_every_local() -> None:
    parked = [go(deep, levels) for levels in (0, 5, 10, 20, 50, 200, 600)]
    yield_now()
    for child in parked:
        child.resume()
    assert [child.result() for child in parked] == [0, 5, 10, 20, 50, 200, 600]


@pytest.mark.coroutine
def test_a_worker_that_has_run_deep_runs_a_shallow_one_after_it() -> None:
    for levels in (600, 0, 30, 0, 600):
        child = go(deep, levels)
        child.resume()
        assert child.result() == levels


@pytest.mark.coroutine
def test_a_loop_across_the_border_of_chunks_works_at_every_depth() -> None:
    def calls(levels: int) -> int:
        if levels:
            return calls(levels - 1)
        return sum(len(str(i)) for i in range(100))

    assert [go(calls, levels).result() for levels in range(60)] == [190] * 60


@pytest.mark.coroutine
def test_a_runaway_recursion_is_an_error_of_its_own_coroutine() -> None:
    def forever() -> None:
        forever()

    child = go(forever)
    with pytest.raises(RecursionError):
        child.result()
    assert current() is not None


@pytest.mark.coroutine
def test_one_that_is_dropped_in_the_midst_of_a_deep_stack_gives_all_back() -> None:
    child = go(deep, 300)
    child.cancel()
    child.join()
    assert child.account.stack_bytes == 0
