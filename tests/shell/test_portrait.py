"""Where a coroutine stands: its calls, and the chain of those who started it."""

from __future__ import annotations

import linecache
import traceback
from dataclasses import replace

import coshell.bridge
import coshell.commands.network
from coshell.lints import Finding
from coshell.portrait import Place, place_of, places, portrait, portrait_lines, standing, standing_lines
from tests.shell.pictures import coroutine, snapshot, socket

SHELL = coroutine(
    1,
    "shell",
    spawned_at="bridge",
    waiting_on="prompt",
    age_s=134.0,
    busy_s=0.4,
    switches=1204,
    heap_bytes=114_688,
    heap_peak=120_000,
    allocated_total=900_000,
    stack_bytes=2150,
    frames=6,
)
SERVER = replace(
    SHELL, id=2, name="blip", parent_id=1, spawned_at="<co:3>:1 in <module>", waiting_on="accept"
)
HANDLER = replace(
    SHELL, id=4, name="handler", parent_id=2, spawned_at="demo.py:8 in blip", waiting_on="recv tcp#2"
)
DEAD = replace(SERVER, state="failed", outcome="ValueError: bad", ended_ago_s=2.0, waiting_on=None)
STACK = (Place("demo.py:20 in serve", "handle(conn)"), Place("demo.py:31 in handle", "data = conn.recv()"))
SOCKET = socket("server", "127.0.0.1:9501", 4, peer="127.0.0.1:51312", reader=4)


def test_the_stack_stands_above_the_chain_of_births() -> None:
    shown = standing(HANDLER, snapshot(SHELL, SERVER, HANDLER), STACK)
    assert standing_lines(shown) == [
        "co#4 handler: waiting on recv tcp#2",
        "  demo.py:20 in serve   handle(conn)",
        "  demo.py:31 in handle  data = conn.recv()",
        "  started by co#2 blip at demo.py:8 in blip",
        "  started by co#1 shell at <co:3>:1 in <module>",
    ]


def test_who_was_started_by_no_coroutine_was_started_somewhere() -> None:
    orphan = replace(HANDLER, parent_id=None)
    assert standing_lines(standing(orphan, snapshot(orphan), STACK))[-1] == "  started at demo.py:8 in blip"


def test_a_dead_ancestor_is_marked_and_a_forgotten_one_is_still_a_number() -> None:
    lines = standing_lines(standing(HANDLER, snapshot(HANDLER, dead=(DEAD,)), STACK))
    assert lines[-2:] == [
        "  started by co#2 blip (ended) at demo.py:8 in blip",
        "  started by co#1 (ended) at <co:3>:1 in <module>",
    ]


def test_who_has_ended_has_no_stack_and_a_failure_names_the_command_that_goes_on() -> None:
    shown = standing(DEAD, snapshot(SHELL, dead=(DEAD,)), None)
    assert standing_lines(shown)[:2] == [
        "co#2 blip: ValueError: bad, 2s ago",
        "  it has ended, and its stack with it (err 2)",
    ]


def test_while_somebody_hogs_the_scheduler_the_others_stacks_cannot_be_read() -> None:
    hog = replace(SERVER, running_for_s=3.0)
    shown = standing(HANDLER, snapshot(SHELL, hog, HANDLER, responsive=False, hog=hog), None)
    assert shown.note == "its stack cannot be read while co#2 hogs the scheduler"
    assert standing(hog, snapshot(hog), STACK).doing == "running for 3s"


def test_a_portrait_holds_all_that_is_known() -> None:
    whole = snapshot(SHELL, SERVER, HANDLER, sockets=(SOCKET, replace(SOCKET, reader=9, owner=9)))
    busy = replace(HANDLER, limit=1 << 20, timers=1, defers=2)
    shown = portrait(busy, whole, STACK, [5], [Finding("stuck", 4, "handler", "is stuck")])
    assert (shown.heap, shown.children, shown.warnings) == (114_688, (5,), ("is stuck",))
    assert portrait_lines(shown)[:8] == [
        "co#4 handler: waiting on recv tcp#2",
        "  time     2m14s old, ran for 400ms, switched to 1,204 times",
        "  heap     112.0K, peak 117.2K, allocated 878.9K in all, limit 1.0M",
        "  stack    2.1K, 6 frames deep",
        "  holds    1 timer, 2 deferred calls",
        "  socket   server 127.0.0.1:9501 <- 127.0.0.1:51312 open (made it, reads)",
        "  children co#5",
        "  warning  is stuck",
    ]


def test_without_a_traced_heap_a_portrait_says_so() -> None:
    shown = portrait(replace(HANDLER, heap_bytes=None), snapshot(HANDLER), STACK, [], [])
    assert "  heap     not traced" in portrait_lines(shown)


def test_of_many_children_ten_are_named() -> None:
    lines = portrait_lines(portrait(HANDLER, snapshot(HANDLER), STACK, range(10, 100), []))
    assert any(line.endswith("co#18 co#19 and 80 more") for line in lines)


def test_a_stack_of_frames_is_put_in_our_form() -> None:
    frame = traceback.FrameSummary("/srv/app/demo.py", 31, "handle", line="  data = conn.recv()")
    ours = traceback.FrameSummary(coshell.bridge.__file__, 1, "_serve", line="")
    command = traceback.FrameSummary(coshell.commands.network.__file__, 9, "_echo", line="")
    assert places([ours, command]) == (Place("network.py:9 in _echo"),)
    assert places([ours, frame]) == (Place("demo.py:31 in handle", "data = conn.recv()"),)


def test_a_line_that_was_typed_has_its_source() -> None:
    linecache.cache["<co:77>"] = (0, None, ["def f():\n", "    while True: pass\n"], "<co:77>")
    try:
        assert place_of("<co:77>:2 in f") == Place("<co:77>:2 in f", "while True: pass")
    finally:
        del linecache.cache["<co:77>"]
    assert place_of("demo.py:2 in f") == Place("demo.py:2 in f")


def test_source_and_names_cannot_reach_the_screen_raw() -> None:
    shown = standing(replace(HANDLER, name="\x1b[2J"), snapshot(HANDLER), (Place("a\x07", "\x9b"),))
    assert all(line.isprintable() for line in standing_lines(shown))
