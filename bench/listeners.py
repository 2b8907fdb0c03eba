"""One address for several processes: one listener that all inherit, or SO_REUSEPORT and a listener for each.

    python -m bench.listeners [--seconds S]

Clients make a connection for each request while two workers are replaced one after the other, the new one first.
Told are the requests that were lost, and how evenly the workers were asked when nobody was replaced. What waits in
the queue of a listener of its own when its worker goes is reset by the kernel; the queue of a listener that all
inherit outlives each of them. The `server` plugin was built on that difference.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CLIENTS = 8
REPLACED_EACH_S = 0.3
WORKER = """
import os, signal, sys, coloop
def answer(conn):
    conn.recv(1)
    conn.sendall(b'%d' % os.getpid())
def main():
    how, where = sys.argv[1:]
    listener = coloop.listen(f'fd:{where}') if how == 'inherited' else coloop.listen(f'127.0.0.1:{where}', reuse_port=True)
    server = coloop.serve(listener, answer)
    os.write(1, b'ready')
    coloop.wait_signal(signal.SIGTERM)
    server.stop(drain=3)
coloop.run(main)
"""
WAYS = ("inherited", "SO_REUSEPORT")


class Pool:
    """Two workers behind one address.

    Args:
        way: one of `WAYS`.
    """

    def __init__(self, way: str) -> None:
        self._way = way
        self._socket = socket.socket()
        if way == "inherited":
            self._socket.bind(("127.0.0.1", 0))
            self._socket.listen(1024)
        else:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._socket.bind(("127.0.0.1", 0))  # it does not listen: it keeps the port
        self.port: int = self._socket.getsockname()[1]
        self.workers = [self._started() for _ in range(2)]

    def _started(self) -> subprocess.Popen[bytes]:
        where = self._socket.fileno() if self._way == "inherited" else self.port
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, self._way, str(where)],
            stdout=subprocess.PIPE,
            pass_fds=[self._socket.fileno()] if self._way == "inherited" else [],
        )
        assert worker.stdout is not None
        assert worker.stdout.read(5) == b"ready"
        return worker

    def replace_oldest(self) -> None:
        """A new worker first, then the oldest is asked to go."""
        self.workers.append(self._started())
        old = self.workers.pop(0)
        old.send_signal(signal.SIGTERM)
        old.communicate()

    def close(self) -> None:
        """End them all."""
        for worker in self.workers:
            worker.kill()
            worker.communicate()
        self._socket.close()


@contextmanager
def asked(port: int) -> Iterator[Counter[str]]:
    """In this block clients ask; behind it answers are counted by the worker's pid, and failures by their name."""
    total: Counter[str] = Counter()
    over = threading.Event()

    def ask(answers: Counter[str]) -> None:
        while not over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                    connection.sendall(b"x")
                    answers[connection.recv(100).decode() or "closed without an answer"] += 1
            except OSError as error:
                answers[type(error).__name__] += 1

    of_each: list[Counter[str]] = [Counter() for _ in range(CLIENTS)]  # a += of two threads may lose one
    clients = [threading.Thread(target=ask, args=(answers,)) for answers in of_each]
    for client in clients:
        client.start()
    try:
        yield total
    finally:
        over.set()
        for client in clients:
            client.join()
        for answers in of_each:
            total.update(answers)


def measure(way: str, seconds: float, say: Callable[[str], None]) -> None:
    """Tell of one way what was lost and who was asked."""
    pool = Pool(way)
    try:
        with asked(pool.port) as steady:
            time.sleep(seconds / 4)
        with asked(pool.port) as answers:
            end_s, replaced = (
                time.monotonic() + seconds,
                0,
            )  # from here on: the clients take their time to begin
            while time.monotonic() < end_s:
                pool.replace_oldest()
                replaced += 1
                time.sleep(REPLACED_EACH_S)
    finally:
        pool.close()
    lost = {what: count for what, count in answers.items() if not what.isdecimal()}
    share = max(steady.values(), default=0) / max(1, sum(steady.values()))
    why = f" ({', '.join(f'{count} {what}' for what, count in lost.items())})" if lost else ""
    say(
        f"{way:>12}: {sum(lost.values()):,} of {sum(answers.values()):,} requests lost{why} while {replaced} workers "
        f"were replaced; undisturbed, the busier of two answered {share:.0%}"
    )


def main() -> None:
    """Measure both ways, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=8.0, help="how long workers are replaced, each way, twice"
    )
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    for way in WAYS * 2:
        measure(way, options.seconds, print)


if __name__ == "__main__":
    main()
