"""What workers tell is checked value by value, and whoever tells nonsense is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from coloop import TlsPicture
from coshell.console import Capture
from coshell.shell import Shell
from coshell_plugins.server.hearsay import (
    Nonsense,
    answers_in,
    coroutine_in,
    count_in,
    list_in,
    socket_in,
    socket_with_tls_in,
    value_in,
)
from coshell_plugins.worker.lookout import picture_values, socket_values
from tests.plugins.at_the_prompt import do, until
from tests.shell.pictures import coroutine, socket

TLS = TlsPicture("TLSv1.3", "AES", None, "localhost", None)


@pytest.fixture
def shell(console: Capture) -> Iterator[Shell]:
    with Shell(console=console) as shell:
        shell.plugins.load("coshell_plugins.server")
        yield shell


def test_pictures_come_back_as_they_were() -> None:
    one, other = coroutine(7, "web/c1", age_s=1.5), socket("server", "127.0.0.1:80")
    assert coroutine_in(picture_values(one)) == one
    assert socket_in(socket_values(other)) == other
    assert socket_with_tls_in([*socket_values(other), None]) == other


def test_what_was_agreed_on_by_tls_comes_with_the_socket() -> None:
    assert socket_with_tls_in([*socket_values(socket("server", "x")), asdict(TLS)]).tls == TLS


def test_a_whole_number_is_one_with_a_fraction_too() -> None:
    assert value_in(3, float) == 3
    assert value_in(None, float | None) is None


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, int), (1, bool), ("3", int), (3.5, int), (None, int), (2**63, int), (-(2**63), float), ([], str)],
)
def test_a_value_of_another_type_is_none(value: object, kind: Any) -> None:
    with pytest.raises(Nonsense, match=" is no "):
        value_in(value, kind)


@pytest.mark.parametrize("agreed", [3, {}, {**asdict(TLS), "more": 1}, {**asdict(TLS), "version": 13}])
def test_tls_of_another_form_is_none(agreed: object) -> None:
    with pytest.raises(Nonsense):
        socket_with_tls_in([*socket_values(socket("server", "x")), agreed])


def test_counts_are_numbers_if_they_are_there() -> None:
    assert (count_in({"rss": 5}, "rss"), count_in({}, "rss"), answers_in({})) == (5, None, None)
    assert answers_in({"answers": {"2": 7}}) == {1: 0, 2: 7, 3: 0, 4: 0, 5: 0}
    for wrong in ({"answers": 3}, {"answers": {"2": "many"}}):
        with pytest.raises(Nonsense):
            answers_in(wrong)


def test_what_is_wrong_is_told_in_a_line_however_long_it_is() -> None:
    with pytest.raises(Nonsense) as told:
        list_in("x" * 10_000, 3)
    assert str(told.value) == f"'{'x' * 80}' is no list of 3"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("sys.modules['__main__']._resident_bytes = lambda: 'lots'", "'lots' is no int"),
        ("sys.modules['__main__']._socket_picture = lambda one: [one.id]", "is no list of "),
    ],
)
def test_a_worker_that_reports_nonsense_is_killed_and_replaced(
    shell: Shell, console: Capture, line: str, why: str
) -> None:
    do(
        shell,
        "import sys",
        f"def lie(conn):\n    conn.recv()\n    {line}\n    conn.recv()",
        "server start web :0 lie --workers 1",
    )
    first = do(shell, "server status web").value.workers[0].pid
    do(shell, "connect web as c", "send c now")

    def replaced() -> bool:
        workers = do(shell, "server status web").value.workers
        return [one.state for one in workers] == ["running"] and workers[0].pid != first

    until(replaced, "another worker")
    told = [one for one in console.lines() if "talks nonsense and is killed: " in one]
    assert len(told) == 1
    assert why in told[0]
