"""A function is called by its name, a lambda by its text."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from coshell import calling
from coshell.calling import called
from coshell.evaluate import Interpreter


def loaded(path: Path, source: str) -> ModuleType:
    path.write_text(source)
    module = ModuleType("written")
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (loaded, "loaded"),
        (print, "print"),
        (Path, "Path"),
        (Path().exists, "exists"),
        (partial(print), "partial"),
    ],
)
def test_what_has_a_name_is_called_by_it(thing: Callable[..., Any], name: str) -> None:
    assert called(thing) == name


@pytest.mark.parametrize(
    "text", ["lambda: 1", "lambda conn: conn.sendall(b'bye')", "lambda *a, **k: [x for x in a]"]
)
def test_a_lambda_that_was_put_in_is_called_by_its_text(text: str) -> None:
    assert called(Interpreter().put_in(f" {text} ")) == text


def test_of_several_on_a_line_it_is_the_right_one(tmp_path: Path) -> None:
    first, second = loaded(tmp_path / "a.py", "pair = (lambda x: x + 1), (lambda y: y * 2)").pair
    assert (called(first), called(second)) == ("lambda x: x + 1", "lambda y: y * 2")


def test_one_that_is_written_over_lines_stands_on_one(tmp_path: Path) -> None:
    assert called(loaded(tmp_path / "a.py", "f = (lambda x:\n     x +\n     1)").f) == "lambda x: x + 1"


def test_a_long_one_is_cut(tmp_path: Path) -> None:
    text = called(loaded(tmp_path / "a.py", f"f = lambda: {'1 + ' * 100}1").f)
    assert len(text) == calling.MAX_WIDTH
    assert text.endswith("…")


def test_where_the_source_is_not_at_hand_the_place_is_told(tmp_path: Path) -> None:
    gone = loaded(tmp_path / "gone.py", "\nf = lambda: 1").f
    (tmp_path / "gone.py").unlink()
    assert called(gone) == "gone.py:2"
    changed = loaded(tmp_path / "changed.py", "f = lambda: 1").f
    (tmp_path / "changed.py").write_text("f = = 1")
    assert called(changed) == "changed.py:1"


def test_lambdas_that_cannot_be_told_apart_have_a_place_only(tmp_path: Path) -> None:
    assert called(loaded(tmp_path / "a.py", "f = lambda: lambda: (1)\ng = f()").g) in {
        "lambda: (1)",
        "a.py:1",
    }


def test_a_very_long_file_is_not_read_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "MAX_SOURCE_CHARS", 10)
    assert called(loaded(tmp_path / "long.py", "f = lambda: 1").f) == "long.py:1"
