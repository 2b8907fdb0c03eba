"""CPython's own tests, with the ledger installed in their process and in all that they start.

    python tests/cpython_with_ledger.py                        by this Python: its seven files, at each level
    python tests/cpython_with_ledger.py --level heap test_gc   only these

The ledger sits below every allocation of the interpreter, so the interpreter's own tests are the widest there
are. They run in an environment of their own, whose `site` imports coloop and sets the level before anything
else: in children that ignore `PYTHONPATH` too. What is compared is the outcome of every single test with that
of a run without coloop, in which the same modules of the library are imported first. Each process also says
at its end whether the ledger's books agree with the heap.

Not collected by pytest: it takes minutes. Ends with 0 if every test came out as it does without, and all
books agreed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import venv
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILES = ("test_dict", "test_list", "test_json", "test_gc", "test_socket", "test_threading", "test_weakref")
LEVELS = ("heap", "sites")
WITHOUT = "without"
SHOWN = 6000
NOT_IMPORTED = ("site", "sitecustomize", "usercustomize", "this", "antigravity")
HANGS = ("*VSOCK*", "*Vsock*")  # on machines without vsock, ledger or not
TEST_TIMEOUT_S = 600
RUNTIME = Path(__file__).resolve().parent.parent / "runtime"

IN_A_COROUTINE = """
import runpy, sys
import coloop

def main():
    try:
        runpy.run_module("test", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code

sys.exit(coloop.run(main))
"""

IMPORTS = """
import greenlet, sys
{library}
"""

PRELOAD = """
import atexit, json, os
import coloop
from coloop import CoroutineError, _form, memory

def tell():
    counts = memory.held() is not None
    audit = _form.native.ledger_audit() if counts else None
    line = json.dumps({{"pid": os.getpid(), "audit": audit, "trouble": "" if counts else memory.cost()}})
    with open({told!r}, "a", encoding="utf-8") as file:
        file.write(line + "\\n")

try:
    memory.set_level({level!r}, exact={level!r} == "sites")  # every block noted, not some
except CoroutineError:  # the interpreter is not the first one of its process
    pass
else:
    atexit.register(tell)
"""


def environment(folder: Path, level: str) -> tuple[Path, Path]:
    """An environment whose every Python begins with that level: its Python, and where each tells its end."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    told = folder / "told.jsonl"
    told.touch()
    (packages,) = folder.glob("lib/python*/site-packages")
    text = (
        IMPORTS.format(library=library()) if level == WITHOUT else PRELOAD.format(level=level, told=str(told))
    )
    (packages / "coloop_at_start.py").write_text(text, encoding="utf-8")
    paths = (str(RUNTIME), str(greenlets()), "import coloop_at_start")
    (packages / "coloop_at_start.pth").write_text("\n".join(paths) + "\n", encoding="utf-8")
    return python, told


def greenlets() -> Path:
    """The folder from which greenlet is imported."""
    spec = importlib.util.find_spec("greenlet")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.parent


def library() -> str:
    """Statements that import what coloop imports of the library: some tests ask what has been."""
    tell = "import coloop, sys; print(*sorted(name for name in sys.modules if name.isidentifier()))"
    paths = os.pathsep.join([str(RUNTIME), str(greenlets())])
    done = subprocess.run(
        [sys.executable, "-c", tell],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    names = [
        name for name in done.stdout.split() if name in sys.stdlib_module_names and name not in NOT_IMPORTED
    ]
    return "\n".join(f"import {name}" for name in names)


def outcomes(report: Path) -> dict[str, str]:
    """By test, how it came out; a test that several cases share a name with, how they did together."""
    found: dict[str, set[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        kinds = {child.tag for child in case if child.tag in {"failure", "error", "skipped"}}
        found.setdefault(case.get("name", "?"), set()).update(kinds or {"passed"})
    return {name: "+".join(sorted(kinds)) for name, kinds in found.items()}


@dataclass(frozen=True)
class Run:
    """How CPython's tests came out once.

    Attributes:
        outcomes: by test.
        ends: what each process with coloop told when it ended.
        seconds: how long it took.
        printed: what the tests printed.
    """

    outcomes: dict[str, str]
    ends: list[dict[str, Any]]
    seconds: float
    printed: str

    @property
    def wrong(self) -> list[dict[str, Any]]:
        """The processes whose books disagreed with their heap."""
        return [end for end in self.ends if end["audit"] and end["audit"][0]]

    def __str__(self) -> str:
        counted = sorted(Counter(self.outcomes.values()).items())
        told = [f"{self.seconds:6.1f} s", *(f"{number} {kind}" for kind, number in counted)]
        if self.ends:
            audited = sum(end["audit"] is not None for end in self.ends)
            told.append(
                f"{len(self.ends)} processes, {audited} audited at their end, {len(self.wrong)} wrong"
            )
            told += sorted({end["trouble"] for end in self.ends if end["trouble"]})
        return ", ".join(told)


def run(level: str, files: Sequence[str], *, inside: bool = False) -> Run:
    """Run the tests at that level; inside of a coroutine, if so wanted, whose account then has it all."""
    with tempfile.TemporaryDirectory(prefix="coloop-cpython-") as name:
        folder = Path(name)
        python, told = environment(folder / "env", level)
        report = folder / "report.xml"
        program = ["-c", IN_A_COROUTINE] if inside else ["-m", "test"]
        command = [str(python), "-W", "ignore", *program, "--junit-xml", str(report)]
        command += [
            *(argument for name in HANGS for argument in ("-i", name)),
            "--timeout",
            str(TEST_TIMEOUT_S),
            *files,
        ]
        kept = {
            key: value
            for key, value in os.environ.items()
            if key == "PYTHONMALLOC" or not key.startswith("PYTHON")
        }
        begin = time.monotonic()
        done = subprocess.run(
            command, cwd=folder, env=kept, capture_output=True, text=True, check=False, errors="replace"
        )
        seconds = time.monotonic() - begin
        ends = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
        return Run(outcomes(report) if report.exists() else {}, ends, seconds, done.stdout + done.stderr)


def same(without: Run, found: Run) -> bool:
    """Whether all came out as it does without, and the books are in order; what is not so is printed."""
    names = sorted(without.outcomes.keys() | found.outcomes.keys())
    differing = [name for name in names if without.outcomes.get(name) != found.outcomes.get(name)]
    for name in differing:
        with_it = found.outcomes.get(name, "not run")
        print(f"  {name}: {without.outcomes.get(name, 'not run')} without, {with_it} with")
    for end in found.wrong:
        print(f"  process {end['pid']}: {end['audit']}")
    return not (differing or found.wrong) and bool(found.outcomes)


def main() -> int:
    """Run without, then at each level, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", default=FILES, help=f"default: {' '.join(FILES)}")
    parser.add_argument(
        "--level", action="append", choices=("off", "counts", *LEVELS), help="default: heap, sites"
    )
    parser.add_argument("--inside", action="store_true", help="run them in a coroutine")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what the runs print")
    options = parser.parse_args()
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored in the background, and by what it starts
    version = sys.version.split()[0]
    without = run(WITHOUT, options.files)
    print(f"{version} {WITHOUT:8} {without}", flush=True)
    for name, outcome in sorted(without.outcomes.items()):
        if outcome not in {"passed", "skipped"}:
            print(f"  {name}: {outcome}, without any ledger")
    all_same = True
    for level in options.level or LEVELS:
        found = run(level, options.files, inside=options.inside)
        print(f"{version} {level:8} {found}", flush=True)
        if not same(without, found):
            all_same = False
            print(found.printed[-SHOWN:])
        elif options.verbose:
            print(found.printed)
    return 0 if all_same else 1


if __name__ == "__main__":
    sys.exit(main())
