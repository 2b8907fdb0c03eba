"""Clients that end their connections in every way there is: `many_clients.py PORT COUNT AT_ONCE WAY...`

Each sends its way as the first line and then some more, and sees to its part of the end. At the end a line of JSON tells how many
have found what they had to find, and what was wrong with the first of the others.
"""

from __future__ import annotations

import json
import sys
from itertools import cycle, islice

import coloop

LINES = 3
LATE_BYTES = 1 << 20  # more than the kernel takes for one who does not read
PATIENCE_S = 120


def ask(way: str, port: int) -> None:
    with coloop.connect(("127.0.0.1", port), timeout=PATIENCE_S) as conn, coloop.timeout(PATIENCE_S):
        conn.sendall(f"{way}\n".encode())
        assert conn.recv_until(b"\n") == f"{way}\n".encode()
        ENDS[way](conn)


def say(conn: coloop.Socket) -> None:
    for number in range(LINES):
        conn.sendall(b"%d\n" % number)


def hear(conn: coloop.Socket, lines: int = LINES) -> None:
    for number in range(lines):
        assert conn.recv_until(b"\n") == b"%d\n" % number


def reads_to_the_end(conn: coloop.Socket) -> int:
    size = 0
    while data := conn.recv():
        size += len(data)
    return size


def peer(conn: coloop.Socket) -> None:
    say(conn)
    hear(conn)


def half(conn: coloop.Socket) -> None:
    say(conn)
    conn.shutdown()
    hear(conn)
    assert reads_to_the_end(conn) == 0


def peer_reset(conn: coloop.Socket) -> None:
    say(conn)
    hear(conn)
    conn.close(linger=0)


def server(conn: coloop.Socket) -> None:
    say(conn)
    hear(conn)
    assert reads_to_the_end(conn) == 0


def late(conn: coloop.Socket) -> None:
    """All that was queued comes, though the server has closed long ago."""
    say(conn)
    hear(conn)
    coloop.sleep(0.05)
    assert reads_to_the_end(conn) == LATE_BYTES + 1


def server_reset(conn: coloop.Socket) -> None:
    say(conn)
    try:
        while conn.recv():
            pass
    except ConnectionError:
        return
    raise AssertionError("no reset")


def silent(conn: coloop.Socket) -> None:
    conn.sendall(b"0\n1\n")
    hear(conn, 2)
    assert reads_to_the_end(conn) == 0


ENDS = {
    "peer": peer,
    "half": half,
    "peer-reset": peer_reset,
    "server": server,
    "late": late,
    "server-reset": server_reset,
    "error": server,
    "silent": silent,
}


def main() -> dict[str, object]:
    port, count, at_once, *ways = sys.argv[1:]
    room = coloop.Semaphore(int(at_once))
    good, wrong = 0, ""

    def one(way: str) -> None:
        nonlocal good, wrong
        try:
            ask(way, int(port))
            good += 1
        except Exception as error:
            wrong = wrong or f"{way}: {error!r}"
        finally:
            room.release()

    for way in islice(cycle(ways), int(count)):
        room.acquire()
        coloop.go(one, way)
    for _ in range(int(at_once)):
        room.acquire()
    return {"good": good, "wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(coloop.run(main)))
