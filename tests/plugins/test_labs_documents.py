"""What docs/labs.md says of the texts and of the labs is so: its scripts run, and its figures are measured."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coshell_plugins.labs import all_labs
from tests.patience import PATIENCE_S
from tests.plugins.labs_in_processes import PATHS, ROOT
from tests.ports import free_port

PAGE = (ROOT / "docs" / "labs.md").read_text(encoding="utf-8")
PAST_WHERE_IT_DIED = 16_224 + 4_000

Start = Callable[[str], "subprocess.Popen[str]"]


def columns(name: str) -> tuple[str, str]:
    """The two scripts that stand side by side under that name: theirs and ours."""
    (block,) = re.findall(rf"<!-- side by side: {name} -->\n\n```\n(.*?)```", PAGE, re.DOTALL)
    pairs = [line.partition("|") for line in block.splitlines()]
    assert all(bar for _, bar, _ in pairs)
    assert len({len(left) for left, _, _ in pairs}) == 1, "the bars stand one below the other"
    return (
        "\n".join(left.rstrip() for left, _, _ in pairs),
        "\n".join(right.removeprefix(" ").rstrip() for _, _, right in pairs),
    )


@pytest.fixture
def start() -> Iterator[Start]:
    started = []

    def start(script: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": PATHS},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def connected(port: int, server: subprocess.Popen[str]) -> socket.socket:
    """A connection to a process that is about to listen."""
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        except ConnectionRefusedError:
            assert server.poll() is None, server.communicate()


def test_the_echo_server_of_the_page_serves_who_comes_behind_one_who_left(start: Start) -> None:
    port = free_port()
    _, ours = columns("echo")
    server = start(ours.replace("8080", str(port)))
    for text in (b"hello", b"again"):
        with connected(port, server) as client:
            client.sendall(text)
            assert client.recv(100) == text


def test_the_spawning_script_of_the_page_goes_on_past_the_number_at_which_it_died(start: Start) -> None:
    _, ours = columns("spawn")
    process = start(ours)
    assert process.stdout is not None
    for number, line in enumerate(process.stdout, 1):
        assert int(line) == number
        if number == PAST_WHERE_IT_DIED:
            break
    assert process.poll() is None


@pytest.mark.parametrize("name", ["echo", "spawn"])
def test_both_sides_say_the_same_words_in_the_same_order(name: str) -> None:
    said = [
        re.findall(r"\b(?:Sgo|Sco|Server|accept|recv|send|getCid|scheduler)(?=\(|::|\.)", side)
        for side in columns(name)
    ]
    theirs, ours = said
    assert sorted(theirs) == sorted(ours)
    assert [word for word in theirs if word != "Sgo"] == [word for word in ours if word != "Sgo"]


def test_the_figures_of_the_page_are_measured_by_the_labs() -> None:
    told = re.findall(r"^\| `([\w-]+)` (\w+) \|", PAGE, re.MULTILINE)
    assert len(told) >= 10
    files = {lab.name: Path(lab.file).read_text(encoding="utf-8") for lab in all_labs()}
    for lab, figure in told:
        assert f'figure("{figure}"' in files[lab], f"{lab} measures no {figure}"


def test_the_page_names_only_labs_that_there_are() -> None:
    lines = re.findall(r"`labs (?:open )?([a-z]+-[a-z-]+)`", PAGE)
    assert set(lines) <= {lab.name for lab in all_labs()}
