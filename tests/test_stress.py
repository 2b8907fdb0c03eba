"""The ledger's books agree with the heap while threads of coroutines do to it whatever can be done, for a
moment.

In processes of their own, because an allocator is chosen when a process starts. The long form is
`stress_ledger.py`; the checks, which set `EVERY_PROGRAM`, take a middle one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import coloop
from tests.thorough import EVERY_ONE, sample

ROOT = Path(__file__).parent.parent
SECONDS = "3" if EVERY_ONE else "0.4"
ALLOCATORS = ["pymalloc", "debug", "malloc", *(["mimalloc"] if sys.version_info >= (3, 13) else [])]

pytestmark = pytest.mark.skipif(
    coloop.FORM != "native", reason="without the native core heap is not counted exactly"
)


def stressed(*options: str, allocator: str = "pymalloc") -> dict[str, Any]:
    """What the program tells; nothing may be wrong."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "runtime")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONMALLOC": allocator}
    command = [sys.executable, str(ROOT / "tests" / "stress_ledger.py"), "--seconds", SECONDS, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["wrong"] == []
    assert done.returncode == 0, done.stderr
    assert found["trouble"] == ""
    return found


@pytest.mark.parametrize("allocator", sample(ALLOCATORS, 2))
def test_the_books_agree_with_the_heap_under_each_allocator(allocator: str) -> None:
    found = stressed("--seed", "7", allocator=allocator)
    assert found["audits"] > 1
    assert found["counts"]["failed"] > 0  # limits were met
    assert found["bookkeeping"]["foreign_frees"] > 0
    assert found["counted_by_interpreter"] == (allocator in {"pymalloc", "debug"})


@pytest.mark.parametrize("how", [(), ("--exact",)])
def test_they_agree_with_the_places_of_allocation_noted(how: tuple[str, ...]) -> None:
    assert stressed("--level", "sites", "--seed", "8", *how)["audits"] > 1


def test_they_agree_while_the_level_changes_all_the_time() -> None:
    assert stressed("--toggle", "--seed", "9")["audits"] > 1
