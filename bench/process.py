"""One contender in a process of its own, which is asked for samples; and the load generator."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from .cores import Cores
from .native import WITH_TLS, compiled

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 300.0  # ten million spawns take two minutes
END_PATIENCE_S = 2.0


class Failed(RuntimeError):
    """A contender or the load generator did not do what was asked; the message says what it did instead."""


class Process:
    """A contender that runs; `with` ends it.

    Args:
        contender: its name.
        cores: where to pin it.

    Attributes:
        pid: its process.

    Raises:
        Failed: it does not start.
    """

    def __init__(self, contender: str, cores: Cores) -> None:
        self.contender = contender
        core = [] if cores.contender is None else [str(cores.contender)]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "bench.worker", contender, *core],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            env=environment(),
        )
        self.pid = self._process.pid
        self._answer("start")

    def ask(self, call: str, *args: int | str) -> dict[str, Any]:
        """Have it do `call(*args)`; its answer.

        Raises:
            Failed: it ended instead of answering, or does not answer.
        """
        assert self._process.stdin is not None
        request = json.dumps({"call": call, "args": args})
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either, and that is reported
            self._process.stdin.write(request.encode() + b"\n")
            self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._answer(call))
        return answer

    def _answer(self, call: str) -> bytes:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE_S)
        if not ready:
            raise Failed(f"{call}: no answer within {PATIENCE_S:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"{call}: it ended: {self.last_words()}")
        return line

    def last_words(self) -> str:
        """The last line that it wrote to its standard error."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "without a word"

    def end(self) -> None:
        """End it, with force if it does not go by itself."""
        self._process.terminate()
        try:
            self._process.wait(END_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def __enter__(self) -> Process:  # noqa: PYI034 - nobody derives from it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()


def environment() -> dict[str, str]:
    """Ours, with the source roots in front: what is measured is this tree, not what is installed."""
    roots = [str(ROOT), str(ROOT / "runtime"), str(ROOT / "plugins")]
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*roots, known] if known else roots)}


def load(
    cores: Cores,
    mode: str,
    port: int,
    *,
    connections: int,
    size_bytes: int,
    seconds: float,
    limit: float = 0,
    pid: int = 0,
    tls: bool = False,
) -> dict[str, float]:
    """Run the load generator; what it found. It compares every byte that comes back.

    Args:
        cores: where to pin it.
        mode: `closed`, `rate` or `accept`: see `native/load.c`.
        port: of the echo server, on 127.0.0.1.
        connections: how many at once.
        size_bytes: of a message.
        seconds: how long the measured part takes.
        limit: messages after which it ends (0: none); at a fixed rate, messages a second.
        pid: the server's process, whose CPU time is then told as `server_cpu_s`.
        tls: speak TLS.

    Raises:
        Failed: an echo was wrong or missing.
        NoCompiler: it could not be compiled.
    """
    numbers = (port, connections, size_bytes, f"{seconds:.3f}", f"{limit:.0f}")
    core = -1 if cores.load is None else cores.load
    program = compiled("load", WITH_TLS if tls else ())
    command = [str(program), mode, *map(str, numbers), str(core), str(pid)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"the load generator did not end within {PATIENCE_S:g} s") from None
    if done.returncode != 0:
        raise Failed(done.stderr.strip() or f"the load generator ended with {done.returncode}")
    found: dict[str, float] = json.loads(done.stdout)
    if found["messages"] < 1 or found["sent_bytes"] != found["received_bytes"]:
        raise Failed(f"not all that was sent came back: {done.stdout.strip()}")
    return found


def waited_s(pid: int) -> tuple[float, float]:
    """How long that process has run, and how long it has waited for its core because another had it.

    In seconds, of its first thread; both 0 where the kernel does not say.
    """
    try:
        ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 0.0, 0.0
    return int(ran) / 1e9, int(waited) / 1e9
