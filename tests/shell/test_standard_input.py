"""What comes is what was written, and who waits for it hears signals."""

from __future__ import annotations

import io
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import pytest

from coshell.standard_input import patient
from tests.patience import PATIENCE_S


@pytest.fixture
def pipe() -> Iterator[tuple[TextIO, Any]]:
    """The reading end as `patient` makes it, and the writing end."""
    ours, theirs = os.pipe()
    with (
        os.fdopen(ours, encoding="utf-8", errors="surrogateescape") as plain,
        os.fdopen(theirs, "wb", 0) as end,
    ):
        yield patient(plain), end


def test_lines_come_one_by_one_and_then_the_end(pipe: Any) -> None:
    reader, writer = pipe
    writer.write("one\nzwölf\nthr".encode())
    assert reader.readline() == "one\n"
    assert reader.readline() == "zwölf\n"
    writer.write(b"ee\xff")
    writer.close()
    assert reader.readline() == "three\udcff"
    assert reader.readline() == ""


def test_bytes_and_text_are_read_line_by_line_from_one_buffer(pipe: Any) -> None:
    """As a script and `input()` in it do."""
    reader, writer = pipe
    writer.write(b"script\nanswer\nscript\nrest")
    assert reader.buffer.readline() == b"script\n"
    assert reader.readline() == "answer\n"
    assert reader.buffer.readline() == b"script\n"
    writer.close()
    assert reader.read() == "rest"


def test_who_asks_for_a_character_waits_for_no_line(pipe: Any) -> None:
    reader, writer = pipe
    writer.write(b"yn")
    assert (reader.read(1), reader.read(1)) == ("y", "n")


def test_where_another_was_quicker_there_is_nothing_for_now(pipe: Any) -> None:
    """A pipe may have several readers; this one was opened so that no read blocks."""
    reader, _ = pipe
    raw = reader.buffer.raw
    os.set_blocking(raw.fileno(), False)
    raw._poll = SimpleNamespace(poll=lambda _timeout: [(raw.fileno(), select.POLLIN)])
    assert raw.readinto(bytearray(8)) is None


def test_a_handler_runs_while_nothing_comes_though_no_call_was_interrupted(pipe: Any) -> None:
    reader, writer = pipe
    before = signal.signal(signal.SIGUSR1, lambda *_: writer.write(b"handled\n"))
    # Told to another thread, it interrupts no call of this one.
    elsewhere = threading.Event()
    thread = threading.Thread(target=elsewhere.wait, args=(PATIENCE_S,))
    thread.start()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        threading.Timer(0.05, signal.pthread_kill, (thread.ident, signal.SIGUSR1)).start()
        assert reader.readline() == "handled\n"
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
        signal.signal(signal.SIGUSR1, before)
        elsewhere.set()
        thread.join()


def test_it_is_still_the_descriptor_of_whoever_had_it(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text("one\ntwo\n", encoding="utf-8")
    with path.open(encoding="utf-8") as plain:
        reader = patient(plain)
        assert reader.fileno() == plain.fileno()
        assert reader.readlines() == ["one\n", "two\n"]
        reader.close()
        assert os.fstat(plain.fileno())


def test_what_is_read_like_that_already_is_left_as_it_is_with_what_it_has_read_ahead(pipe: Any) -> None:
    reader, writer = pipe
    writer.write(b"one\ntwo\n")
    assert reader.readline() == "one\n"
    assert patient(reader).readline() == "two\n"


def test_it_has_the_name_of_what_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.touch()
    with path.open(encoding="utf-8") as plain:
        assert patient(plain).name == plain.name


def test_what_is_no_file_of_the_systems_is_left_as_it_is() -> None:
    text = io.StringIO("x")
    assert patient(text) is text
    of_bytes = io.TextIOWrapper(io.BytesIO(b"x"))
    assert patient(of_bytes) is of_bytes


def test_a_terminal_is_left_as_it_is() -> None:
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", 0), os.fdopen(theirs, encoding="utf-8") as terminal:
        assert patient(terminal) is terminal


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such wait")
def test_its_end_is_seen_when_the_writer_goes_later(pipe: Any) -> None:
    reader, writer = pipe
    threading.Timer(0.05, writer.close).start()
    assert reader.read() == ""
