"""TLS at the prompt, with peers that are other programs, and what is said when it does not come about."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

from coshell.config import Settings
from coshell.console import Capture
from coshell.shell import Shell
from tests.certificates import issued
from tests.patience import PATIENCE_S, wait_for
from tests.shell.sessions import Session, session

HELLO = "GET / HTTP/1.0\\r\\n\\r\\n"


def check_peer(program: str) -> None:
    if shutil.which(program) is None:
        refuse = pytest.fail if os.environ.get("REQUIRE_PEERS") else pytest.skip
        refuse(f"{program} is not installed")


@pytest.fixture
def served(at_prompt: Session, files: SimpleNamespace) -> Session:
    """An echo server `e` over TLS, and one without, `plain`."""
    at_prompt.type(f"echo :0 --tls --cert {files.cert} --key {files.key} --as e\necho :0 --as plain")
    return at_prompt


@pytest.fixture
def openssl_server(files: SimpleNamespace) -> Iterator[Callable[..., str]]:
    """Starts OpenSSL's own server; its address."""
    check_peer("openssl")
    started: list[Any] = []

    def start(*options: str) -> str:
        command = ("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", files.cert, "-key", files.key)
        peer = subprocess.Popen(
            [*map(str, command), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(peer)
        for line in peer.stdout:
            if line.startswith("ACCEPT "):
                return line.split()[1]
        raise AssertionError("it ended")

    yield start
    for peer in started:
        peer.kill()
        peer.communicate()


# -- connecting


def test_the_first_line_of_a_connection_tells_what_was_agreed_on(
    served: Session, files: SimpleNamespace
) -> None:
    (line,) = served.type(f"connect e as c --tls --ca {files.ca}")
    assert re.fullmatch(
        r"ok  c connected \S+ -> \S+ in \S+  \(TLSv1\.3 TLS_\w+, certificate of organizationName=trustme .*\)",
        line,
    )
    assert served.type("send c hi\nrecv c")[-1] == "b'hi'"


def test_a_record_of_a_connection_tells_it_too(served: Session, files: SimpleNamespace) -> None:
    told = json.loads(served.type(f"connect e --tls --ca {files.ca} --servername localhost --json")[0])
    assert told["tls"]["version"] == "TLSv1.3"
    assert told["tls"]["server_name"] == "localhost"
    assert json.loads(served.type("connect plain --json")[0])["tls"] is None


def test_a_certificate_called_by_a_stranger_moves_no_cursor(
    at_prompt: Session, authority: trustme.CA, tmp_path: Path
) -> None:
    files = issued(authority, tmp_path, called="\x1b[2J\u202e")
    at_prompt.type(f"echo :0 --tls --cert {files.both} --as e")
    for line in (f"connect e as c --tls --ca {files.ca}", f"nc e --tls --ca {files.ca} --send a"):
        said = "".join(at_prompt.type(line))
        assert r"commonName=\x1b[2J\u202e" in said
        assert said.isprintable()


@pytest.mark.parametrize("command", ["connect", "nc"])
@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("e --tls", "certificate verify failed: "),
        ("e --tls", "; --ca FILE trusts those in FILE, --insecure takes any"),
        (
            "e --tls --ca {ca} --servername other",
            "; --servername NAME takes one for NAME, --insecure takes any",
        ),
        ("e --tls --ca {key}", "no certificates can be had from {key}: it is no PEM"),
        ("plain --tls --insecure", "an unexpected message, as from a peer that does not speak TLS"),
        ("udp:127.0.0.1:9 --tls", "--tls is for connections, and datagrams have none"),
        (
            "unix:/nowhere --tls",
            "unix:/nowhere is no host that a certificate could be for: give --servername",
        ),
        ("e --ca {ca}", ": --ca is for --tls"),
        ("e --tls --insecure --ca {ca}", ": --insecure trusts any certificate, --ca only some"),
    ],
)
def test_what_cannot_be_trusted_is_told_in_one_line(
    served: Session, files: SimpleNamespace, command: str, line: str, why: str
) -> None:
    end = " --send hi" if command == "nc" else ""
    said = served.refused(f"{command} {line.format(**vars(files))}{end}")
    assert why.format(**vars(files)) in said
    assert [row.role for row in served.value("conns")].count("client") == 0


def test_a_unix_socket_takes_the_name_from_the_option(
    at_prompt: Session, files: SimpleNamespace, tmp_path: Path
) -> None:
    at_prompt.type(f"echo unix:{tmp_path}/e --tls --cert {files.both} --as e")
    trusting = (f"--ca {files.ca} --servername localhost", "--insecure")
    for options in trusting:
        assert "< hi" in at_prompt.type(f"nc e --tls {options} --send hi --expect hi")


def test_without_trust_it_is_said_that_nobody_was_verified(served: Session) -> None:
    assert served.type("connect e as c --tls --insecure")[0].endswith(", certificate not verified)")


def test_the_end_of_our_half_is_said_in_words_of_tls(served: Session, files: SimpleNamespace) -> None:
    served.type(f"connect e as c --tls --ca {files.ca}\nconnect plain as p")
    assert served.type("shutdown c") == ["ok  c sent close_notify, and can still receive"]
    assert served.value("recv c") == b""
    assert served.type("shutdown p") == ["ok  p sent FIN, and can still receive"]


# -- nc, to others


def test_nc_holds_a_script_over_tls(served: Session, files: SimpleNamespace) -> None:
    first, *answer, summary = served.type(
        f"nc e --tls --ca {files.ca} --send a --expect a --send b --expect b"
    )
    assert first.startswith(". TLSv1.3 TLS_")
    assert answer == ["< ab"]
    assert summary.startswith(". sent 2 bytes, received 2 bytes in ")


def test_many_sessions_can_be_held_over_tls(served: Session, files: SimpleNamespace) -> None:
    (line,) = served.type(f"nc e --tls --ca {files.ca} --many 5 --send hi --expect hi")
    assert line.startswith("5 ok, 0 failed in ")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_nc_speaks_with_openssl(
    files: SimpleNamespace, openssl_server: Callable[..., str], version: str
) -> None:
    address = openssl_server("-www", version)
    with session() as opened:
        lines = opened.type(
            f'nc {address} --tls --ca {files.ca} --send "{HELLO}" --expect Protocol --timeout 40s'
        )
    assert lines[0].startswith(f". TLSv1.{version[-1]} ")
    assert "< HTTP/1.0 200 ok" in lines


def test_a_stream_that_ends_without_tls_having_said_so_is_told_of(
    files: SimpleNamespace, at_prompt: Session
) -> None:
    at_prompt.type("def cut(conn):\n    conn.handshake()\n    conn.sendall(b'half')\n    conn.abandon()")
    at_prompt.type(f"serve :0 cut --tls --cert {files.both} --as s")
    assert "without the close_notify of TLS" in at_prompt.refused(
        f"nc s --tls --ca {files.ca} --expect whole"
    )


# -- nc, who is called


class Telling(Capture):
    """A console that says when somebody can call, and where."""

    def __init__(self) -> None:
        super().__init__()
        self.port = ""
        self.listening = threading.Event()

    def write_line(self, text: str, style: str = "") -> None:
        super().write_line(text, style)
        if found := re.search(r"nc: listening on 127\.0\.0\.1:(\d+)", text):
            self.port = found[1]
            self.listening.set()


CLIENTS = {
    "openssl": lambda port, ca: ("s_client", "-quiet", "-connect", f"127.0.0.1:{port}", "-CAfile", ca),
    "ncat": lambda port, ca: ("--ssl", "--ssl-verify", "--ssl-trustfile", ca, "localhost", port),
}


@pytest.mark.parametrize("program", CLIENTS)
def test_nc_listens_and_speaks_with_others(files: SimpleNamespace, program: str) -> None:
    check_peer(program)
    console = Telling()
    line = f'nc -l :0 --tls --cert {files.cert} --key {files.key} --send "yes\\n" --expect hi --timeout 40s'
    with Shell(Settings(), console=console) as shell, ThreadPoolExecutor() as aside:
        result = aside.submit(shell.execute, line)
        wait_for(console.listening)
        command = [program, *CLIENTS[program](console.port, str(files.ca))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as peer:
            peer.stdin.write(b"hi\n")
            peer.stdin.flush()
            assert peer.stdout.readline() == b"yes\n"
            done = result.result(PATIENCE_S)
            peer.kill()
        assert done.ok, done.error
        assert (done.value.data, done.value.listened) == (b"hi\n", True)
    assert re.search(r"^\. TLSv1\.3 TLS_\w+(, asked for localhost)?$", console.text, re.MULTILINE)


def test_nc_listens_without_tls_as_well() -> None:
    console = Telling()
    with Shell(Settings(), console=console) as shell, ThreadPoolExecutor() as aside:
        result = aside.submit(shell.execute, "nc -l :0 --expect hi")
        wait_for(console.listening)
        assert shell.execute(f"connect :{console.port} as c\nsend c hi").ok
        assert result.result(PATIENCE_S).value.data == b"hi"
        shell.execute("close c")
        assert shell.execute("conns").value == []


def test_whoever_calls_without_tls_is_told_of(files: SimpleNamespace) -> None:
    console = Telling()
    with Shell(Settings(), console=console) as shell, ThreadPoolExecutor() as aside:
        result = aside.submit(shell.execute, f"nc -l :0 --tls --cert {files.both} --expect hi")
        wait_for(console.listening)
        shell.execute(f"connect :{console.port} as c\nsend c {HELLO!r}")
        assert result.result(PATIENCE_S).error.endswith(" failed: the peer does not speak TLS")
        shell.execute("close c")
        assert shell.execute("conns").value == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nc -l :0 --tls --send a", "nc: --tls needs --cert FILE and --key FILE: openssl "),
        ("nc -l :0 --cert c --send a", "nc: --cert is for --tls"),
        ("nc :1 --tls --cert c --send a", "nc: --cert is for --listen: who connects shows none"),
        ("nc -l :0 --insecure --send a", "nc: --insecure is for who connects: leave out --listen"),
        ("nc -l :0 --many 2 --send a", "nc: --many connects, --listen waits for one: give one of them"),
        ("nc :1 --public --send a", "nc: --public is for --listen"),
        ("nc -l 0.0.0.0:0 --send a", "other machines could connect to 0.0.0.0:0: give --public"),
        ("nc -l udp::0 --send a", "udp:127.0.0.1:0 has no connections to listen for"),
        ("nc -l :0 --send a -w 2s", "nobody has connected to 127.0.0.1:"),
        ("nc -l :0 --send a --timeout 2s", "nobody has connected to 127.0.0.1:"),
    ],
)
def test_what_cannot_be_listened_for_is_told_in_one_line(at_prompt: Session, line: str, why: str) -> None:
    assert at_prompt.refused(line).startswith(why)
    assert at_prompt.value("conns") == []


# -- serve


def test_a_handler_of_the_users_is_served_over_tls(at_prompt: Session, files: SimpleNamespace) -> None:
    at_prompt.type("def shout(conn):\n    while data := conn.recv():\n        conn.sendall(data.upper())")
    at_prompt.type(f"serve :0 shout --tls --cert {files.cert} --key {files.key} --as s")
    assert "< HI" in at_prompt.type(f"nc s --tls --ca {files.ca} --send hi")


def test_a_certificate_that_cannot_be_had_opens_nothing(at_prompt: Session, files: SimpleNamespace) -> None:
    said = at_prompt.refused(f"serve :0 {{print}} --tls --cert {files.cert}")
    assert said.startswith("no certificate and key can be had from ")
    assert at_prompt.value("conns") == []


def test_in_a_rerun_a_server_shows_the_certificate_as_it_is_now(
    at_prompt: Session, authority: trustme.CA, tmp_path: Path
) -> None:
    files = issued(authority, tmp_path, called="first")
    line = f"serve :0 {{lambda conn: conn.recv()}} --tls --cert {files.both} --as s"
    connect = f"connect s --tls --ca {files.ca}"
    at_prompt.type(line)
    assert "commonName=first" in at_prompt.value(connect).tls.peer_subject
    issued(authority, tmp_path, called="second")
    with at_prompt.shell.rerun():
        at_prompt.type(line)
    assert "commonName=second" in at_prompt.value(connect).tls.peer_subject
    with at_prompt.shell.rerun():
        said = at_prompt.refused("serve :0 {lambda conn: conn.recv()} --as s")
    assert said.endswith(" is served over TLS, and that stays so")
