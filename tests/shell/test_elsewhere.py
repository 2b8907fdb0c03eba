"""Coroutines of other processes are asked for, and shown as ours are, with numbers that tell where they belong."""

import json
from collections.abc import Iterator

import pytest

from coshell.processes import Number, Sight, known_as
from tests.shell.pictures import coroutine, process, socket
from tests.shell.sessions import Session, hogged_session, session

HOG = coroutine(5, "loop", running_for_s=2.0, state="running")
SERVER = coroutine(2, "web", parent_id=None, spawned_at="offer.py:32 in serve")
HANDLER = coroutine(12, "web/\x1b[2J", parent_id=2, waiting_on="recv socket#3", spawned_at="app.py:1 in work")
CLOSE_UP = Sight(
    picture=HANDLER,
    stack=(("app.py:2 in work", "conn.recv()  # \x1b[2J"), ("<co:1>:1 in <module>", "")),
    coroutines=(HANDLER, SERVER),
    sockets=(socket("server", "127.0.0.1:80", 12, peer="127.0.0.1:5"),),
    children=(13, 14),
)


@pytest.fixture
def with_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    with session() as opened:
        monkeypatch.setattr(opened.shell.plugins, "processes", lambda: [process("web/w1", HANDLER)])
        monkeypatch.setattr(opened.shell.plugins, "look", lambda _process, _number: CLOSE_UP)
        yield opened


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("web/w1:12", Number.of(12, "web/w1")),
        (" a/b/w1+7:3 ", Number.of(3, "a/b/w1+7")),
        ("web:12", None),
        ("web/w1:", None),
        ("web/w1:1" + "0" * 5000, None),
        ("12", None),
    ],
)
def test_such_a_one_is_called_by_its_process_and_its_number(text: str, number: Number | None) -> None:
    assert str(Number.parse(text)) == str(number)


def test_ours_are_called_as_they_always_are() -> None:
    assert known_as(12) == "co#12"


def test_where_shows_it_with_the_numbers_of_its_process_and_nothing_that_commands_the_terminal(
    with_workers: Session,
) -> None:
    with_workers.type("x = 1")
    assert with_workers.type("where web/w1:12") == [
        r"web/w1:12 web/\x1b[2J: waiting on recv socket#3",
        r"  app.py:2 in work      conn.recv()  # \x1b[2J",
        "  <co:1>:1 in <module>  x = 1",
        "  started by web/w1:2 web at app.py:1 in work",
        "  started at offer.py:32 in serve",
    ]


def test_in_json_the_process_stands_beside_the_number(with_workers: Session) -> None:
    told = json.loads(with_workers.type("where web/w1:12 --json")[0])
    assert (told["id"], told["process"]) == (12, "web/w1")
    assert json.loads(with_workers.type("where 1 --json")[0])["process"] is None


def test_show_tells_its_sockets_and_whom_it_has_started(with_workers: Session) -> None:
    lines = with_workers.type("show web/w1:12")
    assert "  socket   server 127.0.0.1:80 <- 127.0.0.1:5 open (made it)" in lines
    assert "  children web/w1:13 web/w1:14" in lines


def test_who_hogs_there_is_named_as_one_of_them(
    with_workers: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    sight = Sight(HANDLER, None, (HANDLER,), responsive=False, hog=HOG)
    monkeypatch.setattr(with_workers.shell.plugins, "look", lambda _process, _number: sight)
    lines = with_workers.type("where web/w1:12")
    assert lines[1] == "  its stack cannot be read while web/w1:5 hogs the scheduler"


def test_cancel_and_kill_end_them_beside_ours(with_workers: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def end(process: str, number: int, grace_s: float | None) -> tuple[str, str]:
        asked.append((process, number, grace_s))
        return "web/\x1b[2J", "ended"

    monkeypatch.setattr(with_workers.shell.plugins, "end", end)
    with_workers.type("go sleep(60) --name nap")
    assert with_workers.type("cancel nap web/w1:12") == [
        "ok  co#2 nap has ended",
        r"ok  web/w1:12 web/\x1b[2J has ended",
    ]
    with_workers.type("kill web/w1:12 --grace 2s")
    assert asked == [("web/w1", 12, None), ("web/w1", 12, 2.0)]


def test_nobody_is_ended_if_one_of_them_cannot_be_meant(with_workers: Session) -> None:
    with_workers.type("go sleep(60) --name nap")
    why = with_workers.refused("cancel nap web/w3:12")
    assert why == "no process 'web/w3' works for this shell, did you mean 'web/w1'?"
    assert "nap" in [row.name for row in with_workers.value("ps") if row.state == "waiting"]


def test_one_of_ours_that_has_such_a_name_is_ours(with_workers: Session) -> None:
    with_workers.type("go sleep(60) --name web/w1:12")
    assert with_workers.type("where web/w1:12")[0].startswith("co#2 web/w1:12: waiting")


def test_they_cannot_be_asked_for_while_one_of_ours_lets_nobody_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with hogged_session() as hogged:
        monkeypatch.setattr(hogged.shell.plugins, "processes", lambda: [process("web/w1")])
        why = hogged.refused("where web/w1:12")
    assert why == "web/w1:12 cannot be asked for while co#3 hog lets nobody run here (where 3, kill 3)"
