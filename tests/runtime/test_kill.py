"""Kill ends whom it is meant for, whatever that one does, and never hits anybody else."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

import coloop
from coloop import (
    Channel,
    Condition,
    Coroutine,
    Event,
    Group,
    Killed,
    Timeout,
    _kill,
    current,
    current_scheduler,
    defer,
    go,
    run,
    sleep,
    suspend,
    timeout,
    to_thread,
    yield_now,
)
from tests.patience import PATIENCE_S

SHORT_S = 0.3  # a kill in vain takes as long; a busy machine needs more than a tenth to tell of it


def spin() -> None:
    while True:
        pass


def killed_from_a_thread(coroutine: Coroutine, grace_s: float = SHORT_S) -> str:
    with pytest.MonkeyPatch.context() as patient:  # here the root comes to its verdict, however late
        patient.setattr(_kill, "LEAST_VERDICT_S", PATIENCE_S)
        verdict: str = to_thread(current_scheduler().kill, coroutine, grace_s)
    return verdict


class KillerThread:
    """A thread that waits until `begin` is set, and then kills."""

    def __init__(self, grace_s: float = SHORT_S) -> None:
        self.scheduler = current_scheduler()
        self.begin = threading.Event()
        self.victim: Coroutine | None = None
        self.grace_s = grace_s
        self.verdict = ""
        self._thread = threading.Thread(target=self._kill)
        self._thread.start()

    def _kill(self) -> None:
        self.begin.wait()
        assert self.victim is not None
        self.verdict = self.scheduler.kill(self.victim, self.grace_s)

    def join(self) -> str:
        self._thread.join()
        return self.verdict


def killed_while(body: Callable[[], object], grace_s: float = SHORT_S) -> tuple[str, Coroutine]:
    """Have a coroutine that runs `body`, and does not come back by itself, killed from a thread."""
    killer = KillerThread(grace_s)

    def victim() -> None:
        killer.victim = current()
        killer.begin.set()
        body()

    coroutine = go(victim)
    coroutine.join()
    return killer.join(), coroutine


# -- whom it ends --------------------------------------------------------------------------------


@pytest.mark.coroutine
def test_one_that_waits_ends_and_cleans_up() -> None:
    log: list[str] = []

    def child() -> None:
        defer(log.append, "deferred")
        try:
            suspend()
        finally:
            log.append("finally")

    waiting = go(child)
    assert killed_from_a_thread(waiting, 30.0) == "ended"
    assert (waiting.state, log) == ("cancelled", ["finally", "deferred"])


@pytest.mark.coroutine
def test_one_that_computes_without_end_ends_and_cleans_up() -> None:
    log: list[str] = []

    def body() -> None:
        defer(log.append, "deferred")
        try:
            spin()
        finally:
            log.append("finally")

    verdict, coroutine = killed_while(body)
    assert (verdict, coroutine.state) == ("ended", "cancelled")
    assert log == ["finally", "deferred"]


@pytest.mark.coroutine
def test_one_that_computes_in_a_deferred_call_ends_and_the_other_deferred_calls_run() -> None:
    log: list[str] = []

    def body() -> None:
        defer(log.append, "ran")
        defer(spin)

    verdict, coroutine = killed_while(body)
    assert (verdict, coroutine.state, log) == ("ended", "cancelled", ["ran"])


@pytest.mark.coroutine
def test_one_whose_innermost_code_is_the_runtimes_is_not_shot() -> None:
    """It may stand at the door of a step that gives something back."""
    condition, door, scheduler = Condition(), threading.Lock(), current_scheduler()
    victims: list[Coroutine] = []

    def shoot() -> None:
        while sys._current_frames()[scheduler.thread_id].f_code is not Condition.wait_for.__code__:
            pass
        scheduler._killer._shoot(victims[0])
        door.release()

    def victim() -> None:
        victims.append(current())
        with condition:
            condition.wait_for(partial(door.acquire, True, -1))  # called by the runtime itself, in C

    shots = threading.Thread(target=shoot)
    door.acquire()
    shots.start()
    child = go(victim)
    shots.join()
    assert child.state == "done"


@pytest.mark.coroutine
def test_one_that_spawns_without_end_ends() -> None:
    def body() -> None:
        while True:
            go(lambda: None)

    assert killed_while(body)[0] == "ended"


@pytest.mark.coroutine
def test_the_dead_cannot_be_killed() -> None:
    child = go(lambda: None)
    assert current_scheduler().kill(child) == "had ended"
    assert killed_from_a_thread(child) == "had ended"


@pytest.mark.coroutine
def test_one_can_kill_itself() -> None:
    log: list[str] = []

    def child() -> None:
        with suppress(Exception):
            current_scheduler().kill(current())
        log.append("never")

    killed = go(child)
    assert (killed.state, log) == ("cancelled", [])


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
def test_a_coroutine_kills_another() -> None:
    child = go(suspend)
    assert current_scheduler().kill(child) == "ended"
    assert child.state == "cancelled"


@pytest.mark.coroutine
def test_a_kill_is_a_cancel_to_those_who_join() -> None:
    child = go(suspend)
    go(current_scheduler().kill, child)
    with pytest.raises(coloop.WasCancelled):
        child.result()


@pytest.mark.coroutine
@pytest.mark.parametrize("grace", [-1, float("nan"), float("inf")])
def test_the_grace_is_a_time(grace: float) -> None:
    with pytest.raises(ValueError, match="grace must be finite and not negative"):
        current_scheduler().kill(current(), grace)


def test_all_have_ended_with_their_scheduler() -> None:
    scheduler, child = run(lambda: (current_scheduler(), go(lambda: None)))
    assert scheduler.kill(child) == "had ended"


# -- those that do not want to -------------------------------------------------------------------


def swallow(
    wait: Callable[[], object], caught: list[type], until: Callable[[], bool], layers: int = 4
) -> None:
    """In layers, for a shot may strike just where another one is being swallowed."""
    while not until():
        try:
            if layers:
                swallow(wait, caught, until, layers - 1)
            else:
                wait()
        except BaseException as error:
            caught.append(type(error))


def never() -> bool:
    return False


@pytest.mark.coroutine
@pytest.mark.parametrize("wait", [suspend, lambda: sleep(0.0001), yield_now])
def test_one_that_swallows_three_kills_is_never_scheduled_again(wait: Callable[[], object]) -> None:
    stubborn = go(swallow, wait, [], never)
    assert killed_from_a_thread(stubborn) == "zombie"
    stubborn.join()
    assert stubborn.state == "cancelled"
    switches = stubborn.switches
    for _ in range(200):
        yield_now()
    assert stubborn.switches == switches
    with pytest.raises(coloop.NotSuspended, match="it has ended"):
        stubborn.resume()


@pytest.mark.coroutine
@pytest.mark.usefixtures("mock_clock")
def test_a_coroutine_makes_another_a_zombie() -> None:
    stubborn = go(swallow, suspend, [], never)
    assert current_scheduler().kill(stubborn) == "zombie"
    assert stubborn.ended


@pytest.mark.coroutine
def test_a_zombie_does_not_keep_run_from_ending_nor_others_from_its_channel() -> None:
    channel: Channel[int] = Channel()
    assert killed_from_a_thread(go(swallow, channel.receive, [], never)) == "zombie"
    sane = go(channel.receive)
    channel.send(7)
    assert sane.result() == 7


@pytest.mark.coroutine
def test_one_that_swallows_every_shot_is_unstoppable() -> None:
    killer, caught = KillerThread(), []

    def child() -> None:
        killer.victim = current()
        killer.begin.set()
        swallow(lambda: None, caught, lambda: bool(killer.verdict))

    go(child).join()
    assert killer.join() == "unstoppable"
    assert set(caught) == {Killed}


@pytest.mark.coroutine
def test_one_inside_c_code_is_unstoppable_and_ends_when_it_comes_out() -> None:
    lock, killer = threading.Lock(), KillerThread()
    lock.acquire()

    def child() -> None:
        killer.victim = current()
        killer.begin.set()
        lock.acquire()
        spin()

    threading.Thread(target=lambda: (killer.join(), lock.release())).start()
    stuck = go(child)
    assert (killer.join(), stuck.state) == ("unstoppable", "cancelled")


# -- and nobody else -----------------------------------------------------------------------------


@pytest.fixture
def nervous(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads change places at every opportunity; a shot that is lost in a finalizer is no failure."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)
    yield
    sys.setswitchinterval(before)


def compute() -> None:
    for _ in range(100):
        pass


def in_vain() -> None:
    with suppress(Timeout), timeout(1e-7):
        yield_now()
        sleep(1)


def family() -> None:
    with Group() as group:
        group.go(yield_now)
        group.go(lambda: None)


def exchange() -> None:
    channel: Channel[int] = Channel()
    go(channel.send, 1)
    channel.receive()


def hire() -> None:
    for child in [go(suspend) for _ in range(10)]:
        child.cancel()


HABITS: list[Callable[[], object]] = [
    compute,
    yield_now,
    lambda: go(lambda: None),
    lambda: go(yield_now),
    lambda: sleep(1e-9),
    in_vain,
    family,
    exchange,
    hire,
    lambda: (Event().set(), current().account),
]


@pytest.mark.coroutine
@pytest.mark.usefixtures("nervous")
@pytest.mark.parametrize("habit", HABITS)
def test_a_storm_of_shots_hits_nobody_but_its_victims(habit: Callable[[], object], observer: Any) -> None:
    """Victims and bystanders take turns thousands of times while a thread shoots at whoever is the victim."""
    scheduler = current_scheduler()
    over: list[bool] = []
    victim: list[Coroutine] = []
    killed = laps = 0

    def storm() -> None:
        while not over:
            if victim:
                scheduler._killer._shoot(victim[0])
            pause.wait(0)

    pause = threading.Event()

    def bystander() -> None:
        nonlocal laps
        while not over:
            yield_now()
            laps += 1

    def work() -> None:
        victim[:] = [current()]
        while not over:
            compute()
            habit()

    bystanders = [go(bystander) for _ in range(3)]
    thread = threading.Thread(target=storm)
    thread.start()
    while killed < 10 and laps < 30_000:
        child = go(work)
        while not child.join(timeout=0.05):
            if laps >= 30_000:
                victim.clear()
                child.cancel()
        killed += child.state == "cancelled"
    over.append(True)
    thread.join()
    assert [each.join() for each in bystanders] == [True] * 3
    assert [each.state for each in bystanders] == ["done"] * 3
    assert killed
    for left in list(scheduler.living.values()):
        if left is not current():
            left.cancel()
    assert scheduler.exposed is current()
