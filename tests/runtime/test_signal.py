"""A signal wakes all who wait for it, none is lost inside a block, and the old handlers come back."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import coloop
from coloop import (
    Closed,
    Timeout,
    current_scheduler,
    go,
    run,
    signals,
    suspend,
    to_thread,
    wait_signal,
    yield_now,
)
from coloop.testing import MockClock, wait_until_idle

coroutine = [pytest.mark.coroutine, pytest.mark.usefixtures("mock_clock", "backend")]
HUP, USR1, USR2 = signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2


def in_a_coroutine(test: Any) -> Any:
    for mark in coroutine:
        test = mark(test)
    return test


@pytest.fixture(autouse=True)
def handlers_come_back() -> Iterator[None]:
    """Every test begins and ends with the same handlers, and nobody is told of signals by descriptor."""
    before = [signal.getsignal(number) for number in (HUP, USR1, USR2, signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (HUP, USR1, USR2, signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


# -- wait_signal ---------------------------------------------------------------------------------


@in_a_coroutine
def test_it_parks_until_one_of_the_signals_arrives_and_says_which() -> None:
    waiting = go(wait_signal, USR1, USR2)
    assert waiting.waiting_on == "signal SIGUSR1 or SIGUSR2"
    yield_now()
    assert not waiting.ended
    send(USR2)
    assert waiting.result() is signal.SIGUSR2


@in_a_coroutine
def test_several_who_wait_are_all_woken() -> None:
    waiting = [go(wait_signal, USR1), go(wait_signal, USR1, USR2), go(wait_signal, USR2)]
    send(USR1)
    assert [waiting[0].result(), waiting[1].result()] == [USR1, USR1]
    assert not waiting[2].ended
    send(USR2)
    assert waiting[2].result() is USR2


def test_it_wakes_a_loop_that_sleeps_in_the_kernel(backend: str) -> None:
    main_thread = threading.get_ident()

    def main() -> signal.Signals:
        scheduler, asleep = current_scheduler(), threading.Event()
        poll = scheduler.poller.poll

        def told(timeout_s: float | None) -> Any:
            if timeout_s is None:
                asleep.set()
            return poll(timeout_s)

        scheduler.poller.poll = told
        sender = threading.Thread(target=lambda: (asleep.wait(), signal.pthread_kill(main_thread, USR1)))
        sender.start()
        try:
            return wait_signal(USR1)
        finally:
            sender.join()
            del scheduler.poller.poll

    assert run(main) is USR1


@in_a_coroutine
def test_one_that_comes_as_the_poller_goes_to_sleep_rings_its_bell() -> None:
    rope = signal.set_wakeup_fd(-1)
    os.write(rope, b"\x0a")
    assert current_scheduler().poller.poll(None) == []
    signal.set_wakeup_fd(rope)


@in_a_coroutine
def test_who_waits_for_a_signal_has_hope() -> None:
    waiting = go(wait_signal, USR1)
    assert not any(picture.stuck for picture in coloop.snapshot(stuck=True).coroutines)
    assert current_scheduler().poller.waiting == 1
    send(USR1)
    waiting.join()
    assert current_scheduler().poller.waiting == 0


@in_a_coroutine
@pytest.mark.parametrize("end", ["cancel", "kill", "timeout"])
def test_who_gives_up_leaves_the_others_and_the_handlers_in_place(end: str, mock_clock: MockClock) -> None:
    leaving, staying = go(wait_signal, USR1, timeout=5 if end == "timeout" else None), go(wait_signal, USR1)
    if end == "cancel":
        leaving.cancel()
    elif end == "kill":
        assert current_scheduler().kill(leaving) == "ended"
    else:
        with pytest.raises(Timeout, match="signal SIGUSR1: timed out after 5s"):
            leaving.result()
        assert mock_clock.now() == 5
    leaving.join()
    send(USR1)
    assert staying.result() is USR1
    assert current_scheduler().poller.waiting == 0
    assert signal.getsignal(USR1) is signal.SIG_DFL


@in_a_coroutine
def test_what_there_was_before_comes_back() -> None:
    heard: list[int] = []
    signal.signal(USR1, lambda number, frame: heard.append(number))
    try:
        waiting = go(wait_signal, USR1)
        send(USR1)
        waiting.join()
        assert heard == []
        send(USR1)
        assert heard == [USR1]
    finally:
        signal.signal(USR1, signal.SIG_DFL)


@in_a_coroutine
def test_a_handler_that_somebody_set_meanwhile_is_left_in_place() -> None:
    waiting = go(wait_signal, USR1)
    signal.signal(USR1, signal.SIG_IGN)
    waiting.cancel()
    waiting.join()
    assert signal.getsignal(USR1) is signal.SIG_IGN
    signal.signal(USR1, signal.SIG_DFL)


# -- blocks --------------------------------------------------------------------------------------


@in_a_coroutine
def test_a_signal_between_two_waits_is_not_lost() -> None:
    with signals(USR1, USR2) as inbox:
        send(USR2)
        send(USR1)
        wait_until_idle()
        assert [inbox.receive(), inbox.receive()] == [USR2, USR1]
        with pytest.raises(Timeout, match="signal SIGUSR1 or SIGUSR2: timed out after 1s"):
            inbox.receive(timeout=1)


@in_a_coroutine
def test_one_that_is_pending_already_is_not_noted_twice() -> None:
    with signals(USR1) as inbox:
        for _ in range(3):
            send(USR1)
            wait_until_idle()
        assert inbox.receive() is USR1
        with pytest.raises(Timeout):
            inbox.receive(timeout=1)
        send(USR1)
        assert inbox.receive() is USR1


@in_a_coroutine
def test_blocks_may_overlap_in_any_order() -> None:
    first, second = signals(USR1), signals(USR1, USR2)
    first.__enter__()
    second.__enter__()
    send(USR1)
    wait_until_idle()
    assert [first.receive(), second.receive()] == [USR1, USR1]
    first.__exit__(None, None, None)
    send(USR1)
    assert second.receive() is USR1
    second.__exit__(None, None, None)
    assert signal.getsignal(USR1) is signal.SIG_DFL


@in_a_coroutine
def test_those_who_receive_from_one_block_take_turns_first_come_first_served() -> None:
    with signals(USR1, USR2) as inbox:
        receivers = [go(inbox.receive) for _ in range(3)]
        receivers.pop(0).cancel()
        send(USR1)
        wait_until_idle()
        send(USR2)
        assert [receiver.result() for receiver in receivers] == [USR1, USR2]


@in_a_coroutine
def test_one_that_was_given_a_signal_and_cancelled_a_moment_later_owns_it() -> None:
    with signals(USR1) as inbox:
        receiver, other = go(inbox.receive), go(inbox.receive)
        current_scheduler().call_soon_threadsafe(lambda: (inbox._arrive(USR1), receiver.cancel()))
        assert receiver.result() is USR1
        assert not other.ended
        other.cancel()
        other.join()


@in_a_coroutine
def test_the_end_of_the_block_ends_the_waits_in_it() -> None:
    log: list[Any] = []

    def child(inbox: signals) -> None:
        log.extend(inbox)
        log.append("over")

    with signals(USR1) as inbox:
        loop, other = go(child, inbox), go(inbox.receive)
        send(USR1)
        yield_now()
        wait_until_idle()
    with pytest.raises(Closed, match=f"{inbox}: its block has ended"):
        other.result()
    loop.join()
    assert log == [USR1, "over"]
    with pytest.raises(Closed, match=f"{inbox}: its block has ended"):
        inbox.receive()


@in_a_coroutine
def test_a_signal_on_its_way_when_the_block_ends_is_dropped() -> None:
    with signals(USR1) as inbox:
        send(USR1)
    wait_until_idle()
    assert repr(inbox) == f"<{inbox} SIGUSR1, 0 pending, 0 waiting>"


# -- Ctrl-C, and the end of the scheduler ----------------------------------------------------------


def test_ctrl_c_is_for_main_again_when_nobody_listens_for_it_any_more() -> None:
    def main() -> str:
        with signals(signal.SIGINT) as inbox:
            send(signal.SIGINT)
            assert inbox.receive() is signal.SIGINT
        other = go(suspend)
        try:
            send(signal.SIGINT)
            suspend()
        except KeyboardInterrupt:
            other.cancel()
            return "interrupted"
        return "not interrupted"

    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert run(main) == "interrupted"


def test_the_end_of_the_scheduler_closes_the_blocks_of_those_who_are_left() -> None:
    def main() -> None:
        go(wait_signal, USR1)
        raise SystemExit

    with pytest.raises(SystemExit):
        run(main)


def test_a_block_that_nobody_ever_leaves_does_not_swallow_signals_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("coloop._scheduler.SHUTDOWN_PATIENCE_S", 0.001)
    before = signal.getsignal(HUP)  # under nohup it is ignored

    def immortal() -> None:
        with signals(USR1, HUP):
            while True:
                try:
                    suspend()
                except BaseException:
                    continue

    def main() -> None:
        go(immortal)
        raise SystemExit

    with pytest.raises(SystemExit):
        run(main)
    heard: list[int] = []
    signal.signal(HUP, lambda number, frame: heard.append(number))
    assert signal.getsignal(USR1) is not signal.SIG_DFL
    assert run(lambda: go(wait_signal, HUP) and (send(HUP), yield_now())) is not None
    assert signal.getsignal(USR1) is signal.SIG_DFL
    signal.signal(HUP, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its bell is gone
def test_a_signal_for_a_dead_block_does_what_it_did_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coloop._scheduler.SHUTDOWN_PATIENCE_S", 0.001)
    heard: list[int] = []
    signal.signal(USR1, lambda number, frame: heard.append(number))

    def immortal() -> None:
        with signals(USR1):
            while True:
                try:
                    suspend()
                except BaseException:
                    continue

    def main() -> None:
        go(immortal)
        raise SystemExit

    with pytest.raises(SystemExit):
        run(main)
    send(USR1)
    assert heard == [USR1]
    signal.signal(USR1, signal.SIG_DFL)


# -- misuse --------------------------------------------------------------------------------------


@in_a_coroutine
def test_what_is_no_signal_is_refused_and_no_handler_changed() -> None:
    with pytest.raises(ValueError, match="signals takes at least one signal"):
        wait_signal()
    with pytest.raises(ValueError, match="'HUP' is no signal"):
        wait_signal("HUP")
    with pytest.raises(ValueError, match="12345 is no signal"):
        wait_signal(USR1, 12345)
    for number in (signal.SIGKILL, signal.SIGSTOP):
        with pytest.raises(ValueError, match=f"{number.name} cannot be caught"):
            wait_signal(USR1, number)


def test_a_scheduler_on_another_thread_is_told_the_right_way() -> None:
    def main() -> Any:
        return to_thread(run, wait_signal, USR1)

    with pytest.raises(coloop.WrongThread, match=r"main thread only: .* scheduler\.call_soon_threadsafe"):
        run(main)


def test_without_a_scheduler_nobody_can_wait() -> None:
    with pytest.raises(coloop.NotRunning, match="no scheduler runs on this thread"):
        wait_signal(USR1)


@in_a_coroutine
def test_a_block_belongs_to_its_thread_and_is_entered_once() -> None:
    inbox = signals(USR1)
    with pytest.raises(coloop.CoroutineError, match=f"{inbox} is not open"):
        inbox.receive()
    with inbox:
        with pytest.raises(coloop.WrongThread, match=r"use scheduler\.call_soon_threadsafe"):
            to_thread(inbox.receive)
        with pytest.raises(coloop.CoroutineError, match="entered once"):
            inbox.__enter__()
    with pytest.raises(coloop.CoroutineError, match="entered once"):
        inbox.__enter__()
