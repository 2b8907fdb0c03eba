"""Settings, and where they come from."""

import os
from pathlib import Path

import pytest

from coshell.config import LOCAL_FILE, SettingError, Settings, about, keys, load, user_file


@pytest.fixture
def home(tmp_path):
    """A home directory with a place for the user's file."""
    (tmp_path / "home/.config/coshell").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    return tmp_path


def loaded(home, *, user=None, local=None, flags=None, **environ):
    if user is not None:
        (home / "home/.config/coshell/config.toml").write_text(user)
    if local is not None:
        (home / "here" / LOCAL_FILE).write_text(local)
    return load({"XDG_CONFIG_HOME": str(home / "home/.config"), **environ}, flags or {}, home / "here")


def test_without_any_source_all_is_as_it_is_meant_to_be(home):
    found = loaded(home)
    assert found.settings == Settings()
    assert found.origins == {}
    assert found.problems == ()


def test_the_command_line_wins_over_the_environment_and_that_over_files(home):
    user = 'level = "off"\ntimeout = "1s"\nrefresh = "1s"\nvi = true'
    local = 'level = "counts"\ntimeout = "2s"\nrefresh = "2s"'
    found = loaded(
        home, user=user, local=local, flags={"level": "sites"}, COSHELL_LEVEL="heap", COSHELL_TIMEOUT="3s"
    )
    settings = found.settings
    assert (settings.level, settings.timeout, settings.refresh, settings.vi) == ("sites", 3.0, 2.0, True)
    assert found.origins == {
        "level": "the command line",
        "timeout": "COSHELL_TIMEOUT",
        "refresh": "coshell.toml",
        "vi": str(home / "home/.config/coshell/config.toml"),
    }


def test_the_users_file_can_be_named(home):
    (home / "mine.toml").write_text('level = "counts"')
    assert loaded(home, COSHELL_CONFIG=str(home / "mine.toml")).settings.level == "counts"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("levle = 1", "no setting 'levle', did you mean 'level'?"),
        ('level = "heaps"', "level: 'heaps' is not one of off, counts, heap, sites, did you mean 'heap'?"),
        ("refresh = -1", "refresh: -1 is not a duration above 0"),
        ("toolbar = 7", "toolbar: 7 is not on or off"),
        ('seed = "x"', "seed: 'x' is not a whole number, or none"),
        ('refresh = "soon"', "refresh: 'soon' is not a duration above 0"),
        ("refresh = true", "refresh: True is not a duration above 0"),
        ("level =", "Invalid value (at "),
        ("[level]\nx = 1", "level: {'x': 1} is not one of"),
    ],
)
def test_a_wrong_file_is_named_and_counts_for_nothing(home, text, problem):
    found = loaded(home, local=f"vi = true\n{text}")
    assert found.settings == Settings()
    (line,) = found.problems
    assert line.startswith("coshell.toml: ")
    assert problem in line
    assert line.endswith("; ignored")


def test_a_wrong_variable_is_named(home):
    assert loaded(home, COSHELL_LEVLE="x").problems == (
        "COSHELL_LEVLE: no setting 'levle', did you mean 'level'?; ignored",
    )


@pytest.mark.parametrize("text", ["raw = true", 'history_file = "/etc/passwd"'])
def test_the_current_folder_cannot_set_what_would_harm(home, text):
    found = loaded(home, local=text)
    assert found.settings == Settings()
    assert "only the user's own file may set this" in found.problems[0]
    assert loaded(home, user=text, local="").settings != Settings()


def test_a_file_that_everybody_may_write_is_refused(home):
    loaded(home, local="vi = true")
    (home / "here" / LOCAL_FILE).chmod(0o666)
    found = loaded(home)
    assert not found.settings.vi
    assert "everybody may write it" in found.problems[0]


def test_a_file_of_another_user_is_refused(home, monkeypatch):
    loaded(home, local="vi = true")
    os.chown(home / "here" / LOCAL_FILE, 12345, -1)
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert "belongs to another user (uid 12345)" in loaded(home).problems[0]


def test_what_is_no_file_is_refused_and_hangs_nobody(home):
    os.mkfifo(home / "here" / LOCAL_FILE)
    assert loaded(home).problems == ("coshell.toml: not a file; ignored",)


def test_a_file_that_is_no_text_is_refused(home):
    (home / "here" / LOCAL_FILE).write_bytes(b"vi = \xff")
    assert loaded(home).problems == ("coshell.toml: not UTF-8; ignored",)


def test_without_a_home_there_is_no_file_of_the_users(monkeypatch):
    monkeypatch.setenv("HOME", "")
    assert user_file({"XDG_CONFIG_HOME": "relative"}) in {None, Path("/.config/coshell/config.toml")}
    monkeypatch.setenv("HOME", "/home/somebody")
    assert user_file({}) == Path("/home/somebody/.config/coshell/config.toml")


# -- one setting -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "typed", "value"),
    [
        ("level", "sites", "sites"),
        ("seed", "7", 7),
        ("seed", "none", None),
        ("timeout", "300ms", 0.3),
        ("timeout", 2, 2.0),
        ("vi", "on", True),
        ("vi", "no", False),
        ("history-file", "none", None),
        ("history_file", "/x", "/x"),
    ],
)
def test_a_setting_is_read_as_it_is_typed(key, typed, value):
    assert getattr(Settings().changed(key, typed), key.replace("-", "_")) == value


def test_a_change_makes_another_object():
    before = Settings()
    assert before.changed("vi", "on") != before
    assert not before.vi


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(SettingError, match="no setting 'tiemout', did you mean 'timeout'"):
        Settings().changed("tiemout", 1)


@pytest.mark.parametrize("key", keys())
def test_every_setting_accepts_its_default_and_is_explained(key):
    assert Settings().changed(key, getattr(Settings(), key)) == Settings()
    assert about(key)
