"""A child's end wakes who waits for it, its exit code is taken once, and who gives up takes nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import coloop
from coloop import Timeout, current_scheduler, go, to_thread, wait_child, yield_now
from coloop import _child as child_module
from coloop.testing import MockClock

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]

Start = Callable[..., "subprocess.Popen[bytes]"]
WAITS = "import sys; sys.exit(len(sys.stdin.read()))"


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a child; unless told otherwise it ends when its input does, with the number of bytes as its status."""
    started = []

    def start(program: str = WAITS) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen([sys.executable, "-S", "-c", program], stdin=subprocess.PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(params=["pidfd", "thread", "naps"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param != "pidfd":
        monkeypatch.delattr(os, "pidfd_open")
    if request.param == "naps":
        monkeypatch.delattr(os, "waitid")
    way: str = request.param
    return way


def finish(process: "subprocess.Popen[bytes]", status: int = 7) -> None:
    assert process.stdin is not None
    process.stdin.write(b"x" * status)
    process.stdin.close()


def has_ended(pid: int) -> None:
    """Wait until it has, and leave its exit code."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("by", ["pid", "popen"])
def test_it_parks_until_the_child_has_ended(start: Start, way: str, by: str) -> None:
    process = start()
    waiting = go(wait_child, process if by == "popen" else process.pid)
    assert waiting.state == "waiting"
    finish(process)
    assert waiting.result() == 7
    if by == "popen":
        assert process.returncode == 7
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)


@pytest.mark.parametrize("by", ["pid", "popen"])
def test_one_that_a_signal_ended_gives_its_negative_number(start: Start, way: str, by: str) -> None:
    process = start()
    waiting = go(wait_child, process if by == "popen" else process.pid)
    process.send_signal(signal.SIGKILL)
    assert waiting.result() == -signal.SIGKILL


@pytest.mark.parametrize("by", ["pid", "popen"])
def test_for_one_that_has_ended_already_nobody_waits(
    start: Start, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start("raise SystemExit(3)")
    has_ended(process.pid)
    monkeypatch.setattr(child_module, "_await_pidfd", None)
    assert wait_child(process if by == "popen" else process.pid) == 3


def test_a_popen_that_somebody_has_waited_for_gives_what_is_known(start: Start) -> None:
    process = start("raise SystemExit(3)")
    process.wait()
    assert [wait_child(process), wait_child(process)] == [3, 3]


def test_others_run_meanwhile_and_the_wait_says_for_whom(start: Start) -> None:
    process = start()
    waiting = go(wait_child, process)
    assert waiting.waiting_on == f"child {process.pid}"
    for _ in range(100):
        yield_now()
    assert not waiting.ended
    assert not any(picture.stuck for picture in coloop.snapshot(stuck=True).coroutines)
    finish(process)
    waiting.join()


def test_waiting_keeps_the_loop_asleep(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    process = start()
    waiting = go(wait_child, process)
    polls = []
    poll = current_scheduler().poller.poll

    def counted(timeout_s: float | None) -> Any:
        polls.append(timeout_s)
        if len(polls) == 1:
            finish(process)
        return poll(timeout_s)

    monkeypatch.setattr(current_scheduler().poller, "poll", counted)
    waiting.join()
    monkeypatch.undo()
    assert len(polls) <= 2


def test_several_may_wait_for_one_popen(start: Start, way: str) -> None:
    process = start()
    waiting = [go(wait_child, process) for _ in range(3)]
    finish(process)
    assert [child.result() for child in waiting] == [7, 7, 7]


def test_of_several_who_wait_for_one_pid_the_first_takes_the_code_and_the_others_hear_of_it(
    start: Start, fails: Any, way: str
) -> None:
    process = start()
    waiting = [fails(wait_child, process.pid) for _ in range(3)]
    finish(process)
    errors = [child.result() for child in waiting]
    assert errors.count(None) == 1
    for error in errors:
        assert error is None or "somebody else has taken its exit code" in str(error)


@pytest.mark.parametrize("end", ["cancel", "kill", "timeout"])
def test_who_gives_up_leaves_the_child_alone_and_no_descriptor_behind(
    start: Start, way: str, end: str
) -> None:
    process, before = start(), descriptors()
    waiting = go(wait_child, process.pid, 0.01 if end == "timeout" else None)
    assert descriptors() == before + (way == "pidfd")
    if end == "cancel":
        waiting.cancel()
    elif end == "kill":
        assert current_scheduler().kill(waiting) == "ended"
    else:
        with pytest.raises(Timeout, match=rf"child {process.pid}: timed out after 0\.01s"):
            waiting.result()
    waiting.join()
    assert descriptors() == before
    assert current_scheduler().poller.waiting == 0
    assert process.stdin is not None
    assert process.stdin.closed is False
    finish(process)
    assert wait_child(process.pid) == 7


def test_a_limit_of_a_block_is_not_mistaken_for_its_own(start: Start) -> None:
    process = start()
    with pytest.raises(Timeout, match=r"^timed out after 0\.01s$"):
        with coloop.timeout(0.01):
            wait_child(process, timeout=10)


def test_with_a_mock_clock_the_wait_passes_in_virtual_time(start: Start, mock_clock: MockClock) -> None:
    process = start()
    with pytest.raises(Timeout, match="timed out after 3600s"):
        wait_child(process, timeout=3600)
    assert mock_clock.now() == 3600


def test_a_process_that_is_no_child_is_named() -> None:
    with pytest.raises(ChildProcessError, match="process 1 is no child of this process"):
        wait_child(1)
    with pytest.raises(ChildProcessError, match="process 999999999 is no child of this process"):
        wait_child(999999999)


def test_what_is_no_process_is_refused() -> None:
    for wrong in ("12", True, None, 1.0):
        with pytest.raises(TypeError, match=r"wait_child takes a process id or a subprocess\.Popen, not"):
            wait_child(wrong)
    for wrong in (0, -1):
        with pytest.raises(ValueError, match=f"a process id is 1 or more, not {wrong}"):
            wait_child(wrong)


def test_a_kernel_that_refuses_descriptors_of_processes_is_got_along_with(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    process = start()
    waiting = go(wait_child, process)
    assert waiting.waiting_on == "thread _await_end"
    finish(process)
    assert waiting.result() == 7


def test_when_descriptors_run_out_that_is_said(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError(24, "Too many open files")

    process = start()
    monkeypatch.setattr(os, "pidfd_open", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        wait_child(process)


def test_one_whose_code_was_taken_between_question_and_wait(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start("")

    def taken(pid: int) -> int:
        os.waitpid(pid, 0)
        raise ProcessLookupError(3, "No such process")

    ask, asked = child_module._take_exit_code, []

    def still_running_at_first(pid: int) -> int | None:
        asked.append(pid)
        return None if len(asked) == 1 else ask(pid)

    monkeypatch.setattr(child_module, "_take_exit_code", still_running_at_first)
    monkeypatch.setattr(os, "pidfd_open", taken)
    with pytest.raises(ChildProcessError, match=f"process {process.pid} is no child"):
        wait_child(process.pid)


def test_only_a_coroutine_can_wait(start: Start) -> None:
    process, errors = start(), []

    def callback() -> None:
        try:
            wait_child(process)
        except coloop.NotRunning as error:
            errors.append(str(error))

    coloop.call_soon_threadsafe(callback)
    yield_now()
    coloop.sleep(0.001)
    assert errors == ["wait_child works inside a coroutine only"]
    with pytest.raises(coloop.NotRunning, match="no scheduler runs on this thread"):
        to_thread(wait_child, process)
