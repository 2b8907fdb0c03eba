"""Where a plugin's code comes from, and what it says it needs."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coshell.command import CommandError
from coshell.plugin_source import find, home_of, installed_sources, requirement_of, satisfies


@pytest.fixture(autouse=True)
def own_modules() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with an installed distribution that offers the plugin `tides`."""
    info = tmp_path / "tides_dist-1.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tides-dist\nVersion: 1.4\n")
    (info / "entry_points.txt").write_text(
        "[coshell.plugins]\ntides = tides_module\nhalf = tides_module:part\n"
    )
    (tmp_path / "tides_module.py").write_text("class part: name = 'half'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def write(path: Path, source: str) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    return str(path)


# -- finding


def test_a_file_is_found_by_its_path_and_named_as_it_is(tmp_path: Path) -> None:
    ref = write(tmp_path / "moon-phase.py", "x = 41 + 1\n")
    source = find(ref)
    assert (source.name, source.origin, source.version) == ("moon-phase", ref, "")
    assert source.load(source.spec()).x == 42  # type: ignore[attr-defined]
    assert home_of(source.spec()) == tmp_path / "moon-phase.py"


def test_a_folder_is_a_package_whose_modules_reach_each_other(tmp_path: Path) -> None:
    write(tmp_path / "moon" / "__init__.py", "from . import phase\n")
    write(tmp_path / "moon" / "phase.py", "name = 'full'\n")
    source = find(str(tmp_path / "moon"))
    assert source.load(source.spec()).phase.name == "full"  # type: ignore[attr-defined]
    assert home_of(source.spec()) == tmp_path / "moon"


def test_a_path_may_be_relative_or_begin_with_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "moon.py", "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find("./moon.py").path == find("moon.py").path == find("~/moon.py").path == tmp_path / "moon.py"


def test_a_file_in_the_current_folder_is_not_found_by_a_bare_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "moon.py", "raise SystemExit('loaded from the current folder')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        CommandError, match=r"no module named 'moon'; a file is loaded by its path: .*\./moon\.py"
    ):
        find("moon").spec()


def test_an_installed_plugin_is_found_by_its_name(installed: Path) -> None:
    source = find("tides")
    assert (source.name, source.version, source.origin) == ("tides", "1.4", "tides-dist (tides_module)")
    assert source.load(source.spec()) is sys.modules["tides_module"]


def test_an_entry_point_may_mean_an_object_of_its_module(installed: Path) -> None:
    source = next(source for source in installed_sources() if source.name == "half")
    assert source.load(source.spec()).name == "half"  # type: ignore[attr-defined]


def test_finding_runs_nothing_of_the_plugin(installed: Path, tmp_path: Path) -> None:
    find(write(tmp_path / "bomb.py", "raise SystemExit\n"))
    list(installed_sources())
    assert "tides_module" not in sys.modules


def test_a_module_is_named_by_its_last_part() -> None:
    assert find("coshell.values").name == "values"


@pytest.mark.parametrize(
    ("ref", "why"),
    [
        ("./nowhere.py", r"no plugin at './nowhere.py': no such file or folder"),
        ("./empty/", r"no plugin at './empty/': the folder holds no __init__.py"),
    ],
)
def test_a_path_that_leads_to_no_plugin_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str, why: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=why):
        find(ref)


def test_a_file_changed_within_the_same_second_is_read_again(tmp_path: Path) -> None:
    ref = write(tmp_path / "moon.py", "x = 1\n")
    stamp = Path(ref).stat()
    source = find(ref)
    assert source.load(source.spec()).x == 1  # type: ignore[attr-defined]
    write(tmp_path / "moon.py", "x = 2\n")
    os.utime(ref, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    source.forget()
    assert source.load(source.spec()).x == 2  # type: ignore[attr-defined]


def test_loading_by_path_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    source = find(write(tmp_path / "moon.py", "x = 1\n"))
    source.load(source.spec())
    assert [path.name for path in tmp_path.iterdir()] == ["moon.py"]


def test_a_forgotten_package_is_gone_with_its_modules(tmp_path: Path) -> None:
    write(tmp_path / "moon" / "__init__.py", "from . import phase\n")
    write(tmp_path / "moon" / "phase.py", "")
    source = find(str(tmp_path / "moon"))
    source.load(source.spec())
    source.forget()
    assert not [name for name in sys.modules if name.startswith("coshell_plugin_moon")]


# -- what it needs


def needs(tmp_path: Path, source: str) -> str | None:
    return requirement_of(find(write(tmp_path / "moon.py", source)).spec())


def test_what_it_needs_is_read_without_running_it(tmp_path: Path) -> None:
    assert needs(tmp_path, "raise SystemExit\nrequires_coshell = '>=0.1'\n") == ">=0.1"


@pytest.mark.parametrize(
    "source",
    ["", "x = 'requires_coshell'\n", "def f():\n    requires_coshell = '>=9'\n", "requires_coshell = 1\n"],
)
def test_without_a_literal_at_the_top_level_it_needs_nothing(tmp_path: Path, source: str) -> None:
    assert needs(tmp_path, source) is None


def test_a_module_without_source_needs_nothing() -> None:
    assert requirement_of(find("math").spec()) is None
    assert home_of(find("sys").spec()) is None


@pytest.mark.parametrize(
    ("version", "requirement", "met"),
    [
        ("0.1.0", ">=0.1", True),
        ("0.1.0", "==0.1", True),
        ("0.1.0", ">0.1", False),
        ("0.10.0", ">0.9", True),
        ("1.4", ">=2", False),
        ("1.4", ">=1.2, <2", True),
        ("2.0", ">=1.2,<2", False),
        ("1.4", "!=1.4", False),
        ("1.4", "<=1.4.0", True),
        ("1.4.0rc1", ">=1.4", True),
    ],
)
def test_versions_are_compared_as_numbers(version: str, requirement: str, met: bool) -> None:
    assert satisfies(version, requirement) is met


@pytest.mark.parametrize("requirement", ["", "0.1", "~=1.0", ">=", ">=1.0,", ">=1.x"])
def test_a_requirement_that_cannot_be_read_is_refused(requirement: str) -> None:
    with pytest.raises(CommandError, match=r"is not of the form '>=0.1, <2'"):
        satisfies("1.0", requirement)
