"""coloop's `http` plugin: in one process, and in two workers as `http start --workers 2` makes them."""

from __future__ import annotations

import signal
import sys

import coloop
from coshell.config import Settings
from coshell.console import StreamConsole
from coshell.shell import Shell
from coshell_plugins.http import Request, http

from ._http import ANSWER, Listening, on_all_cores

TEXT = ANSWER.decode()


def app(_: Request) -> str:
    """What all answer."""
    return TEXT


def http_server(listening: Listening) -> None:
    """One process."""

    def main() -> None:
        listening(coloop.serve("127.0.0.1:0", http(app)).address.port)
        coloop.suspend()

    coloop.run(main)


def http_workers(listening: Listening) -> None:
    """Two of them, and the shell that looks after them; its ledger is off, as is that of nobody else."""
    on_all_cores()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Shell(Settings(level="off"), console=StreamConsole(sys.stderr)) as shell:
        for plugin in ("server", "http"):
            shell.plugins.load(f"coshell_plugins.{plugin}")
        shell.bind("app", app)
        result = shell.execute("http start 127.0.0.1:0 app --as web --workers 2")
        if not result.ok:
            raise SystemExit(result.error)
        listening(shell.evaluate("web.address.port"))
        signal.pause()
