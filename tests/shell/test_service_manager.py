"""Who started us is told how we fare; nobody else is."""

import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coshell.service_manager import ServiceManager, handed_over

PID = 77


@pytest.fixture
def said() -> list[str]:
    """What the user was told."""
    return []


@pytest.fixture(params=["a path", "an abstract name"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A manager's end, and what it says of that in the environment."""
    name = str(tmp_path / "notify") if request.param == "a path" else f"@coshell-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(name.replace("@", "\0"))
        end.setblocking(False)
        yield end, name


def test_it_hears_of_every_change(listening: tuple[socket.socket, str], said: list[str]) -> None:
    end, name = listening
    manager = ServiceManager({"NOTIFY_SOCKET": name}, None, said.append)
    manager.ready("serving :80\u20ac")
    assert end.recv(4096).decode() == "READY=1\nSTATUS=serving :80\u20ac"
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    manager.reloading()
    told = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", end.recv(4096).decode())
    assert told
    assert before <= int(told[1]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    manager.stopping()
    assert end.recv(4096) == b"STOPPING=1"
    assert said == []


def test_those_whom_we_start_do_not_speak_to_it(said: list[str]) -> None:
    environ = {"NOTIFY_SOCKET": "/run/notify", "LISTEN_PID": str(PID), "LISTEN_FDS": "0", "HOME": "/"}
    ServiceManager(environ, None, said.append)
    handed_over(environ, PID)
    assert environ == {"HOME": "/"}


def test_who_cannot_be_told_is_named_once_and_keeps_nobody_from_serving(
    tmp_path: Path, said: list[str]
) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": f"{tmp_path}/gone"}, None, said.append)
    manager.ready("serving")
    manager.stopping()
    assert said == [f"NOTIFY_SOCKET {tmp_path}/gone: No such file or directory; nobody is told any more"]


def test_without_anybody_nothing_is_told(said: list[str]) -> None:
    manager = ServiceManager({}, None, said.append)
    manager.ready("serving")
    manager.reloading()
    manager.stopping()
    assert said == []


def test_a_descriptor_gets_one_line_and_its_end(said: list[str]) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    manager = ServiceManager({}, writing, said.append)
    assert not os.get_inheritable(writing)
    manager.ready("serving")
    manager.ready("serving again")
    with os.fdopen(reading, "rb") as end:
        assert end.read() == b"ready\n"
    assert said == []


def test_standard_error_may_be_told_and_stays_open(
    said: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    ServiceManager({}, 2, said.append).ready("serving")
    fcntl.fcntl(2, fcntl.F_GETFD)
    assert capfd.readouterr().err == "ready\n"


def test_a_descriptor_that_nobody_reads_is_no_reason_not_to_serve(said: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ServiceManager({}, writing, said.append).ready("serving")
    assert said == [f"--ready-fd {writing}: Broken pipe"]


def test_a_descriptor_that_is_not_open_is_refused(said: list[str]) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        ServiceManager({}, 1_000_000, said.append)


# -- what is handed over


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "2"},
        {"LISTEN_PID": "78", "LISTEN_FDS": "2"},
        {"LISTEN_PID": "77", "LISTEN_FDS": "two"},
        {"LISTEN_PID": "77", "LISTEN_FDS": "-1"},
        {"LISTEN_PID": "77", "LISTEN_FDS": "0"},
    ],
)
def test_what_is_meant_for_somebody_else_is_not_ours(environ: dict[str, str]) -> None:
    assert handed_over(environ, PID) == ()
    assert environ == {}


def test_what_is_handed_over_stays_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[int, bool]] = []
    monkeypatch.setattr(os, "set_inheritable", lambda number, inheritable: kept.append((number, inheritable)))
    environ = {"LISTEN_PID": "77", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "http:https"}
    assert handed_over(environ, PID) == (3, 4)
    assert kept == [(3, False), (4, False)]
    assert environ == {}
