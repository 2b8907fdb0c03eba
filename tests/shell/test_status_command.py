"""`status`."""

import json

import pytest

from coshell.config import Settings
from coshell.console import Capture
from coshell.shell import Shell
from tests.shell.pictures import process


@pytest.fixture
def shell():
    shell = Shell(Settings(level="off"), console=Capture())
    with shell:
        yield shell


@pytest.fixture
def typed(shell):
    def typed(line):
        shell.output.console = Capture()
        result = shell.execute(line)
        assert result.ok, result
        return shell.output.console.lines()

    return typed


def failure(shell, line):
    result = shell.execute(line)
    assert not result.ok
    return result


def test_status_tells_how_things_are(typed):
    typed("x = go(sleep, 60)")
    typed("s = serve(('127.0.0.1', 0), lambda c: None)")
    typed("coloop.testing.wait_until_idle()")
    lines = {line[:11].strip(): line[12:] for line in typed("status")}
    assert lines["scheduler"].startswith("running; lag ")
    assert lines["coroutines"] == "3: 0 ready, 3 waiting; 3 so far"
    assert lines["ledger"] == "level off"
    assert lines["heap"] == "not counted"


def test_status_does_not_add_up_the_stacks_of_very_many(typed, monkeypatch):
    assert any(line.startswith("stack") and "K" in line for line in typed("status"))
    monkeypatch.setattr("coshell.commands.status.MAX_SURVEYED", 1)
    typed("x = go(suspend)")
    assert "stack       not added up for more than 1" in typed("status")
    assert json.loads(typed("status --json")[0])["stack"] is None


def test_status_counts_the_heap_if_it_is_traced(typed):
    typed("set level heap")
    (line,) = typed("status --json")
    record = json.loads(line)
    assert isinstance(record["heap"], int)
    assert record["rss"] > 1_000_000
    assert record["clock"] == "real"
    assert any(line.startswith("heap ") and "in coroutines" in line for line in typed("status"))


def test_status_works_while_somebody_lets_nobody_run(shell, typed):
    typed("def spin():\n    while True: pass\n")
    shell.bridge.hog_patience_s = 0.2
    failure(shell, "go(spin)")
    assert typed("status")[0].startswith("scheduler   held by co#2 spin for ")
    typed("kill 2")


def test_status_knows_virtual_time(typed):
    typed("set clock virtual")
    typed("sleep(60)")
    assert "clock virtual, at 60.0" in typed("status")[0]


def test_status_tells_what_the_shell_itself_remembers(typed):
    assert "itself      no samples are kept (plot begins that)" in typed("status")
    typed("set level heap")
    typed("plot")
    (line,) = [line for line in typed("status") if line.startswith("itself")]
    assert line.endswith(" of samples, at most 512.0K")
    record = json.loads(typed("status --json")[0])
    assert 0 < record["samples"] < record["samples_limit"]


def test_status_tells_what_the_shell_takes_for_itself(typed):
    typed("set level heap")
    header, *rows = typed("status --self")
    assert header.split() == ["WHAT", "NOW", "AT-MOST"]
    assert any(row.startswith("heap of the shell's own coroutine and threads") for row in rows)


def test_all_that_the_shell_keeps_stays_below_its_bound(aside):
    with aside.session() as opened:
        opened.type("\n".join(f"mark m{number}" for number in range(40)))
        kept = [json.loads(line) for line in opened.type("status --self --json")]
    assert {record["what"]: record["now"] for record in kept}["marks"] == 32
    assert all(record["now"] <= record["at_most"] for record in kept if record["now"] and record["at_most"])


def test_status_tells_of_other_processes_and_of_servers_that_were_given_up(shell, typed, monkeypatch):
    assert not [line for line in typed("status") if line.startswith(("workers", "given up"))]
    monkeypatch.setattr(shell.plugins, "processes", lambda: [process("web/w1"), process("web/w2", pid=78)])
    shell.lost["mail"] = "5 workers\x1b died"
    *_, first, second, lost = typed("status")
    assert first.startswith(
        "workers     web/w1 pid 77 running: 0 coroutines, 1 client, 1,024 requests; heap 1.2M"
    )
    assert second.startswith("            web/w2 pid 78 running")
    assert lost == r"given up    mail: 5 workers\x1b died"
    (record,) = map(json.loads, typed("status --json"))
    assert record["lost"] == {"mail": "5 workers\x1b died"}
    assert [(one["name"], one["pid"], one["clients"], one["told"]) for one in record["workers"]] == [
        ("web/w1", 77, 1, 0.5),
        ("web/w2", 78, 1, 0.5),
    ]
