"""`echo`, in all its kinds."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

import coloop
from coshell.commands.echo import COMMANDS
from coshell.echoing import Faults
from tests.shell.sessions import Session, check_example, check_json, each_example, session


@each_example(*COMMANDS)
def test_every_example_runs_as_it_stands(command, example) -> None:
    check_example(command, example)


@each_example(*COMMANDS)
def test_every_command_speaks_json(command, example) -> None:
    check_json(command, example)


# -- what goes together


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("echo", "echo: ADDRESS is missing; only --unix finds one by itself"),
        ("echo --udp", "echo: ADDRESS is missing; only --unix finds one by itself"),
        ("echo :0 --workers 0", "echo: --workers must be more than 0, not 0"),
        ("echo :0 --udp --delay 0", "echo: --delay must be more than 0, not 0.0"),
        ("echo :0 --udp --workers 2", "echo: --workers is for connections, and datagrams have none"),
        ("echo udp::0 --tls", "echo: --tls is for connections, and datagrams have none"),
        (
            "echo :0 --udp --chunk 1",
            "echo: --chunk makes no sense for datagrams: each comes whole, or not at all",
        ),
        ("echo udp::0 --reset-after 1", "echo: --reset-after makes no sense for datagrams: each comes whole"),
        (
            "echo /a --unix --udp --half-close-after 1",
            "echo: --half-close-after makes no sense for datagrams",
        ),
        ("echo udp::0 --unix", "echo: --unix takes a path, and udp::0 is none"),
        ("echo :0 --cert c", "echo: --cert is for --tls"),
        ("echo :0 --key k", "echo: --key is for --tls"),
        ("echo :0 --tls", "echo: --tls needs --cert FILE and --key FILE: openssl req -x509 "),
        ("echo 0.0.0.0:0 --udp", "other machines could connect to udp:0.0.0.0:0: give --public"),
        ("echo 0.0.0.0:0 --workers 2", "other machines could connect to 0.0.0.0:0: give --public"),
        ("echo /no/where/at/all --unix", "cannot listen on unix:/no/where/at/all: no such file or directory"),
        ("echo :0 --workers 2", "no plugin is loaded that starts worker processes"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(at_prompt: Session, line: str, why: str) -> None:
    assert at_prompt.refused(line).startswith(why)
    assert at_prompt.value("conns") == []


# -- datagrams


def test_datagrams_are_echoed(at_prompt: Session) -> None:
    (line,) = at_prompt.type("echo :0 --udp --as e")
    assert line.startswith("ok  echo#1 listening on udp:127.0.0.1:")
    assert line.endswith("  (co#2)")
    assert at_prompt.type("connect e as c\nsend c hi\nrecv c")[-1] == "b'hi'"
    assert [(one.name, one.role) for one in at_prompt.value("conns")] == [
        ("echo#1", "bound"),
        ("c", "client"),
    ]
    assert at_prompt.type("close e") == ["ok  e stopped"]
    assert at_prompt.refused("connect 'echo#1'").startswith("no server 'echo#1'")
    assert [one.name for one in at_prompt.shell.living()] == ["shell"]


@pytest.mark.parametrize("address", ["('127.0.0.1', 0)", "'udp:127.0.0.1:0'", "'127.0.0.1:0'"])
def test_an_address_of_datagrams_may_be_written_in_each_way(at_prompt: Session, address: str) -> None:
    assert at_prompt.value(f"echo {{{address}}} --udp").address.startswith("udp:127.0.0.1:")


def test_an_echo_of_datagrams_takes_the_faults_that_make_sense(at_prompt: Session) -> None:
    at_prompt.type("echo :0 --udp --as e --drop 3 --corrupt 2 --delay 1s --slow-read 1K")
    assert at_prompt.shell.names["e"].faults == Faults(delay_s=1.0, drop=3, corrupt=2, slow_read=1024)


# -- unix sockets


def test_a_private_place_is_made_that_nobody_else_may_enter_and_goes_with_the_shell() -> None:
    with session() as opened:
        first, second = opened.value("echo --unix --as e").address, opened.value("echo --unix --udp").address
        folder = Path(first.removeprefix("unix:")).parent
        assert second == f"unixgram:{folder}/echo#2"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert opened.type('nc e --send "hi\\n" --expect hi')
        opened.type("close e")
        assert [one.name for one in folder.iterdir()] == ["echo#2"]
    assert not folder.exists()


@pytest.mark.parametrize("prefix", ["", "unix:"])
def test_a_path_may_be_given(at_prompt: Session, tmp_path: Path, prefix: str) -> None:
    assert at_prompt.value(f"echo {prefix}{tmp_path}/e --unix --as e").address == f"unix:{tmp_path}/e"
    assert at_prompt.type('nc e --send "hi\\n" --expect hi')
    assert at_prompt.value("conns")[0].local == f"unix:{tmp_path}/e"


def test_datagrams_may_go_through_a_path_too(at_prompt: Session, tmp_path: Path) -> None:
    at_prompt.type(f"echo {tmp_path}/e --unix --udp --as e\nb = bind('unixgram:{tmp_path}/b')")
    assert at_prompt.value("b.sendto(b'hi', e.address), b.recv()") == (2, b"hi")


# -- TLS


@pytest.fixture
def over_tls(at_prompt: Session, authority: trustme.CA) -> Callable[[], object]:
    """Connects to `e`, as `c`."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    at_prompt.shell.names["trusting"] = context
    return lambda: at_prompt.type("c = connect(e.address, tls=trusting)")


def test_it_speaks_tls_with_a_certificate_and_its_key(
    at_prompt: Session, files: SimpleNamespace, over_tls: Any
) -> None:
    at_prompt.type(f"echo :0 --tls --cert {files.cert} --key {files.key} --as e")
    over_tls()
    assert at_prompt.type("send c hi\nrecv c")[-1] == "b'hi'"
    assert at_prompt.value("c.tls.version") == "TLSv1.3"


def test_the_key_may_stand_beside_its_certificate(
    at_prompt: Session, files: SimpleNamespace, over_tls: Any
) -> None:
    at_prompt.type(f"echo :0 --tls --cert {files.both} --as e")
    over_tls()
    assert at_prompt.type("send c hi\nrecv c")[-1] == "b'hi'"


@pytest.mark.parametrize(
    ("fault", "answers"),
    [
        ("--corrupt 1", [b"`bc", b"`bc"]),
        ("--delay 1s", [b"abc", b"abc"]),
        ("--half-close-after 4", [b"abc", b"a", b""]),
        ("--reset-after 4", [b"abc", b"a", "ConnectionResetError"]),
        ("--slow-read 100", [b"abc", b"abc"]),
    ],
)
def test_the_faults_are_those_of_other_connections(
    at_prompt: Session, files: SimpleNamespace, over_tls: Any, fault: str, answers: list[bytes | str]
) -> None:
    at_prompt.type(f"echo :0 --tls --cert {files.both} --as e {fault}")
    over_tls()
    at_prompt.type(ASKING)
    assert at_prompt.value(f"[ask() for _ in range({len(answers)})]") == answers


ASKING = """\
def ask():
    try:
        c.sendall(b"abc")
        return c.recv()
    except OSError as error:
        return type(error).__name__
"""


@pytest.mark.parametrize(
    ("cert", "why"),
    [
        ("{folder}/nothing.pem", "no such file or directory"),
        ("{folder}/key.pem", "they are no pair in pem"),
        ("{folder}/cert.pem", "they are no pair in pem"),
    ],
)
def test_what_is_no_certificate_with_a_key_is_refused_in_one_line(
    at_prompt: Session, files: SimpleNamespace, cert: str, why: str
) -> None:
    path = cert.format(folder=files.cert.parent)
    said = at_prompt.refused(f"echo :0 --tls --cert {path}")
    assert said.startswith(f"no certificate and key can be had from {path}: ")
    assert why in said.lower()


def test_a_key_with_a_password_is_not_asked_for_at_the_terminal(
    at_prompt: Session, files: SimpleNamespace, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked = key.private_bytes(*form, serialization.BestAvailableEncryption(b"secret"))
    (tmp_path / "locked.pem").write_bytes(locked)
    said = at_prompt.refused(f"echo :0 --tls --cert {files.cert} --key {tmp_path}/locked.pem")
    assert said.endswith("locked.pem: they are no pair in PEM, or the key has a password")
    assert "phrase" not in "".join(capfd.readouterr())


# -- workers


class Pool:
    """What a plugin has started."""

    address, state, connections = "127.0.0.1:8080", "running", ()

    def stop(self, drain: float = 0.0) -> bool:
        self.state = "stopped"
        return True


def test_workers_are_started_by_whoever_can(at_prompt: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[Any, ...]] = []

    def start(*asked: Any) -> Pool:
        started.append(asked)
        at_prompt.shell.things.add("server", pool := Pool())
        return pool

    monkeypatch.setattr(at_prompt.shell.plugins, "start_workers", start)
    assert at_prompt.type("echo :8080 --workers 2 --as e --drop 2") == [
        "ok  e listening on 127.0.0.1:8080  (2 workers)"
    ]
    at_prompt.type("echo1 = None\necho :8081 --workers 1")
    assert [(name, place, workers) for name, place, _, workers, _ in started] == [
        ("e", ":8080", 2),
        ("echo2", ":8081", 1),
    ]
    first = at_prompt.shell.names["echo2"] = at_prompt.shell.things["server#2"].value
    at_prompt.shell.bind("echo2", first)
    with at_prompt.shell.rerun():
        at_prompt.type("echo :8081 --workers 3\necho :8082 --workers 1")
    assert [(name, workers) for name, _, _, workers, _ in started[2:]] == [("echo2", 3), ("echo3", 1)]
    assert at_prompt.type("close 'server#1'") == ["ok  server#1 stopped"]
    assert at_prompt.refused("close 'server#1'").startswith("no socket 'server#1'")


def test_in_a_rerun_each_of_several_at_one_address_is_found_again(
    at_prompt: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell, started = at_prompt.shell, []

    def start(name: str, *_: Any) -> Any:
        started.append(name)
        if name not in shell.bound:
            shell.bind(name, Pool())
            shell.things.add("server", shell.names[name])
        return shell.names[name]

    monkeypatch.setattr(shell.plugins, "start_workers", start)
    file = "echo :0 --workers 1 --as e\necho :0 --workers 1\necho :0 --workers 1 --as f"
    at_prompt.type(file)
    with shell.rerun():
        at_prompt.type(file)
    assert started == ["e", "echo1", "f"] * 2


def test_the_handler_of_workers_can_be_handed_to_another_process() -> None:
    import pickle

    from coshell.echoing import echo_handler

    assert pickle.loads(pickle.dumps(echo_handler(Faults()))) is echo_handler(Faults())
    handler = pickle.loads(pickle.dumps(echo_handler(Faults(corrupt=1))))

    def main() -> bytes:
        with coloop.serve("127.0.0.1:0", handler) as server, coloop.connect(server.address) as client:
            client.sendall(b"a")
            return client.recv()

    assert coloop.run(main) == b"`"


# -- once more


def test_in_a_rerun_each_kind_is_given_the_new_faults(at_prompt: Session, tmp_path: Path) -> None:
    lines = [
        "echo :0 --udp --as u",
        "echo --unix --as x",
        f"echo {tmp_path}/e --unix --udp --as d",
        "echo :0 --as t",
    ]
    addresses = [at_prompt.value(line).address for line in lines]
    with at_prompt.shell.rerun():
        again = [at_prompt.value(f"{line} --drop 2").address for line in lines]
    assert again == addresses
    names = at_prompt.shell.names
    assert (names["u"].faults.drop, names["d"].faults.drop) == (2, 2)
    assert list(at_prompt.shell.things) == ["echo#1", "echo#2", "echo#3", "echo#4"]
    at_prompt.type("connect x as c")
    assert at_prompt.type("send c a\nrecv c\nsend c b")[1] == "b'a'"
    assert "timed out" in at_prompt.refused("recv c --timeout 1s")
