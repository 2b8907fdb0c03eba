"""What the HTTP servers have in common: the answer that all give, and how those with a program of their own are run."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

ANSWER = b"hello, world\n"
TYPE = "text/plain; charset=utf-8"
PATIENCE_S = 20.0
NAP_S = 0.02
GRACE_S = 1.0

Listening = Callable[[int], None]


def wsgi(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """For gunicorn."""
    start_response("200 OK", [("Content-Type", TYPE), ("Content-Length", str(len(ANSWER)))])
    return [ANSWER]


async def asgi(scope: dict[str, Any], _: Any, send: Callable[[dict[str, Any]], Any]) -> None:
    """For uvicorn."""
    if scope["type"] != "http":
        return
    headers = [(b"content-type", TYPE.encode()), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


def on_all_cores() -> None:
    """Workers share what cores there are: whoever was pinned to one of them would measure nothing else."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


def run_program(listening: Listening, module: str, *arguments: str) -> None:
    """Run `python -m module ... --PORT`, until this process is told to end; `{port}` is put in where it stands."""
    port = _free_port()
    command = [sys.executable, "-W", "ignore", "-m", module, *(each.format(port=port) for each in arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        _wait_until_it_listens(process, port)
        listening(port)
        process.wait()
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(
            process.pid, signal.SIGKILL
        )  # with its workers: their master would wait for connections that are kept
    process.wait(GRACE_S)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(NAP_S)
    raise SystemExit(f"{process.args!r} does not listen")
