"""Plugins come, are asked, fail and go; the shell stays."""

import queue
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import coloop
from coshell.certificate import Certificate
from coshell.command import CommandError
from coshell.console import Capture
from coshell.plugin import PluginManager, PluginRecord
from coshell.shell import Quit, Shell

HEAD = "from coshell.api import Arg, Bytes, Command, CommandError, Lint, PsColumn, hookimpl\n\n"


def hook(name: str, body: str) -> str:
    return f"{HEAD}@hookimpl\ndef {name}:\n    {body}\n"


def command(name: str, body: str = "return 'done'") -> str:
    run = f"{HEAD}def run(shell, **_):\n    {body}\n\n"
    return f"{run}@hookimpl\ndef coshell_commands():\n    return [Command({name!r}, 'a test', run)]\n"


class Notices(queue.SimpleQueue[str]):
    def next(self) -> str:
        return self.get(timeout=30)


class Plugins:
    """Writes plugins and loads them."""

    def __init__(self, folder: Path, manager: PluginManager) -> None:
        self.folder = folder
        self.manager = manager

    def write(self, name: str, source: str) -> str:
        path = self.folder / f"{name}.py"
        path.write_text(source)
        return str(path)

    def load(self, name: str, source: str) -> PluginRecord:
        return self.manager.load(self.write(name, source))

    def refused(self, name: str, source: str) -> str:
        """Why it is refused; checks what has to hold for each that is."""
        before = self.manager.commands(), self.manager.ps_columns(), self.manager.directives()
        with pytest.raises(CommandError) as caught:
            self.load(name, source)
        line = str(caught.value)
        assert line.startswith(f"plugin {name!r} not loaded: ")
        assert "\n" not in line
        assert (self.manager.commands(), self.manager.ps_columns(), self.manager.directives()) == before
        assert not [module for module in sys.modules if module.startswith(f"coshell_plugin_{name}")]
        why = line.removeprefix(f"plugin {name!r} not loaded: ")
        record = self.record(name)
        assert (record.state, record.why, record.commands) == ("refused", why, ())
        return why

    def record(self, name: str) -> PluginRecord:
        return next(record for record in self.manager.records() if record.name == name)


@pytest.fixture
def console() -> Capture:
    return Capture()


@pytest.fixture
def shell(console: Capture) -> Iterator[Shell]:
    with Shell(console=console) as shell:
        yield shell


@pytest.fixture
def notices() -> Notices:
    return Notices()


@pytest.fixture
def manager(shell: Shell, notices: Notices) -> Iterator[PluginManager]:
    manager = PluginManager(shell, notices.put, patience_s=3600.0)
    yield manager
    manager.close()


@pytest.fixture
def plugins(tmp_path: Path, manager: PluginManager) -> Iterator[Plugins]:
    yield Plugins(tmp_path, manager)
    for name in [name for name in sys.modules if name.startswith("coshell_plugin_")]:
        del sys.modules[name]


# -- what a plugin adds


def test_a_command_of_a_plugin_is_a_command_of_the_shell(
    plugins: Plugins, shell: Shell, console: Capture
) -> None:
    record = plugins.load("tides", command("tide", "return 'high'"))
    assert (record.name, record.state, record.why, record.commands) == ("tides", "loaded", "", ("tide",))
    assert shell.execute("tide").ok
    assert console.lines() == ["high"]
    assert shell.evaluate("co.tide()") == "high"
    assert "from plugin tides" in shell.commands.get("tide").help()


def test_the_version_is_its_own_if_no_distribution_has_one(plugins: Plugins) -> None:
    assert plugins.load("tides", "__version__ = '1.4'\n").version == "1.4"


def test_a_column_takes_its_values_from_pictures(plugins: Plugins, shell: Shell) -> None:
    plugins.load(
        "tides", hook("coshell_ps_columns()", "return [PsColumn('FATHOMS', lambda one: one.frames)]")
    )
    (column,) = plugins.manager.ps_columns()
    (picture,) = shell.snapshot().coroutines
    assert (column.header, column.value(picture)) == ("FATHOMS", picture.frames)


def test_a_lint_judges_pictures(plugins: Plugins, shell: Shell) -> None:
    plugins.load("tides", hook("coshell_lints()", "return [Lint('odd', lambda one: f'is {one.id % 2}')]"))
    (lint,) = plugins.manager.lints()
    assert (lint.name, lint.check(shell.snapshot().coroutines[0])) == ("odd", "is 1")


def test_a_directive_is_given_the_shell_and_its_text(plugins: Plugins, shell: Shell) -> None:
    plugins.load("tides", hook("coshell_directives()", "return {'ebb': lambda shell, text: (shell, text)}"))
    assert plugins.manager.directives()["ebb"](shell, "at 6") == (shell, "at 6")


def test_the_bar_gets_a_segment_from_each_that_has_one(plugins: Plugins) -> None:
    plugins.load("tides", hook("coshell_toolbar(sample)", "return f'tide {sample}'"))
    plugins.load("silent", hook("coshell_toolbar()", "return None"))
    plugins.load("none", "")
    assert plugins.manager.toolbar("high") == ["tide high"]  # type: ignore[arg-type]


def test_what_a_plugin_writes_into_the_bar_cannot_command_the_terminal(plugins: Plugins) -> None:
    plugins.load("tides", hook("coshell_toolbar()", r"return '\x1b]0;title\x07'"))
    assert plugins.manager.toolbar(None) == [r"\x1b]0;title\x07"]  # type: ignore[arg-type]


def test_a_plugin_is_told_when_it_is_in_place(plugins: Plugins, shell: Shell) -> None:
    plugins.load("tides", hook("coshell_loaded(shell)", "shell.names['tide'] = 'high'"))
    assert shell.evaluate("tide") == "high"


# -- refused


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("x = 1\nraise ValueError('low')\n", r"ValueError: low (bad.py:2 in <module>)"),
        ("raise SystemExit(3)\n", "SystemExit: 3 (bad.py:1 in <module>)"),
        ("class Odd(BaseException): pass\nraise Odd('x')\n", "Odd: x (bad.py:2 in <module>)"),
        ("def broken(:\n", "SyntaxError: invalid syntax (bad.py:1)"),
        ("import nonsense_that_is_not_there\n", "No module named 'nonsense_that_is_not_there' (bad.py:1 in <module>)"),
        ("from coshell.api import nonsense\n", "cannot import name 'nonsense'"),
        ("requires_coshell = '>=99'\nraise ValueError\n", "it needs coshell >=99, and this is 0.1.0"),
        ("requires_coshell = 'new'\n", "requires_coshell = 'new' is not of the form '>=0.1, <2'"),
        (hook("coshell_commands()", "return 1 / 0"), "coshell_commands failed: ZeroDivisionError: division by zero (bad.py:5 in coshell_commands)"),
        (hook("coshell_commands()", "raise SystemExit"), "coshell_commands failed: SystemExit (bad.py:5 in coshell_commands)"),
        (hook("coshell_commands()", "return ['ps']"), "coshell_commands gives a str, not only Command objects"),
        (hook("coshell_commands()", "return 7"), "'int' object is not iterable"),
        (hook("coshell_commands()", "yield Command('Bad Name', '', print)"), "a command cannot be named 'Bad Name' (bad.py:5 in coshell_commands)"),
        (hook("coshell_lints()", "return [Command('x', '', print)]"), "coshell_lints gives a Command, not only Lint objects"),
        (hook("coshell_loaded()", "raise OSError('no sea')"), "coshell_loaded failed: OSError: no sea (bad.py:5 in coshell_loaded)"),
        (hook("coshell_comands()", "return []"), "there is no hook 'coshell_comands', did you mean 'coshell_commands'?"),
        (hook("coshell_commands(sea)", "return []"), "Argument(s) {'sea'} are declared in the hookimpl but can not be found in the hookspec"),
        (f"{HEAD}@hookimpl(wrapper=True)\ndef coshell_commands():\n    yield\n", "coshell_commands is a wrapper"),
        (command("ps"), "command 'ps' belongs to the shell itself"),
        (hook("coshell_ps_columns()", "return [PsColumn('HEAP', id)]"), "column 'heap' belongs to the shell itself"),
        (hook("coshell_ps_columns()", "return [PsColumn('X', id), PsColumn('x', id)]"), "column 'x' belongs to this plugin itself"),
        (hook("coshell_ps_columns()", "return [PsColumn('%', id)]"), "a column cannot be named ''"),
        (hook("coshell_lints()", "return [Lint('hog', id)]"), "lint 'hog' belongs to the shell itself"),
        (hook("coshell_directives()", "return {'assert': print}"), "directive 'assert' belongs to the shell itself"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_plugin_is_one_line(plugins: Plugins, source: str, why: str) -> None:
    assert why in plugins.refused("bad", source)
    assert plugins.load("good", command("tide")).state == "loaded"


def test_a_name_of_another_plugin_is_refused_and_the_owner_named(plugins: Plugins, shell: Shell) -> None:
    plugins.load("tides", command("tide", "return 'first'"))
    assert plugins.refused("waves", command("tide")) == "command 'tide' belongs to plugin 'tides'"
    assert shell.evaluate("co.tide()") == "first"


def test_a_column_of_another_plugin_is_refused_and_the_owner_named(plugins: Plugins) -> None:
    source = hook("coshell_ps_columns()", "return [PsColumn('TIDE', id)]")
    plugins.load("tides", source)
    assert plugins.refused("waves", source) == "column 'tide' belongs to plugin 'tides'"


def test_of_a_refused_plugin_no_command_stays(plugins: Plugins, shell: Shell) -> None:
    body = "return [Command('tide', '', print), Command('ps', '', print)]"
    assert (
        plugins.refused("tides", hook("coshell_commands()", body))
        == "command 'ps' belongs to the shell itself"
    )
    assert "tide" not in shell.commands


def test_of_a_refused_plugin_no_coroutine_stays(plugins: Plugins, shell: Shell) -> None:
    body = "coloop.go(coloop.suspend); raise ValueError"
    assert "coshell_loaded failed" in plugins.refused(
        "tides", "import coloop\n" + hook("coshell_loaded(shell)", body)
    )
    assert len(shell.snapshot().coroutines) == 1


def test_it_may_be_loaded_after_it_was_mended(plugins: Plugins) -> None:
    plugins.refused("tides", "raise ValueError\n")
    assert plugins.load("tides", "").state == "loaded"
    assert plugins.record("tides").state == "loaded"


def test_it_is_not_loaded_twice(plugins: Plugins) -> None:
    origin = plugins.load("tides", "").source
    with pytest.raises(CommandError, match=f"already loaded, from {re.escape(origin)}: plugin unload tides"):
        plugins.load("tides", "")
    assert plugins.record("tides").state == "loaded"


def test_a_path_that_leads_nowhere_is_no_record(plugins: Plugins) -> None:
    with pytest.raises(CommandError, match="no such file or folder"):
        plugins.manager.load("./nowhere.py")
    assert plugins.manager.records() == []


def test_a_module_that_is_not_there_is_named_with_what_to_do(plugins: Plugins) -> None:
    with pytest.raises(CommandError, match=r"no module named 'nowhere'; a file is loaded by its path"):
        plugins.manager.load("nowhere")


# -- installed plugins


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with two plugins: `tides` is good, `waves` breaks."""
    site = tmp_path / "site"
    info = site / "sea-1.4.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sea\nVersion: 1.4\n")
    (info / "entry_points.txt").write_text("[coshell.plugins]\ntides = sea.tides\nwaves = sea.waves\n")
    (site / "sea").mkdir()
    (site / "sea" / "__init__.py").write_text("")
    (site / "sea" / "tides.py").write_text(command("tide"))
    (site / "sea" / "waves.py").write_text("raise RuntimeError('storm')\n")
    monkeypatch.syspath_prepend(str(site))


def test_of_the_installed_plugins_the_broken_are_named_and_the_others_loaded(
    installed: None, manager: PluginManager, notices: Notices, shell: Shell
) -> None:
    manager.load_entry_points()
    assert notices.next() == "plugin 'waves' not loaded: RuntimeError: storm (waves.py:1 in <module>)"
    records = {record.name: record for record in manager.records()}
    assert (records["tides"].state, records["tides"].version) == ("loaded", "1.4")
    assert (records["waves"].state, records["waves"].source) == ("refused", "sea (sea.waves)")
    assert shell.execute("tide").ok


def test_an_installed_plugin_can_be_unloaded_and_loaded_again_by_its_name(
    installed: None, manager: PluginManager, shell: Shell
) -> None:
    assert manager.load("tides").version == "1.4"
    manager.unload("tides")
    assert "tide" not in shell.commands
    assert manager.load("tides").commands == ("tide",)


def test_nothing_is_loaded_because_it_lies_in_the_current_folder(
    tmp_path: Path, manager: PluginManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("plugin.py", "coshell_plugin.py", "rc.py", "conftest.py"):
        (tmp_path / name).write_text("raise SystemExit('loaded from the current folder')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in {"", "."}])
    manager.load_entry_points()
    assert not [record for record in manager.records() if str(tmp_path) in record.source]


# -- hanging


def hanging(notices: Notices, end: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Source that goes on when it has been named, and then does `end`."""
    module = ModuleType("sea_level")
    module.told = notices.next  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sea_level", module)
    return f"import sea_level\nname = sea_level.told()\n{end}\n"


def test_an_import_that_hangs_is_on_the_screen_meanwhile(
    shell: Shell, notices: Notices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = PluginManager(shell, notices.put, patience_s=0.001)
    plugins = Plugins(tmp_path, manager)
    plugins.load("tides", hanging(notices, "", monkeypatch))
    told = sys.modules["coshell_plugin_tides"].name
    assert re.fullmatch(r"loading plugin 'tides' has taken \S+ so far, at .+; Ctrl-C skips it", told)
    manager.unload("tides")
    manager.close()


def test_ctrl_c_skips_a_plugin_that_hangs_while_it_is_loaded(plugins: Plugins) -> None:
    source = "import signal\nsignal.raise_signal(signal.SIGINT)\n"
    assert (
        plugins.refused("tides", source) == "skipped by Ctrl-C while it was loading (tides.py:2 in <module>)"
    )


def test_whoever_is_cancelled_while_loading_stays_cancelled(plugins: Plugins) -> None:
    ref = plugins.write("tides", "import coloop\nraise coloop.Cancelled\n")
    with pytest.raises(coloop.Cancelled):
        plugins.manager.load(ref)
    assert plugins.record("tides").state == "refused"


# -- failing afterwards


def test_a_command_that_raises_is_one_line_with_plugin_and_place(plugins: Plugins, shell: Shell) -> None:
    plugins.load("tides", command("tide", "return [][1]"))
    result = shell.execute("tide")
    assert (result.ok, result.error) == (
        False,
        "plugin 'tides': command 'tide' failed: IndexError: list index out of range (tides.py:4 in run)",
    )
    assert shell.execute("1 + 1").value == 2


def test_a_command_that_wants_to_end_the_process_does_not(plugins: Plugins, shell: Shell) -> None:
    plugins.load("tides", command("tide", "raise SystemExit(3)"))
    assert "command 'tide' failed: SystemExit: 3" in (shell.execute("tide").error or "")


def test_what_a_command_tells_its_user_stands_for_itself(plugins: Plugins, shell: Shell) -> None:
    plugins.load("tides", command("tide", "raise CommandError('no such sea')"))
    assert shell.execute("tide").error == "no such sea"


def test_a_command_may_end_the_session_in_the_usual_way(plugins: Plugins, shell: Shell) -> None:
    plugins.load("tides", command("tide", "from coshell.shell import Quit; raise Quit(4)"))
    with pytest.raises(Quit):
        shell.execute("tide")


def test_a_segment_that_raises_is_dropped_after_five_times_with_one_notice(
    plugins: Plugins, notices: Notices
) -> None:
    plugins.load("tides", hook("coshell_toolbar()", "raise ValueError('low')"))
    plugins.load("waves", hook("coshell_toolbar()", "return 'high'"))
    assert [plugins.manager.toolbar(None) for _ in range(8)] == [["high"]] * 8  # type: ignore[arg-type]
    line = notices.next()
    assert line == (
        "plugin 'tides': coshell_toolbar failed: ValueError: low (tides.py:5 in coshell_toolbar); disabled after 5 failures"
    )
    assert notices.empty()
    assert (plugins.record("tides").state, plugins.record("tides").why) == ("disabled", line)
    assert plugins.record("waves").state == "loaded"


def test_a_value_that_raises_is_none(plugins: Plugins, shell: Shell) -> None:
    plugins.load("tides", hook("coshell_ps_columns()", "return [PsColumn('TIDE', lambda one: one.tide)]"))
    plugins.load("waves", hook("coshell_lints()", "return [Lint('wave', lambda one: one.wave)]"))
    picture = shell.snapshot().coroutines[0]
    assert plugins.manager.ps_columns()[0].value(picture) is None
    assert plugins.manager.lints()[0].check(picture) is None
    assert "column TIDE failed: AttributeError" in plugins.record("tides").why
    assert "lint wave failed: AttributeError" in plugins.record("waves").why


def test_a_directive_that_raises_is_one_line(plugins: Plugins, shell: Shell) -> None:
    plugins.load("tides", hook("coshell_directives()", "return {'ebb': lambda shell, text: text.nonsense}"))
    with pytest.raises(
        CommandError, match=r"plugin 'tides': @ebb failed: AttributeError: .* \(tides.py:5 in <lambda>\)"
    ):
        plugins.manager.directives()["ebb"](shell, "")


# -- going


def test_an_unloaded_plugin_leaves_nothing_behind(plugins: Plugins, shell: Shell) -> None:
    plugins.load("tides", command("tide"))
    assert plugins.manager.unload("tides") == ()
    assert "tide" not in shell.commands
    assert plugins.manager.records() == []
    assert "coshell_plugin_tides" not in sys.modules


def test_loading_again_runs_what_is_written_now(plugins: Plugins, shell: Shell) -> None:
    plugins.load("tides", command("tide", "return 'old'"))
    plugins.manager.unload("tides")
    plugins.load("tides", command("tide", "return 'new'"))
    assert shell.evaluate("co.tide()") == "new"


def test_one_that_is_not_loaded_cannot_be_unloaded(plugins: Plugins) -> None:
    plugins.load("tides", "")
    with pytest.raises(CommandError, match=r"no plugin 'tide' is loaded, did you mean 'tides'\?"):
        plugins.manager.unload("tide")


def test_coroutines_that_live_by_it_are_stopped_first_and_listed(plugins: Plugins, shell: Shell) -> None:
    body = "return coloop.go(lambda: coloop.go(coloop.suspend, name='child') and coloop.suspend(), name='parent')"
    plugins.load("tides", "import coloop\n" + command("tide", body))
    shell.execute("mine = go(suspend, name='mine')")
    parent = shell.evaluate("co.tide()")
    stopped = plugins.manager.unload("tides")
    assert stopped == (f"{parent} parent", f"co#{parent.id + 1} child")
    assert [one.name for one in shell.snapshot().coroutines[1:]] == ["mine"]


def test_a_plugin_stops_by_itself_what_it_knows_how_to_stop(plugins: Plugins, shell: Shell) -> None:
    plugins.load(
        "tides", hook("coshell_unloading(shell)", "shell.names['tide'] = 'out'; return ['the tide']")
    )
    assert plugins.manager.unload("tides") == ("the tide",)
    assert shell.evaluate("tide") == "out"


def test_one_that_fails_to_stop_is_unloaded_all_the_same(plugins: Plugins, shell: Shell) -> None:
    plugins.load("tides", command("tide") + hook("coshell_unloading()", "raise ValueError"))
    assert plugins.manager.unload("tides") == ()
    assert "tide" not in shell.commands


# -- processes

WORKERS = HEAD.replace("PsColumn,", "ProcessPicture, PsColumn,")


def processes(body: str) -> str:
    return f"{WORKERS}@hookimpl\ndef coshell_processes(shell):\n    {body}\n"


def starting(body: str) -> str:
    arguments = "shell, name, address, handler, workers"
    return f"{HEAD}@hookimpl\ndef coshell_start_workers({arguments}):\n    {body}\n"


def test_all_plugins_tell_of_the_processes_that_work_for_them(plugins: Plugins) -> None:
    plugins.load("web", processes("yield ProcessPicture('web/w1', 77, 'running', 3)"))
    plugins.load("none", processes("return None"))
    plugins.load("mail", processes("return [ProcessPicture('mail/w1', 78, 'draining', 2)]"))
    told = [(one.name, one.pid, one.state, one.live) for one in plugins.manager.processes()]
    assert told == [("web/w1", 77, "running", 3), ("mail/w1", 78, "draining", 2)]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise KeyError('w1')", "KeyError: 'w1'"),
        ("yield ProcessPicture('web/w1', 77, 'running', 3); raise KeyError('w2')", "KeyError: 'w2'"),
        ("return ['w1']", "TypeError: it gives a str, not only ProcessPicture objects"),
    ],
)
def test_a_plugin_that_cannot_tell_of_its_processes_has_none_and_is_named(
    plugins: Plugins, body: str, why: str
) -> None:
    plugins.load("web", processes(body))
    assert plugins.manager.processes() == []
    assert f"plugin 'web': coshell_processes failed: {why}" in plugins.record("web").why


LOOKING = f"""{HEAD.replace("PsColumn,", "PsColumn, Sight,")}@hookimpl
def coshell_look(shell, process, coroutine):
    BODY
@hookimpl
def coshell_end(process, grace_s):
    BODY
"""


def test_the_plugin_that_a_process_works_for_looks_into_it_and_ends_what_is_there(plugins: Plugins) -> None:
    plugins.load("other", LOOKING.replace("BODY", "return None"))
    plugins.load(
        "web",
        LOOKING.replace("BODY", "return Sight(coroutine)", 1).replace("BODY", "return process, grace_s"),
    )
    sight = plugins.manager.look("web/w1", 12)
    assert sight is not None
    assert sight.picture == 12
    assert plugins.manager.end("web/w1", 12, 0.5) == ("web/w1", 0.5)


def test_what_no_plugin_knows_is_none_and_what_fails_is_one_line(plugins: Plugins) -> None:
    assert plugins.manager.look("web/w1", 12) is None
    plugins.load("web", LOOKING.replace("BODY", "raise KeyError(process)"))
    with pytest.raises(CommandError, match=r"^plugin 'web': coshell_look failed: KeyError: 'web/w1'"):
        plugins.manager.look("web/w1", 12)
    with pytest.raises(CommandError, match=r"^plugin 'web': coshell_end failed: KeyError: 'web/w1'"):
        plugins.manager.end("web/w1", 12, None)


def test_all_plugins_hear_of_another_level_and_one_that_fails_hinders_nobody(plugins: Plugins) -> None:
    hearing = f"{HEAD}@hookimpl\ndef coshell_level_changed(shell, level):\n    "
    plugins.load("bad", f"{hearing}raise KeyError(level)\n")
    plugins.load(
        "web",
        f"heard = []\n{hearing}heard.append(level)\n@hookimpl\ndef coshell_toolbar(): return heard[0]\n",
    )
    plugins.manager.level_changed("counts")
    assert plugins.manager.toolbar(None) == ["counts"]  # type: ignore[arg-type]


def test_the_first_plugin_that_can_start_workers_does_it(plugins: Plugins) -> None:
    plugins.load("none", "")
    plugins.load("shy", starting("return None"))
    plugins.load("web", starting("return (shell.width > 0, name, address, handler, workers)"))
    plugins.load("late", starting("raise AssertionError"))
    assert plugins.manager.start_workers("w", ":0", int, 2) == (True, "w", ":0", int, 2)


def test_a_plugin_that_knows_no_certificates_starts_no_workers_over_tls(plugins: Plugins) -> None:
    plugins.load("plain", starting("return 'plain'"))
    tls = starting("return certificate").replace("workers)", "workers, certificate)")
    with pytest.raises(CommandError, match="no plugin is loaded that starts worker processes"):
        plugins.manager.start_workers("w", ":0", int, 2, Certificate(Path("c")))
    plugins.load("tls", tls)
    assert plugins.manager.start_workers("w", ":0", int, 2, Certificate(Path("c"))) == Certificate(Path("c"))
    assert plugins.manager.start_workers("w", ":0", int, 2) == "plain"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise CommandError('port 80 is taken')", "port 80 is taken"),
        ("raise KeyError('w1')", "plugin 'web': coshell_start_workers failed: KeyError: 'w1' (web.py:5 in"),
        ("return None", "no plugin is loaded that starts worker processes"),
    ],
)
def test_workers_that_cannot_be_started_are_refused_in_one_line(
    plugins: Plugins, body: str, line: str
) -> None:
    plugins.load("web", starting(body))
    with pytest.raises(CommandError) as caught:
        plugins.manager.start_workers("w", ":0", int, 2)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
