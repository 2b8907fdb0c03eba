"""Servers with callbacks, in the shell and in workers: what `--on`, `on` and `set` say is what happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coshell.console import Capture
from coshell.shell import Shell
from tests.plugins.at_the_prompt import do, error, have_all_workers_heard

ANSWER = "def answer(connection, message): connection.send(message.upper())"


@pytest.fixture
def shell() -> Iterator[Shell]:
    with Shell(console=Capture()) as shell:
        shell.plugins.load("coshell_plugins.server")
        do(shell, ANSWER)
        yield shell


@pytest.fixture(params=["", "--workers 1"])
def workers(request: pytest.FixtureRequest) -> str:
    option: str = request.param
    return option


def test_messages_are_whole_and_counted(shell: Shell, workers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    have_all_workers_heard(monkeypatch)
    do(shell, f"server start web :0 --on receive=answer --framing line {workers}", "connect web as c")
    do(shell, "c.sendall(b'one\\ntwo\\nth')")
    assert shell.evaluate("c.recv_exactly(8)") == b"ONE\nTWO\n"
    do(shell, "c.sendall(b'ree\\n')")
    assert shell.evaluate("c.recv_exactly(6)") == b"THREE\n"
    record = do(shell, "server status web").value
    assert (record.requests, record.connections, record.handler) == (3, 1, "answer")


def test_a_message_that_is_too_long_ends_its_connection(shell: Shell, workers: str) -> None:
    do(
        shell,
        f"server start web :0 --on receive=answer --framing line --limit 10 {workers}",
        "connect web as c",
    )
    do(shell, "c.sendall(b'x' * 100)")
    assert shell.evaluate("c.recv()") == b""


def test_a_silent_connection_is_closed(shell: Shell, workers: str) -> None:
    do(shell, f"server start web :0 --on receive=answer --idle 0.1s {workers}", "connect web as c")
    assert shell.evaluate("c.recv(timeout=20)") == b""


def test_a_silent_peer_is_asked_whether_it_lives(shell: Shell, workers: str) -> None:
    do(shell, f"server start web :0 --on receive=answer --heartbeat 0.1s {workers}", "connect web as c")
    assert shell.evaluate("c.recv(timeout=20)") == b"\n"


def test_several_callbacks_share_their_globals(shell: Shell, workers: str) -> None:
    do(
        shell,
        "here = {}",
        "def enter(connection): here[connection.id] = connection.peer",
        "def leave(connection): del here[connection.id]",
        "def count(connection, message): connection.send(b'%d' % len(here))",
        f"server start web :0 --on connect=enter --on receive=count --on close=leave {workers}",
        "connect web as c",
        "send c hi",
    )
    assert shell.evaluate("recv(c)") == b"1"


def test_a_callback_can_be_exchanged_while_it_runs(shell: Shell, workers: str) -> None:
    do(shell, f"server start web :0 --on receive=answer {workers}", "connect web as c", "send c hi", "recv c")
    do(shell, "def other(connection, message): connection.send(b'other')", "server on web receive other")
    do(shell, "send c hi")
    assert shell.evaluate("recv(c)") == b"other"
    do(shell, "server reload web", "connect web as d", "send d hi")
    assert shell.evaluate("recv(d)") == b"other"


def test_a_reload_evaluates_the_callbacks_again(shell: Shell, workers: str) -> None:
    do(shell, f"server start web :0 --on receive=answer {workers}")
    do(shell, "def answer(connection, message): connection.send(b'anew')", "server reload web")
    do(shell, "connect web as c", "send c hi")
    assert shell.evaluate("recv(c)") == b"anew"


def test_a_setting_can_be_changed_while_it_runs(shell: Shell, workers: str) -> None:
    do(shell, f"server start web :0 --on receive=answer {workers}", "connect web as c", "send c hi", "recv c")
    do(shell, "server set web idle 100ms")
    assert shell.evaluate("c.recv(timeout=20)") == b""
    do(shell, "server set web idle none", "server set web max-connections 1")


def test_from_python_functions_can_be_given_as_they_are(shell: Shell, workers: str) -> None:
    count = workers.removeprefix("--workers ") or None
    do(
        shell,
        f"co.server('start', 'web', ':0', on={{'receive': lambda c, m: c.send(m * 2)}}, workers={count})",
    )
    do(shell, "connect web as c", "send c hi")
    assert shell.evaluate("recv(c)") == b"hihi"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("server start web :0 --on recieve=answer", "did you mean 'on_receive'?"),
        ("server start web :0 --on receive", "--on takes EVENT=EXPRESSION"),
        ("server start web :0 --on receive=42", "'42' is no function but a int"),
        ("server start web :0 --on receive=answer --framing lime", "no such framing: 'lime'"),
        ("server start web :0 --on receive=answer --idle 0s", "idle must be more than 0 seconds"),
        (
            "server start web :0 answer --on receive=answer",
            "a handler or on_connect, on_receive and on_close, not both",
        ),
        ("server start web :0 --on message=answer", "there must be on_receive"),
        ("server on web receive answer", "no server 'web' was started here"),
    ],
)
def test_misuse_is_one_line_and_starts_nothing(shell: Shell, line: str, why: str, workers: str) -> None:
    assert why in error(shell, f"{line} {workers}" if "start" in line else line)
    assert shell.snapshot().sockets == ()
    assert len(shell.snapshot().coroutines) == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("server set web idel 5s", "no setting 'idel'"),
        ("server set web idle soon", "idle: not a duration"),
        ("server set web overflow sink", "overflow must be 'suspend' or 'fail'"),
        ("server on web recieve answer", "did you mean 'on_receive'?"),
        ("server on web receive nonsense", "nonsense: NameError"),
        ("server reload web answer", "server 'web' has callbacks: server on web EVENT EXPR"),
    ],
)
def test_what_cannot_be_changed_is_one_line_and_stays(
    shell: Shell, line: str, why: str, workers: str
) -> None:
    do(shell, f"server start web :0 --on receive=answer {workers}")
    assert why in error(shell, line)
    do(shell, "server reload web", "connect web as c", "send c hi")
    assert shell.evaluate("recv(c)") == b"HI"


def test_a_callback_may_be_put_in_as_a_handler_may(shell: Shell, workers: str) -> None:
    record = do(
        shell,
        f"server start web :0 --on receive={{lambda c, m: c.send(m.swapcase())}} --on close={{print}} {workers}",
    ).value
    assert record.handler == "lambda c, m: c.send(m.swapcase()),print"
    do(shell, "connect web as c", "send c hI")
    assert shell.evaluate("recv(c)") == b"Hi"


def test_a_lambda_is_listed_by_its_text_cut_short(shell: Shell, workers: str) -> None:
    do(shell, f"server start web :0 {{lambda conn: conn.sendall(b'good bye')}} {workers}")
    (record,) = do(shell, "server list").value
    assert (record.handler, record.brief) == (
        "lambda conn: conn.sendall(b'good bye')",
        "lambda conn: conn.senda…",
    )


# -- in workers


def test_the_server_starts_once_and_each_worker_once(shell: Shell) -> None:
    do(
        shell,
        "def begin(server): print('server starts')",
        "def begin_worker(server, number): print('worker starts', number)",
        "def end_worker(server, number): print('worker stops', number)",
        "server start web :0 --on receive=answer --on start=begin --on worker_start=begin_worker "
        "--on worker_stop=end_worker --workers 2",
        "server reload web",
        "@wait len(co.server('logs', 'web')) == 7 within 20s",
    )
    lines = sorted((line.worker, line.text) for line in shell.evaluate("co.server('logs', 'web')"))
    assert lines == [
        (1, "server starts"),
        (1, "worker starts 1"),
        (1, "worker starts 1"),
        (1, "worker stops 1"),
        (2, "worker starts 2"),
        (2, "worker starts 2"),
        (2, "worker stops 2"),
    ]


def test_at_the_end_one_worker_shuts_the_server_down(shell: Shell, tmp_path: object) -> None:
    do(
        shell,
        f"place = {str(tmp_path)!r}",
        "def down(server): open(f'{place}/{server.worker}', 'x').close()",
        "server start web :0 --on receive=answer --on shutdown=down --workers 3",
        "server reload web",
        "import os",
    )
    assert shell.evaluate("os.listdir(place)") == []
    do(shell, "server stop web --drain 5s")
    assert len(shell.evaluate("os.listdir(place)")) == 1


def test_what_fails_before_the_first_connection_is_said_at_once(shell: Shell, workers: str) -> None:
    do(shell, "def fail(server, number): raise RuntimeError('no database')")
    why = error(shell, f"server start web :0 --on receive=answer --on worker_start=fail {workers}")
    assert "RuntimeError: no database" in why
    assert shell.snapshot().sockets == ()


def test_workers_send_each_other_messages(shell: Shell) -> None:
    do(
        shell,
        "def pass_on(connection, message):\n"
        "    server = connection.server\n"
        "    server.send_message(3 - server.worker, {'text': message.decode(), 'n': [1, None]})\n"
        "    connection.send(b'%d' % server.worker)",
        "def hear(server, sender, data): print('worker', server.worker, 'hears from', sender, data)",
        "server start web :0 --on receive=pass_on --on message=hear --workers 2",
        "connect web as c",
        "send c hi",
    )
    sender = int(shell.evaluate("recv(c)"))
    do(shell, "@wait len(co.server('logs', 'web')) == 1 within 20s")
    (line,) = shell.evaluate("co.server('logs', 'web')")
    receiver = 3 - sender
    assert (line.worker, line.text) == (
        receiver,
        f"worker {receiver} hears from {sender} {{'text': 'hi', 'n': [1, None]}}",
    )


@pytest.mark.parametrize(
    ("to", "data", "why"),
    [
        (1, "b'bytes'", "it cannot be sent as JSON"),
        (1, "'x' * 2_000_000", "is too long, 1,048,576 are allowed"),
        (1, "float('nan')", "it cannot be sent as JSON"),
    ],
)
def test_a_message_that_cannot_be_sent_is_the_senders_error(
    shell: Shell, to: int, data: str, why: str
) -> None:
    do(
        shell,
        f"def send_it(connection, message):\n    try: connection.server.send_message({to}, {data})\n"
        "    except ValueError as error: connection.send(str(error).encode())",
        "server start web :0 --on receive=send_it --workers 1",
        "connect web as c",
        "send c hi",
    )
    assert why in shell.evaluate("recv(c)").decode()


def test_a_message_to_a_worker_that_is_not_there_is_told_in_the_senders_log(shell: Shell) -> None:
    do(
        shell,
        "def send_it(connection, message): connection.server.send_message(7, 'hello')",
        "server start web :0 --on receive=send_it --workers 1",
        "connect web as c",
        "send c hi",
        "@wait len(co.server('logs', 'web')) == 1 within 20s",
    )
    (line,) = shell.evaluate("co.server('logs', 'web')")
    assert (line.worker, line.text) == (1, "a message to worker 7 is lost: it is not there")


def test_idle_connections_end_at_once_when_their_worker_is_replaced(shell: Shell) -> None:
    do(
        shell,
        "server start web :0 --on receive=answer --workers 1 --max-wait 40s",
        "connect web as c",
        "send c hi",
        "recv c",
        "server reload web",
    )
    assert shell.evaluate("recv(c)") == b""
