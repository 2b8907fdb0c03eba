"""The two ways in which a session ends on purpose."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from coshell.config import Settings
from coshell.console import Capture
from coshell.ending import Quit, Summons, Terminated
from coshell.shell import Shell


def test_quit_has_an_exit_code():
    assert Quit().code == 0
    assert Quit(3).code == 3


def test_a_request_to_end_is_not_caught_by_those_who_catch_errors():
    assert not issubclass(Terminated, Exception)


@pytest.mark.parametrize("end", [Quit(3), Terminated()])
def test_neither_is_a_failure_of_the_line_that_runs(end):
    shell = Shell(Settings(level="off"), console=Capture())
    with pytest.raises(type(end)):
        shell.result_of(end)


NEVER_S = 3600.0  # tests send the alarm themselves


@pytest.fixture
def summons() -> Iterator[Summons]:
    summons = Summons(again_s=NEVER_S)
    with summons.awaited():
        yield summons


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_asks_for_the_end_is_raised(summons: Summons, number: signal.Signals):
    with pytest.raises(Terminated):
        signal.raise_signal(number)


def test_ctrl_c_asks_for_the_end_where_that_is_wanted(summons: Summons):
    before = signal.getsignal(signal.SIGINT)
    with summons.taking_ctrl_c(), pytest.raises(Terminated):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_that_is_ignored_stays_ignored(summons: Summons):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with summons.taking_ctrl_c():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_request_that_python_forgot_is_raised_again(summons: Summons, monkeypatch: pytest.MonkeyPatch):
    lose_it(monkeypatch)
    with pytest.raises(Terminated):
        signal.raise_signal(signal.SIGALRM)


def test_a_request_that_was_heard_is_not_raised_again(summons: Summons, monkeypatch: pytest.MonkeyPatch):
    lose_it(monkeypatch)
    summons.heard()
    signal.raise_signal(signal.SIGALRM)


def test_a_request_on_its_way_is_not_raised_a_second_time(summons: Summons):
    passed = []
    with pytest.raises(Terminated):
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGALRM)
            passed.append("the rest of finally")
    assert passed


def test_a_lost_request_comes_again_by_itself(monkeypatch: pytest.MonkeyPatch):
    with Summons(again_s=0.05).awaited():
        with pytest.raises(Terminated):
            lose_it(monkeypatch)
            signal.pause()


def test_a_second_request_ends_only_what_the_first_one_allowed(summons: Summons):
    with summons.ends_only_this():
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGALRM)  # it was heard


def test_a_request_in_a_callback_of_asyncio_ends_its_loop(summons: Summons):
    async def wait() -> None:
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
        await asyncio.Event().wait()

    with pytest.raises(Terminated):
        asyncio.run(wait())


def test_signals_do_what_they_did_before_once_nobody_waits_for_them():
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    summons = Summons(again_s=NEVER_S)
    with summons.awaited(), summons.ends_only_this():
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in numbers] == before


def test_without_a_signal_somebody_else_s_timer_is_left_alone():
    before = signal.setitimer(signal.ITIMER_REAL, NEVER_S)
    try:
        summons = Summons()
        with summons.awaited(), summons.ends_only_this():
            raise KeyboardInterrupt
        assert signal.getitimer(signal.ITIMER_REAL)[0] > NEVER_S / 2
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)


def lose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SIGTERM where Python cannot raise."""

    class Last:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    lost = []
    monkeypatch.setattr("sys.unraisablehook", lambda what: lost.append(what.exc_type))
    Last()
    assert lost == [Terminated]
