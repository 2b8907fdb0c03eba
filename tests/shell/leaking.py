"""Programs of which it is known whether they leak, for the verdicts to be tried on.

Each runs by itself once it has been typed, under traffic where it is a server, and never ends. `SUBJECT` is the
function, or the coroutine's name, on which the verdict is expected.
"""

from typing import NamedTuple


class Program(NamedTuple):
    """A program, and the verdict on it.

    Attributes:
        name: what it is about.
        source: what is typed.
        kind: the `kind` of the verdict.
    """

    name: str
    source: str
    kind: str = ""


_TICK = """
def repeatedly(fn, pause=0.02):
    def tick():
        while True:
            go(fn)
            sleep(pause)
    go(tick, name='ticker')
"""

_TRAFFIC = """
def client(address, rounds):
    with connect(address) as conn:
        for _ in range(rounds):
            conn.send(b'x' * 100)
            conn.recv_exactly(100)
def traffic(address, pause=0.05, rounds=2):
    while True:
        go(client, address, rounds, name='client')
        sleep(pause)
def served(handler):
    server = serve('127.0.0.1:0', handler, name='srv')
    go(traffic, server.address, name='traffic')
    return server
"""


def _ticked(name: str, before: str, body: str, kind: str) -> Program:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return Program(name, f"{_TICK}{before}\ndef subject():\n{lines}\nrepeatedly(subject)", kind)


def _endless(name: str, before: str, body: str, kind: str = "heap") -> Program:
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    return Program(
        name, f"{before}\ndef subject():\n    while True:\n{lines}\n        sleep(0.05)\ngo(subject)", kind
    )


def _server(name: str, before: str, body: str, kind: str = "") -> Program:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return Program(name, f"{_TRAFFIC}{before}\ndef subject(conn):\n{lines}\nsrv = served(subject)", kind)


_ECHO = "while data := conn.recv():\n    conn.sendall(data)"

LEAKS = (
    _ticked("a list that nobody empties", "kept = []", "kept.append(bytearray(700))", "residue"),
    _ticked(
        "a registry on a class",
        "class Session:\n    all = []\n    def __init__(self):\n        self.data = {'a': bytearray(500)}\n        Session.all.append(self)",
        "Session()",
        "residue",
    ),
    _ticked(
        "callbacks that nobody takes back",
        "callbacks = []",
        "data = [0.5] * 80\ncallbacks.append(lambda: data)",
        "residue",
    ),
    _ticked(
        "exceptions kept with their tracebacks",
        "errors = []",
        "page = bytearray(500)\ntry:\n    raise ValueError(len(page))\nexcept ValueError as error:\n    errors.append(error)",
        "residue",
    ),
    _ticked(
        "a cache without an end",
        "import functools, itertools\nnumbers = itertools.count()\npage = functools.lru_cache(maxsize=None)(lambda n: bytearray(400))",
        "page(next(numbers))",
        "residue",
    ),
    _server("what clients send is kept", "log = []", f"log.append(bytearray(1500))\n{_ECHO}", "residue"),
    _server(
        "sessions are never removed",
        "sessions = {}",
        f"sessions[current().id] = {{'buffer': bytearray(300)}}\n{_ECHO}",
        "residue",
    ),
    _endless("one that never forgets", "cache = []", "cache.append(bytearray(2000))"),
    _endless(
        "handles of the dead", "tasks = []", "for _ in range(5):\n    tasks.append(go(yield_now))", "heap"
    ),
    _endless(
        "a queue that is filled faster than it is emptied", "queue = Queue()", "queue.put(bytearray(1000))"
    ),
    _ticked("nobody sets the event", "", "Event().wait()", "parked"),
    Program(
        "connections that nobody closes",
        f"{_TRAFFIC}listener, kept = listen('127.0.0.1:0'), []\ndef handle(conn): conn.sendall(conn.recv_exactly(100))\n"
        "def subject():\n    while True:\n        kept.append(listener.accept())\n        go(handle, kept[-1])\n\n"
        "go(subject)\n"
        "def clients():\n    while True:\n        go(client, listener.address, 1)\n        sleep(0.05)\n\ngo(clients)",
        "connections",
    ),
    _endless("defers in a loop without an end", "", "defer(len, '')", "defers"),
)

CYCLES = (
    _ticked("an object that knows itself", "class Node: pass", "node = Node()\nnode.me = node\nnode.data = bytearray(400)", "garbage"),
    _ticked("parent and child", "class Part: pass", "a, b = Part(), Part()\na.child, b.parent = b, a\na.page = bytearray(300)", "garbage"),
    _ticked("a list in itself", "", "page = [bytearray(300)]\npage.append(page)", "garbage"),
    _ticked("two dictionaries", "", "a, b = {}, {}\na['b'], b['a'] = b, a\na['page'] = bytearray(300)", "garbage"),
    _ticked("a function that calls itself", "", "page = bytearray(400)\ndef walk(n): return len(page) if n == 0 else walk(n - 1)\nwalk(3)", "garbage"),
    _ticked("a callback of one's own", "class Timer:\n    def __init__(self):\n        self.page = bytearray(300)\n        self.callback = self.fire\n    def fire(self): pass", "Timer()", "garbage"),
    _ticked("an exception that was kept", "", "page = bytearray(400)\nkept = None\ntry:\n    raise ValueError(len(page))\nexcept ValueError as error:\n    kept = error", "garbage"),
    _ticked("links in both directions", "class Link: pass", "links = [Link() for _ in range(5)]\nfor left, right in zip(links, links[1:]):\n    left.next, right.before = right, left", "garbage"),
    _server("reader and connection", "class Reader: pass\nclass Conn: pass", f"me, reader = Conn(), Reader()\nme.reader, reader.conn = reader, me\nme.page = bytearray(300)\n{_ECHO}", "garbage"),
    _server("a generator that knows its owner", "class Lines:\n    def __init__(self):\n        self.page = bytearray(300)\n        self.lines = self.all()\n        next(self.lines)\n    def all(self):\n        yield self.page\n        yield self.page", f"Lines()\n{_ECHO}", "garbage"),
)  # fmt: skip

CLEAN = (
    _server("echo", "", _ECHO),
    _server("json", "import json", "while data := conn.recv():\n    json.loads(json.dumps({'a': [data.decode()] * 20}))\n    conn.sendall(data)"),
    _server("regular expressions", "import re", "while data := conn.recv():\n    re.sub(r'x+', 'y', data.decode())\n    conn.sendall(data)"),
    _server("a log with an end", "import collections\nlog = collections.deque(maxlen=20)", f"log.append(bytearray(400))\n{_ECHO}"),
    _server("a cache with an end", "import functools, itertools\nnumbers = itertools.count()\npage = functools.lru_cache(maxsize=16)(lambda n: bytearray(400))", f"page(next(numbers))\n{_ECHO}"),
    _server("sessions that are removed", "sessions = {}", "sessions[current().id] = bytearray(400)\ntry:\n    while data := conn.recv():\n        conn.sendall(data)\nfinally:\n    del sessions[current().id]"),
    _server("what is needed once", "cache = {}", f"if not cache:\n    cache.update((n, bytearray(300)) for n in range(50))\n{_ECHO}"),
    _server("many small objects", "", "while data := conn.recv():\n    [dict(a=n) for n in range(200)]\n    [(n, n + 0.5) for n in range(200)]\n    conn.sendall(data)"),
    _server("errors that are handled", "", "while data := conn.recv():\n    try:\n        int('x')\n    except ValueError:\n        pass\n    conn.sendall(data)"),
    _server("connections that stay", "def stay(address):\n    with connect(address) as conn:\n        while True:\n            conn.send(b'y' * 100)\n            conn.recv_exactly(100)\n            sleep(0.3)\ndef later():\n    for _ in range(5): go(stay, srv.address, name='stay')\ngo(lambda: (sleep(0.01), later()))", _ECHO),
    _ticked("workers at a channel", "jobs = Channel(4)\ndef work():\n    for job in jobs: sum(job)\nfor _ in range(3): go(work)", "jobs.send(list(range(100)))", ""),
    _ticked("deferred calls that are made", "", "defer(len, bytearray(500))\nsleep(0.01)", ""),
)  # fmt: skip
