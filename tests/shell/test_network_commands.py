"""Servers and clients at the prompt: opening, talking, closing, looking."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from coshell.commands import netcat, network
from coshell.nc import NcOptions
from tests.shell.pictures import coroutine, process, socket
from tests.shell.sessions import Session, check_example, check_json, each_example, hogged_session, session


@pytest.fixture
def at_prompt() -> Iterator[Session]:
    with session() as opened:
        yield opened


@pytest.fixture
def talking(at_prompt: Session) -> Session:
    """A shell with an echo server `e` and a client of it, `c`."""
    at_prompt.type("echo :0 --as e\nconnect e as c\ncoloop.testing.wait_until_idle()")
    return at_prompt


@each_example(*network.COMMANDS, *netcat.COMMANDS)
def test_every_example_runs_as_it_stands(command, example) -> None:
    check_example(command, example)


@each_example(*network.COMMANDS, *netcat.COMMANDS)
def test_every_command_speaks_json(command, example) -> None:
    check_json(command, example)


# -- servers -----------------------------------------------------------------------------------------


def test_servers_of_a_kind_are_numbered_and_connections_are_called_after_them(at_prompt: Session) -> None:
    (line,) = at_prompt.type("echo :0")
    assert line.startswith("ok  echo#1 listening on 127.0.0.1:")
    assert line.endswith("(co#2)")
    assert at_prompt.value("echo :0").name == "echo#2"
    at_prompt.type("connect 'echo#1' as a\nconnect 'echo#2' as b\nconnect 'echo#2' as c")
    at_prompt.type("send a x\nrecv a\nsend c x\nrecv c")
    names = [row.name for row in at_prompt.value("ps")]
    assert names == ["shell", "echo#1", "echo#2", "echo#1/c1", "echo#2/c1", "echo#2/c2"]


def test_an_echo_server_sends_back_every_byte(talking: Session) -> None:
    talking.type("data = bytes(range(256)) * 4096\nsend c $data")
    talking.type("got = b''\nwhile len(got) < len(data):\n    got += c.recv()")
    assert talking.value("got == data") is True


def test_a_server_can_be_the_users_own(at_prompt: Session) -> None:
    at_prompt.type("def shout(conn):\n    while data := conn.recv():\n        conn.sendall(data.upper())")
    assert at_prompt.value("serve :0 shout --as s").name == "shout#1"
    assert at_prompt.type("nc s --send hi --expect HI")[0] == "< HI"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "echo 0.0.0.0:0",
            "other machines could connect to 0.0.0.0:0: give --public if that is what you want",
        ),
        ("echo example.org:80", "other machines could connect to example.org:80"),
        ("echo :70000", "port must be 0 to 65535, not 70000"),
        (":echo :abc", "port must be a number, not 'abc'"),
        ("echo nowhere", "address 'nowhere' has no port"),
        ("serve :0 {1 + 1}", "is no function of one connection but a int"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(at_prompt: Session, line: str, told: str) -> None:
    assert told in at_prompt.refused(line)


def test_a_port_in_use_names_who_has_it(at_prompt: Session) -> None:
    port = at_prompt.value("echo :0").address.rpartition(":")[2]
    assert at_prompt.refused(f"echo :{port}") == f"port {port} is in use by this process"
    assert at_prompt.value("echo :0").name == "echo#2"  # the failure has taken no number


def test_a_public_server_is_opened_when_asked_for_and_ps_warns_of_it(at_prompt: Session) -> None:
    (line,) = at_prompt.type("echo 0.0.0.0:0 --public")
    assert line.endswith("; open to other machines")
    assert any(
        line.startswith("! co#2 echo#1 is open to other machines: 0.0.0.0:") for line in at_prompt.type("ps")
    )


# -- clients -----------------------------------------------------------------------------------------


def test_connect_binds_the_socket_to_a_name(talking: Session) -> None:
    assert talking.type('send c "hi\\n"') == ["ok  c sent 3 bytes"]
    assert talking.value("recv(c) == b'hi\\n'") is True


def test_a_connection_without_a_name_has_one_of_ours(at_prompt: Session) -> None:
    at_prompt.type("echo :0 --as e")
    assert at_prompt.value("connect e").name == "client#1"
    assert at_prompt.type("send 'client#1' hi") == ["ok  client#1 sent 2 bytes"]


def test_a_connection_can_be_called_by_its_number(talking: Session) -> None:
    number = talking.value("c.id")
    assert talking.type(f"send {number} hi") == ["ok  c sent 2 bytes"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("connect 127.0.0.1:1", "refused: nobody listens on 127.0.0.1:1"),
        ("connect eco", "no server 'eco', did you mean 'echo#1'?"),
        ("connect unix:/nowhere.sock", "refused: there is no socket unix:/nowhere.sock"),
        ("send nobody hi", "no socket 'nobody'"),
        ("send e hi", "'e' is no socket but a Server"),
        ("send c {1}", "text or bytes can be sent, not int"),
        ("recv c --timeout 10ms", "timed out after 0.01s"),
        ("shutdown c sideways", "'sideways' is none of read, write, both"),
        ("close nobody", "'nobody'"),
        ("close c --linger 1s --reset", "--linger waits for the rest, --reset throws it away"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(talking: Session, line: str, told: str) -> None:
    assert told in talking.refused(line)


def test_receiving_at_the_end_of_the_stream_says_so(talking: Session) -> None:
    assert talking.type("shutdown c") == ["ok  c sent FIN, and can still receive"]
    assert talking.type("recv c") == ["b''  the peer has closed its half"]
    assert "closed by peer" in talking.refused("recv c")


def test_recv_can_be_told_how_much(talking: Session) -> None:
    talking.type("send c hello")
    assert talking.type("recv c 2") == ["b'he'"]
    assert talking.value("recv c") == b"llo"


# -- close -------------------------------------------------------------------------------------------


def test_close_of_a_connection(talking: Session) -> None:
    assert talking.type("close c") == ["ok  c closed"]
    assert talking.type("close c") == ["ok  c was closed already"]


def test_close_can_wait_until_the_peer_has_acknowledged_all(talking: Session) -> None:
    talking.type("send c hello")
    assert talking.type("close c --linger 5s") == ["ok  c closed, all acknowledged by the peer"]


def test_a_reset_is_seen_by_the_peer_as_one(at_prompt: Session) -> None:
    at_prompt.type(
        "seen = []\ndef handler(conn):\n    try:\n        conn.recv()\n    except OSError as e:\n        seen.append(e)"
    )
    at_prompt.type(
        "serve :0 handler --as s\nconnect s as c\nco.close('c', reset=True)\ncoloop.testing.wait_until_idle()"
    )
    assert at_prompt.value("type(seen[0]).__name__") == "ConnectionResetError"


def test_close_of_a_server_stops_it(talking: Session) -> None:
    talking.type("close c\ncoloop.testing.wait_until_idle()")
    assert talking.type("close e") == ["ok  e stopped"]
    assert "refused" in talking.refused("connect e")
    assert talking.type("close e") == ["ok  e was stopped already"]


def test_a_server_is_stopped_with_its_connections(talking: Session) -> None:
    assert talking.type("close 'echo#1'") == ["ok  e stopped, 1 connection cut off"]
    assert talking.value("recv c") == b""


# -- conns -------------------------------------------------------------------------------------------


def test_conns_shows_both_ends_and_what_the_kernel_thinks(talking: Session) -> None:
    talking.type("send c hi\nrecv c")
    listener, client, server = talking.value("conns")
    assert (listener.name, listener.role, listener.kernel) == ("echo#1", "listener", "LISTEN")
    assert (client.name, client.role, client.kernel) == ("c", "client", "ESTABLISHED")
    assert (server.name, server.role, server.reader) == ("echo#1/c1", "server", server.owner)
    assert (client.sent, client.received, server.sent) == (2, 2, 2)
    assert (client.local, client.peer) == (server.peer, server.local)


def test_conns_tells_of_a_peer_that_has_closed_unnoticed(at_prompt: Session) -> None:
    at_prompt.type("serve :0 {lambda conn: None} --as s\nconnect s as c\ncoloop.testing.wait_until_idle()")
    assert any(
        line.endswith("the peer has closed its half, and nobody here has read so far")
        for line in at_prompt.type("conns")
    )


def test_conns_as_json_has_an_object_for_each(talking: Session) -> None:
    records = [json.loads(line) for line in talking.type("conns --json")]
    assert [record["role"] for record in records] == ["listener", "client", "server"]
    assert set(records[0]) >= {"id", "fd", "local", "peer", "state", "kernel", "unread", "unsent", "owner"}


def test_conns_shows_what_other_processes_have(talking: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = process("web/w1", coroutine(3, "web/\x1b[2J"))
    monkeypatch.setattr(talking.shell.plugins, "processes", lambda: [worker])
    assert [str(each.id) for each in talking.value("conns")][3:] == ["web/w1:1", "web/w1:2"]
    lines = talking.type("conns")
    assert lines[5].split()[:2] == ["web/w1:2", r"web/\x1b[2J"]
    assert lines[6].startswith(r"! web/\x1b[2J (web/w1:2): the peer has closed its half")
    records = [json.loads(line) for line in talking.type("conns --json")]
    assert [(one["id"], one["process"], one["pid"]) for one in records[2:]] == [
        (records[2]["id"], None, None),
        (1, "web/w1", 77),
        (2, "web/w1", 77),
    ]


def test_conns_leaves_out_what_only_leads_to_other_processes(
    talking: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = [one.id for one in talking.value("conns")]
    worker = process("web/w1", sockets=(), lines=(ours[1],))
    monkeypatch.setattr(talking.shell.plugins, "processes", lambda: [worker])
    assert [one.id for one in talking.value("conns")] == [ours[0], *ours[2:]]
    assert [one.id for one in talking.value("conns --all")] == ours


@pytest.mark.parametrize("line", ["close web/w1:2", "recv web/w1:2", "co.close(co.conns()[-1].id)"])
def test_what_another_process_has_can_only_be_looked_at(
    talking: Session, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    ours = talking.value("conns")[0].id
    there = process("web/w1", sockets=(socket("client", "a:1", id=ours),))
    monkeypatch.setattr(talking.shell.plugins, "processes", lambda: [there])
    why = talking.refused(line.replace(":2", f":{ours}"))
    assert f"web/w1:{ours} belongs to another process: from here it can be looked at only (conns)" in why


def test_conns_shows_what_other_processes_have_while_somebody_lets_nobody_run(
    hogged: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hogged.shell.plugins, "processes", lambda: [process("web/w1", sockets=())])
    assert hogged.type("conns") == ["the scheduler does not answer: sockets cannot be looked at now (ps)"]
    monkeypatch.setattr(hogged.shell.plugins, "processes", lambda: [process("web/w1")])
    assert [str(each.id) for each in hogged.value("conns")] == ["web/w1:1", "web/w1:2"]


def test_conns_says_so_while_somebody_lets_nobody_run() -> None:
    with hogged_session() as hogged:
        assert hogged.type("conns") == ["the scheduler does not answer: sockets cannot be looked at now (ps)"]


# -- nc ----------------------------------------------------------------------------------------------


def test_a_scripted_session_shows_what_came_and_what_was_said(at_prompt: Session) -> None:
    at_prompt.type("echo :0 --as e")
    shown = at_prompt.type('nc e --send "one\\n" --expect one --send "two\\n" --expect two')
    assert shown[:2] == ["< one", "< two"]
    assert shown[2].startswith(". sent 8 bytes, received 8 bytes in ")
    assert at_prompt.value("nc e --send hi").data == b"hi"


def test_line_ends_can_be_made_what_mail_servers_want(at_prompt: Session) -> None:
    at_prompt.type("echo :0 --as e")
    assert at_prompt.value('nc e --crlf --send "a\\nb\\r\\n" --expect b').data == b"a\r\nb\r\n"


def test_what_is_not_said_fails_in_one_line(at_prompt: Session) -> None:
    at_prompt.type("set clock virtual\necho :0 --as e")
    assert at_prompt.refused("nc e --send ho --expect hi --timeout 50ms") == 'no "hi" within 50ms, got "ho"'


def test_many_sessions_at_once_are_counted(at_prompt: Session) -> None:
    at_prompt.type("echo :0 --as e")
    (line,) = at_prompt.type('nc e --many 50 --send "hi\\n" --expect hi')
    assert line.startswith("50 ok, 0 failed in ")
    assert line.endswith(": sent 150 bytes, received 150 bytes")


def test_of_many_sessions_the_worst_failure_is_told(at_prompt: Session) -> None:
    at_prompt.type(
        "seen = []\ndef moody(conn):\n    seen.append(1)\n    conn.sendall(b'yes' if len(seen) <= 3 else b'no')"
    )
    at_prompt.type("serve :0 moody --as m")
    told = at_prompt.refused("nc m --many 5 --expect yes")
    assert told == '3 ok, 2 failed: no "yes" before the peer closed, got "no" (2 times)'


def test_without_a_keyboard_a_session_needs_a_script(at_prompt: Session) -> None:
    at_prompt.type("echo :0 --as e")
    assert "nobody can type here: give --send TEXT" in at_prompt.refused("nc e")


def test_at_a_keyboard_the_terminal_holds_the_session(at_prompt: Session) -> None:
    class Keyboard:
        width = 80
        held: tuple[object, NcOptions]

        def converse(self, socket, options: NcOptions) -> None:
            self.held = (socket.peer, options)

    at_prompt.type("echo :0 --as e")
    at_prompt.shell.terminal = keyboard = Keyboard()
    assert at_prompt.type("nc e --crlf -w 30s") == []
    peer, options = keyboard.held
    assert peer == at_prompt.shell.names["e"].address
    assert (options.label, options.crlf, options.silence_s) == ("nc#1", True, 30.0)
    assert [each.role for each in at_prompt.value("conns")] == ["listener"]


def test_whether_somebody_listens_can_be_asked(at_prompt: Session) -> None:
    at_prompt.type("echo :0 --as e")
    (line,) = at_prompt.type("nc -z e")
    assert re.fullmatch(r"ok  127\.0\.0\.1:\d+ listens: connected in \S+", line)
    port = at_prompt.value("e.address.port")
    at_prompt.type("e.stop()")
    assert "refused" in at_prompt.refused(f"nc -z :{port}")


def test_a_path_and_a_datagram_can_be_asked_for_by_a_letter(at_prompt: Session, tmp_path: Path) -> None:
    at_prompt.type(f"echo unix:{tmp_path}/s --as local\necho :0 --udp --as e")
    assert at_prompt.value(f"nc -U {tmp_path}/s --send hi --expect hi").data == b"hi"
    port = at_prompt.value("e.address.port")
    assert at_prompt.value(f"nc -u :{port} --send hi --expect hi").data == b"hi"
    assert at_prompt.value("nc -u e --send hi --expect hi").data == b"hi"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            "nc -u -U :1",
            "nc: --udp is for hosts, and --unix for paths: give one of them; unixgram:/path is both",
        ),
        (
            "nc -z :1 --send a",
            "nc: --zero says and hears nothing: leave out --send, --expect, --many and --listen",
        ),
        ("nc -z -u :1", "nc: --zero cannot tell of datagrams, which nobody answers for: --send something"),
        (
            "nc -l -u :0 --send a",
            "udp:127.0.0.1:0 has no connections to listen for: use bind('udp:127.0.0.1:0')",
        ),
    ],
)
def test_letters_that_do_not_go_together_are_refused(at_prompt: Session, line: str, why: str) -> None:
    assert at_prompt.refused(line) == why
