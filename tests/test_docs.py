"""Every transcript in the README and in docs/ is true: it is run as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import coloop
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parent.parent
# The source roots, for those who run the tests without having installed the project.
PATHS = os.pathsep.join(str(ROOT / root) for root in (".", "runtime", "plugins"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": PATHS}
NEEDS_NATIVE = "<!-- needs the native core -->"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def python_blocks(page: Path) -> list[tuple[str, str]]:
    """The fenced Python programs of a page that are followed by an `Output:` block."""
    pattern = re.compile(r"```python\n(.*?)```\n+(?:Output|It prints):\n+```\n(.*?)```", re.DOTALL)
    return pattern.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```cosh" in page.read_text(encoding="utf-8")], ids=lambda p: p.name
)
def test_the_transcripts_of_a_page_are_true(page: Path, tmp_path: Path) -> None:
    if coloop.FORM == "pure" and NEEDS_NATIVE in page.read_text(encoding="utf-8"):
        pytest.skip("only the native ledger knows all of this")
    environment = {**ENVIRONMENT, "XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "coshell", "run", str(page)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("program", "output"),
    [block for page in PAGES for block in python_blocks(page)],
)
def test_a_program_prints_what_the_page_says(program: str, output: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        cwd=ROOT,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.stdout, done.stderr) == (output, "")


def test_the_readme_has_exactly_two_set_up_lines() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- set-up: (\w+) -->\n+```\n(.*?)```", text, re.DOTALL)
    assert [name for name, _ in blocks] == ["run", "test"]
    assert all(len(body.strip().splitlines()) == 1 for _, body in blocks)


def test_the_plugin_of_the_readme_greets(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (plugin,) = re.findall(r"```python\n([^`]*coshell_commands[^`]*)```", text)
    (tmp_path / "greet.py").write_text(plugin, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "coshell",
        "--plugin",
        "./greet.py",
        "-c",
        "greet you --json",
        "-c",
        "greet you",
    ]
    environment = {**ENVIRONMENT, "XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == '{"hello": "you", "coroutines": 1}'
