"""Whoever watches a run."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import coloop
from coshell.batch import Options, run_files
from coshell.command import CommandError
from coshell.config import Settings
from coshell.console import Capture
from coshell.pictures.witness import Witness
from coshell.report import JsonReport, PlainReport
from coshell.shell import Shell


class Runs:
    """Files in a folder, run under the eyes of a witness."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = io.StringIO()
        self.told = io.StringIO()
        self.page = folder / "out.html"

    def run(self, level: str = "heap", json: bool = False, force: bool = False, **options) -> int:
        files = sorted(str(path.name) for path in self.folder.glob("*.cosh"))
        report = JsonReport(self.out) if json else PlainReport(self.out, self.told)
        witness = Witness(self.page, report, force=force)
        code = run_files(
            files, lambda: self._shell(level), witness, Options(watching=witness.watching, **options)
        )
        assert witness.write(code) == ""
        return code

    def _shell(self, level: str) -> Shell:
        shell = Shell(Settings(level=level, clock="virtual"), console=Capture())
        shell.start()
        return shell

    @property
    def html(self) -> str:
        return self.page.read_text()


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    monkeypatch.chdir(tmp_path)
    level = coloop.memory.level()
    yield Runs(tmp_path)
    coloop.memory.set_level(level)
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("coshell")]
    assert [
        thread for thread in ours if thread.name != "coshell nursery"
    ] == []  # that one stays, for workers


def test_a_run_that_passes_leaves_a_page_with_its_claims_and_its_curves(runs: Runs) -> None:
    (runs.folder / "a.cosh").write_text("go sleep(60) --name nap\n@assert 1 + 1 == 2\nsleep(5)\n")
    assert runs.run() == 0
    assert '<span class="word good">passed</span> a.cosh' in runs.html
    assert "@assert 1 + 1 == 2" in runs.html
    assert "heap of all coroutines" in runs.html
    assert "<span>5s</span>" in runs.html


def test_a_run_that_fails_leaves_one_too(runs: Runs) -> None:
    (runs.folder / "a.cosh").write_text("x = 1\n@assert x == 2\n")
    assert runs.run() == 1
    assert '<span class="word bad">failed</span> a.cosh' in runs.html
    assert "@assert x == 2 failed: 1" in runs.html
    assert 'class="moment"' in runs.html


def test_a_run_whose_time_is_over_leaves_one_too(runs: Runs) -> None:
    (runs.folder / "a.cosh").write_text("while True: yield_now()\n")
    assert runs.run(timeout_s=0.3) == 124
    assert "exit code 124: timed out" in runs.html


def test_a_run_that_is_hogged_to_the_end_leaves_one_too(runs: Runs) -> None:
    (runs.folder / "a.cosh").write_text("while True: pass\n")
    assert runs.run(timeout_s=0.3) == 124
    assert "exit code 124: timed out" in runs.html


def test_a_file_that_cannot_be_run_is_told_on_the_page(runs: Runs) -> None:
    (runs.folder / "a.cosh").write_text("x = (\n")
    assert runs.run() == 2
    assert "a.cosh:1" in runs.html


def test_the_verdicts_are_there(runs: Runs) -> None:
    (runs.folder / "a.cosh").write_text("go sleep(60) --name nap\nsleep(1)\n")
    runs.run()
    assert "nap" in runs.html.partition("<h2>Timeline")[0]


def test_whoever_watches_is_no_coroutine_of_the_run(runs: Runs) -> None:
    (runs.folder / "a.cosh").write_text("go sleep(60) --name nap\n")
    runs.run()
    assert "<b>2</b><span>coroutines, 2 at once" in runs.html


def test_below_level_heap_it_is_told_why_there_are_none(runs: Runs) -> None:
    (runs.folder / "a.cosh").write_text("go sleep(60)\n")
    runs.run(level="counts")
    assert "No verdicts: heap is not traced at level counts (--level heap)." in runs.html
    assert "Heap is not traced at level counts." in runs.html
    assert "places of allocation are not kept at level counts (--level sites)" in runs.html.replace(
        "&#x27;", "'"
    )


def test_those_who_are_told_are_told_the_same_as_without(runs: Runs) -> None:
    (runs.folder / "a.cosh").write_text("go sleep(60) --name nap\n@assert 1 == 2\n")
    assert runs.run(json=True) == 1
    kinds = [line.split('"')[3] for line in runs.out.getvalue().splitlines()]
    assert kinds == ["input", "output", "assert", "summary"]


def test_several_files_have_a_section_each_with_its_own(runs: Runs) -> None:
    (runs.folder / "a.cosh").write_text("@assert 'first'\n")
    (runs.folder / "b.cosh").write_text("@assert 'second'\n")
    assert runs.run() == 0
    first, second = runs.html.split("<section>")[1:]
    assert "&#x27;first&#x27;" in first
    assert "&#x27;second&#x27;" in second
    assert "&#x27;first&#x27;" not in second


def test_thousands_of_claims_are_bounded_and_counted(runs: Runs) -> None:
    (runs.folder / "a.cosh").write_text("@assert 1\n" * 400)
    assert runs.run() == 0
    assert "and 100 more claims that held" in runs.html


def test_a_page_that_is_there_is_refused_before_anything_runs(runs: Runs) -> None:
    runs.page.write_text("mine")
    with pytest.raises(CommandError, match="there already"):
        runs.run()
    assert runs.page.read_text() == "mine"
    (runs.folder / "a.cosh").write_text("@assert 1\n")
    assert runs.run(force=True) == 0
    assert runs.html.startswith("<!DOCTYPE html>")


def test_a_page_that_cannot_be_written_is_told(runs: Runs) -> None:
    witness = Witness(runs.page, PlainReport(runs.out, runs.told), force=False)
    runs.page.mkdir()
    assert witness.write(0).endswith("out.html: not a file")
