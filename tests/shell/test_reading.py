import os
import socket
import stat
from pathlib import Path

import pytest

from coshell.reading import (
    MAX_FILE_BYTES,
    MAX_LINE_BYTES,
    Edit,
    ReadError,
    read_source,
    replace_file,
    rewritten,
    source_of,
)


def lines_of(raw):
    return source_of(raw, "x.cosh").lines


def refusal_of(raw):
    with pytest.raises(ReadError) as caught:
        source_of(raw, "x.cosh")
    return str(caught.value)


def refusal_of_file(path):
    with pytest.raises(ReadError) as caught:
        read_source(str(path))
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        (b"", ()),
        (b"\n", ("",)),
        (b"ps", ("ps",)),
        (b"ps\n", ("ps",)),
        (b"ps\n\n", ("ps", "")),
        (b"ps\r\nheap\r\n", ("ps", "heap")),
        (b"\xef\xbb\xbfps\n", ("ps",)),
        (b"\xef\xbb\xbf", ()),
        ("é\n".encode(), ("é",)),
    ],
)
def test_byte_order_marks_and_line_endings_of_any_editor_are_left_out(raw, lines):
    assert lines_of(raw) == lines


@pytest.mark.parametrize("character", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_only_a_newline_ends_a_line(character):
    assert lines_of(f"a{character}b\nc".encode()) == (f"a{character}b", "c")


def test_only_one_carriage_return_belongs_to_the_line_ending():
    assert lines_of(b"a\r\r\nb\rc\n") == ("a\r", "b\rc")


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"\xff\xfep\0s\0", "byte 0xff at line 1"),
        (b"ps\np\0s", "byte 0x00 at line 2"),
        (b"\x7fELF\x02\x01\x01\0", "byte 0x00 at line 1"),
        (b"ps\n\ncaf\xe9\n", "byte 0xe9 at line 3"),
        (b"\0\xff", "byte 0x00 at line 1"),
        (b"\xff\0", "byte 0xff at line 1"),
    ],
)
def test_what_is_no_text_is_refused_with_its_first_wrong_byte(raw, place):
    assert refusal_of(raw) == f"x.cosh: not a session file ({place})"


def test_a_file_above_the_limit_is_refused_and_one_at_the_limit_is_not():
    line = b"#" * 1023 + b"\n"
    whole = line * (MAX_FILE_BYTES // len(line))
    assert len(lines_of(whole)) == MAX_FILE_BYTES // len(line)
    assert refusal_of(whole + b"#") == "x.cosh: larger than 16 MiB, the limit for a session file"


def test_a_line_above_the_limit_is_refused_and_one_at_the_limit_is_not():
    assert lines_of(b"a" * MAX_LINE_BYTES + b"\n") == ("a" * MAX_LINE_BYTES,)
    assert refusal_of(b"ps\n" + b"a" * 65537) == "x.cosh:2: a line of 65537 bytes, the limit is 64 KiB"


def test_a_file_knows_its_name_as_given_and_its_place_with_links_followed(tmp_path):
    (tmp_path / "real.cosh").write_bytes(b"ps\n")
    (tmp_path / "link.cosh").symlink_to("real.cosh")
    source = read_source(str(tmp_path / "link.cosh"))
    assert source.name == str(tmp_path / "link.cosh")
    assert source.path == (tmp_path / "real.cosh").resolve()
    assert source.raw == b"ps\n"


def test_what_is_no_plain_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    assert refusal_of_file(tmp_path) == "a directory, not a file"
    assert refusal_of_file(tmp_path / "pipe").startswith("a pipe, not a file")
    assert refusal_of_file(tmp_path / "socket") == "a socket, not a file"
    assert refusal_of_file("/dev/zero") == "a device, not a file"
    assert refusal_of_file(tmp_path / "loop") == "too many levels of symbolic links"
    assert refusal_of_file(tmp_path / "none") == "no such file or directory"
    assert refusal_of_file(tmp_path / ("n" * 300)) == "file name too long"
    assert refusal_of_file("a\0b") == "no file can have this name"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path):
    path = tmp_path / "secret.cosh"
    path.touch(mode=0)
    assert refusal_of_file(path) == "permission denied"


def test_a_refused_file_leaves_no_descriptor_open(tmp_path):
    def count():
        return len(list(Path("/proc/self/fd").iterdir()))

    os.mkfifo(tmp_path / "pipe")
    before = count()
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        refusal_of_file(path)
    assert count() == before


@pytest.mark.parametrize(
    ("raw", "edit", "result"),
    [
        (b"a\nb\nc\n", Edit(1, 1, ("x", "y")), b"a\nx\ny\nc\n"),
        (b"a\nb\nc\n", Edit(1, 2, ()), b"a\n"),
        (b"a\nb\n", Edit(1, 0, ("x",)), b"a\nx\nb\n"),
        (b"a\r\nb\r\nc", Edit(1, 1, ("x",)), b"a\r\nx\r\nc"),
        (b"a\r\nb", Edit(2, 0, ("x",)), b"a\r\nb\r\nx\r\n"),
        (b"a", Edit(1, 0, ("x",)), b"a\nx\n"),
        (b"a", Edit(1, 0, ()), b"a"),
        (b"\xef\xbb\xbfa\nb\n", Edit(1, 1, ("é",)), b"\xef\xbb\xbfa\n\xc3\xa9\n"),
        (b"a\x0cb\nc\n", Edit(1, 1, ("x",)), b"a\x0cb\nx\n"),
    ],
)
def test_an_edit_leaves_every_byte_of_other_lines_alone(raw, edit, result):
    assert rewritten(raw, [edit]) == result


def test_edits_count_lines_as_they_were_before_any_of_them():
    edits = [Edit(1, 1, ("x", "y", "z")), Edit(3, 1, ("w",))]
    assert rewritten(b"a\nb\nc\nd\n", edits) == b"a\nx\ny\nz\nc\nw\n"


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path):
    path = tmp_path / "x.cosh"
    path.write_bytes(b"old")
    path.chmod(0o640)
    replace_file(read_source(str(path)), b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [left.name for left in tmp_path.iterdir()] == ["x.cosh"]


def test_replacing_a_file_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "real.cosh").write_bytes(b"old")
    (tmp_path / "link.cosh").symlink_to("real.cosh")
    replace_file(read_source(str(tmp_path / "link.cosh")), b"new")
    assert (tmp_path / "link.cosh").is_symlink()
    assert (tmp_path / "real.cosh").read_bytes() == b"new"


def test_a_file_that_somebody_changed_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "x.cosh"
    path.write_bytes(b"old")
    source = read_source(str(path))
    path.write_bytes(b"theirs")
    with pytest.raises(ReadError, match="changed by somebody else"):
        replace_file(source, b"new")
    assert path.read_bytes() == b"theirs"


def test_a_file_that_cannot_be_replaced_is_left_whole_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "x.cosh"
    path.write_bytes(b"old")
    source = read_source(str(path))

    def no_space(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(ReadError, match="not updated: no space left on device"):
        replace_file(source, b"new")
    assert path.read_bytes() == b"old"
    assert [left.name for left in tmp_path.iterdir()] == ["x.cosh"]
