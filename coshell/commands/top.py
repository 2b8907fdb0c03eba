"""`top`: who runs now, here and in worker processes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import coloop
from coloop import Snapshot
from coshell.busiest import COLUMNS, TwoLooks, Use, totals, uses
from coshell.command import Arg, Command, UsageError
from coshell.listing import Listing, lines_of, listing
from coshell.processes import ProcessPicture

if TYPE_CHECKING:
    from coshell.shell import Shell

MAX_PICTURES: Final = 20_000  # nobody runs while they are taken
INTERVAL_S: Final = 1.0
ROWS: Final = 20


def top(shell: Shell, interval: float, rows: int) -> Listing[Use]:
    """Look twice, and tell what was used in between."""
    for name, value in (("interval", interval), ("rows", rows)):
        if value <= 0:
            raise UsageError(f"top: --{name} must be more than 0, not {value}")
    before = _look(shell)
    began_s = time.monotonic()  # whoever has to be waited for was waited for before the picture was taken
    if coloop.current() is None:
        time.sleep(
            interval
        )  # real time, and the thread of the keyboard: it works while somebody lets nobody run
    else:
        coloop.sleep(interval)
    after = _look(shell)
    found = uses(TwoLooks(before, after, time.monotonic() - began_s))
    below = totals(found, min(rows, len(found)))
    if after[0].live > MAX_PICTURES:
        below.append(f"only the first {MAX_PICTURES:,} of {after[0].live:,} coroutines were looked at")
    return listing(shell, found[:rows], COLUMNS, below)


def _look(shell: Shell) -> tuple[Snapshot, Sequence[ProcessPicture]]:
    return shell.snapshot(MAX_PICTURES, dead=False), shell.plugins.processes()


COMMANDS: Final = (
    Command(
        "top",
        "show who runs now: the busiest coroutines, here and in worker processes",
        top,
        (
            Arg("--interval", "look so long", "duration", default=INTERVAL_S),
            Arg("--rows", "show at most so many", "int", "-n", default=ROWS),
        ),
        (
            "top --interval 100ms",
            "def spin():\n    while True: yield_now()\ngo spin()\ntop --interval 100ms\nkill 2",
        ),
        lane="any",
        show=lines_of,
        details=(
            "CPU is how much of the time a coroutine has run between two looks; who has not run is not shown."
            " Worker processes are known from their last two reports. F10 is this command."
        ),
    ),
)
