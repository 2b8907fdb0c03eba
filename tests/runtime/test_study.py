"""The tutorial's scripts run almost word for word, and its bugs are refused or survived."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coloop
from coloop import AlreadyRunning, Deadlock, NotRunning, NotSuspended, connect, current_scheduler, run, study
from coloop.study import Sco, Server, Sgo
from coloop.testing import MockClock, wait_until_idle

coroutine = pytest.mark.coroutine

RECEIVE_BUFFER = """
from coloop.study import Sco, Server, Sgo

def main():
    serv = Server("127.0.0.1", 0)
    print(serv.port, flush=True)
    while True:
        connfd = serv.accept()
        while True:
            buf = serv.recv(connfd)
            if buf is False:
                print(serv.errCode, serv.errMsg, flush=True)
                break
            serv.send(connfd, buf)

Sgo(main)
Sco.scheduler()
"""

STACKS = """
from coloop.study import Sco, Sgo

while True:
    Sgo(lambda: print(Sco.getCid()))
"""


@pytest.fixture
def start() -> Iterator[Any]:
    started = []

    def start(script: str) -> "subprocess.Popen[str]":
        environment = {"PYTHONPATH": str(Path(coloop.__file__).parent.parent)}
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


# -- the two scripts -----------------------------------------------------------------------------


def test_the_script_of_the_receive_buffer(start: Any) -> None:
    process = start(RECEIVE_BUFFER)
    port = int(process.stdout.readline())
    for text in (b"hello", b"with a \0 in it"):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(text)
            assert client.recv(100) == text
        assert process.stdout.readline() == "1002 Session closed by client\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr.read().endswith("\nKeyboardInterrupt\n")
    assert process.wait() == -signal.SIGINT


def test_the_script_of_the_stacks_goes_on_past_the_id_at_which_it_died_there(start: Any) -> None:
    process = start(STACKS)
    for expected in range(1, 20_001):
        assert int(process.stdout.readline()) == expected
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    assert process.stderr.read().endswith("\nKeyboardInterrupt\n")
    assert process.wait() == -signal.SIGINT


# -- Sgo and the loop ----------------------------------------------------------------------------


def test_what_was_started_before_the_loop_runs_at_once_and_goes_on_in_the_loop() -> None:
    log: list[Any] = []

    def child(name: str) -> None:
        log.append((name, Sco.getCid()))
        Sco.sleep(0.001)
        Sgo(log.append, f"{name} again")

    assert [Sgo(child, "a"), Sgo(child, "b")] == [1, 2]
    assert log == [("a", 1), ("b", 2)]
    assert Sco.getCid() == -1
    Sco.scheduler()
    assert log[2:] == ["a again", "b again"]


def test_afterwards_all_begins_anew_and_an_empty_loop_ends_at_once() -> None:
    for _ in range(2):
        Sco.scheduler()
        assert Sgo(lambda: None) == 1
        Sco.scheduler()


def test_between_the_start_and_the_loop_another_program_may_run() -> None:
    log: list[str] = []
    Sgo(lambda: (Sco.sleep(0.001), log.append("early")))
    assert run(lambda: Sgo(lambda: log.append("inner"))) == 2
    Sco.scheduler()
    assert log == ["inner", "early"]


def test_a_failure_before_the_loop_is_told_at_once_and_the_script_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert Sgo(lambda: 1 / 0) == 1
    assert re.match(r"<lambda> \(co#1\) died after .*ZeroDivisionError", capsys.readouterr().err, re.DOTALL)
    assert Sgo(lambda: None) == 2
    Sco.scheduler()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_what_ends_the_program_is_raised_in_the_script(error: BaseException) -> None:
    cleaned_up: list[str] = []

    def fail(seconds: float) -> None:
        if seconds:
            Sco.sleep(seconds)
        raise error

    def other() -> None:
        try:
            Sco.yield_()
        finally:
            cleaned_up.append("other")

    Sgo(other)
    with pytest.raises(type(error)):
        Sgo(fail, 0)
    assert cleaned_up == []
    Sgo(fail, 0.001)
    with pytest.raises(type(error)):
        Sco.scheduler()
    assert cleaned_up == ["other"]


def test_a_loop_in_which_nobody_can_go_on_says_so() -> None:
    Sgo(Sco.yield_)
    with pytest.raises(Deadlock, match="co#1 yield_ waits on suspend"):
        Sco.scheduler()


def test_the_place_shown_is_the_scripts() -> None:
    sites: list[str] = []

    def child() -> None:
        sites.append(coloop.current().spawned_at)

    Sgo(child)
    run(Sgo, child)
    run(lambda: Sgo(child))
    Sco.scheduler()
    assert [site.split(" in ")[1] for site in (sites[0], sites[2])] == [
        "test_the_place_shown_is_the_scripts",
        "<lambda>",
    ]


@coroutine
def test_the_loop_within_the_loop_is_refused() -> None:
    with pytest.raises(AlreadyRunning, match=r"Sco\.scheduler: a scheduler runs on this thread already"):
        Sco.scheduler()


def test_sgo_takes_a_function() -> None:
    with pytest.raises(TypeError, match="Sgo takes a function and its arguments, not 3"):
        Sgo(3)
    with pytest.raises(NotRunning):
        Sco.sleep(1)
    with pytest.raises(NotRunning):
        Sco.isExist(1)


# -- Sco -----------------------------------------------------------------------------------------


@coroutine
def test_yield_and_resume() -> None:
    log: list[str] = []

    def child() -> None:
        log.append("before")
        Sco.yield_()
        log.append("after")

    cid = Sgo(child)
    log.append("main")
    Sco.resume(cid)
    log.append("main again")
    assert log == ["before", "main", "after", "main again"]


def test_resume_before_the_loop_counts_in_the_loop() -> None:
    log: list[str] = []
    cid = Sgo(lambda: (Sco.yield_(), log.append("resumed")))
    assert Sco.isExist(cid)
    Sco.resume(cid)
    with pytest.raises(
        NotSuspended, match="resume error: co#1 cannot be resumed: it is ready to run already"
    ):
        Sco.resume(cid)
    Sco.scheduler()
    assert log == ["resumed"]


@coroutine
def test_resume_is_for_those_who_yielded_by_themselves() -> None:
    sleeping, ended = Sgo(Sco.sleep, 0.001), Sgo(lambda: None)
    with pytest.raises(NotSuspended, match=r"resume error: .* it is not suspended but waits on sleep"):
        Sco.resume(sleeping)
    with pytest.raises(NotSuspended, match=f"^resume error: co#{ended} has ended$"):
        Sco.resume(ended)
    for never in (99, 0, -1):
        with pytest.raises(NotSuspended, match=f"^resume error: co#{never} never existed$"):
            Sco.resume(never)


@coroutine
def test_who_has_ended_exists_no_more() -> None:
    waiting, ended = Sco.create(Sco.yield_), Sgo(lambda: None)
    assert [Sco.isExist(cid) for cid in (Sco.getCid(), waiting, ended, 99)] == [True, True, False, False]
    Sco.resume(waiting)
    assert not Sco.isExist(waiting)


@coroutine
def test_a_sleep_is_a_millisecond_at_least(mock_clock: MockClock) -> None:
    with pytest.raises(ValueError, match=r"^Timer must be greater than or equal to 0\.001$"):
        Sco.sleep(0.0009)
    Sco.sleep(0.001)
    assert mock_clock.now() == 0.001


# -- Server --------------------------------------------------------------------------------------


@coroutine
def test_a_connection_is_an_integer_and_not_the_descriptor() -> None:
    serv = Server("127.0.0.1", 0)
    client = connect((serv.host, serv.port))
    fd = serv.accept()
    assert type(fd) is int
    assert fd == serv._sessions[fd].id
    client.sendall(b"a\0b")
    assert serv.recv(fd) == b"a\0b"
    client.sendall(b"12345")
    assert [serv.recv(fd, 2), serv.recv(fd)] == [b"12", b"345"]
    assert serv.send(fd, b"1") == 1
    assert serv.send(fd, "é") == 2
    assert client.recv_exactly(3) == "1é".encode()
    assert (serv.errCode, serv.errMsg) == (0, "")
    assert serv.close(fd) is True
    assert client.recv() == b""
    client.close()


@coroutine
def test_a_connection_that_the_client_has_closed_gives_false_again_and_again_and_starves_nobody() -> None:
    serv, served = Server("127.0.0.1", 0), []
    connect((serv.host, serv.port)).close()
    fd = serv.accept()

    for _ in range(3):
        assert serv.recv(fd) is False
        code = study.ST_ERROR_SESSION_CLOSED_BY_CLIENT
        assert (serv.errCode, serv.errMsg) == (code, "Session closed by client")

    def second() -> None:
        with connect((serv.host, serv.port)):
            served.append(serv.accept())

    Sgo(second)
    rounds = 0
    while not served:
        assert serv.recv(fd) is False
        rounds += 1
        assert rounds < 10_000
    assert rounds > 0


@coroutine
def test_a_number_that_is_out_of_date_reaches_nobody() -> None:
    serv = Server("127.0.0.1", 0)
    first = connect((serv.host, serv.port))
    old = serv.accept()
    descriptor = serv._sessions[old].fileno()
    serv.close(old)
    first.close()
    client = connect((serv.host, serv.port))
    new = serv.accept()
    assert new != old
    for call in (lambda: serv.recv(old), lambda: serv.send(old, "x"), lambda: serv.close(old)):
        assert call() is False
        assert (serv.errCode, serv.errMsg) == (study.ST_ERROR_SESSION_NOT_EXIST, "Session does not exist")
    assert serv.recv(descriptor + 100_000) is False
    client.close()


@coroutine
def test_closing_wakes_who_waits_in_recv_and_shutdown_who_waits_in_accept() -> None:
    serv, log = Server("127.0.0.1", 0), []
    client = connect((serv.host, serv.port))
    fd = serv.accept()
    Sgo(lambda: log.append((serv.recv(fd), serv.errCode)))
    serv.close(fd)
    wait_until_idle()
    Sgo(lambda: log.append((serv.accept(), serv.errCode)))
    serv.shutdown()
    wait_until_idle()
    assert log == [
        (False, study.ST_ERROR_SESSION_CLOSED_BY_SERVER),
        (False, study.ST_ERROR_SESSION_CLOSED),
    ]
    client.close()


@coroutine
def test_two_who_wait_on_one_connection_are_told_so() -> None:
    serv = Server("127.0.0.1", 0)
    client = connect((serv.host, serv.port))
    fd = serv.accept()
    Sgo(serv.recv, fd)
    assert serv.recv(fd) is False
    assert serv.errCode == study.ST_ERROR_CO_HAS_BEEN_BOUND
    serv.close(fd)
    client.close()


@coroutine
def test_a_reset_is_a_client_that_has_closed() -> None:
    serv = Server("127.0.0.1", 0)
    client = connect((serv.host, serv.port))
    fd = serv.accept()
    client.close(linger=0)
    assert serv.recv(fd) is False
    assert serv.errCode == study.ST_ERROR_SESSION_CLOSED_BY_CLIENT
    assert serv.send(fd, "x") is False
    assert serv.errCode == study.ST_ERROR_SESSION_CLOSED_BY_CLIENT


@coroutine
def test_an_error_of_the_system_is_its_number_and_a_warning(
    observer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(24, "Too many open files")

    serv = Server("127.0.0.1", 0)
    monkeypatch.setattr("coloop._listener.Listener.accept", lambda self: refuse())
    assert serv.accept() is False
    assert (serv.errCode, serv.errMsg) == (24, "Too many open files")
    assert observer.warnings == ["accept error: [Errno 24] Too many open files"]
    assert current_scheduler().failures == 0


@coroutine
def test_a_port_that_is_taken_is_an_error_of_the_constructor() -> None:
    serv = Server("127.0.0.1", 0)
    with pytest.raises(OSError, match="in use"):
        Server("127.0.0.1", serv.port)
