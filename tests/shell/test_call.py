"""Calls, seen from both sides."""

import os
import signal

import pytest

import coloop
from coshell.call import DONE, INTERRUPT, TICK, Call
from coshell.ending import Summons, Terminated
from tests.patience import PATIENCE_S


def made(fn, *args):
    call = Call(fn, args, "shell")
    coloop.run(call.make)
    return call


def test_a_call_that_was_made_has_an_answer():
    call = made(lambda a: a + 1, 6)
    assert call.finished
    assert call.next_event(PATIENCE_S) == DONE
    assert call.answer() == 7
    assert call.coroutine.id == 1


def test_what_it_raises_is_raised_once():
    call = made(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call.answer()
    assert call.answer() is None


def test_a_call_that_was_given_up_before_it_began_is_never_made():
    calls = []
    call = Call(calls.append, (1,), "shell")
    assert call.give_up() is False
    coloop.run(call.make)
    assert calls == []
    assert not call.finished


def test_a_call_that_had_begun_goes_on():
    call = Call(lambda: call.give_up(), (), "shell")
    coloop.run(call.make)
    assert call.answer() is True
    assert call.given_up


def test_the_first_end_counts():
    call = made(lambda: 7)
    call.fail(KeyboardInterrupt())
    assert call.answer() == 7
    call = Call(int, (), "shell")
    call.fail(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        call.answer()


def test_who_was_killed_by_ctrl_c_was_interrupted():
    call = Call(int, (), "shell")
    call.interrupts = 1
    call.fail(coloop.Killed("killed"))
    with pytest.raises(KeyboardInterrupt):
        call.answer()


def test_waiting_ends_when_patience_does():
    assert Call(int, (), "shell").next_event(0.001) == TICK


def test_ctrl_c_is_an_event_while_it_is_waited_for():
    call = Call(int, (), "shell")
    before = signal.getsignal(signal.SIGINT)
    with call.taking_ctrl_c():
        os.kill(os.getpid(), signal.SIGINT)
        assert call.next_event(PATIENCE_S) == INTERRUPT
    assert signal.getsignal(signal.SIGINT) is before


def test_an_ignored_signal_stays_ignored():
    call = Call(int, (), "shell")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with call.taking_ctrl_c():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_request_for_the_end_of_the_session_is_for_no_call():
    call = Call(int, (), "shell")
    summons = Summons(again_s=3600.0)
    with summons.awaited(), summons.taking_ctrl_c(), pytest.raises(Terminated), call.taking_ctrl_c():
        os.kill(os.getpid(), signal.SIGINT)
        call.next_event(PATIENCE_S)


def test_the_keyboard_may_be_somebody_elses():
    call = Call(int, (), "shell")

    def somebodys(number, frame):
        code = Call.next_event.__code__
        if frame.f_code is code and frame.f_lineno > code.co_firstlineno:  # it is in the `try`
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, somebodys)
    try:
        signal.signal(signal.SIGALRM, somebodys)
        signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
        assert call.next_event(PATIENCE_S) == INTERRUPT
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
