"""How fast coloop is, measured against its peers side by side.

    python -m bench                                       all measures, under 25 minutes
    python -m bench --quick                               the same, roughly, in three minutes
    python -m bench spawn yield --against gevent,uvloop   only these
    python -m bench ledger                                all that begin with `ledger-`
    python -m bench --json r.json --svg r.svg --markdown bench/RESULTS.md
    python -m bench.listeners                             another question: one listener for all workers, or one each

Peers come with `pip install 'coshell[bench]'`; those that are not installed are left out, and told of.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from . import table
from .certificate import NoCertificate, certificate
from .chart import chart
from .contenders import CONTENDERS, OURS, OURS_HTTP
from .cores import Cores, choose_cores, may_go_ahead
from .document import document
from .machine import look
from .measures import MEASURES, PLAIN, TLS, Measure
from .native import WITH_TLS, NoCompiler, compiled
from .page import page
from .process import ROOT
from .requests import wrk
from .rounds import Result, Table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0, or 1 if a contender that takes part failed, or 2 for a mistake in the arguments."""
    options = parsed(arguments)
    cores = choose_cores()
    notes = Notes()
    contenders = [OURS, *installed(options.against, notes)]
    measures = possible(chosen(options.measures), cores, notes)
    machine = look(cores, contenders)
    for label, text in machine.lines():
        print(f"{label:8} {text}")
    results, failed = take_all(measures, contenders, cores, notes, quick=options.quick)
    print(f"\n{table.table(results)}\n\n{table.EXPLANATION}")
    for path, write in (
        (options.json, document),
        (options.svg, chart),
        (options.markdown, page),
    ):
        if path is not None:
            path.write_text(write(machine, results, notes.said), encoding="utf-8")
    return 1 if failed else 0


class Notes:
    """What a reader of the results must know; said at once, and kept for the files.

    Attributes:
        said: all of it.
    """

    def __init__(self) -> None:
        self.said: list[str] = []

    def add(self, text: str) -> None:
        """Say it, without this machine's folders: it may be published."""
        text = text.replace(str(ROOT), ".").replace(str(Path.home()), "~")
        self.said.append(text)
        print(f"! {text}", file=sys.stderr)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join(MEASURES)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"all by default: {names}")
    peers = [name for name in CONTENDERS if name != OURS]
    parser.add_argument(
        "--against", metavar="PEER,...", type=lambda text: text.split(","), help=", ".join(peers)
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every value, for programs")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="a chart of the ratios")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="a page for the repository")
    options = parser.parse_args(arguments)
    for name in options.measures:
        if not chosen([name]):
            parser.error(f"there is no measure {name!r}: one of {names}")
    for name in options.against or ():
        if name not in peers:
            parser.error(f"there is no peer {name!r}: one of {', '.join(peers)}")
    return options


def chosen(names: Sequence[str]) -> list[Measure]:
    """The measures of these names, or that begin with what is no name and a hyphen; all if none is named."""
    wanted = {name for name in names if name in MEASURES}
    beginnings = tuple(f"{name}-" for name in names if name not in MEASURES)
    return [
        measure
        for measure in MEASURES.values()
        if not names or measure.name in wanted or measure.name.startswith(beginnings)
    ]


def installed(wanted: Sequence[str] | None, notes: Notes) -> list[str]:
    """The peers that can take part."""
    found = []
    for name, contender in CONTENDERS.items():
        if name == OURS or (wanted is not None and name not in wanted):
            continue
        if contender.version() is None:
            notes.add(f"{name} is left out: {contender.package} is not installed")
        else:
            found.append(name)
    return found


def possible(measures: Sequence[Measure], cores: Cores, notes: Notes) -> list[Measure]:
    """Those that can be taken on this machine."""
    if cores.contender is None:
        notes.add("not pinned: contender and load generator share what cores there are")
        if any(measure.name == "latency" for measure in measures):
            notes.add("latency is left out: its load generator needs a core of its own")
        measures = [measure for measure in measures if measure.name != "latency"]
    elif any(measure.name == "latency" for measure in measures) and not may_go_ahead():
        notes.add("latency: other processes can hold it up, as we may not go ahead of them (SCHED_FIFO)")
    try:
        if any(measure.serves in {PLAIN, TLS} for measure in measures):
            compiled("load")
    except NoCompiler as error:
        notes.add(f"all measures of echoes over sockets are left out: {error}")
        measures = [measure for measure in measures if measure.serves not in {PLAIN, TLS}]
    if wrk() is None and any(measure.ours == OURS_HTTP for measure in measures):
        notes.add("all measures of HTTP are left out: wrk is not installed")
        measures = [measure for measure in measures if measure.ours != OURS_HTTP]
    try:
        if any(measure.serves == TLS for measure in measures):
            compiled("load", WITH_TLS)
            certificate()
    except (NoCompiler, NoCertificate) as error:
        notes.add(f"all measures of TLS are left out: {error}")
        measures = [measure for measure in measures if measure.serves != TLS]
    free_bytes = psutil.virtual_memory().available
    for measure in measures:
        if measure.needs_bytes > free_bytes:
            notes.add(f"{measure.name} is left out: it needs {measure.needs_bytes >> 30} GiB of memory")
    return [measure for measure in measures if measure.needs_bytes <= free_bytes]


def take_all(
    measures: Sequence[Measure], contenders: Sequence[str], cores: Cores, notes: Notes, *, quick: bool
) -> tuple[list[Result], bool]:
    """Every measure in turn; the results, and whether anybody failed."""
    results: list[Result] = []
    failed = False
    begin = time.monotonic()
    for measure in measures:
        sizes = measure.quick if quick else measure.full
        if sizes is None:
            notes.add(f"{measure.name} is left out: it takes too long for a quick run")
            continue
        print(f"{time.monotonic() - begin:6.1f} s  {measure.name}", file=sys.stderr)
        taking_part = [measure.ours, *(name for name in contenders if name in measure.peers)]
        at_work = Table(measure, sizes, cores, notes.add)
        results += at_work.run(taking_part)
        failed = failed or bool(at_work.failed)
    print(f"{time.monotonic() - begin:6.1f} s  all done", file=sys.stderr)
    return results, failed


if __name__ == "__main__":
    sys.exit(main())
