"""Looking at coroutines, also while one of them lets nobody else run."""

from __future__ import annotations

import json

import pytest

import coloop
from coshell.commands.looking import COMMANDS, MAX_ROWS
from coshell.lints import Finding
from coshell.monitor import Sample
from coshell.pictures.timeline import Timeline
from coshell.plugin import Lint, PsColumn
from tests.shell.aside import Aside
from tests.shell.pictures import coroutine, process, snapshot
from tests.shell.sessions import Session, check_example, check_json, each_example


@each_example(*COMMANDS)
def test_every_example_runs_as_it_stands(command, example) -> None:
    check_example(command, example)


@each_example(*COMMANDS)
def test_every_command_speaks_json(command, example) -> None:
    check_json(command, example)


# -- ps ----------------------------------------------------------------------------------------------


def test_ps_lists_the_living_and_those_who_have_just_ended(at_prompt: Session) -> None:
    at_prompt.type("go sleep(60) --name nap\ngo len('abc')")
    rows = at_prompt.value("ps")
    assert [(row.id, row.name, row.state) for row in rows] == [
        (1, "shell", "waiting"),
        (2, "nap", "waiting"),
        (3, "len", "done"),
    ]
    at_prompt.type("sleep(7)")
    assert [row.id for row in at_prompt.value("ps")] == [1, 2]
    assert [row.id for row in at_prompt.value("ps --all")] == [1, 2, 3]


def test_the_table_has_a_header_the_rows_and_the_totals(at_prompt: Session) -> None:
    at_prompt.type("go sleep(60) --name nap")
    head, shell, nap, totals = at_prompt.type("ps")
    assert head.split()[:3] == ["ID", "STATE", "NAME"]
    assert (shell.split()[2], nap.split()[2]) == ("shell", "nap")
    assert totals.startswith("2 coroutines: 2 waiting; heap attributed ")
    assert ("~" in totals) is not coloop.memory.exact


def test_a_coroutine_that_looks_sees_itself_running(at_prompt: Session) -> None:
    at_prompt.type("seen = []\ngo:\n    seen.extend(ps())")
    states = {row.name: row.state for row in at_prompt.shell.names["seen"]}
    assert states["block"] == "running"


def test_a_heap_is_on_the_account_of_whoever_allocated_it(at_prompt: Session) -> None:
    at_prompt.type("def f():\n    kept = bytearray(5_000_000)\n    sleep(60)\ngo f() --name fat")
    first = at_prompt.value("ps --sort heap")[0]
    assert first.name == "fat"
    assert first.heap == pytest.approx(5_000_000, rel=0.02)


def test_at_most_two_hundred_rows_are_shown_and_the_footer_says_so(at_prompt: Session) -> None:
    at_prompt.type("go -n 500 sleep(60) --name many")
    lines = at_prompt.type("ps")
    assert len(at_prompt.value("ps")) == MAX_ROWS
    assert "200 of 501 shown: ps --all, --group, --where EXPR, --sort COL --top N" in lines
    assert len(at_prompt.value("ps --all")) == 501
    assert len(at_prompt.value("ps --top 3")) == 3


def test_many_of_a_kind_are_one_row(at_prompt: Session) -> None:
    at_prompt.type("go -n 500 sleep(60) --name many")
    groups = at_prompt.value("ps --group")
    assert [(group.count, group.name) for group in groups] == [(500, "many"), (1, "shell")]
    assert groups[0].spawned_at.endswith(":1 in go")


def test_a_tree_has_children_below_who_started_them(at_prompt: Session) -> None:
    at_prompt.type(
        "def parent():\n    go(sleep, 60, name='child')\n    sleep(60)\ngo parent()\ngo sleep(60) --name other"
    )
    assert [(row.name, row.depth) for row in at_prompt.value("ps --tree")] == [
        ("shell", 0),
        ("parent", 1),
        ("child", 2),
        ("other", 1),
    ]


def test_rows_can_be_chosen_by_what_the_user_has_bound(at_prompt: Session) -> None:
    at_prompt.type("go -n 5 sleep(60 + i) --name many\nlimit = 4")
    assert [row.id for row in at_prompt.value('ps --where "id > limit"')] == [5, 6]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("ps --where 'heap >'", "--where heap >: SyntaxError"),
        ("ps --sort heep", "no column 'heep', did you mean 'heap'?"),
        ("ps --top 0", "ps: --top 0: at least one is needed"),
        ("ps --treee", "no option '--treee', did you mean '--tree'?"),
    ],
)
def test_misuse_of_ps_is_told_in_one_line(at_prompt: Session, line: str, told: str) -> None:
    assert told in at_prompt.refused(line)


def test_json_has_an_object_for_each_row_and_nothing_else(at_prompt: Session) -> None:
    at_prompt.type("go sleep(60) --name nap")
    records = [json.loads(line) for line in at_prompt.type("ps --json")]
    assert [record["name"] for record in records] == ["shell", "nap"]
    assert isinstance(records[1]["stack"], int)


def test_a_stuck_coroutine_is_warned_of(aside: Aside) -> None:
    with aside.session(clock="virtual") as at_prompt:
        at_prompt.type("def f():\n    Channel().receive()\ngo f() --name lost")
        (row,) = at_prompt.value("ps --where 'name == \"lost\"'")
        assert row.warn == ("stuck",)
        assert any(line.startswith("! co#2 lost can never be woken") for line in at_prompt.type("ps"))


def test_a_death_is_warned_of_as_long_as_the_dead_is_shown(at_prompt: Session) -> None:
    at_prompt.type("go int('x') --name bad")
    lines = at_prompt.type("ps")
    assert lines[-1].startswith("! co#2 bad died, and nobody waited for it: ValueError: invalid literal")
    at_prompt.type("sleep(7)")
    assert not any("bad" in line for line in at_prompt.type("ps"))


def test_rates_and_growth_come_from_whoever_looks_all_the_time(at_prompt: Session) -> None:
    class Watching:
        latest = Sample(
            at_prompt.shell.snapshot(),
            heap_rates={1: 41_062.4},
            findings=(
                Finding("heap-growing", 1, "shell", "grows"),
                Finding("heap-growing", 9, "gone", "grows"),
            ),
        )

        timeline = Timeline()
        for n in range(3):
            timeline.add(snapshot(coroutine(1, heap_bytes=1000 * n), taken_at=n))

        def stop(self) -> None:
            """The shell ends."""

    at_prompt.shell.monitor = Watching()
    listed = at_prompt.value("ps")
    assert str(listed[0].heap_rate) == "+40.1K"
    assert listed[0].heap_trend == (0, 1000, 2000)
    assert listed[0].warn == ("heap-growing",)
    assert not any("gone" in line for line in listed.footer)


def test_plugins_add_columns_and_warnings(at_prompt: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = at_prompt.shell.plugins
    monkeypatch.setattr(plugins, "ps_columns", lambda: [PsColumn("TWICE", lambda picture: picture.id * 2)])
    monkeypatch.setattr(plugins, "lints", lambda: [Lint("odd", lambda p: "is odd" if p.id % 2 else None)])
    (row,) = at_prompt.value("ps")
    assert (row.twice, row.warn) == (2, ("odd",))


def test_ps_answers_while_somebody_lets_nobody_run(hogged: Session) -> None:
    lines = hogged.type("ps")
    assert any("co#3 hog has run for" in line and "kill 3" in line for line in lines)
    assert any("places, stacks, sockets and the dead are left out" in line for line in lines)
    rows = {row.name: row for row in hogged.value("ps")}
    assert rows["hog"].state == "running"
    assert rows["hog"].stack is None
    assert "hog" in rows["hog"].warn


# -- where -------------------------------------------------------------------------------------------

_NESTED = """\
def outer():
    inner()
def inner():
    sleep(60)
go outer() --name deep
"""


def test_where_shows_the_stack_and_who_started_it(at_prompt: Session) -> None:
    at_prompt.type(_NESTED)
    assert at_prompt.type("where deep")[:4] == [
        "co#2 deep: waiting on sleep 60s",
        "  <co:1>:2 in outer  inner()",
        "  <co:2>:2 in inner  sleep(60)",
        "  started by co#1 shell at <co:3>:1 in go",
    ]


def test_where_all_shows_everybody(at_prompt: Session) -> None:
    at_prompt.type(_NESTED)
    assert [standing.name for standing in at_prompt.value("where --all")] == ["shell", "deep"]
    assert "  <co:2>:2 in inner  sleep(60)" in at_prompt.type("where --all")


def test_where_of_a_dead_one_tells_how_it_ended(at_prompt: Session) -> None:
    at_prompt.type("go len('abc')")
    lines = at_prompt.type("where 2")
    assert lines[0] == "co#2 len: returned a int, 0s ago"
    assert lines[1] == "  it has ended, and its stack with it"


def test_where_shows_the_stack_of_a_hog(hogged: Session) -> None:
    lines = hogged.type("where hog")
    assert lines[0].startswith("co#3 hog: running for")
    assert lines[1].startswith("  <co:1>:")
    assert "in spin" in lines[1]


def test_where_of_another_says_why_it_cannot_be_told_now(hogged: Session) -> None:
    assert "  its stack cannot be read while co#3 hogs the scheduler" in hogged.type("where quiet")


@pytest.mark.parametrize("line", ["where", "where 1 --all"])
def test_where_wants_one_or_all(at_prompt: Session, line: str) -> None:
    assert at_prompt.refused(line) == "where: one coroutine, or --all"


# -- show --------------------------------------------------------------------------------------------


def test_show_tells_all_that_is_known(at_prompt: Session) -> None:
    at_prompt.type(
        "def f():\n    defer(print)\n    go(sleep, 9, name='child')\n    sleep(60)\ngo f() --memory-limit 1M"
    )
    shown = at_prompt.value("show f")
    assert (shown.id, shown.timers, shown.defers, shown.children, shown.limit) == (2, 1, 1, (3,), 1 << 20)
    lines = at_prompt.type("show f")
    assert lines[0] == "co#2 f: waiting on sleep 60s"
    assert "  children co#3" in lines
    assert "  holds    1 timer, 1 deferred call" in lines


def test_show_tells_which_sockets_it_has_to_do_with(at_prompt: Session) -> None:
    at_prompt.type("echo :0 --as e\nconnect e as c")
    (line,) = at_prompt.value("show 'echo#1/c1'").sockets
    assert line.startswith(f"server {at_prompt.value('e.address')} <- 127.0.0.1:")
    assert line.endswith("open (made it, reads)")


def test_show_works_while_somebody_lets_nobody_run(hogged: Session) -> None:
    shown = hogged.value("show hog")
    assert shown.stack is None
    assert any(sentence.startswith("has run for") for sentence in shown.warnings)


# -- err ---------------------------------------------------------------------------------------------


def test_err_lists_who_died_and_shows_the_traceback_of_one(at_prompt: Session) -> None:
    assert at_prompt.type("err") == ["no coroutine has died of an exception"]
    at_prompt.type("go int('x') --name bad\ngo list().pop()")
    assert [(death.id, death.name) for death in at_prompt.value("err")] == [(2, "bad"), (3, "pop")]
    told = at_prompt.type("err bad")
    assert told[0].startswith("co#2 bad died after")
    assert told[-1].startswith("ValueError: invalid literal")
    assert at_prompt.type("err co#3")[-1] == "IndexError: pop from empty list"


def test_err_of_one_that_did_not_die_names_those_that_did(at_prompt: Session) -> None:
    assert at_prompt.refused("err 7") == "no failure of co#7 is remembered; there was none"
    at_prompt.type("go -n 3 int('x')")
    assert at_prompt.refused("err 7") == "no failure of co#7 is remembered; there are: 2-4"


def test_err_answers_while_somebody_lets_nobody_run(hogged: Session) -> None:
    assert hogged.type("err") == ["no coroutine has died of an exception"]


# -- other processes

NASTY = "c\x1b]0;title\x07"
WORKER = process("web/w1", coroutine(2, "web", heap_bytes=10), coroutine(12, NASTY, parent_id=2), live=9)
SECOND = process("web/w2", coroutine(2, "web"), pid=78)


@pytest.fixture
def with_workers(at_prompt: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(at_prompt.shell.plugins, "processes", lambda: [WORKER, SECOND])
    return at_prompt


def test_ps_shows_those_in_other_processes_if_it_is_to_show_all(with_workers: Session) -> None:
    rows = with_workers.value("ps --all")
    assert [(str(row.id), row.process, row.pid) for row in rows] == [
        ("1", None, None),
        ("web/w1:2", "web/w1", 77),
        ("web/w1:12", "web/w1", 77),
        ("web/w2:2", "web/w2", 78),
    ]
    lines = with_workers.type("ps --all")
    assert lines[2].split()[:3] == ["web/w1:2", "waiting", "web"]
    assert lines[3].split()[0] == "web/w1:12"
    assert lines[-2].startswith("web/w1 pid 77 running: 9 coroutines, 1 client, 1,024 requests; heap 1.2M")
    assert lines[-1].startswith("web/w2 pid 78 running: 1 coroutine, ")
    assert "\x1b" not in "".join(lines)


def test_ps_tells_of_those_whom_it_does_not_show(
    with_workers: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert with_workers.type("ps")[-1] == "and 10 coroutines in 2 other processes: ps --all"
    assert [row.id for row in with_workers.value("ps --sort heap")] == [1]
    monkeypatch.setattr(with_workers.shell.plugins, "processes", lambda: [SECOND])
    assert with_workers.type("ps")[-1] == "and 1 coroutine in another process: ps --all"


def test_json_tells_the_process_beside_the_number(with_workers: Session) -> None:
    found = [json.loads(line) for line in with_workers.type("ps --all --json")]
    assert [(one["id"], one["process"], one["pid"]) for one in found] == [
        (1, None, None),
        (2, "web/w1", 77),
        (12, "web/w1", 77),
        (2, "web/w2", 78),
    ]
    assert found[2]["name"] == NASTY


def test_they_are_chosen_sorted_grouped_and_put_under_their_own_parents(with_workers: Session) -> None:
    def ids(line: str) -> list[str]:
        return [str(row.id) for row in with_workers.value(line)]

    assert ids("ps --all --where \"process == 'web/w1'\"") == ["web/w1:2", "web/w1:12"]
    assert ids('ps --all --where "id > 10"') == ["web/w1:12"]
    assert ids("ps --all --sort id") == ["1", "web/w1:2", "web/w2:2", "web/w1:12"]
    with_workers.type("go sleep(60)")  # co#2 here is nobody's parent there
    assert [(str(row.id), row.depth) for row in with_workers.value("ps --all --tree")] == [
        ("1", 0),
        ("2", 1),
        ("web/w1:2", 0),
        ("web/w1:12", 1),
        ("web/w2:2", 0),
    ]
    counts = {group.name: group.count for group in with_workers.value("ps --all --group")}
    assert counts["web"] == 2


def test_columns_and_warnings_of_ours_are_not_asked_of_them(
    with_workers: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = with_workers.shell.plugins
    monkeypatch.setattr(plugins, "ps_columns", lambda: [PsColumn("MINE", lambda one: one.id)])
    monkeypatch.setattr(plugins, "lints", lambda: [Lint("odd", lambda _: "is odd")])
    rows = with_workers.value("ps --all")
    assert [(row.mine, row.warn) for row in rows] == [(1, ("odd",)), *[(None, ())] * 3]


def test_workers_are_seen_while_a_coroutine_here_lets_nobody_run(
    hogged: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hogged.shell.plugins, "processes", lambda: [WORKER])
    assert "web/w1:12" in [str(row.id) for row in hogged.value("ps --all")]


@pytest.mark.parametrize("command", ["where", "show", "kill", "cancel"])
def test_one_of_a_process_that_cannot_be_asked_is_known_by_what_it_tells(
    with_workers: Session, command: str
) -> None:
    assert with_workers.refused(f"{command} web/w1:12") == (
        "web/w1:12: its process has just ended, or tells no more than ps --all shows"
    )


@pytest.mark.parametrize("command", ["join", "resume", "heap"])
def test_not_everything_reaches_one_of_them(with_workers: Session, command: str) -> None:
    assert with_workers.refused(f"{command} web/w1:12") == (
        "web/w1:12 runs in another process: from here where, show, cancel and kill reach it, and nothing else"
    )


def test_a_row_of_theirs_is_not_taken_for_one_of_ours(with_workers: Session) -> None:
    why = with_workers.refused("co.kill(co.ps(all=True)[1].id)")
    assert "web/w1:2: its process has just ended, or tells no more" in why
