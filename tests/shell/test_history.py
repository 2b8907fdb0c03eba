import asyncio
import os
import resource
import stat
import threading
from pathlib import Path

import pytest

from coshell import history
from coshell.history import History, HistoryError, HistoryFile, open_history, state_directory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history"


@pytest.fixture
def notices() -> list[str]:
    return []


def recalled(file: HistoryFile | None, notices: list[str]) -> list[str]:
    """What the arrow keys of a new session walk through, newest first."""
    return loaded(History(file, notices.append))


def loaded(kept: History) -> list[str]:
    async def collect() -> list[str]:
        return [entry async for entry in kept.load()]

    return asyncio.run(collect())


def session(path: Path, notices: list[str]) -> History:
    kept = History(HistoryFile(path), notices.append)
    loaded(kept)
    return kept


def test_what_was_typed_is_there_in_the_next_session_newest_first(path: Path, notices: list[str]) -> None:
    kept = session(path, notices)
    for entry in ("ps", "go f(x)", "x = 1"):
        kept.append_string(entry)
    assert recalled(HistoryFile(path), notices) == ["x = 1", "go f(x)", "ps"]
    assert notices == []


@pytest.mark.parametrize(
    "entry", ["def f():\n    return 1\n", r"print('a\nb')", "\\", "\\\\n", "\\\n\\n", "naïve 💡"]
)
def test_an_entry_comes_back_as_it_was_typed(path: Path, notices: list[str], entry: str) -> None:
    session(path, notices).append_string(entry)
    assert recalled(HistoryFile(path), notices) == [entry]


def test_consecutive_doubles_are_kept_once(path: Path, notices: list[str]) -> None:
    kept = session(path, notices)
    for entry in ("ps", "ps", "mem", "ps"):
        kept.append_string(entry)
    assert recalled(HistoryFile(path), notices) == ["ps", "mem", "ps"]


def test_the_first_entry_is_a_double_of_the_last_session_s_last(path: Path, notices: list[str]) -> None:
    session(path, notices).append_string("ps")
    session(path, notices).append_string("ps")
    assert recalled(HistoryFile(path), notices) == ["ps"]


@pytest.mark.parametrize("entry", [" secret = 1", "\tsecret", "", "   ", "x" * (history.MAX_ENTRY_BYTES + 1)])
def test_lines_that_begin_with_a_blank_and_useless_ones_are_not_kept(
    path: Path, notices: list[str], entry: str
) -> None:
    kept = session(path, notices)
    kept.append_string(entry)
    assert kept.get_strings() == []
    assert not path.exists()


def test_file_and_folder_are_private_whatever_the_umask(path: Path, notices: list[str]) -> None:
    old = os.umask(0)
    try:
        session(path, notices).append_string("ps")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_made_private(path: Path, notices: list[str]) -> None:
    path.parent.mkdir()
    path.write_text("ps\n")
    path.chmod(0o644)
    assert recalled(HistoryFile(path), notices) == ["ps"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_control_characters_are_escaped_on_recall(path: Path, notices: list[str]) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\x1b]0;title\x07 \xc2\x9b2J\n\xff\xfe broken\n")
    assert all(line.isprintable() for line in recalled(HistoryFile(path), notices))
    assert "\\x1b]0;title\\x07 \\x9b2J" in recalled(HistoryFile(path), notices)


def test_a_long_file_is_cut_to_its_newest_entries_and_rewritten(
    path: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_ENTRIES", 8)
    path.parent.mkdir()
    path.write_text("".join(f"entry {n}\n" for n in range(20)))
    assert recalled(HistoryFile(path), notices) == [f"entry {n}" for n in range(19, 11, -1)]
    assert path.read_text().splitlines() == [f"entry {n}" for n in range(12, 20)]
    assert [child.name for child in path.parent.iterdir()] == ["history"]


def test_a_huge_file_is_read_from_its_end_only(path: Path, notices: list[str]) -> None:
    path.parent.mkdir()
    with path.open("wb") as file:
        file.write(b"x" * (history.MAX_FILE_BYTES + 100))
        file.write(b"\nthe last\n")
    assert recalled(HistoryFile(path), notices) == ["the last"]


def test_a_long_session_remembers_no_more_than_the_limit(
    path: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_ENTRIES", 5)
    kept = session(path, notices)
    for n in range(12):
        kept.append_string(f"entry {n}")
    assert kept.get_strings() == [f"entry {n}" for n in range(7, 12)]


def make_directory(path: Path) -> None:
    path.mkdir(parents=True)


def make_link(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(path.parent / "elsewhere")


def make_fifo(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)


def make_parent_a_file(path: Path) -> None:
    path.parent.write_text("")


@pytest.mark.parametrize("spoil", [make_directory, make_link, make_fifo, make_parent_a_file])
def test_an_unusable_file_costs_one_notice_and_the_session_goes_on(
    path: Path, notices: list[str], spoil
) -> None:
    spoil(path)
    kept = session(path, notices)
    kept.append_string("ps")
    kept.append_string("mem")
    assert kept.get_strings() == ["ps", "mem"]
    assert len(notices) == 1
    assert notices[0].startswith(f"history is kept for this session only: {str(path)!r}: ")


def test_a_full_disk_costs_one_notice(path: Path, notices: list[str]) -> None:
    kept = session(path, notices)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        kept.append_string("ps")
        kept.append_string("mem")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert kept.get_strings() == ["ps", "mem"]
    assert len(notices) == 1


def test_entries_of_two_shells_never_mix(path: Path) -> None:
    def write(who: str) -> None:
        file = HistoryFile(path)
        for n in range(200):
            file.append(f"{who} {n} " + who * 3000)

    writers = [threading.Thread(target=write, args=(who,)) for who in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    entries = HistoryFile(path).load()
    assert len(entries) == 400
    assert all(set(entry.split()[2]) == {entry[0]} for entry in entries)


def test_an_entry_stored_while_the_file_is_rewritten_is_not_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = threading.Thread(target=lambda: HistoryFile(path).append("late"))

    class Disturbed(HistoryFile):
        def _replace(self, lines: list[bytes]) -> None:
            late.start()
            super()._replace(lines)

    monkeypatch.setattr(history, "MAX_ENTRIES", 8)
    for n in range(20):
        HistoryFile(path).append(f"entry {n}")
    Disturbed(path).load()
    late.join()
    assert HistoryFile(path).load()[-1] == "late"


def test_the_state_directory_follows_the_environment() -> None:
    assert state_directory({"XDG_STATE_HOME": "/var/lib/me"}) == Path("/var/lib/me/coshell")


def test_a_relative_state_directory_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert state_directory({"XDG_STATE_HOME": "here"}) == Path("/home/me/.local/state/coshell")


def test_nothing_is_made_below_a_tilde(monkeypatch: pytest.MonkeyPatch, notices: list[str]) -> None:
    monkeypatch.setattr(
        os.path, "expanduser", lambda path: path
    )  # what it does for a uid without a passwd entry
    with pytest.raises(HistoryError, match="no home directory"):
        state_directory({})
    open_history({}, "history", notices.append).append_string("ps")
    assert notices == ["history is kept for this session only: there is no home directory"]
