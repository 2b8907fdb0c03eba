"""How soon a typed key shows on the screen, with an idle scheduler and with a coroutine that spins.

    python bench/keystroke.py [KEYS]

Starts coshell in a pseudo-terminal of 80x24, types one key after the other, and waits for each to be drawn. Prints
median and worst of both cases, in milliseconds of the same run.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.shell.pseudo_terminal import PseudoTerminal
from tests.shell.seats import enter, seat


def latencies_ms(terminal: PseudoTerminal, keys: int) -> list[float]:
    """Type `keys` letters, each as soon as the one before is on the screen."""
    found = []
    for number in range(1, keys + 1):
        begin = time.perf_counter()
        terminal.type("x")
        terminal.wait_for(lambda typed="x" * number: typed in terminal.cursor_line())  # type: ignore[misc]
        found.append((time.perf_counter() - begin) * 1000)
    terminal.type("\x15")
    terminal.wait_for(lambda: "x" not in terminal.cursor_line())
    return found


def main() -> None:
    """Measure both cases and print them."""
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    with tempfile.TemporaryDirectory() as home, seat(Path(home)) as terminal:
        idle = latencies_ms(terminal, keys)
        terminal.type("def spin():\rsleep(0.1)\rwhile True: pass\r\r")
        enter(terminal, "go spin() --name hog", "HOG")
        spinning = latencies_ms(terminal, keys)
    for name, found in (("idle", idle), ("spinning", spinning)):
        print(
            f"{name:9} median {statistics.median(found):6.1f} ms   worst {max(found):6.1f} ms   ({len(found)} keys)"
        )


if __name__ == "__main__":
    main()
