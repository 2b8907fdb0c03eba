"""Run CPython's own tests with the native ledger counting in every process that they start.

    python tests/cpython_with_ledger.py [--level sites] [test_dict ...]

Not part of the suite: it takes minutes. Each process ends with a walk of the map of blocks, which must agree with the
counters; the results are gathered at the end. The VSOCK cases hang on some virtual machines, ledger or not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = ("dict", "list", "json", "gc", "socket", "threading", "weakref")
RUNTIME = Path(__file__).resolve().parent.parent / "runtime"

PRELOADED = """
import atexit, os, sys
if not sys.flags.isolated:
    def audit(folder=os.environ.get("LEDGER_AUDITS"), pid=os.getpid()):
        trouble, (wrong, size, blocks) = memory.cost() if memory.held() is None else "", native.ledger_audit()
        with open(f"{folder}/{os.getpid()}", "a", encoding="ascii") as file:
            file.write(f"{wrong} {size} {blocks} {trouble}\\n")
    try:
        from coloop import CoroutineError, memory
        from coloop._form import native
    except ImportError:
        pass
    else:
        try:
            memory.set_level(os.environ["LEDGER_LEVEL"])
            atexit.register(audit)
        except CoroutineError:
            pass
"""


def main() -> int:
    """Run the tests, then tell of the audits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", default="heap", choices=["heap", "sites"])
    parser.add_argument("tests", nargs="*", default=[f"test_{name}" for name in TESTS])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(PRELOADED, encoding="ascii")
        audits = Path(folder, "audits")
        audits.mkdir()
        path = os.pathsep.join([folder, str(RUNTIME)])
        environment = {"PYTHONPATH": path, "LEDGER_LEVEL": given.level, "LEDGER_AUDITS": str(audits)}
        command = [sys.executable, "-m", "test"]
        ignored = ["--ignore", "*Vsock*", "--ignore", "*VSOCK*"]
        done = subprocess.run(
            [*command, *ignored, *given.tests], env={**os.environ, **environment}, check=False
        )
        told = [line for each in audits.iterdir() for line in each.read_text(encoding="ascii").splitlines()]
    bad = [line for line in told if not line.startswith("0 ")]
    void = [line for line in told if "void" in line]
    print(
        f"{len(told)} processes audited, {len(bad)} with a disagreement, {len(void)} that were interfered with"
    )
    for line in bad:
        print(f"  {line}")
    return done.returncode or bool(bad)


if __name__ == "__main__":
    sys.exit(main())
