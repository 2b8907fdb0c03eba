"""What is installed is exactly our three packages, and they work without a compiler."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the project's own backend, without the network."""
    pytest.importorskip("hatchling", reason="the build backend is not installed in this environment")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_our_packages_and_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"coshell", "coloop", "coshell_plugins"}


def test_the_wheel_holds_every_source_file_and_lab(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    for root, package in ((".", "coshell"), ("runtime", "coloop"), ("plugins", "coshell_plugins")):
        base = ROOT / root
        for path in (base / package).rglob("*"):
            if path.suffix in {".py", ".cosh", ".typed"}:
                assert path.relative_to(base).as_posix() in held


def test_each_dependency_has_a_lower_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in project["dependencies"] + project["optional-dependencies"]["test"]:
        assert ">=" in requirement
