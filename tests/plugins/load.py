"""Real clients in a process of their own: they ask without a pause, and tell at the end what they were answered.

Run as `python load.py PORT CLIENTS short|kept NAME`; ends when its standard input does. `short` makes a connection for each
request, `kept` keeps it. A request is a line with an id; it is acknowledged when the same line comes back. The first refusal
is told at once, by the line `refused`.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections import Counter


class Client(threading.Thread):
    """One that asks without a pause."""

    refused = threading.Event()  # any of them, so far

    def __init__(self, port: int, name: str, *, keeps: bool, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.prefix = name
        self.keeps = keeps
        self.over = over
        self.acknowledged: list[str] = []
        self.failures: Counter[str] = Counter()
        self.longest_s = 0.0

    def run(self) -> None:
        connection = None
        number = 0
        last = time.monotonic()
        while not self.over.is_set():
            number += 1
            request = f"{self.prefix}-{number}"
            try:
                if connection is None:
                    connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
                connection.sendall(f"{request}\n".encode())
                answer = b""
                while not answer.endswith(b"\n"):
                    data = connection.recv(4096)
                    if not data:
                        raise ConnectionAbortedError("closed before the answer")
                    answer += data
            except OSError as error:
                self.failures[f"{type(error).__name__}: {error}"] += 1
                if isinstance(error, ConnectionRefusedError) and not self.refused.is_set():
                    self.refused.set()
                    print("refused", flush=True)
                connection = None
                time.sleep(0.001)
                continue
            assert answer.decode().strip() == request, answer
            self.acknowledged.append(request)
            now = time.monotonic()
            self.longest_s, last = max(self.longest_s, now - last), now
            if not self.keeps:
                connection.close()
                connection = None


def main() -> None:
    port, count, kind, name = sys.argv[1:5]
    over = threading.Event()
    clients = [Client(int(port), f"{name}{i}", keeps=kind == "kept", over=over) for i in range(int(count))]
    for client in clients:
        client.start()
    print("ready", flush=True)
    sys.stdin.read()
    over.set()
    for client in clients:
        client.join(60)
    report = {
        "acknowledged": [request for client in clients for request in client.acknowledged],
        "failures": dict(sum((client.failures for client in clients), Counter())),
        "longest_s": max(client.longest_s for client in clients),
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
