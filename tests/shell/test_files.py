"""Pictures are written whole, and over nothing that was there."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from coshell.command import CommandError
from coshell.pictures.files import check_place, write_file


def refused(path: Path, *, force: bool = False) -> str:
    with pytest.raises(CommandError) as caught:
        write_file(path, "new", force=force)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_a_new_file_is_written(tmp_path: Path) -> None:
    write_file(tmp_path / "a.svg", "ü\udc80", force=False)
    assert (tmp_path / "a.svg").read_bytes() == "ü\\udc80".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]


class Interrupted(io.FileIO):
    def write(self, data: object) -> int:
        raise KeyboardInterrupt


def test_of_a_file_that_was_interrupted_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "open", lambda path, mode: Interrupted(path, mode))
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a.svg", "new", force=False)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    path.write_text("old")
    path.chmod(0o640)
    assert refused(path) == "there already (-f replaces it)"
    assert path.read_text() == "old"
    write_file(path, "new", force=True)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "b.svg", tmp_path / "a.svg"
    target.write_text("old")
    link.symlink_to(target)
    write_file(link, "new", force=True)
    assert link.is_symlink()
    assert target.read_text() == "new"


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_file_is_never_replaced(tmp_path: Path, force: bool) -> None:
    assert refused(tmp_path, force=force) == "not a file"
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe", force=force) == "not a file"
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert refused(tmp_path / "dangling", force=force) == "not a file"


def test_what_is_there_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("old")
    with pytest.raises(CommandError, match="there already"):
        check_place(tmp_path / "a.svg", force=False)
    check_place(tmp_path / "a.svg", force=True)


def test_a_folder_that_is_missing_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no such folder"):
        check_place(tmp_path / "no" / "a.svg", force=True)


def test_a_name_that_no_file_can_have_is_told_in_one_line(tmp_path: Path) -> None:
    assert refused(tmp_path / "a\0b") == "embedded null byte"
    assert "too long" in refused(tmp_path / ("x" * 300))
