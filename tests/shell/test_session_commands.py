"""Commands about the session itself."""

import json

import pytest

import coloop
from coshell.config import Settings, keys
from coshell.console import Capture
from coshell.shell import Quit, Shell


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


def test_every_command_has_help(shell, typed):
    for command in shell.commands:
        assert typed(f":{command.name} --help")[0] == f"{command.name}: {command.summary}"


def own_examples():
    shell = Shell(Settings(level="off"), console=Capture())
    return [
        (command.name, example)
        for command in shell.commands
        if command.run.__module__ == "coshell.commands.session"
        for example in command.examples
    ]


@pytest.mark.parametrize(("name", "example"), own_examples())
def test_every_example_runs_as_it_stands(typed, name, example):
    typed(example)


# -- help ------------------------------------------------------------------------------------------


def test_help_lists_all_commands(shell, typed):
    lines = typed("help")
    names = [line.split()[0] for line in lines[lines.index("COMMAND") + 1 :]]
    assert names == shell.commands.names()
    records = [json.loads(line) for line in typed("help --json")]
    assert [record["name"] for record in records] == names
    assert set(records[0]) == {"name", "summary", "usage", "owner"}


def test_help_explains_commands_settings_and_objects(typed):
    assert typed("help ps")[0].startswith("ps: ")
    assert typed("?ps") == typed("help ps")
    assert typed("help refresh") == ["refresh: between two looks at the scheduler (set refresh VALUE)"]
    assert typed("help defer")[0].startswith("defer(fn: 'Callable[..., Any]'")
    assert typed("help coloop.Channel")[0].startswith("coloop.Channel(")


def test_help_as_a_function_takes_the_object_itself(typed):
    assert typed("help(sleep)")[0].startswith('"sleep(seconds')
    assert typed("help(ps)")[0].startswith("'ps: list")
    assert typed("help([])")[0].startswith("'list: list")


def test_help_runs_no_code_of_the_object(shell, typed):
    class Loud:
        @property
        def inner(self):
            raise AssertionError

        def __getattr__(self, name):
            raise AssertionError(name)

    shell.names["loud"] = Loud()
    assert typed("help loud")[0] == "loud: Loud"
    assert "no help on 'loud.inner'" in failure(shell, "help loud.inner").error


def test_help_names_the_nearest(shell):
    assert failure(shell, "help stauts").error == "no help on 'stauts', did you mean 'status'?"


# -- set -------------------------------------------------------------------------------------------


def test_settings_are_listed_with_their_origin(typed):
    typed("set timeout 300ms")
    rows = {line.split()[0]: line.split()[1:3] for line in typed("set")[1:]}
    assert list(rows) == keys()
    assert rows["timeout"] == ["300ms", "set"]
    assert rows["level"] == ["off", "default"]
    records = {record["key"]: record for record in map(json.loads, typed("set --json"))}
    assert records["timeout"]["value"] == 0.3
    assert records["seed"]["value"] is None


def test_a_setting_is_changed_and_told(typed):
    assert typed("set vi on") == ["ok  vi = on"]
    assert typed("set vi") == ["ok  vi = on"]
    assert typed("set history-file /x") == ["ok  history_file = /x"]
    assert typed("set seed {3 + 4}") == ["ok  seed = 7"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("set levle heap", "set: no setting 'levle', did you mean 'level'?"),
        ("set levle", "set: no setting 'levle', did you mean 'level'?"),
        ("set level loud", "set: level: 'loud' is not one of off, counts, heap, sites"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(shell, line, message):
    result = failure(shell, line)
    assert result.error == message
    assert result.exit_code == 2


# -- run -------------------------------------------------------------------------------------------


def test_a_session_file_runs_here(typed, tmp_path):
    file = tmp_path / "a.cosh"
    file.write_text("x = 5\n@assert x == 5\n")
    typed(f"run {file}")
    assert typed("x") == ["5"]


def test_a_session_file_that_fails_is_told(shell, tmp_path):
    file = tmp_path / "a.cosh"
    file.write_text("x = 5\n@assert x == 6\n")
    result = failure(shell, f"run {file}")
    assert result.error == f"run: {file} has failed"
    assert f"{file}:2: @assert x == 6 failed: 5" in shell.output.console.text
    assert result.exit_code == 1


def test_a_session_file_that_is_missing_is_told(shell):
    assert failure(shell, "run nowhere.cosh").exit_code == 2
    assert "nowhere.cosh: no such file or directory" in shell.output.console.text


# -- plugins ---------------------------------------------------------------------------------------

PLUGIN = """
from coshell.api import Command, hookimpl

@hookimpl
def coshell_commands():
    return [Command("tide", "tell the tide", lambda shell: "high")]
"""


def test_plugins_come_and_go(shell, typed, tmp_path):
    (tmp_path / "tides.py").write_text(PLUGIN)
    assert typed("plugins") == ["no plugins"]
    assert typed(f"plugin load {tmp_path / 'tides.py'}") == ["ok  plugin tides: tide"]
    assert typed("tide") == ["high"]
    assert typed("plugins")[1].split()[:2] == ["tides", "loaded"]
    assert json.loads(typed("plugins --json")[0])["commands"] == ["tide"]
    assert typed("plugin unload tides") == ["ok  unloaded"]
    assert failure(shell, ":tide").error.startswith("no command 'tide'")


def test_a_plugin_that_is_refused_is_told_with_the_reason(shell, typed, tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0")
    result = failure(shell, f"plugin load {tmp_path / 'broken.py'}")
    assert "plugin 'broken' not loaded: ZeroDivisionError" in result.error
    assert "ZeroDivisionError" in typed("plugins")[1]


# -- quit ------------------------------------------------------------------------------------------


class Person:
    """A terminal with somebody who answers."""

    width = 80

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def confirm(self, question):
        self.asked.append(question)
        return self.answer


def test_quit_asks_if_somebody_still_runs(shell):
    shell.terminal = Person(answer=False)
    with pytest.raises(Quit):
        shell.execute("quit")
    shell.bridge.call(coloop.go, coloop.sleep, 60)
    assert shell.execute("quit").ok
    assert shell.terminal.asked == ["1 coroutine running; leave?"]
    with pytest.raises(Quit):
        shell.execute("quit --force")
    shell.terminal.answer = True
    with pytest.raises(Quit):
        shell.execute("exit")


def test_quit_gives_an_exit_code(shell):
    with pytest.raises(Quit) as raised:
        shell.execute("quit 7")
    assert raised.value.code == 7
