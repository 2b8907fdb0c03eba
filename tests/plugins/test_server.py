"""Servers are started, looked at, given another handler while they run, and stopped."""

import errno
import json
import os
import socket
from collections.abc import Iterator

import pytest

from coshell.command import CommandError
from coshell.completion import World, candidates
from coshell.console import Capture
from coshell.shell import Shell
from tests.patience import PATIENCE_S
from tests.plugins.at_the_prompt import do, error, refused

SHOUT = "def shout(conn):\n    while data := conn.recv():\n        conn.sendall(data.upper())\n"
HELLO = "def shout(conn):\n    conn.sendall(b'hello')\n"


@pytest.fixture
def shell(console: Capture) -> Iterator[Shell]:
    with Shell(console=console) as shell:
        shell.plugins.load("coshell_plugins.server")
        do(shell, SHOUT)
        yield shell


# -- completion


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("server stop ", ["web"]),
        (
            "server on web ",
            ["start", "worker_start", "connect", "receive", "close", "worker_stop", "shutdown", "message"],
        ),
        ("server on web re", ["receive"]),
        ("server on web receive sh", ["shout"]),
        ("server set web max_", ["max_connections", "max_requests", "max_memory", "max_wait"]),
        ("server reload web sh", ["shout"]),
        ("server start other :0 --on cl", ["close="]),
    ],
)
def test_names_events_and_keys_complete(shell: Shell, typed: str, offered: list[str]) -> None:
    do(shell, "server start web :0 shout")
    names = {"shout": shell.names["shout"]}
    world = World(commands=shell.commands, names=names, coroutines=list, servers=lambda: ["web"])
    assert [found.text for found in candidates(typed, world)] == offered


# -- start


def test_a_server_serves_under_its_name(shell: Shell) -> None:
    do(shell, "server start web :0 shout", "connect web as c", "send c hi")
    assert shell.evaluate("recv(c)") == b"HI"
    assert [one.name for one in shell.snapshot().coroutines if one.name.startswith("web")] == [
        "web",
        "web/c1",
    ]


def test_its_record_tells_address_and_handler(shell: Shell) -> None:
    record = do(shell, "server start web :0 shout").value
    assert (record.name, record.state, record.handler, record.connections) == ("web", "accepting", "shout", 0)
    assert record.address == str(shell.evaluate("web.address"))
    assert not record.address.endswith(":0")


def test_the_handler_may_be_an_object_that_is_put_in(shell: Shell) -> None:
    do(shell, "server start web :0 {lambda conn: conn.sendall(b'bye')}", "connect web as c")
    assert shell.evaluate("recv(c)") == b"bye"


def test_it_is_a_function_too(shell: Shell) -> None:
    record = shell.evaluate("co.server('start', 'web', ':0', shout)")
    assert record.handler == "shout"
    assert [one.name for one in shell.evaluate("co.server('list')")] == ["web"]
    assert shell.evaluate("co.server('stop', 'web', drain=1)").drained


def test_the_listener_is_on_the_servers_own_account(shell: Shell) -> None:
    do(shell, "server start web :0 shout")
    snapshot = shell.snapshot()
    names = {one.id: one.name for one in snapshot.coroutines}
    assert [names[socket.owner] for socket in snapshot.sockets] == ["web"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            "server start web :0",
            "it must read: server start NAME ADDRESS [HANDLER] [--on EVENT=EXPR]... [--workers N] [--public]",
        ),
        (
            "server start",
            "it must read: server start NAME ADDRESS [HANDLER] [--on EVENT=EXPR]... [--workers N] [--public]",
        ),
        ("server list web", "it must read: server list"),
        ("server stop", "it must read: server stop NAME [--drain SECONDS]"),
        ("server reload web shout more", "it must read: server reload NAME [HANDLER]"),
        ("server begin web", "'begin' is none of start, list, status, stop, reload"),
        ("server start web :0 nonsense", "nonsense: NameError: name 'nonsense' is not defined"),
        ("server start web :0 {42}", "42 is no function of one connection but a int"),
        ("server start two-words :0 shout", "a server's name must be a Python name, and 'two-words' is none"),
        ("server start class :0 shout", "a server's name must be a Python name, and 'class' is none"),
        ("server start web :99999 shout", "99999"),
        ("server start web 0.0.0.0:0 shout", "other machines could connect to 0.0.0.0:0: give --public"),
        ("server status web", "no server 'web' was started here; there is none"),
        ("server reload web", "no server 'web' was started here; there is none"),
    ],
)
def test_misuse_is_one_line_and_starts_nothing(shell: Shell, line: str, why: str) -> None:
    refused(shell, line, why)


def test_a_name_is_used_once_at_a_time(shell: Shell) -> None:
    do(shell, "server start web :0 shout")
    assert error(shell, "server start web :0 shout") == (
        "server 'web' is running: server stop web, or server reload web"
    )
    do(shell, "server stop web", "server start web :0 shout")


def test_an_address_in_use_is_one_line(shell: Shell) -> None:
    do(shell, "server start web :0 shout")
    assert "in use" in error(shell, "server start other {web.address} shout")
    assert [record.name for record in do(shell, "server list").value] == ["web"]


def test_public_is_allowed_when_it_is_asked_for(shell: Shell) -> None:
    assert do(shell, "server start web 0.0.0.0:0 shout --public").value.address.startswith("0.0.0.0:")


# -- looking


def test_a_list_has_a_record_for_each(shell: Shell, console: Capture) -> None:
    do(shell, "server start a :0 shout", "server start b :0 shout")
    assert [record.name for record in do(shell, "server list").records] == ["a", "b"]
    assert console.lines()[-3].split()[:3] == ["NAME", "STATE", "ADDRESS"]


def test_no_servers_is_said_in_words(shell: Shell, console: Capture) -> None:
    do(shell, "server list")
    assert console.lines()[-1] == "no servers"


def test_status_counts_connections_and_failures(shell: Shell) -> None:
    do(
        shell,
        "server start web :0 shout",
        "connect web as c",
        "connect web as d",
        "send c hi",
        "recv c",
        "close d",
    )
    do(shell, "@wait co.server('status', 'web').connections == 1")
    record = do(shell, "server status web").value
    assert (record.connections, record.accepted, record.failed, record.reloads) == (1, 2, 0, 0)
    assert record.heap is not None


def test_records_are_json_with_plain_numbers(shell: Shell, console: Capture) -> None:
    do(shell, "server start web :0 shout", "server list --json")
    record = json.loads(console.lines()[-1])
    assert (record["name"], record["connections"], record["reloads"]) == ("web", 0, 0)
    assert isinstance(record["age"], float)
    assert isinstance(record["heap"], int)


def test_one_that_was_stopped_otherwise_is_forgotten(shell: Shell) -> None:
    do(shell, "server start web :0 shout", "web.stop()")
    assert do(shell, "server list").value == []
    do(shell, "server start web :0 shout")


# -- reload


def test_a_reload_picks_up_what_was_defined_anew_and_open_connections_go_on_with_the_old(
    shell: Shell,
) -> None:
    do(shell, "server start web :0 shout", "connect web as old", "send old hi", "recv old")
    do(shell, HELLO)
    record = do(shell, "server reload web").value
    assert (record.reloads, record.connections, record.handler) == (1, 1, "shout")
    do(shell, "connect web as new", "send old again")
    assert shell.evaluate("recv(new)") == b"hello"
    assert shell.evaluate("recv(old)") == b"AGAIN"


def test_without_a_reload_the_handler_stays_what_it_was(shell: Shell) -> None:
    do(shell, "server start web :0 shout", HELLO, "connect web as c", "send c hi")
    assert shell.evaluate("recv(c)") == b"HI"


def test_another_handler_can_be_given(shell: Shell) -> None:
    do(shell, "server start web :0 shout", "def bye(conn): conn.sendall(b'bye')", "server reload web bye")
    do(shell, "connect web as c")
    assert shell.evaluate("recv(c)") == b"bye"
    assert do(shell, "server reload web").value.handler == "bye"


def test_the_port_stays_the_same_over_a_reload(shell: Shell) -> None:
    before = do(shell, "server start web :0 shout").value.address
    assert do(shell, "server reload web").value.address == before


def test_a_handler_that_is_broken_leaves_the_old_one_in_place(shell: Shell) -> None:
    do(shell, "server start web :0 shout", "del shout")
    assert "NameError" in error(shell, "server reload web")
    do(shell, "connect web as c", "send c hi")
    assert shell.evaluate("recv(c)") == b"HI"
    assert do(shell, "server status web").value.reloads == 0


def test_a_function_object_cannot_be_evaluated_again(shell: Shell) -> None:
    do(shell, "server start web :0 {shout}")
    assert "server reload web HANDLER" in error(shell, "server reload web")


# -- stop


def test_stop_cuts_connections_off_and_says_so(shell: Shell, console: Capture) -> None:
    do(shell, "server start web :0 shout", "connect web as c", "send c hi", "recv c", "server stop web")
    assert console.lines()[-1] == "ok  web stopped, 1 connection cut off"
    assert shell.evaluate("recv(c)") == b""
    assert "no server 'web'" in error(shell, "server status web")


def test_stop_with_a_drain_lets_connections_end(shell: Shell, console: Capture) -> None:
    do(shell, "server start web :0 shout", "connect web as c", "send c hi", "recv c")
    do(shell, "stopping = go(co.server, 'stop', 'web', drain=30)", "c.close()", "@wait stopping.ended")
    stopped = shell.evaluate("stopping.result()")
    assert (stopped.connections, stopped.drained) == (1, True)


def test_a_stopped_server_leaves_no_coroutine_and_no_socket(shell: Shell) -> None:
    do(shell, "server start web :0 shout", "server stop web")
    assert shell.snapshot().sockets == ()
    assert len(shell.snapshot().coroutines) == 1
    assert "server#1" not in shell.things


def test_unloading_the_plugin_stops_its_servers_and_lists_them(shell: Shell) -> None:
    do(
        shell,
        "server start web :0 shout",
        "server start other :0 shout",
        "connect web as c",
        "send c hi",
        "recv c",
    )
    assert shell.plugins.unload("server") == ("server web (1 connection)", "server other (0 connections)")
    assert len(shell.snapshot().coroutines) == 1
    assert "server" not in shell.commands


def test_servers_of_one_shell_are_not_another_ones(shell: Shell) -> None:
    do(shell, "server start web :0 shout")
    with Shell(console=Capture()) as other:
        shell_command = shell.commands.get("server")
        assert other.call_command(shell_command, ("list",)) == []


# -- examples


@pytest.mark.parametrize("example", [0, 1])
def test_the_examples_of_its_help_run_as_they_stand(shell: Shell, example: int) -> None:
    text = shell.commands.get("server").examples[example]
    result = shell.execute(text)
    assert result.ok, result.error


def test_its_help_shows_all_forms(shell: Shell, console: Capture) -> None:
    do(shell, "server --help")
    for form in ("server start NAME ADDRESS [HANDLER]", "server list", "server reload NAME [HANDLER]"):
        assert f"  {form}" in console.text


def test_misuse_from_python_is_the_same_line(shell: Shell) -> None:
    with pytest.raises(CommandError, match="it must read: server stop NAME"):
        shell.evaluate("co.server('stop')")


# -- restarts and drains that go wrong -----------------------------------------------------------


def test_a_restart_keeps_the_socket_so_that_whoever_connects_meanwhile_waits(shell: Shell) -> None:
    do(
        shell,
        "server start web :0 shout",
        "busy = connect(web.address)",
        "busy.sendall(b'x')",
        "busy.recv()",
        "restarting = go(co.server, 'restart', 'web', drain=30)",
        "late = connect(web.address)",
        "late.sendall(b'late')",
        "busy.close()",
    )
    assert shell.evaluate("late.recv()") == b"LATE"
    do(shell, "@wait restarting.ended")


def test_a_socket_that_was_handed_over_is_kept_over_a_restart(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as theirs:  # the activator keeps its copy, as systemd does
        do(
            shell,
            f"server start web fd:{os.dup(theirs.fileno())} shout",
            "server restart web",
            "server restart web",
        )
        assert do(shell, "server list").value[0].state == "accepting"
        assert said_to(theirs.getsockname()[1], b"hi") == b"HI"


def said_to(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        client.sendall(data)
        return client.recv(100)


def test_a_server_that_cannot_begin_again_has_failed_and_can_when_that_is_mended(shell: Shell) -> None:
    do(shell, "def begin(server, number): pass", "server start web :0 shout --on worker_start=begin")
    port = do(shell, "server status web").value.address
    do(shell, "def begin(server, number): raise ValueError('not now')")
    assert "not now" in error(shell, "server restart web")
    record = do(shell, "server status web").value
    assert (record.state, record.trouble) == ("failed", "web: ValueError: not now")
    do(shell, "def begin(server, number): pass")
    record = do(shell, "server restart web").value
    assert (record.state, record.address, record.trouble) == ("accepting", port, None)


def test_a_failed_server_can_be_started_anew_or_forgotten(shell: Shell) -> None:
    do(shell, "def begin(server, number): pass", "server start web :0 shout --on worker_start=begin")
    do(shell, "def begin(server, number): 1 / 0")
    error(shell, "server restart web")
    do(shell, "server stop web")
    assert do(shell, "server list").value == []
    do(shell, "server start web :0 shout")


def test_last_callbacks_that_fail_are_told_of_and_stop_nothing(shell: Shell, console: Capture) -> None:
    do(
        shell,
        "def bad(*_): 1 / 0",
        "server start web :0 shout --on worker_stop=bad --on shutdown=bad",
        "server restart web",
        "server stop web",
    )
    assert sum("web/stop" in line and "ZeroDivisionError" in line for line in console.lines()) == 4


def test_a_drain_that_was_given_up_leaves_a_server_that_can_be_stopped(shell: Shell) -> None:
    do(
        shell,
        "server start web :0 shout",
        "c = connect(web.address)",
        "c.sendall(b'x')",
        "c.recv()",
        "draining = go(co.server, 'drain', 'web', 30)",
        "draining.cancel()",
        "@wait draining.ended",
    )
    assert [(one.name, one.state) for one in do(shell, "server list").value] == [("web", "draining")]
    assert "is running: server stop web" in error(shell, "server start web :0 shout")
    stopped = do(shell, "server stop web").value
    assert (stopped.connections, stopped.drained) == (1, False)
    assert do(shell, "server list").value == []


# -- what a file that is run again cannot change -----------------------------------------------------


def test_a_rerun_leaves_nothing_of_what_the_file_said_before(shell: Shell) -> None:
    do(
        shell,
        "def answer(c, message): c.send(message.upper())",
        "gone = []",
        "server start web :0 --on receive=answer --on close=gone.append --framing line --idle 5s",
    )
    with shell.rerun():
        do(shell, "server start web :0 --on receive=answer")
    assert shell.evaluate("(web.settings.idle, web.callbacks.on_close)") == (None, None)
    do(shell, "c = connect(web.address)", "c.sendall(b'no line')")
    assert shell.evaluate("c.recv()") == b"NO LINE"


def test_a_rerun_says_what_it_cannot_change(shell: Shell, console: Capture) -> None:
    do(shell, "server start web :0 shout")
    with shell.rerun():
        do(shell, "server start web :1 shout --workers 2")
    assert console.lines()[-4:-2] == [
        "web: it still serves :0, and not :1: server stop web first",
        "web: the shell itself serves it as before: server stop web first",
    ]
    assert "callbacks" in rerun_error(shell, "server start web :0 --on receive=print")


def rerun_error(shell: Shell, line: str) -> str:
    with shell.rerun():
        return error(shell, line)


def test_a_server_is_not_called_as_its_handler_is(shell: Shell) -> None:
    assert "shout is what it serves: the server needs another name" in error(
        shell, "server start shout :0 shout"
    )


# -- what is wrong is said before anything happens -----------------------------------------------


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("server reload web --workers 2", "--workers is for server start"),
        ("server stop web --tail 3", "--tail is for server logs"),
        ("server list --drain 3", "--drain is for server stop and restart"),
        ("server set web idle 3", "idle is for connections with on_receive, and this server has a handler"),
        (
            "server on web receive shout",
            "a server has a handler or on_connect, on_receive and on_close, not both",
        ),
        ("server set web max_connections {2.5}", "2.5 is not a whole number"),
        ("server set web heartbeat_message {5}", "heartbeat_message must be text or bytes, not 5"),
        ("server drain web {float('nan')}", "a time must be 0 or more, and have an end, not nan"),
        ("server drain web {-1}", "a time must be 0 or more, and have an end, not -1"),
        ("server scale web {2.7}", "WORKERS is a number, and 2.7 is none"),
        ("server logs web wx", "WORKER is a number, and 'wx' is none"),
        ("server logs web --tail 0", "--tail must be 1 or more, not 0"),
        ("co.server(None)", "None is none of start, list"),
        ("co.server('start', 5, ':0', shout)", "a server is meant by its name, and 5 is none"),
        ("co.server('set', 'web', 5, 5)", "no setting '5'"),
        ("co.server('on', 'web', 5)", "no such event '5'"),
        ("server start other :0 --on receive=shout --limit 4", "--limit is for messages, which raw framing"),
    ],
)
def test_a_change_that_cannot_be_is_refused_in_one_line_and_changes_nothing(
    shell: Shell, line: str, why: str
) -> None:
    do(shell, "server start web :0 shout")
    before = shell.evaluate("(web.settings, web.callbacks, web.handler)")
    said = error(shell, line)
    assert why in said
    assert "plugin" not in said
    assert shell.evaluate("(web.settings, web.callbacks, web.handler)") == before


def test_a_handler_that_cannot_be_hashed_is_a_handler(shell: Shell) -> None:
    do(
        shell,
        "class Shouter:\n    __hash__ = None\n    def __call__(self, conn): conn.sendall(b'hi')",
        "server start web :0 {Shouter()}",
    )
    assert shell.evaluate("connect(web.address).recv()") == b"hi"


def test_a_restart_without_a_descriptor_left_is_refused_and_the_server_goes_on(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    do(shell, "server start web :0 shout")
    monkeypatch.setattr(os, "dup", refuse)
    said = error(shell, "server restart web")
    assert "too many open files" in said
    assert "plugin" not in said
    monkeypatch.undo()
    assert do(shell, "server status web").value.state == "accepting"


def test_callbacks_of_the_server_itself_go_with_a_handler(shell: Shell) -> None:
    do(shell, "begun = []", "server start web :0 shout --on worker_start={lambda *_: begun.append(1)}")
    assert shell.evaluate("begun") == [1]
