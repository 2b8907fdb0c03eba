"""What very many coroutines and connections leave behind under the shell: nothing. In a process of their own.

`COSHELL_SOAK=100000,10000` soaks it in so many of each, as the checks do; by default they are fewer.
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

ROOT = Path(__file__).parent.parent
COROUTINES, CONNECTIONS = (int(count) for count in os.environ.get("COSHELL_SOAK", "8000,800").split(","))
COUNTED = coloop.FORM == "native"  # the other ledger would take minutes
MIB = 1 << 20
SPARE_BYTES = 256 * 1024  # a table that has just grown, a picture that the monitor has just taken
SERVERS_BYTES = 64 * 1024
DEAD_BYTES = 128 * 1024  # the names in that picture, of those who are in it

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="the system does not say what a process holds"
)


def soaked() -> dict[str, Any]:
    """What `soak.py` tells."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(ROOT / root) for root in (".", "runtime", "plugins")),
    }
    command = [sys.executable, str(ROOT / "tests" / "soak.py"), "--level", "heap" if COUNTED else "counts"]
    command += ["--coroutines", str(COROUTINES), "--connections", str(CONNECTIONS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.timeout(60 + (COROUTINES + 10 * CONNECTIONS) / 250)
def test_everything_is_as_it_was() -> None:
    """One test, because tests are dealt out to processes, and each would soak anew."""
    found = soaked()
    assert found["samples"] > 5  # the monitor has looked on
    for kind in ("coroutines", "connections"):
        before, between, after = (found[kind][when] for when in ("before", "between", "after"))
        the_process_holds_what_it_held(before, between, after)
        if COUNTED:  # without the native core heap is not counted exactly
            every_account_is_what_it_was(before, after)


def the_process_holds_what_it_held(
    before: dict[str, int], between: dict[str, int], after: dict[str, int]
) -> None:
    assert after["coroutines"] == before["coroutines"]
    assert after["descriptors"] == before["descriptors"]
    # What leaks does so each time. One object that stays can keep an arena of 1 MiB for a while, and does not.
    assert min(after["uss"] - between["uss"], between["uss"] - before["uss"]) <= MIB, (before, between, after)


def every_account_is_what_it_was(before: dict[str, int], after: dict[str, int]) -> None:
    for figures in (before, after):
        assert figures["traced"] == figures["living"] + figures["dead"] + figures["outside"]
    grown = {key: after[key] - before[key] for key in before}
    assert grown["traced"] <= SPARE_BYTES, grown
    assert grown["outside"] <= SPARE_BYTES, grown
    assert grown["server"] <= SERVERS_BYTES, grown
    assert grown["living"] <= SERVERS_BYTES, grown
    assert grown["dead"] <= DEAD_BYTES, grown
    assert grown["map"] <= MIB, grown  # what the ledger has by itself
