"""Where code stands is told without the runtime's own frames, and on which thread it may be asked."""

import sys
import threading
import traceback
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

import coloop
from coloop import _frames as frames
from coloop import go, run, suspend
from coloop._frames import (
    MAX_FRAMES,
    Site,
    calling_site,
    is_ours,
    short_path,
    site_of,
    stack_of_thread,
    summaries,
    top_site,
    trimmed,
    user_frames,
)


def here() -> FrameType:
    return sys._getframe(1)


def line_of(frame: FrameType) -> int:
    return frame.f_lineno


# -- sites ---------------------------------------------------------------------------------------


def test_a_site_keeps_its_place_while_the_code_goes_on() -> None:
    frame = here()
    site, line = site_of(frame), line_of(frame)
    assert site.line == line
    assert str(site) == f"test_frames.py:{line} in test_a_site_keeps_its_place_while_the_code_goes_on"


def test_a_site_that_is_in_no_line_is_shown_at_the_head_of_its_function() -> None:
    code = here.__code__
    assert Site(code, 1_000_000).line == code.co_firstlineno


@pytest.mark.parametrize(
    ("path", "short"), [("/a/b/file.py", "file.py"), ("file.py", "file.py"), ("<co:3>", "<co:3>")]
)
def test_a_path_is_shortened_to_its_last_part(path: str, short: str) -> None:
    assert short_path(path) == short


def test_code_of_the_runtime_is_ours_and_no_other() -> None:
    assert is_ours(coloop.run.__code__)
    assert is_ours(coloop.testing.wait_until_idle.__code__)
    assert not is_ours(here.__code__)
    assert not is_ours(threading.Thread.run.__code__)


def test_the_calling_site_is_the_first_that_is_not_the_runtimes() -> None:
    def callee() -> Any:
        return calling_site(0), calling_site(1)

    own, callers = callee()
    assert own.code is callee.__code__
    assert callers.code is here().f_code


def test_where_everything_is_the_runtimes_there_is_no_calling_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "OURS", "")
    assert calling_site(0) is None


# -- stacks --------------------------------------------------------------------------------------


def outer() -> str:
    return inner()


def inner() -> str:
    suspend()
    return "done"


def test_a_stack_of_the_user_is_told_innermost_first_and_without_ours() -> None:
    def main() -> None:
        child = go(outer)
        frame = coloop.current_scheduler().frame_of(child)
        assert is_ours(frame.f_code)
        assert [found.f_code.co_name for found in user_frames(frame)] == ["inner", "outer"]
        assert [entry.name for entry in summaries(frame)] == ["outer", "inner"]
        assert summaries(frame)[-1].line == "suspend()"
        assert top_site(frame).endswith(" in inner")
        child.resume()
        child.join()

    run(main)


def test_no_frame_is_no_place() -> None:
    assert (user_frames(None), summaries(None), top_site(None)) == ([], [], None)


def test_where_all_is_ours_the_entrance_is_named() -> None:
    def main() -> None:
        child = go(suspend)
        assert top_site(coloop.current_scheduler().frame_of(child)).endswith(" in suspend")
        child.cancel()

    run(main)


def test_of_a_runaway_recursion_the_innermost_are_shown() -> None:
    def dive(depth: int) -> list[traceback.FrameSummary]:
        return dive(depth - 1) if depth else summaries(here())

    found = dive(2 * MAX_FRAMES)
    assert len(found) == MAX_FRAMES
    assert {entry.name for entry in found} == {"dive"}


# -- tracebacks ----------------------------------------------------------------------------------


def test_a_traceback_begins_with_the_users_code() -> None:
    def fail() -> None:
        raise KeyError

    def main() -> list[str]:
        child = go(fail)
        child.join()
        return [entry.name for entry in traceback.extract_tb(child._error.__traceback__)]

    assert run(main) == ["fail"]


def test_what_is_ours_altogether_is_shown_at_its_innermost_place() -> None:
    try:
        coloop.sleep(1)
    except coloop.NotRunning as error:
        error.__traceback__ = error.__traceback__.tb_next
        names = [entry.name for entry in traceback.extract_tb(trimmed(error).__traceback__)]
        assert names == ["current_scheduler"]


def test_an_error_that_was_never_raised_has_nothing_to_trim() -> None:
    error = KeyError()
    assert trimmed(error) is error
    assert error.__traceback__ is None


# -- other threads -------------------------------------------------------------------------------


def test_the_stack_of_another_thread_is_told_outermost_first() -> None:
    inside, release = threading.Event(), threading.Event()

    def waits_inside() -> None:
        inside.set()
        release.wait()

    def runs() -> None:
        waits_inside()

    thread = threading.Thread(target=runs)
    thread.start()
    inside.wait()
    places = stack_of_thread(thread.ident)
    release.set()
    thread.join()
    ours = [place for place in places if place.startswith("test_frames.py")]
    assert [place.rpartition(" in ")[2] for place in ours] == ["runs", "waits_inside"]
    assert places.index(ours[0]) < places.index(ours[1])


def test_the_own_thread_is_found_too_and_the_runtimes_frames_are_left_out() -> None:
    places = stack_of_thread(threading.get_ident())
    assert places[-1].endswith(" in test_the_own_thread_is_found_too_and_the_runtimes_frames_are_left_out")


def test_a_thread_that_is_not_there_has_no_stack() -> None:
    assert stack_of_thread(-1) == ()


def test_a_dump_is_read_thread_by_thread() -> None:
    runtime = SimpleNamespace(path=frames.OURS + "_scheduler.py")
    dump = (
        "Thread 0x000000000000000a (most recent call first):\n"
        f'  File "{runtime.path}", line 3 in park\n'
        '  File "/x/with "quotes".py", line 12 in f\n'
        '  File "/x/y.py", line ??? in g\n'
        "\n"
        "Current thread 0x000000000000000b (most recent call first):\n"
        '  File "/x/z.py", line 1 in h\n'
    )
    assert frames._places_of_thread(dump, 10) == ['with "quotes".py:12 in f', "y.py:??? in g"]
    assert frames._places_of_thread(dump, 11) == ["z.py:1 in h"]
    assert frames._places_of_thread(dump, 12) == []
