"""What is installed is exactly our three packages, and they work without a compiler."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from bench.native import has_compiler

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the project's own backend, without the network, and without the compiler's time."""
    (found,) = built_wheel(tmp_path_factory.mktemp("wheel"), CC="/bin/false").glob("*.whl")
    return found


def built_wheel(folder: Path, **environ: str) -> Path:
    pytest.importorskip("hatchling", reason="the build backend is not installed in this environment")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, **environ})
    return folder


def test_the_wheel_holds_our_packages_and_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"coshell", "coloop", "coshell_plugins"}


def test_the_wheel_holds_every_source_file_and_lab(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    for root, package in ((".", "coshell"), ("runtime", "coloop"), ("plugins", "coshell_plugins")):
        base = ROOT / root
        for path in (base / package).rglob("*"):
            if path.suffix in {".py", ".cosh", ".typed", ".css", ".js"}:
                assert path.relative_to(base).as_posix() in held


def test_the_wheel_holds_the_native_core_where_there_is_a_compiler(tmp_path: Path) -> None:
    (found,) = built_wheel(tmp_path, CFLAGS="-O0").glob("*.whl")  # in a third of the time
    built = [
        name
        for name in zipfile.ZipFile(found).namelist()
        if name.startswith("coloop/_native.") and name.endswith(".so")
    ]
    assert len(built) == (1 if has_compiler() else 0)


def test_without_a_compiler_the_wheel_is_pure(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith((".so", ".o", ".c"))]


def test_each_dependency_has_a_lower_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in project["dependencies"] + project["optional-dependencies"]["test"]:
        assert ">=" in requirement
