"""What is known of other processes, and how their things are numbered."""

import json

import pytest

from coshell.processes import Number, ProcessPicture, Worker
from coshell.render import json_line
from tests.shell.pictures import coroutine, process


@pytest.mark.parametrize(("name", "server"), [("web/w1", "web"), ("a/b/w12", "a/b"), ("alone", "alone")])
def test_a_process_works_for_the_server_that_its_name_begins_with(name: str, server: str) -> None:
    assert ProcessPicture(name, 77, "running", 3).server == server


def test_a_number_there_is_shown_with_its_process_and_is_a_number_all_the_same() -> None:
    number = Number.of(12, "web/w1")
    assert (str(number), f"{number}", number + 1, number > 11) == ("web/w1:12", "web/w1:12", 13, True)
    assert json.loads(json_line({"id": number})) == {"id": 12}


@pytest.mark.parametrize(
    ("known", "line"),
    [
        ({}, "web/w1 pid 77 running: 1 coroutine, 1 client, 1,024 requests; heap 1.2M; rss 31.0M"),
        (
            {"heap_bytes": None, "rss_bytes": None},
            "web/w1 pid 77 running: 1 coroutine, 1 client, 1,024 requests",
        ),
        (
            {"state": "draining", "live": 5, "taken_ago_s": 4.23456, "heap_bytes": None},
            (
                "web/w1 pid 77 draining: 5 coroutines, 1 client, 1,024 requests; rss 31.0M; silent for 4.2s"
                " (where web/w1:1)"
            ),
        ),
    ],
)
def test_a_line_tells_how_a_process_fares(known, line: str) -> None:
    assert str(Worker.of(process("web/w1", coroutine(2), **known))) == line


def test_what_a_process_says_of_itself_cannot_command_the_terminal() -> None:
    assert str(Worker.of(process("a\x1b[2J/w1", state="\n"))).startswith(r"a\x1b[2J/w1 pid 77 \x0a: ")
