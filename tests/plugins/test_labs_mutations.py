"""A lab fails when its cure is taken out, and when its trouble is: neither is claimed, both are found.

Here each tenth is tried, unless `EVERY_PROGRAM` is set: the checks do that. Most of them wait for what never comes.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coshell_plugins.labs import all_labs
from coshell_plugins.labs.reading import CURE, TROUBLE, Lab
from tests.plugins.labs_in_processes import run_changed
from tests.thorough import EVERY_ONE, sample

FILES = {lab.name: Path(lab.file) for lab in all_labs()}

# What is cured in each lab, and the same without the cure.
CURES = [
    ("blocking", "cooperative = server_with(sleep)", "cooperative = server_with(time.sleep)"),
    (
        "callback-chain",
        "        request.respond(page)\n        client.close()\n",
        "        request.respond(page)\n",
    ),
    (
        "callbacks",
        'partial(lambda number, conn: (conn.recv(), conn.sendall(f"{number}".encode())), number)',
        'lambda conn: (conn.recv(), conn.sendall(f"{number}".encode()))',
    ),
    ("coroutine-end", "    defer(context.pop, me)\n", ""),
    ("leak-or-not", "    log.clear()\n", ""),
    ("leak-or-not", "    del reader.page.reader\n", ""),
    ("linger", '    conn.sendall(b"read")\n', ""),
    ("one-loop", "to_thread(other_loop)", "other_loop()"),
    (
        "order",
        '        if data == b"bye":\n            return\n',
        '        if data == b"bye":\n            tidy(conn)\n            return\n',
    ),
    (
        "recv-buffer",
        "partial(echo_until_end, buffer=shared_buffer)",
        "partial(echo_until_end, buffer=new_buffer)",
    ),
    (
        "recv-buffer",
        "        message = bytes(page[:size])\n        both.wait()\n        conn.sendall(message)\n",
        "        both.wait()\n        conn.sendall(bytes(page[:size]))\n",
    ),
    ("shared-connection", "    own.append(connect(address))\n", "    own.append(shared)\n"),
    (
        "stacks",
        "neither = Spawner(free_c_stacks=True, free_vm_stacks=True)",
        "neither = Spawner(free_c_stacks=True, free_vm_stacks=False)",
    ),
    (
        "stacks",
        "neither = Spawner(free_c_stacks=True, free_vm_stacks=True)",
        "neither = Spawner(free_c_stacks=False, free_vm_stacks=True)",
    ),
    ("starved", "        go(talk, listener.accept())\n", "        talk(listener.accept())\n"),
    ("statics", ", on_close=clean_up", ""),
    ("statics", " --max-requests 40", ""),
    ("tracker", "    defer(pool.give_back, conn)\n", ""),
    (
        "without-end",
        "neither = Spawner(free_c_stacks=True, free_vm_stacks=True)",
        "neither = Spawner(free_c_stacks=False, free_vm_stacks=True)",
    ),
]

# The same, where nothing else ever runs without the cure, so that only the end of the time ends it.
CURES_OF_SPINNING = [
    ("bug-chain", "YoungPoller(forgets=False)", "YoungPoller(forgets=True)"),
    ("recv-buffer", " echo_until_end, kept", " echo_for_ever as echo_until_end, kept"),
]

# What is wrong in each lab, and the same put right.
TROUBLES = [
    ("blocking", "blocking = server_with(time.sleep)", "blocking = server_with(sleep)"),
    ("blocking", "    while not seen:\n        time.sleep(1)", "    while not seen:\n        sleep(1)"),
    ("bug-chain", "YoungPoller(forgets=True)", "YoungPoller(forgets=False)"),
    (
        "callback-chain",
        "        request.respond(page)\n\n    client.ask",
        "        request.respond(page)\n        client.close()\n\n    client.ask",
    ),
    ("callbacks", "handlers.append(lambda conn:", "handlers.append(lambda conn, number=number:"),
    (
        "coroutine-end",
        "    context[current().id] = Request(number)\n    sleep(0.01)\n\ngo traffic(handle) ",
        "    context[current().id] = Request(number)\n    defer(context.clear)\n    sleep(0.01)\n\ngo traffic(handle) ",
    ),
    (
        "leak-or-not",
        "conn.sendall(data)\n\n# -- A cycle",
        "conn.sendall(data)\n    log.clear()\n\n# -- A cycle",
    ),
    (
        "order",
        '        if data == b"bye":\n            tidy(conn)\n            return\n',
        '        if data == b"bye":\n            return\n',
    ),
    (
        "recv-buffer",
        "        both.wait()\n        conn.sendall(bytes(page[:size]))\n",
        "        message = bytes(page[:size])\n        both.wait()\n        conn.sendall(message)\n",
    ),
    ("shared-connection", "coloop.adopt(raw.dup())\nraw", "connect(backend.address)\nraw"),
    (
        "stacks",
        "both = Spawner(free_c_stacks=False, free_vm_stacks=False)",
        "both = Spawner(free_c_stacks=True, free_vm_stacks=False)",
    ),
    (
        "starved",
        "            with listener.accept() as conn:\n                while data := conn.recv():\n                    conn.sendall(data)\n",
        "            go(lambda conn: [conn.sendall(data) for data in iter(conn.recv, b'')], listener.accept())\n",
    ),
    (
        "statics",
        '    connection.send(b"noted")\n\nleaking',
        '    connection.send(b"noted")\n    Test.lines.clear()\n\nleaking',
    ),
    (
        "tracker",
        "    sleep(0.01)\n    if number % 2:\n        return\n    pool.give_back(conn)",
        "    sleep(0.01)\n    pool.give_back(conn)",
    ),
    ("linger", "MESSAGE = bytes(1 << 20)", "MESSAGE = bytes(1 << 10)"),
    ("one-loop", "    coloop.run(serve_forever)\n\ngo work", "    go(serve_forever)\n\ngo work"),
    ("without-end", "c_only = Spawner(free_c_stacks=False,", "c_only = Spawner(free_c_stacks=True,"),
]

TOOLS = re.compile(r"\bleaks\(|\bco\.refs\(|\.warn\b")  # a lint is in the column WARN


def changes(cases: list[tuple[str, str, str]]) -> pytest.MarkDecorator:
    chosen = sample(cases, 10)
    return pytest.mark.parametrize(("name", "old", "new"), chosen, ids=[name for name, _, _ in chosen])


@pytest.mark.timeout(180)
@changes(CURES)
def test_a_lab_fails_without_its_cure(name: str, old: str, new: str, tmp_path: Path) -> None:
    run = run_changed(FILES[name], old, new, tmp_path)
    assert run.exit_code == 1
    assert run.failed_at is not None
    assert run.failed_at.kind == CURE, run.message


@pytest.mark.timeout(180)
@pytest.mark.skipif(not EVERY_ONE, reason="each takes half a minute")
@changes(CURES_OF_SPINNING)
def test_a_lab_spins_without_its_cure(name: str, old: str, new: str, tmp_path: Path) -> None:
    run = run_changed(FILES[name], old, new, tmp_path, "--timeout", "30s")
    assert run.exit_code == 124
    assert run.failed_at is not None
    assert run.failed_at.kind == CURE, run.message


@pytest.mark.timeout(180)
@changes(TROUBLES)
def test_a_lab_fails_without_its_trouble(name: str, old: str, new: str, tmp_path: Path) -> None:
    run = run_changed(FILES[name], old, new, tmp_path)
    assert run.exit_code == 1
    assert run.failed_at is not None
    assert run.failed_at.kind == TROUBLE, run.message


def test_every_lab_is_tried_without_its_cure() -> None:
    assert {name for name, _, _ in (*CURES, *CURES_OF_SPINNING)} == set(FILES)


@pytest.mark.parametrize("lab", all_labs(), ids=list(FILES))
def test_a_trouble_is_found_by_our_own_tools(lab: Lab) -> None:
    code = "\n".join(line for step in lab.steps() if step.kind == TROUBLE for line in step.code)
    assert TOOLS.search(code)
