import pytest

from coshell.directives import run_directive, waiting_places
from coshell.steps import Grammar, LineSplitter
from tests.patience import PATIENCE_S
from tests.shell.sessions import session


@pytest.fixture
def opened():
    with session(timeout=PATIENCE_S) as opened:
        yield opened


@pytest.fixture
def hasty(opened):
    """It waits for 50 ms."""
    opened.type("set timeout 50ms")
    return opened


def direct(opened, line):
    """What comes of one directive."""
    shell = opened.shell
    splitter = LineSplitter(Grammar(directives=frozenset(shell.plugins.directives())), "x.cosh")
    step = [*splitter.feed(line), *splitter.close()][0]
    return run_directive(shell, step)


def failure(opened, line):
    result = direct(opened, line)
    assert not result.ok
    return result.error, result.exit_code


@pytest.mark.parametrize(
    "line",
    [
        "@assert 1 + 1 == 2",
        "@assert 64K == 65536",
        "@wait len(ps()) == 1",
        "@idle",
        "@idle within 45s",
        "@set timeout 2s",
    ],
)
def test_what_a_directive_says_is_so(opened, line):
    result = direct(opened, line)
    assert result.ok, result.error


def test_an_assertion_that_fails_shows_what_was_seen(opened):
    opened.type("from coshell.values import Bytes\nheap = Bytes(72909)")
    assert failure(opened, "@assert heap < 64K") == ("@assert heap < 64K failed: 71.2K", 1)


def test_an_assertion_that_raises_fails(opened):
    assert failure(opened, "@assert 1 / 0") == (
        "@assert 1 / 0 failed: ZeroDivisionError: division by zero",
        1,
    )


def test_an_assertion_may_wait_and_is_evaluated_once(opened):
    opened.type("ch = Channel(1)\nch.send(7)")
    assert direct(opened, "@assert ch.receive() == 7").ok


def test_an_assertion_that_can_never_come_to_an_end_is_a_deadlock(opened):
    error, exit_code = failure(opened, "@assert Channel().receive()")
    assert error.startswith("@assert Channel().receive() failed: deadlock")
    assert exit_code == 3


def test_a_wait_goes_on_until_its_expression_is_true(opened):
    opened.type("done = []\ngo:\n    sleep(0.005)\n    done.append(1)")
    assert direct(opened, "@wait done within 45s").ok


def test_a_wait_in_vain_tells_what_was_seen_and_where_everybody_waits(opened):
    opened.type("go sleep(3600) --name sleeper")
    result = direct(opened, "@wait len(ps()) == 1 within 10ms")
    assert result.error == "@wait len(ps()) == 1 within 10ms failed: still 2 after 10ms"
    assert "co#2 sleeper waits on sleep" in result.traceback
    assert "co#1" not in result.traceback


def test_a_wait_without_a_time_of_its_own_has_that_of_the_settings(hasty):
    assert failure(hasty, "@wait False") == ("@wait False failed: still False after 50ms", 1)


def test_time_is_that_of_the_shells_clock():
    with session(clock="virtual") as opened:
        opened.type("done = []\ngo:\n    sleep(3000)\n    done.append(1)")
        assert direct(opened, "@wait done within 1h").ok


def test_those_who_do_not_come_to_rest_are_named(hasty):
    hasty.type("def busy():\n    while True: yield_now()\ngo busy()")
    result = direct(hasty, "@idle")
    assert result.error == "@idle failed: not at rest after 50ms"
    assert "co#2 busy" in result.traceback


def test_a_setting_is_changed_and_remembers_where(opened):
    assert direct(opened, "@set timeout 2s").ok
    assert opened.shell.settings.timeout == 2
    assert opened.shell.origins["timeout"] == "x.cosh:1"


def test_a_setting_that_cannot_be_is_misuse(opened):
    error, exit_code = failure(opened, "@set timeot 2s")
    assert "did you mean 'timeout'?" in error
    assert exit_code == 2


def test_a_plugin_that_is_not_loaded_is_missing(opened):
    assert failure(opened, "@require plugin none") == ("@require plugin none: it is not loaded", 2)


PLUGIN = """
from coshell.api import CommandError, hookimpl

@hookimpl
def coshell_directives():
    return {"note": note, "refuse": refuse}

def note(shell, text):
    shell.bind("noted", text)

def refuse(shell, text):
    raise CommandError(f"no {text}")
"""


@pytest.fixture
def with_plugin(opened, tmp_path):
    (tmp_path / "notes.py").write_text(PLUGIN)
    opened.shell.plugins.load(str(tmp_path / "notes.py"))
    return opened


def test_a_plugin_that_is_loaded_is_there(with_plugin):
    assert direct(with_plugin, "@require plugin notes").ok


def test_a_plugin_that_was_refused_is_missing_and_the_reason_is_told(opened, tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0")
    opened.shell.execute(f"plugin load {tmp_path / 'broken.py'}")
    error, exit_code = failure(opened, "@require plugin broken")
    assert error.startswith("@require plugin broken: it was not loaded: ZeroDivisionError")
    assert exit_code == 2


def test_a_directive_of_a_plugin_is_given_the_shell_and_its_text(with_plugin):
    assert direct(with_plugin, "@note a b").ok
    assert with_plugin.value("noted") == "a b"


def test_a_directive_of_a_plugin_may_fail(with_plugin):
    assert failure(with_plugin, "@refuse it") == ("@refuse it failed: no it", 1)


def test_a_directive_that_nobody_knows_is_misuse(opened):
    error, exit_code = failure(opened, "@asert x")
    assert error == "no directive @asert, did you mean @assert?"
    assert exit_code == 2


def test_a_file_may_be_included_at_the_prompt(opened, tmp_path):
    (tmp_path / "a.cosh").write_text("x = 7\n")
    (tmp_path / "b.cosh").write_text("@assert x == 8\n")
    assert direct(opened, f"@include {tmp_path / 'a.cosh'}").ok
    assert opened.value("x") == 7
    assert failure(opened, f"@include {tmp_path / 'b.cosh'}")[1] == 1


def test_where_everybody_waits_is_bounded_and_printable(opened):
    opened.type("go -n 60 sleep(3600) --name 'a\x1b[2J'".replace("\x1b", "\\x1b"))
    lines = waiting_places(opened.shell)
    assert lines[-1] == "  and 11 more"
    assert all(line.isprintable() for line in lines)
