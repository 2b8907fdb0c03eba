"""What is told while nobody asks."""

from dataclasses import dataclass

import pytest

from coloop import Failure
from coshell.bridge import Bridge
from coshell.console import Capture
from coshell.failures import Failures
from coshell.herald import Herald
from coshell.output import Output


@dataclass(frozen=True)
class Picture:
    """As much of a coroutine's picture as is told."""

    id: int
    name: str = "worker"
    waiting_on: str | None = "receive from channel#1"
    where: str | None = "<co:1>:2 in worker"


@pytest.fixture
def screen():
    return Capture()


@pytest.fixture
def failures():
    return Failures()


@pytest.fixture
def herald(screen, failures):
    return Herald(Output(screen), failures, lambda: False, lambda value: (f"late: {value}",))


def test_a_death_is_told_and_kept(herald, failures, screen):
    herald.tell_death(Failure(7, "conn", 1.2, "ValueError", "bad", "Traceback\nValueError: bad\n"))
    assert screen.lines() == ["✗ co#7 conn died after 1.2s: ValueError: bad (traceback: err 7)"]
    assert failures.of(7).traceback == "Traceback\nValueError: bad"


def test_whoever_waits_alone_may_be_waiting_for_what_is_typed(herald, screen):
    herald.tell_standstill((Picture(2),))
    herald.tell_standstill((Picture(2, waiting_on="suspend"), Picture(3)))
    assert screen.lines() == []


def test_a_standstill_of_several_is_told_once(herald, screen):
    herald.tell_standstill((Picture(2), Picture(3)))
    assert screen.lines() == [
        "deadlock: nothing can wake any of these",
        "  co#2 worker waits on receive from channel#1 at <co:1>:2 in worker",
        "  co#3 worker waits on receive from channel#1 at <co:1>:2 in worker",
    ]
    herald.tell_standstill((Picture(2), Picture(3), Picture(4)))
    assert len(screen.lines()) == 3
    herald.tell_standstill((Picture(5), Picture(6)))
    assert len(screen.lines()) == 6


def test_what_ends_late_is_told(herald, screen):
    herald.tell_late(7, None)
    herald.tell_late(None, ValueError("bad"))
    assert screen.lines() == ["late: 7", "ValueError: bad"]


def test_a_bridge_tells_it_everything(herald):
    for standstills in (True, False):
        bridge = Bridge()
        herald.listen_to(bridge, standstills=standstills)
        assert bridge.on_failure == herald.tell_death
        assert bridge.on_late == herald.tell_late
        assert (bridge.on_stall == herald.tell_standstill) is standstills
