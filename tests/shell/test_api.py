"""What plugins may import is written down, and the page about it is true."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import coshell.api
from coshell.console import Capture
from coshell.plugin import Hooks
from coshell.shell import Shell

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
NAMES = {name for name in vars(coshell.api) if not name.startswith("_")}
HOOKS = {name for name in vars(Hooks) if name.startswith("coshell_")}


@pytest.fixture
def console() -> Capture:
    return Capture()


@pytest.fixture
def shell(tmp_path: Path, console: Capture) -> Iterator[Shell]:
    """A shell with the page's first example in it."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "waits.py").write_text(blocks[0])
    with Shell(console=console) as shell:
        shell.plugins.load(str(tmp_path / "waits.py"))
        yield shell
        shell.plugins.unload("waits")


def test_the_names_are_these() -> None:
    assert {
        "ADDRESS", "Arg", "Bytes", "CA", "Certificate", "Column", "Command", "CommandError", "Count",
        "Directive", "Duration", "INSECURE", "Lint", "PUBLIC", "Percent", "ProcessPicture", "PsColumn",
        "SERVE_TLS", "Shell", "Sight", "TRY_TLS", "Trust", "called", "certificate", "checked_address", "cut",
        "hookimpl", "is_local", "is_name", "plural", "printable", "table",
    } == NAMES  # fmt: skip


@pytest.mark.parametrize("name", sorted(NAMES - {"Directive", "hookimpl"}))
def test_every_name_is_documented(name: str) -> None:
    assert getattr(coshell.api, name).__doc__


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_every_hook_is_documented_here_and_on_the_page(name: str) -> None:
    assert getattr(Hooks, name).__doc__
    assert f"| `{name}(" in PAGE


def test_the_page_names_no_hook_that_is_none() -> None:
    assert set(re.findall(r"`(coshell_\w+)\(", PAGE)) == HOOKS


def test_the_example_is_short_enough_to_be_copied() -> None:
    code = [
        line for line in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0].split("\n") if line.strip()
    ]
    assert len(code) <= 20


def test_the_example_command_runs_as_its_help_says(shell: Shell, console: Capture) -> None:
    shell.execute("go suspend() --name sleeper")
    assert shell.execute("waiting").ok
    assert console.lines()[-1].split()[1:3] == ["sleeper", "suspend"]
    for example in shell.commands.get("waiting").examples:
        assert shell.execute(example).ok


def test_the_example_column_and_lint_are_seen_in_ps(shell: Shell, console: Capture) -> None:
    result = shell.execute("ps")
    assert result.ok, result.error
    assert "PARENT-ID" in console.text
    assert [lint.name for lint in shell.plugins.lints()] == ["long-wait"]


def test_the_shipped_plugins_see_nothing_of_the_shell_but_the_api() -> None:
    for path in (ROOT / "plugins").rglob("*.py"):
        imported = re.findall(
            r"^\s*(?:from|import) (coshell[\w.]*)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert {name for name in imported if not name.startswith("coshell_plugins")} <= {"coshell.api"}


def test_no_plugin_is_imported_by_importing_the_shell() -> None:
    program = "import sys, coshell.__main__, coshell.shell; sys.exit(any('coshell_plugins' in m for m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={"PYTHONPATH": ":".join(sys.path)}, check=False
    )
    assert done.returncode == 0
