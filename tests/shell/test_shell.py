"""Lines in, results out."""

import gc
import socket
import threading
import time
import weakref
from contextlib import suppress

import pytest

import coloop
from coshell.command import Arg, Command, CommandError
from coshell.config import SettingError, Settings
from coshell.console import Capture
from coshell.shell import STOP_S, Quit, Shell
from tests.patience import wait_for


@pytest.fixture
def make_shell():
    shells = []

    def make(**more):
        settings = Settings(level="off", **more.pop("settings", {}))
        shell = Shell(settings, console=Capture(), **more)
        shells.append(shell)
        shell.start()
        return shell

    yield make
    for shell in shells:
        assert shell.close()


@pytest.fixture
def shell(make_shell):
    return make_shell()


@pytest.fixture
def typed(shell):
    """Executes lines, and gives what the last of them shows."""

    def typed(*lines):
        for line in lines:
            shell.output.console = Capture()
            result = shell.execute(line)
            assert result.ok, result
        return shell.output.console.lines()

    return typed


def failure(shell, line, **more):
    result = shell.execute(line, **more)
    assert not result.ok
    return result


def a_command(name="tide", run=lambda shell, **values: values, **more):
    return Command(name, "tell the tide", run, **more)


# -- Python ----------------------------------------------------------------------------------------


def test_the_value_of_an_expression_is_shown(typed):
    assert typed("1 + 1") == ["2"]
    assert typed("x = 3", "x * 'a'") == ["'aaa'"]
    assert typed("None") == []


def test_a_block_runs_as_a_whole(typed):
    assert typed("def f(n):\n    sleep(0)\n\n    return n", "f(7)") == ["7"]


def test_what_stands_below_a_decorator_is_defined(typed):
    assert typed("from functools import cache", "@cache\ndef f(n):\n    return n", "f(7)") == ["7"]
    typed("from dataclasses import dataclass")
    assert typed("@dataclass\nclass Point:\n    x: int", "Point(1)") == ["Point(x=1)"]


def test_an_at_is_a_directive_only_if_its_name_is_one(shell):
    assert shell.classify("@cache").kind == "python"
    assert shell.classify("@wait done").kind == "directive"


def test_a_failing_decorator_tells_where_it_failed(shell):
    result = failure(shell, "@missing\ndef f(): pass")
    assert (result.kind, result.error) == ("python", "NameError: name 'missing' is not defined")


def test_lines_that_were_pasted_run_one_after_the_other(shell, typed):
    assert typed("x = 1\nfor i in range(2):\n    x += i\n\nx") == ["2"]
    result = failure(shell, "y = 1\n1 / 0\ny = 2")
    assert result.error == "ZeroDivisionError: division by zero"
    assert shell.names["y"] == 1


def test_a_statement_runs_in_the_shells_coroutine(typed):
    assert typed("current().id, current().name") == ["(1, 'shell')"]


def test_an_error_has_one_line_and_a_traceback(shell):
    result = failure(shell, "def f():\n    return {}['x']\nf()")
    assert result.error == "KeyError: 'x'"
    assert "File \"<co:1>\", line 2, in f\n    return {}['x']" in result.traceback
    assert result.exit_code == 1
    assert result.kind == "python"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("x = = 1", "SyntaxError: invalid syntax (line 1)"),
        ("  x = 1", "unexpected indent"),
        (":unknown 1", "no command 'unknown'; help lists them all"),
        ("ps --trea", "ps: no option '--trea', did you mean '--tree'?: usage: ps"),
    ],
)
def test_what_is_wrong_as_it_stands_has_exit_code_2(shell, source, error):
    result = failure(shell, source)
    assert result.error.startswith(error)
    assert result.exit_code == 2


@pytest.mark.parametrize("source", ["raise SystemExit(3)", "raise GeneratorExit", "import sys; sys.exit()"])
def test_whatever_a_statement_raises_the_shell_goes_on(shell, typed, source):
    failure(shell, source)
    assert typed("1") == ["1"]


def test_a_result_holds_nothing_of_an_error(shell):
    shell.execute("class Held: pass\ndef f():\n    held = Held(); seen.append(weakref.ref(held)); 1 / 0")
    seen = shell.names["seen"] = []
    shell.names["weakref"] = weakref
    gc.disable()
    try:
        result = failure(shell, "f()")
        assert seen[0]() is None
        assert result.value is None
    finally:
        gc.enable()


def test_what_is_awaited_gets_a_clear_answer(shell):
    assert "'await' outside function" in failure(shell, "await x").error


# -- commands and Python ---------------------------------------------------------------------------


def test_a_command_shows_its_records_as_a_table(shell, typed):
    shell.commands.register(a_command(run=lambda shell: [{"port": "Brest", "height": 7}]))
    assert typed("tide") == ["PORT   HEIGHT", "Brest       7"]
    assert typed("tide --json") == ['{"port": "Brest", "height": 7}']
    assert shell.execute("tide").records == [{"port": "Brest", "height": 7}]


def test_a_command_decides_how_its_value_is_shown(shell, typed):
    shell.commands.register(a_command(run=lambda shell: 7, show=lambda value, width: [f"{value} of {width}"]))
    assert typed("tide") == ["7 of 80"]


def test_text_is_shown_as_it_is_and_nothing_as_nothing(shell, typed):
    shell.commands.register(a_command("words", lambda shell: "two\nlines\x1b"))
    shell.commands.register(a_command("nothing", lambda shell: None))
    assert typed("words") == ["two", "lines\\x1b"]
    assert typed("nothing") == []
    assert typed("nothing --json") == []


def test_json_can_be_the_rule(make_shell):
    shell = make_shell(settings={"json": True})
    shell.commands.register(a_command(run=lambda shell: [{"a": 1}, {"a": 2}]))
    shell.execute("tide")
    shell.execute("'é'")
    assert shell.output.console.lines() == ['{"a": 1}', '{"a": 2}', '{"value": "\\u00e9"}']


def test_help_of_a_command_runs_nothing(shell, typed):
    shell.commands.register(a_command(run=lambda shell: 1 / 0))
    assert typed("tide --help")[0] == "tide: tell the tide"


def test_a_command_runs_in_a_coroutine_unless_it_must_not_wait(shell, typed):
    seen = []

    def run(shell):
        seen.append((threading.current_thread().name, coloop.current() and coloop.current().id))

    shell.commands.register(a_command("in_loop", run))
    shell.commands.register(a_command("anywhere", run, lane="any"))
    typed("in_loop", "anywhere")
    assert seen == [("coshell scheduler", 1), (threading.current_thread().name, None)]


def test_python_values_go_into_commands(shell, typed):
    args = (Arg("what", kind="value"),)
    shell.commands.register(a_command(args=args, run=lambda shell, what: repr(what)))
    assert typed("x = [1]", "tide $x") == ["[1]"]
    assert typed("tide {x + [sleep(0) or 2]}") == ["[1, 2]"]
    assert typed("tide x{x[0]}") == ["'x1'"]


def test_a_command_is_a_function_too(shell, typed):
    args = (Arg("port"), Arg("--high", kind="flag"))
    shell.commands.register(a_command(args=args))
    assert typed("tide('Brest', high=True)") == ["{'port': 'Brest', 'high': True}"]
    assert typed("co.tide('Brest')['port']") == ["'Brest'"]
    assert typed("co.tide") == ["<command tide PORT [--high] [--json]>"]
    assert "did you mean 'tide'" in failure(shell, "co.tdie()").error


def test_the_called_form_is_coloops_where_it_has_the_name(shell):
    assert shell.names["go"] is coloop.go
    assert shell.names["sleep"] is coloop.sleep
    assert repr(shell.names["ps"]).startswith("<command ps")


def test_names_of_python_stay_pythons(shell, typed):
    assert typed("set([1, 1])") == ["{1}"]


def test_a_name_of_the_users_hides_a_command(shell, typed):
    assert typed("ps = 5", "ps") == ["5"]
    assert typed(":ps")[0].startswith("ID")
    assert typed("co.ps()[0].id") == ["1"]
    assert "ps" in shell.bound
    assert "ps" in list(shell.bound)


def test_in_a_script_a_hidden_command_is_an_error(shell):
    shell.execute("ps = 5")
    result = failure(shell, "ps", strict=True)
    assert "'ps' is a command and a name of yours" in result.error
    assert result.exit_code == 2


def test_a_name_that_is_deleted_hides_no_command(shell, typed):
    assert typed("ps = 5", "del ps", "ps")[0].startswith("ID")


# -- other lines -----------------------------------------------------------------------------------


def test_a_line_for_the_systems_shell(shell, typed):
    assert typed("!echo hi; printf '\\033[2J'") == ["hi", "\\x1b[2J"]
    assert failure(shell, "!exit 3").error == "exit status 3"
    assert failure(shell, "!").exit_code == 2


def test_the_systems_shell_does_not_read_our_input(typed):
    assert typed("!cat") == []


def test_a_question_is_a_line_too(typed):
    assert typed("?ps")[0].startswith("ps: ")


def test_nothing_comes_of_nothing(shell):
    assert shell.execute("").kind == "blank"
    assert shell.execute("# a remark").ok


def test_directives_work_everywhere(shell):
    assert shell.execute("@assert 1 + 1 == 2").ok
    result = failure(shell, "@assert 1 + 1 == 3")
    assert result.error == "@assert 1 + 1 == 3 failed: 2"
    assert result.exit_code == 1


def test_quit_ends_the_session(shell):
    for line, code in (("quit", 0), ("quit 3", 3), ("exit()", 0), ("quit(code=4)", 4)):
        with pytest.raises(Quit) as raised:
            shell.execute(line)
        assert raised.value.code == code


# -- blocks that are not complete ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "more"),
    [
        ("x = 1", False),
        ("f(1,", True),
        ("def f():", True),
        ("def f():\n    return 1", True),
        ("def f():\n    return 1\n", False),
        ("if x: y", True),
        ("'''text", True),
        ("x = = 1", False),
        ("ps", False),
        ("send c 'x", False),
        ("go:", True),
        ("go:\n    f()", True),
        ("go:\n    f()\n", False),
        ("go f(", True),
        ("@decorated", True),
        ("@assert f(", True),
        ("  x", False),
        ("", False),
    ],
)
def test_the_beginning_of_a_statement_is_known(shell, source, more):
    assert shell.needs_more(source) is more


# -- going wrong together with others --------------------------------------------------------------


def test_ctrl_c_ends_a_statement(shell):
    waits = threading.Event()
    shell.names["waits"] = waits
    thread = threading.Thread(target=lambda: (wait_for(waits), shell.bridge.interrupt()))
    thread.start()
    result = failure(shell, "waits.set(); sleep(3600)")
    thread.join()
    assert (result.error, result.exit_code, result.traceback) == ("interrupted", 130, None)


def test_at_a_prompt_somebody_who_lets_nobody_run_is_named(make_shell):
    shell = make_shell(interactive=True)
    shell.execute("def spin():\n    while True: pass\n")
    result = failure(shell, "go(spin)")
    assert result.error == "goes on later: co#2 spin lets nobody else run (kill 2)"
    assert result.hog is None
    again = failure(shell, "x = 1")
    assert again.error == "not run: co#2 spin lets nobody else run (kill 2)"
    assert shell.execute("kill 2").ok
    assert shell.execute("x = 2").ok
    assert shell.names["x"] == 2


def test_who_presses_ctrl_c_behind_a_hog_hears_who_it_is(make_shell):
    shell = make_shell(interactive=True)
    shell.bridge.hog_patience_s = None
    started = shell.names["started"] = threading.Event()
    shell.execute("def spin():\n    started.set()\n    while True: pass\n")
    thread = threading.Thread(target=lambda: (wait_for(started), shell.bridge.interrupt()))
    thread.start()
    result = failure(shell, "go(spin)")
    thread.join()
    assert result.hog is shell.find_coroutine("spin")
    assert shell.execute("kill 2").ok


def test_in_a_script_a_standstill_has_exit_code_3(shell):
    shell.execute("c = Channel()")
    result = failure(shell, "c.receive()")
    assert result.error == "deadlock: nothing can wake any of these"
    assert "co#1 shell waits on receive from channel#" in result.traceback
    assert result.exit_code == 3


def test_at_a_prompt_a_standstill_of_several_is_told_once(make_shell):
    shell = make_shell(interactive=True)
    shell.execute("c = Channel()")
    shell.execute("one = go(c.receive)")
    assert shell.output.console.lines() == []
    shell.execute("two = go(c.receive)")
    shell.bridge.call(coloop.sleep, 0.01)
    shell.execute("three = go(c.receive)")
    shell.bridge.call(coloop.sleep, 0.01)
    assert shell.output.console.text.count("deadlock") == 1


def test_a_death_in_the_background_is_told_and_kept(shell):
    shell.execute("def fail():\n    1 / 0\n")
    shell.execute("x = go(fail, name='divider')")
    while "died" not in shell.output.console.text:  # it is told in a turn of the root's, after this line's
        time.sleep(0.001)
    (line,) = [line for line in shell.output.console.lines() if "died" in line]
    assert line.startswith("✗ co#2 divider died after ")
    assert line.endswith(": ZeroDivisionError: division by zero (traceback: err 2)")
    assert "line 2, in fail" in shell.failures.of(2).traceback


def test_what_ends_late_is_told(make_shell):
    shell = make_shell(interactive=True)
    shell.execute("def spin():\n    while True: pass\n")
    failure(shell, "(go(spin), 'late')[1]")
    shell.scheduler.kill(shell.find_coroutine("spin"))
    shell.bridge.call(coloop.sleep, 0)
    assert "'late'" in shell.output.console.lines()


# -- settings --------------------------------------------------------------------------------------


def test_a_virtual_clock_can_be_taken_while_nobody_lives_by_the_old_one(shell):
    shell.execute("x = 5")
    shell.change_setting("clock", "virtual")
    assert shell.execute("sleep(3600)").ok
    assert shell.names["x"] == 5
    assert shell.bridge.clock_is_virtual
    shell.execute("y = go(sleep, 1)")
    with pytest.raises(
        CommandError,
        match=r"set clock: 1 coroutine lives by the old one \(2\): kill them first, or set it in a new shell",
    ):
        shell.change_setting("clock", "real")
    assert shell.settings.clock == "virtual"


def test_settings_take_effect_at_once(shell):
    shell.change_setting("raw", "on", "a test")
    assert shell.output.raw
    assert shell.origins["raw"] == "a test"
    shell.change_setting("level", "counts")
    assert coloop.memory.level() == "counts"
    with pytest.raises(SettingError):
        shell.change_setting("levle", "counts")


def test_the_level_of_accounting_is_what_it_was_when_all_is_over(make_shell):
    before = coloop.memory.level()
    shell = Shell(Settings(level="counts"), console=Capture())
    shell.start()
    assert coloop.memory.level() == "counts"
    shell.close()
    assert coloop.memory.level() == before


# In one call: one more that came in between would be among those of whom the next is drawn.
_RACE = """\
def race():
    order = []
    for one in [go(lambda i=i: (yield_now(), order.append(i))) for i in range(8)]:
        one.join()
    return order
"""


def test_seeds_decide_the_order(make_shell):
    orders = set()
    for seed in (1, 1, 2, 3, 4, 5):
        shell = make_shell(settings={"seed": seed})
        shell.execute(_RACE)
        shell.execute("order = race()")
        orders.add(tuple(shell.names["order"]))
    assert 1 < len(orders) < 6


# -- the end ---------------------------------------------------------------------------------------


def test_the_end_runs_every_finally_and_keeps_no_name(make_shell):
    shell = make_shell()
    ended = shell.names["ended"] = []
    shell.execute("def work():\n    try:\n        sleep(60)\n    finally:\n        ended.append(1)\n")
    shell.execute("x = go(work)")
    assert shell.close()
    assert ended == [1]
    assert shell.names == {}


def wait_until_refused(address):
    with suppress(OSError):
        while True:
            socket.create_connection((address.host, address.port)).close()
            time.sleep(0.01)


def test_draining_lets_nobody_in_and_waits_for_those_who_are(shell):
    served = shell.names["served"] = []
    shell.execute(
        "def serve_one(c):\n    for _ in range(2): c.sendall(c.recv_exactly(3))\n    served.append(c.peer)\n"
    )
    shell.execute("s = serve(('127.0.0.1', 0), serve_one)")
    address = shell.names["s"].address
    with socket.create_connection((address.host, address.port)) as client:
        client.sendall(b"one")
        assert client.recv(3) == b"one"
        late = threading.Thread(target=lambda: (wait_until_refused(address), client.sendall(b"two")))
        late.start()
        shell.drain(3600)
        assert len(served) == 1
        late.join()
        assert client.recv(3) == b"two"
    with pytest.raises(OSError, match="refused"):
        shell.bridge.call(coloop.connect, address)


class Pool:
    """Something that can be stopped, in its own time."""

    def __init__(self, stopping=lambda: None):
        self.state, self.stopping, self.drains = "running", stopping, []

    def stop(self, drain):
        self.drains.append(drain)
        self.stopping()
        self.state = "stopped"


def test_draining_ends_also_while_a_coroutine_lets_nobody_run(hogged):
    hogged.shell.drain(0.1)


def test_draining_stops_all_that_can_be_stopped_side_by_side(make_shell):
    shell = make_shell(settings={"clock": "virtual"})
    pools = [Pool(lambda: coloop.sleep(3)), Pool(lambda: coloop.sleep(3)), Pool(lambda: coloop.sleep(9999))]
    for pool in pools:
        shell.things.add("server", pool)
    began_s = shell.scheduler.clock.now()
    shell.drain(3)
    assert [(pool.state, pool.drains) for pool in pools] == [
        ("stopped", [3]),
        ("stopped", [3]),
        ("running", [3]),
    ]
    assert shell.scheduler.clock.now() - began_s == pytest.approx(3 + STOP_S, abs=0.1)


def test_what_fails_while_it_is_stopped_keeps_nothing_else_from_it(shell):
    def fail():
        raise OSError("no such process")

    for pool in (pools := [Pool(fail), Pool()]):
        shell.things.add("server", pool)
    shell.drain(3600)
    assert [pool.state for pool in pools] == ["running", "stopped"]
    shell.close()  # whoever might have asked for the failure had a turn by now
    assert "no such process" in shell.output.console.text


def test_a_server_that_is_given_up_is_told_and_remembered(shell):
    shell.given_up("web", "5 workers died\nat \x1b[2Jbirth")
    assert shell.output.console.text == "server web is given up: 5 workers died\\x0aat \\x1b[2Jbirth\n"
    assert shell.lost == {"web": "5 workers died\nat \x1b[2Jbirth"}


def test_draining_closes_what_was_opened_by_hand(shell):
    shell.execute("s = serve(('127.0.0.1', 0), lambda c: c.recv())\nc = connect(s.address)")
    shell.drain(3600)  # at once, or the test hangs
    assert shell.names["c"].closed
