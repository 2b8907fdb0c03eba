"""Workers are real processes: they start, serve, die, are replaced, and none is ever left over."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import coloop
from coshell.console import Capture
from coshell.shell import Shell
from tests.patience import PATIENCE_S
from tests.plugins.at_the_prompt import do, error, have_all_workers_heard, until
from tests.ports import free_port
from tests.thorough import sample

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join(str(ROOT / root) for root in (".", "runtime", "plugins"))

WHO = "import os\ndef who(conn): conn.sendall(b'%d' % os.getpid())"
SHOUT = "def shout(conn):\n    while data := conn.recv():\n        conn.sendall(data.upper())"
ASK = "def ask(server):\n    with coloop.connect(server.address) as c: return c.recv()"


@pytest.fixture
def shell(console: Capture) -> Iterator[Shell]:
    with Shell(console=console) as shell:
        shell.plugins.load("coshell_plugins.server")
        do(shell, WHO, SHOUT, ASK)
        yield shell
        pids = pids_of(shell)
    assert [pid for pid in pids if is_there(pid)] == []


def pids_of(shell: Shell) -> list[int]:
    return [
        mate.pid
        for thing in shell.things.as_they_are()
        for mate in getattr(thing.value, "mates", ())
        if mate.pid is not None
    ]


def is_there(pid: int) -> bool:
    """Whether a process of that number exists, be it as a zombie."""
    return Path(f"/proc/{pid}").exists()


def answers(shell: Shell, count: int) -> set[int]:
    return {int(shell.evaluate("ask(web)")) for _ in range(count)}


# -- serving


def test_all_workers_serve_behind_one_address_each_in_a_process_of_its_own(shell: Shell) -> None:
    record = do(shell, "server start web :0 who --workers 2").value
    pids = {worker.pid for worker in record.workers}
    assert len(pids | {os.getpid()}) == 3
    assert record.state == "running"
    until(lambda: answers(shell, 5) and answers(shell, 40) == pids, "an answer from each")


def test_a_function_typed_at_the_prompt_goes_along_with_all_that_it_uses(shell: Shell) -> None:
    do(
        shell,
        "import textwrap",
        "words = ['a', 'b']",
        "class Joiner:\n    def __init__(self, by): self.by = by\n    def __call__(self, x): return self.by.join(x)",
        "def inner(): return Joiner('-')(words)",
        "def outer(conn): conn.sendall(textwrap.shorten(inner(), 10).encode())",
        "server start web :0 outer --workers 1",
    )
    assert shell.evaluate("ask(web)") == b"a-b"


@pytest.mark.parametrize(
    "handler",
    sample(
        [
            "{Greeter().greet}",
            "{lambda conn: conn.sendall(b'ok')}",
            "plain",
            "{Greeter.static}",
            "{closure(b'ok')}",
        ],
        2,
    ),
)
def test_all_styles_of_handlers_can_be_sent(shell: Shell, handler: str) -> None:
    do(
        shell,
        "class Greeter:\n    word = b'ok'\n    def greet(self, conn): conn.sendall(self.word)\n"
        "    @staticmethod\n    def static(conn): conn.sendall(b'ok')",
        "def closure(word):\n    def handle(conn): conn.sendall(word)\n    return handle",
        "def plain(conn): conn.sendall(b'ok')",
        f"server start web :0 {handler} --workers 1",
    )
    assert shell.evaluate("ask(web)") == b"ok"


def test_a_connection_is_seen_in_the_records_at_once(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    have_all_workers_heard(monkeypatch)
    do(shell, "server start web :0 shout --workers 1", "connect web as c", "send c hi", "recv c")
    record = do(shell, "server status web").value
    assert (record.connections, record.accepted, record.workers[0].connections) == (1, 1, 1)
    assert record.heap is not None
    assert record.workers[0].rss > 1024 * 1024


def test_a_record_is_json_with_its_workers(shell: Shell, console: Capture) -> None:
    do(shell, "server start web :0 who --workers 2", "server status web --json")
    record = json.loads(console.lines()[-1])
    assert [worker["name"] for worker in record["workers"]] == ["web/w1", "web/w2"]
    assert record["workers"][0]["state"] == "running"


def test_a_worker_inherits_its_listener_its_channel_and_its_questions_and_nothing_else(
    shell: Shell, tmp_path: Path
) -> None:
    shell.names["held"] = (tmp_path / "held").open("w")
    os.set_inheritable(shell.names["held"].fileno(), True)
    (worker,) = do(shell, "server start web :0 who --workers 1").value.workers
    targets = {str(entry.readlink()) for entry in Path(f"/proc/{worker.pid}/fd").iterdir()}
    shell.names["held"].close()
    # Its input, epoll, the pipe of the poller's bell; its output, the listener, the channel, its questions.
    assert sorted(target.split(":")[0] for target in targets) == [
        "/dev/null",
        "anon_inode",
        "pipe",
        "socket",
        "socket",
        "socket",
        "socket",
    ]


def test_ctrl_c_at_the_terminal_is_not_for_the_workers(shell: Shell) -> None:
    (worker,) = do(shell, "server start web :0 who --workers 1").value.workers
    assert os.getpgid(worker.pid) != os.getpgid(0)
    os.kill(worker.pid, signal.SIGINT)
    assert answers(shell, 3) == {worker.pid}


def test_what_workers_print_is_in_the_log_and_harmless(shell: Shell, console: Capture) -> None:
    do(
        shell,
        "def tell(conn): print('\\x1b]0;title\\x07'); conn.close()",
        "server start web :0 tell --workers 1",
    )
    do(shell, "ask(web)", "@wait len(co.server('logs', 'web')) == 1 within 20s", "server logs web")
    assert "\x1b" not in console.text
    assert console.lines()[-1].endswith("\\x1b]0;title\\x07")


def test_a_handler_that_fails_is_reported_in_the_log_with_its_line(shell: Shell) -> None:
    do(
        shell,
        "def bad(conn):\n    raise ValueError('so bad')",
        "server start web :0 bad --workers 1",
        "ask(web)",
    )
    do(shell, "@wait any('so bad' in line.text for line in co.server('logs', 'web')) within 20s")
    log = "\n".join(line.text for line in shell.evaluate("co.server('logs', 'web')"))
    assert "raise ValueError('so bad')" in log


def test_the_shell_is_told_that_handlers_fail_in_its_workers(shell: Shell, console: Capture) -> None:
    do(shell, "def bad(conn): 1 / 0", "server start web :0 bad --workers 1", "ask(web)")
    until(lambda: "web: 1 handler has failed in the workers: server logs web" in console.text, "the line")


def test_the_shell_hears_how_its_workers_are(shell: Shell) -> None:
    do(
        shell,
        "server start web :0 shout --workers 1",
        "connect web as c",
        "send c hi",
        "recv c",
        "server list",
    )
    until(lambda: any(len(one.sockets) == 2 for one in shell.plugins.processes()), "a picture")
    (picture,) = shell.plugins.processes()
    assert picture.name == "web/w1"
    assert picture.clients == 1
    assert {one.role for one in picture.sockets} == {"listener", "server"}
    assert "web/c1" in {one.name for one in picture.coroutines}


STARTING = (
    "import sys\n"
    "from coshell.console import Capture\n"
    "from coshell.shell import Shell\n"
    "with Shell(console=Capture()) as shell:\n"
    "    shell.plugins.load('coshell_plugins.server')\n"
    "    assert not {'cloudpickle', 'coshell_plugins.server.workers'} & set(sys.modules)\n"
    "    for line in ('set level heap', 'server start web :0 {lambda conn: None} --workers 1'):\n"
    "        assert shell.execute(line).ok, line\n"
    "    assert 'cloudpickle' in sys.modules\n"
    "    print(*(one.heap_bytes for one in shell.snapshot().coroutines))\n"
)


def heaps_after_starting() -> list[int]:
    environment = {**os.environ, "PYTHONPATH": PATHS}
    command = [sys.executable, "-c", STARTING]
    told = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert told.returncode == 0, told.stderr
    return [int(each) for each in told.stdout.split()]


def test_what_only_workers_need_comes_with_the_first_one() -> None:
    assert len(heaps_after_starting()) >= 2


@pytest.mark.skipif(
    coloop.FORM == "pure", reason="what other threads allocate falls on whoever runs meanwhile"
)
def test_what_only_workers_need_is_on_nobodys_account() -> None:
    assert max(heaps_after_starting()) < 200_000


def test_the_start_can_be_asked_for_by_another_command(shell: Shell) -> None:
    started = shell.bridge.call(shell.plugins.start_workers, "web", ":0", shell.names["who"], 2)
    assert str(started.address) == str(shell.evaluate("web.address"))
    assert started.state == "running"
    assert len(answers(shell, 5)) >= 1


def test_a_unix_socket_stays_while_workers_come_and_go_and_goes_with_the_server(
    shell: Shell, tmp_path: Path
) -> None:
    path = tmp_path / "web"
    do(shell, f"server start web unix:{path} who --workers 2", "server reload web")
    assert path.exists()
    assert answers(shell, 3)
    do(shell, "server stop web")
    assert not path.exists()


def test_the_shell_itself_hears_nothing_of_their_connections(shell: Shell) -> None:
    """Its own poller forgets the listener: each connection would wake it."""
    do(shell, "server start web :0 who --workers 1")
    wires = shell.scheduler.poller._wires if hasattr(shell.scheduler.poller, "_wires") else None
    if wires is not None:
        assert shell.evaluate("web")._listener.fileno() not in wires
    epoll = next(fd for fd in Path("/proc/self/fd").iterdir() if "eventpoll" in str(fd.readlink()))
    watched = {
        int(line.split()[1])
        for line in Path(f"/proc/self/fdinfo/{epoll.name}").read_text().splitlines()
        if line.startswith("tfd:")
    }
    assert shell.evaluate("web._listener.fileno()") not in watched


# -- misuse


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("server start web :0 who --workers 0", "there can be 1 to 256 workers, not 0"),
        ("server start web :0 who --max-requests 5", "--max-requests is for worker processes"),
        ("server start web :0 who --workers 1 --max-requests 0", "max_requests must be 1 or more, not 0"),
        ("server start web :0 nonsense --workers 1", "NameError"),
        ("server start web 0.0.0.0:0 who --workers 1", "--public"),
        ("server scale web 2", "no server 'web' was started here"),
    ],
)
def test_misuse_is_one_line_and_leaves_nothing(shell: Shell, line: str, why: str) -> None:
    assert why in error(shell, line)
    assert shell.snapshot().sockets == ()
    assert len(shell.snapshot().coroutines) == 1


def test_what_cannot_be_sent_is_named(shell: Shell) -> None:
    do(
        shell,
        "import threading",
        "gate = threading.Lock()",
        "def use(): return gate",
        "def outer(conn): use()",
    )
    assert error(shell, "server start web :0 outer --workers 1") == (
        "outer: use uses 'gate', which cannot be sent to a worker: TypeError: cannot pickle '_thread.lock' object"
    )
    assert shell.snapshot().sockets == ()


def test_a_handler_that_cannot_be_unpacked_is_said_at_once(shell: Shell) -> None:
    do(
        shell,
        "def explode(): raise RuntimeError('no such luck')",
        "class Bomb:\n    def __reduce__(self): return (explode, ())\n    def __call__(self, conn): ...",
    )
    failed = shell.execute("server start web :0 {Bomb()} --workers 2")
    assert str(failed.error).startswith("RuntimeError: no such luck (<co:")
    assert (failed.traceback, failed.exit_code) == (None, 3)
    assert shell.snapshot().sockets == ()
    assert len(shell.snapshot().coroutines) == 1
    assert do(shell, "server list").value == []


# -- deaths


def test_a_worker_that_crashes_leaves_its_stack_in_the_log(shell: Shell, console: Capture) -> None:
    do(
        shell,
        "def crash(conn):\n    import faulthandler\n    faulthandler._sigsegv()",
        "server start web :0 crash --workers 1",
    )
    shell.execute("ask(web)")
    do(shell, "@wait web.pool.restarts == 1 and web.pool.serving() within 20s")
    assert any("worker 1" in line and "killed by SIGSEGV" in line for line in console.lines())
    log = [line.text for line in shell.evaluate("co.server('logs', 'web')")]
    assert any("Segmentation fault" in text for text in log)
    assert any("in crash" in text for text in log)


@pytest.mark.parametrize(
    "nonsense",
    ["b'\\xff\\xff\\xff\\xff'", "packed({'event': 'status', 'connections': 'many'})", "b'\\0\\0\\0\\2[]'"],
)
def test_a_worker_that_talks_nonsense_is_killed_and_replaced(
    shell: Shell, console: Capture, nonsense: str
) -> None:
    do(
        shell,
        "import gc",
        "from coshell_plugins.worker.channel import Channel, packed",
        "def babble(conn):\n    for one in gc.get_objects():\n        if isinstance(one, Channel):\n"
        f"            one._socket.sendall({nonsense})",
        "server start web :0 babble --workers 1",
    )
    shell.execute("ask(web)")
    do(shell, "@wait len(web.pool.serving()) == 1 and web.pool.serving()[0].serial == 2 within 20s")
    assert any("talks nonsense and is killed" in line for line in console.lines())


def test_a_worker_that_is_killed_is_named_and_replaced(shell: Shell, console: Capture) -> None:
    record = do(shell, "server start web :0 who --workers 2").value
    victim = record.workers[1].pid
    os.kill(victim, signal.SIGKILL)
    do(shell, "@wait co.server('status', 'web').restarts == 1 within 20s")
    do(
        shell,
        f"@wait len([w for w in co.server('status', 'web').workers if w.state == 'running' and w.pid != {victim}]) == 2 within 20s",
    )
    assert f"web: worker 2 (pid {victim}) killed by SIGKILL (out of memory?)" in console.lines()
    assert not is_there(victim)
    assert victim not in answers(shell, 10)


def test_when_a_worker_is_killed_only_its_own_connections_end(shell: Shell) -> None:
    do(
        shell,
        "def spell(conn):\n    while conn.recv(): conn.sendall(b'%d' % os.getpid())",
        "server start web :0 spell --workers 2",
        "connect web as c",
        "send c x",
    )
    its = int(shell.evaluate("recv(c)"))
    (other,) = {mate.pid for mate in shell.evaluate("web.mates")} - {its}
    os.kill(other, signal.SIGKILL)
    do(shell, "@wait web.pool.restarts == 1 and len(web.pool.serving()) == 2 within 20s", "send c x")
    assert int(shell.evaluate("recv(c)")) == its
    os.kill(its, signal.SIGKILL)
    do(shell, "@wait web.pool.restarts == 2 and len(web.pool.serving()) == 2 within 20s")
    assert shell.evaluate("recv(c)") == b""


def test_all_workers_that_are_killed_at_once_are_replaced_and_none_is_a_zombie(shell: Shell) -> None:
    """The system may tell of several ends by one signal."""
    before = [worker.pid for worker in do(shell, "server start web :0 who --workers 3").value.workers]
    do(  # in one statement, so that all have ended before anybody looks
        shell,
        f"for pid in {before}:\n    os.kill(pid, 9)\n    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)",
    )
    do(shell, "@wait web.pool.restarts == 3 and len(web.pool.serving()) == 3 within 30s")
    assert [pid for pid in before if is_there(pid)] == []
    assert not answers(shell, 5) & set(before)


def test_workers_that_die_before_they_serve_are_tried_five_times_and_given_up(
    shell: Shell, console: Capture
) -> None:
    do(
        shell,
        "class Deadly:\n    def __reduce__(self): return (os._exit, (7,))\n    def __call__(self, conn): ...",
    )
    failed = shell.execute("server start web :0 {Deadly()} --workers 1")
    why = str(failed.error)
    assert (failed.traceback, failed.exit_code) == (None, 3)
    assert why.startswith("5 workers in a row lived less than 1 s; the last: worker 1 (pid ")
    assert "ended with exit code 7" in why
    assert sum("ended with exit code 7" in line for line in console.lines()) <= 6
    assert shell.snapshot().sockets == ()
    assert len(shell.snapshot().coroutines) == 1
    assert do(shell, "server list").value == []


def test_a_crash_loop_is_said_and_stopped(shell: Shell, console: Capture) -> None:
    do(shell, "def die(conn): os._exit(7)", f"server start web :{free_port()} die --workers 1")
    until(lambda: shell.evaluate("web.state") == "failed" or ask_roughly(shell), "the end")
    assert "web" in shell.lost
    assert "5 workers in a row lived less than 1 s" in shell.lost["web"]
    assert "ended with exit code 7" in shell.lost["web"]
    assert "refused" in shell.execute("connect web as c").error
    assert do(shell, "server list").value[0].state == "failed"
    do(shell, "server start web :0 who --workers 1")


def ask_roughly(shell: Shell) -> bool:
    """False always; the worker dies of it."""
    shell.execute("ask(web)")
    return False


def test_the_end_of_the_coroutine_that_minds_a_worker_is_the_end_of_the_worker(shell: Shell) -> None:
    (worker,) = do(shell, "server start web :0 who --workers 1").value.workers
    do(shell, "cancel web/w1", "@wait co.server('status', 'web').restarts == 1 within 20s")
    assert not is_there(worker.pid)


def test_the_end_of_the_master_is_the_end_of_all(shell: Shell) -> None:
    record = do(shell, "server start web :0 who --workers 2").value
    do(shell, "cancel web", "@wait web.state == 'stopped' and not web.mates within 20s")
    assert [worker.pid for worker in record.workers if is_there(worker.pid)] == []
    assert shell.snapshot().sockets == ()


def test_a_worker_that_is_asked_to_end_finishes_what_it_does(shell: Shell) -> None:
    (worker,) = do(shell, "server start web :0 shout --workers 1").value.workers
    do(shell, "connect web as c", "send c hi", "recv c")
    os.kill(worker.pid, signal.SIGTERM)
    do(shell, "send c more")
    assert shell.evaluate("recv(c)") == b"MORE"
    do(shell, "c.close()", "@wait co.server('status', 'web').restarts == 1 within 20s")


def test_a_worker_that_accepts_nobody_any_more_is_replaced_and_says_why(
    shell: Shell, console: Capture
) -> None:
    do(
        shell,
        "def answer(c, m):\n    if m == b'stop': c.server.stop()\n    c.send(m.upper())",
        "server start web :0 --on receive=answer --workers 1",
        "connect web as c",
        "send c stop",
    )
    assert shell.evaluate("recv(c)") == b"STOP"
    do(shell, "@wait web.pool.restarts == 1 and web.pool.serving() within 20s", "connect web as d")
    do(shell, "send d hi")
    assert shell.evaluate("recv(d)") == b"HI"
    assert any("worker 1" in line and "ended by itself" in line for line in console.lines())
    log = [line.text for line in shell.evaluate("co.server('logs', 'web')")]
    assert any(text.startswith("nobody is accepted here any more, so this worker ends") for text in log)


# -- reload, restart, scale


def test_a_reload_brings_what_was_defined_anew(shell: Shell) -> None:
    before = do(shell, "server start web :0 who --workers 2").value
    do(shell, "def who(conn): conn.sendall(b'new')")
    after = do(shell, "server reload web").value
    assert {shell.evaluate("ask(web)") for _ in range(10)} == {b"new"}
    assert after.reloads == 1
    assert after.address == before.address
    assert not {one.pid for one in before.workers} & {one.pid for one in after.workers}


def test_a_reload_with_a_broken_version_leaves_the_old_workers(shell: Shell) -> None:
    before = do(shell, "server start web :0 who --workers 2").value
    do(
        shell,
        "def explode(): raise RuntimeError('no such luck')",
        "class Bomb:\n    def __reduce__(self): return (explode, ())\n    def __call__(self, conn): ...",
    )
    assert error(shell, "server reload web {Bomb()}").startswith("RuntimeError: no such luck (<co:")
    after = do(shell, "server status web").value
    assert [one.pid for one in after.workers] == [one.pid for one in before.workers]
    assert (after.reloads, after.state, after.handler) == (0, "running", "who")
    assert answers(shell, 10) <= {one.pid for one in before.workers}
    do(shell, "server reload web")


def test_a_reload_that_is_cancelled_is_in_the_record_when_it_is_through(shell: Shell) -> None:
    do(shell, "server start web :0 who --workers 1", "def other(conn): conn.sendall(b'other')")
    do(shell, "reloading = go(co.server, 'reload', 'web', 'other')", "@wait web.pool.wanted == 2 within 20s")
    do(shell, "reloading.cancel()", "@wait co.server('status', 'web').reloads == 1 within 20s")
    record = do(shell, "server reload web").value
    assert (record.handler, record.reloads) == ("other", 2)
    assert shell.evaluate("ask(web)") == b"other"


def test_ten_reloads_at_once_start_at_most_two_rounds(shell: Shell) -> None:
    do(shell, "server start web :0 who --workers 1")
    do(shell, "many = [go(co.server, 'reload', 'web') for _ in range(10)]", "[one.join() for one in many]")
    assert shell.evaluate("[one.state for one in many]") == ["done"] * 10
    assert max(mate.serial for mate in shell.evaluate("web.mates")) <= 3


def test_a_worker_that_hangs_is_killed_at_a_reload_and_that_is_said(shell: Shell, console: Capture) -> None:
    do(
        shell,
        "def hang(conn):\n    conn.sendall(b'x')\n    while True: pass",
        "server start web :0 hang --workers 1 --max-wait 0.2s",
        "ask(web)",
        "def hang(conn): conn.sendall(b'fine')",
        "server reload web",
    )
    assert any("did not end within 0.2 s and was killed" in line for line in console.lines())
    assert shell.evaluate("ask(web)") == b"fine"


def test_connections_may_finish_while_their_worker_is_replaced(shell: Shell) -> None:
    do(
        shell,
        "server start web :0 shout --workers 1 --max-wait 30s",
        "connect web as c",
        "send c hi",
        "recv c",
    )
    do(
        shell,
        "reloading = go(co.server, 'reload', 'web')",
        "@wait len(web.pool.serving()) == 1 and web.pool.serving()[0].generation == 2 within 20s",
    )
    do(shell, "send c still")
    assert shell.evaluate("recv(c)") == b"STILL"
    do(shell, "c.close()", "reloading.join(20)")
    assert shell.evaluate("reloading.state") == "done"


def test_more_and_fewer(shell: Shell) -> None:
    do(shell, "server start web :0 who --workers 1")
    assert len(do(shell, "server scale web 3").value.workers) == 3
    assert len(do(shell, "server scale web 1").value.workers) == 1
    assert len(answers(shell, 5)) == 1


def test_a_restart_takes_the_same_address_with_new_workers(shell: Shell) -> None:
    before = do(shell, "server start web :0 who --workers 1").value
    after = do(shell, "server restart web").value
    assert after.address == before.address
    assert after.workers[0].pid != before.workers[0].pid
    assert answers(shell, 3) == {after.workers[0].pid}


def test_a_worker_that_has_served_enough_is_replaced(shell: Shell) -> None:
    record = do(shell, "server start web :0 who --workers 1 --max-requests 10").value
    answers(shell, 15)
    do(
        shell,
        f"@wait [w.pid for w in co.server('status', 'web').workers if w.state == 'running'] != [{record.workers[0].pid}] within 20s",
    )
    assert do(shell, "server status web").value.accepted >= 15


def test_a_worker_that_holds_too_much_is_replaced(shell: Shell) -> None:
    do(shell, "kept = []", "def leak(conn): kept.append(bytes(4_000_000)); conn.sendall(b'x')")
    record = do(shell, "server start web :0 leak --workers 1 --max-memory 10M").value
    do(shell, "[ask(web) for _ in range(3)]")
    do(
        shell,
        f"@wait [w.pid for w in co.server('status', 'web').workers if w.state == 'running'] not in ([], [{record.workers[0].pid}]) within 20s",
    )


# -- stop


def test_a_stop_leaves_no_process_no_coroutine_and_no_socket(shell: Shell, console: Capture) -> None:
    record = do(shell, "server start web :0 who --workers 2").value
    do(shell, "server stop web")
    assert console.lines()[-1] == "ok  web stopped"
    assert [worker.pid for worker in record.workers if is_there(worker.pid)] == []
    assert shell.snapshot().sockets == ()
    assert len(shell.snapshot().coroutines) == 1
    assert len(shell.things) == 0


def test_a_stop_cuts_connections_off_and_says_so(
    shell: Shell, console: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_all_workers_heard(monkeypatch)
    do(shell, "server start web :0 shout --workers 1", "connect web as c", "send c hi", "recv c")
    do(shell, "server stop web")
    assert console.lines()[-1] == "ok  web stopped, 1 connection cut off"
    assert shell.evaluate("recv(c)") == b""


def test_a_drain_lets_connections_end_and_tells_how_many_are_left(shell: Shell, console: Capture) -> None:
    do(
        shell,
        "server start web :0 shout --workers 1",
        "connect web as c",
        "send c hi",
        "recv c",
        "server status web",
    )
    do(shell, "draining = go(co.server, 'drain', 'web', '30s')")
    until(lambda: "web: 1 connection left" in console.text, "the progress")
    do(shell, "c.close()", "draining.join(20)")
    stopped = shell.evaluate("draining.result()")
    assert (stopped.connections, stopped.drained) == (1, True)


def test_unloading_the_plugin_ends_the_workers(shell: Shell) -> None:
    record = do(shell, "server start web :0 who --workers 2").value
    assert shell.plugins.unload("server") == ("server web (0 connections)",)
    assert [worker.pid for worker in record.workers if is_there(worker.pid)] == []


def test_the_end_of_the_shell_drains_them(shell: Shell) -> None:
    record = do(shell, "server start web :0 who --workers 2").value
    shell.drain(3.0)
    assert [worker.pid for worker in record.workers if is_there(worker.pid)] == []


def test_a_shell_that_just_closes_leaves_none(console: Capture) -> None:
    with Shell(console=console) as shell:
        shell.plugins.load("coshell_plugins.server")
        record = do(shell, WHO, "server start web :0 who --workers 2").value
    assert [worker.pid for worker in record.workers if is_there(worker.pid)] == []


@pytest.mark.parametrize(
    ("number", "hangs"),
    sample(
        [
            (signal.SIGKILL, True),
            (signal.SIGKILL, False),
            (signal.SIGTERM, False),
            (signal.SIGTERM, True),
            (signal.SIGHUP, False),
            (signal.SIGHUP, True),
        ],
        2,
    ),
)
def test_a_shell_that_is_killed_leaves_none(number: signal.Signals, hangs: bool, tmp_path: Path) -> None:
    """A worker that lets nobody run hears nothing; the kernel sees to it."""
    script = tmp_path / "serve.cosh"
    script.write_text(
        "import time\ndef who(conn):\n    conn.sendall(b'x')\n"
        f"    if {hangs}: time.sleep(600)\n"  # time's: it holds the whole process
        "server start web :0 who --workers 2\nclient = coloop.connect(web.address)\nclient.recv()\n"
        "print('pids', web.address.port, *[mate.pid for mate in web.mates])\nsleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": PATHS, "HOME": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "coshell",
        "--no-plugins",
        "--plugin",
        "coshell_plugins.server",
        str(script),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
    assert process.stdout is not None
    line = next(line for line in process.stdout if line.startswith("pids"))
    port, *pids = [int(number) for number in line.split()[1:]]
    assert len(pids) == 2
    assert all(is_there(pid) for pid in pids)
    process.send_signal(number)
    process.wait(PATIENCE_S)
    process.stdout.close()
    until(lambda: not any(is_there(pid) for pid in pids), "the end of the workers")
    socket.create_server(("127.0.0.1", port)).close()


def test_time_that_is_not_real_is_refused(console: Capture) -> None:
    from coshell.config import Settings

    with Shell(Settings(clock="virtual"), console=console) as shell:
        shell.plugins.load("coshell_plugins.server")
        do(shell, WHO)
        assert "set clock real" in error(shell, "server start web :0 who --workers 1")


def test_a_connection_of_the_shell_is_refused_in_a_worker_with_both_processes(shell: Shell) -> None:
    do(shell, "server start web :0 shout --workers 1", "connect web as c")
    do(
        shell,
        "def borrow(conn):\n    try: c.sendall(b'x')\n    except Exception as error: conn.sendall(f'{type(error).__name__}: {error}'.encode())",
        "server start other :0 borrow --workers 1",
    )
    answer = shell.evaluate("ask(other)").decode()
    (other,) = do(shell, "server status other").value.workers
    assert answer.startswith("WrongProcess: ")
    assert str(os.getpid()) in answer
    assert str(other.pid) in answer
    assert "on_worker_start" in answer
