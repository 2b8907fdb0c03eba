"""Servers over TLS, in the shell and in workers: whoever serves reads the files, and a reload reads them anew."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

from coloop import SocketPicture
from coshell.certificate import Certificate
from coshell.console import Capture
from coshell.shell import Shell
from coshell_plugins.serving.recipe import Recipe
from coshell_plugins.worker.shipping import pack
from tests.certificates import issued
from tests.plugins.at_the_prompt import do, error, until

SHOUT = "def shout(conn):\n    while data := conn.recv():\n        conn.sendall(data.upper())"
ANSWER = "def answer(connection, message): connection.send(message.upper())"
APP = "def app(request): return request.path"


@pytest.fixture
def shell(console: Capture) -> Iterator[Shell]:
    with Shell(console=console) as shell:
        for plugin in ("server", "http"):
            shell.plugins.load(f"coshell_plugins.{plugin}")
        do(shell, SHOUT, ANSWER, APP)
        yield shell


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> SimpleNamespace:
    return issued(authority, tmp_path, called="first")


@pytest.fixture(params=["", "--workers 2"])
def workers(request: pytest.FixtureRequest) -> str:
    option: str = request.param
    return option


def tls(files: SimpleNamespace) -> str:
    return f"--tls --cert {files.cert} --key {files.key}"


def subjects(shell: Shell, files: SimpleNamespace, count: int = 6) -> set[str]:
    """What those who answer show, of many connections."""
    told = [do(shell, f"nc web --tls --ca {files.ca} --send hi --expect HI").value for _ in range(count)]
    return {one.tls.peer_subject.partition("commonName=")[2] for one in told}


def test_a_handler_is_served_over_tls(shell: Shell, files: SimpleNamespace, workers: str) -> None:
    record = do(shell, f"server start web :0 shout {tls(files)} {workers}").value
    assert record.certificate == str(files.cert)
    assert subjects(shell, files) == {"first"}
    assert shell.evaluate("web.tls") is True


def test_a_worker_reads_its_certificate_without_the_shell(shell: Shell, files: SimpleNamespace) -> None:
    """What a shell needs for its screen would be a megabyte on the account of each worker."""
    do(
        shell,
        "import sys",
        "def told(conn): conn.sendall(b'shell' if 'coshell.text' in sys.modules else b'none')",
    )
    do(shell, f"server start web :0 told {tls(files)} --workers 1")
    do(shell, f"nc web --tls --ca {files.ca} --expect none")


def test_openssl_verifies_it(shell: Shell, files: SimpleNamespace, workers: str) -> None:
    do(shell, f"server start web :0 shout {tls(files)} {workers}")
    address = str(shell.evaluate("web.address"))
    command = [
        "openssl",
        "s_client",
        "-quiet",
        "-verify_return_error",
        "-CAfile",
        files.ca,
        "-connect",
        address,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as peer:
        peer.stdin.write(b"hello\n")
        peer.stdin.flush()
        assert peer.stdout.readline() == b"HELLO\n"
        peer.kill()


def test_callbacks_are_served_over_tls(shell: Shell, files: SimpleNamespace, workers: str) -> None:
    do(shell, f"server start web :0 --on receive=answer --framing line {tls(files)} {workers}")
    done = do(
        shell, f'nc web --tls --ca {files.ca} --send "one\\ntw" --expect ONE --send "o\\n" --expect TWO'
    )
    assert done.value.data == b"ONE\nTWO\n"


def test_a_reload_shows_the_certificate_that_the_files_hold_now(
    shell: Shell, authority: trustme.CA, files: SimpleNamespace, tmp_path: Path, workers: str
) -> None:
    do(shell, f"server start web :0 shout {tls(files)} {workers}", f"connect web as c --tls --ca {files.ca}")
    issued(authority, tmp_path, called="second")
    assert do(shell, "server reload web").value.reloads == 1
    assert subjects(shell, files) == {"second"}
    if not workers:  # they are given time to end, and this one stays
        do(shell, "send c still")
        assert do(shell, "recv c").value == b"STILL"


def test_a_handler_that_was_put_in_is_kept_when_the_certificate_is_renewed(
    shell: Shell, authority: trustme.CA, files: SimpleNamespace, tmp_path: Path
) -> None:
    do(shell, f"server start web :0 {{shout}} {tls(files)}")
    issued(authority, tmp_path, called="second")
    do(shell, "server reload web")
    assert subjects(shell, files) == {"second"}


def test_files_that_are_no_pair_any_more_replace_nothing(
    shell: Shell, authority: trustme.CA, files: SimpleNamespace, tmp_path: Path, workers: str
) -> None:
    do(shell, f"server start web :0 shout {tls(files)} {workers}")
    (tmp_path / "other").mkdir()
    other = issued(authority, tmp_path / "other", called="other")
    files.key.write_bytes(other.key.read_bytes())
    for line in ("server reload web", "server restart web"):
        said = error(shell, line)
        assert said.startswith("no certificate and key can be had from ")
        assert said.endswith(": the key is that of another certificate")
    assert subjects(shell, files) == {"first"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("server start web :0 shout --tls", "server: --tls needs --cert FILE and --key FILE: openssl req "),
        ("server start web :0 shout --cert {cert}", "server: --cert is for --tls"),
        ("server start web :0 shout --tls --cert /no", "no certificate and key can be had from /no: no such"),
        ("server start web :0 shout --tls --cert {cert}", "no certificate and key can be had from {cert}: "),
        ("http start :0 app --as web --tls --cert {key}", "no certificate and key can be had from {key}: "),
        ("echo :0 --as web --tls --cert {key}", "no certificate and key can be had from {key}: "),
    ],
)
def test_what_cannot_be_shown_starts_nothing(
    shell: Shell, files: SimpleNamespace, line: str, why: str, workers: str
) -> None:
    assert error(shell, f"{line} {workers}".format(**vars(files))).startswith(why.format(**vars(files)))
    assert shell.plugins.processes() == []
    assert shell.execute("conns").value == []


def test_workers_that_come_later_read_the_files_too(shell: Shell, files: SimpleNamespace) -> None:
    do(shell, f"server start web :0 shout {tls(files)} --workers 1", "server scale web 2")
    assert subjects(shell, files, 10) == {"first"}


def test_what_is_sent_to_a_worker_holds_no_key(files: SimpleNamespace, shell: Shell) -> None:
    recipe = Recipe("shout", certificate=Certificate(files.cert, files.key))
    sent = b64decode(pack(recipe.offer(shell)))
    assert b"key.pem" in sent
    assert b"PRIVATE KEY" not in sent


def test_a_restart_keeps_the_certificate(shell: Shell, files: SimpleNamespace, workers: str) -> None:
    do(shell, f"server start web :0 shout {tls(files)} {workers}", "server restart web")
    assert subjects(shell, files) == {"first"}


def test_whoever_runs_the_file_again_shows_what_the_files_hold_now(
    shell: Shell, authority: trustme.CA, files: SimpleNamespace, tmp_path: Path, workers: str
) -> None:
    line = f"server start web :0 shout {tls(files)} {workers}"
    do(shell, line)
    issued(authority, tmp_path, called="second")
    with shell.rerun():
        do(shell, line)
    assert subjects(shell, files) == {"second"}


def test_status_tells_the_certificate_and_without_one_nothing_of_it(
    shell: Shell, files: SimpleNamespace, console: Capture
) -> None:
    do(shell, "server start plain :0 shout", "server status plain")
    assert "CERTIFICATE" not in console.text
    do(shell, f"server start web :0 shout {tls(files)}")
    do(shell, "server status web")
    assert f"certificate {files.cert}" in console.text


def test_an_app_in_workers_is_asked_by_curl(shell: Shell, files: SimpleNamespace) -> None:
    do(shell, f"http start :0 app --as web {tls(files)} --workers 2")
    url = f"https://localhost:{shell.evaluate('web.address.port')}/x"
    asked = subprocess.run(["curl", "-sS", "--cacert", files.ca, url], capture_output=True, text=True)
    assert (asked.stdout, asked.stderr) == ("/x", "")
    assert do(shell, f"http get web/y --ca {files.ca}").value.text == "/y"


def test_an_echo_in_workers_speaks_tls(shell: Shell, files: SimpleNamespace) -> None:
    do(shell, f"echo :0 --as web {tls(files)} --workers 2")
    assert do(shell, f"nc web --tls --ca {files.ca} --send hi --expect hi").value.data == b"hi"


def test_whoever_runs_the_file_again_without_tls_is_asked_for_by_another_url(
    shell: Shell, files: SimpleNamespace
) -> None:
    line = "http start :0 app --as web --workers 1"
    do(shell, f"{line} {tls(files)}")
    assert do(shell, f"http get web/ --ca {files.ca}").value.url.startswith("https://")
    with shell.rerun():
        do(shell, line)
    assert do(shell, "http get web/").value.url.startswith("http://")


def test_what_a_worker_tells_of_its_sockets_is_whole(shell: Shell, files: SimpleNamespace) -> None:
    do(
        shell,
        f"server start web :0 shout {tls(files)} --workers 1",
        f"connect web as c --tls --ca {files.ca}",
    )

    def told() -> dict[str, SocketPicture]:
        return {held.role: held for process in shell.plugins.processes() for held in process.sockets}

    until(
        lambda: getattr(told().get("server"), "tls", None), "a picture of a connection, behind its handshake"
    )
    server, listener = told()["server"], told()["listener"]
    assert server.tls is not None
    assert server.tls.version.startswith("TLSv1.")
    assert server.waiting is None
    assert (listener.tls, listener.waiting) == (None, 0 if sys.platform == "linux" else None)
