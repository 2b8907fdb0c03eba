"""What the master makes of what its workers tell, in virtual time: no process is started, the workers are played."""

from __future__ import annotations

import math
import random
import signal
import socket
from collections.abc import Callable
from typing import Any, Final

import pytest

import coloop
from coloop import Event
from coloop.testing import MockClock, wait_until_idle
from coshell.command import CommandError
from coshell_plugins.server import process
from coshell_plugins.server.pictures import pictures_of
from coshell_plugins.server.workers import CannotStart, Version, Workers
from coshell_plugins.serving.recipe import Recipe
from coshell_plugins.serving.rules import Rules
from coshell_plugins.serving.terms import rules_with, value_of
from coshell_plugins.worker.channel import Channel, Message

STATUS: Final = {"event": "status", "connections": 0, "accepted": 0, "requests": 0, "live": 3, "heap": 1000}


class Played:
    """A worker, and its process, which does what the test says.

    Attributes:
        start: what it was sent first.
        orders: what came then.
        why: why it refuses a change; None if it does not.
        is_deaf: it answers nobody.
        is_slow: it does not get ready until that is said.
    """

    def __init__(self, pid: int, traits: dict[str, Any]) -> None:
        self.pid = pid
        self.start: Message = {}
        self.orders: list[Message] = []
        self.why: str | None = None
        self.is_deaf = False
        self.is_slow = False
        vars(self).update(traits)
        self._code: int | None = None
        self._end = Event()
        self._pairs = [socket.socketpair() for _ in range(3)]
        self.process = process.Process(self, *(ours for ours, _ in self._pairs))  # type: ignore[arg-type]
        self.channel = Channel(self._pairs[0][1])
        coloop.go(self._live, name=f"played {pid}")

    def _live(self) -> None:
        start = self.channel.receive()
        if start is None:
            return
        self.start = start
        if not self.is_slow:
            self.ready()
        while (order := self.channel.receive()) is not None:
            self.orders.append(order)
            if not self.is_deaf:
                self._answer(order)

    def ready(self, **status: object) -> None:
        self.channel.post({**STATUS, "event": "ready", **status})

    def tell(self, **status: object) -> None:
        self.channel.post({**STATUS, **status})

    def _answer(self, order: Message) -> None:
        match order["do"]:
            case "change":
                self.channel.post({"event": "changed", "number": order["number"], "why": self.why})
            case "report":
                self.tell()
            case "drain":
                self.ended_in_order()

    def ended_in_order(self) -> None:
        self.channel.post({**STATUS, "event": "stopped", "drained": True})
        self.channel.flush()
        self._ended(0)

    def _ended(self, code: int) -> None:
        self._code = code
        self.channel.close()
        for _, its in self._pairs[1:]:
            its.close()
        self._end.set()

    # -- as `subprocess.Popen` has it

    def poll(self) -> int | None:
        return self._code

    def wait(self) -> int:
        self._end.wait()
        assert self._code is not None
        return self._code

    def kill(self) -> None:
        if self._code is None:
            self._ended(-signal.SIGKILL)


class Stage:
    """A master with its played workers.

    Attributes:
        workers: what the master is asked.
        all: the played ones, in the order of their births.
        traits: of those who are born from now on.
        said: what the user was told.
    """

    def __init__(self, size: int, rules: Rules | None = None) -> None:
        self.all: list[Played] = []
        self.traits: dict[str, Any] = {}
        self.said: list[str] = []
        self.given_up: list[str] = []
        self.workers = Workers(
            "web",
            coloop.listen(":0"),
            version("first"),
            size=size,
            rules=rules or Rules(),
            chance=random.Random(1),
            say=self.said.append,
            given_up=self.given_up.append,
        )

    def born(self) -> process.Process:
        self.all.append(Played(1001 + len(self.all), self.traits))
        return self.all[-1].process

    def logged(self) -> list[str]:
        return [line.text for line in self.workers.log_lines()]


def version(name: str) -> Version:
    return Version(name, Recipe(name))


def altered(recipe: Recipe) -> Version:
    return Version(f"{recipe.handler} with idle", recipe.with_setting("idle", 5.0))


Play = Callable[..., None]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run a test as a coroutine, on a stage with so many workers that serve already."""

    def run(act: Callable[[Stage], None], size: int = 1, rules: Rules | None = None) -> None:
        def main() -> None:
            stage = Stage(size, rules)
            monkeypatch.setattr(process, "start", lambda *_: stage.born())
            monkeypatch.setattr(coloop, "wait_child", lambda played: played.wait())
            try:
                stage.workers.start()
                act(stage)
            finally:
                stage.workers.stop()

        coloop.run(main, clock=MockClock())

    return run


# -- the start


def test_the_first_one_that_serves_has_started_the_server_and_no_other_one_does(play: Play) -> None:
    def act(stage: Stage) -> None:
        stage.workers.reload(version("second"))
        assert [one.start["first"] for one in stage.all] == [True, False, False, False, False, False]

    play(act, 3)


def test_who_holds_too_much_at_its_birth_is_given_up_with_the_reason(play: Play) -> None:
    def act(_: Stage) -> None:
        raise AssertionError("it has started")

    with pytest.raises(CannotStart, match="holds 1,000 bytes, 999 are allowed"):
        play(act, rules=Rules(max_memory=999), size=5)


def test_the_log_says_why_a_worker_is_replaced(play: Play) -> None:
    def act(stage: Stage) -> None:
        coloop.sleep(2.0)
        stage.all[0].tell(heap=5000)
        wait_until_idle()
        assert len(stage.all) == 2
        assert stage.logged() == ["worker 1 (pid 1001) is replaced: it holds 5,000 bytes, 4,000 are allowed"]
        assert stage.said == []

    play(act, rules=Rules(max_memory=4000))


def test_one_that_has_told_nothing_yet_is_silent_since_its_birth(play: Play) -> None:
    def act(stage: Stage) -> None:
        coloop.sleep(100.0)
        stage.traits["is_slow"] = True
        scaling = coloop.go(stage.workers.scale, 2)
        coloop.sleep(3.0)
        pictures = pictures_of([stage.workers])
        assert [one.taken_ago_s for one in pictures if one.state == "starting"] == [3.0]
        stage.all[1].ready()
        scaling.join()

    play(act)


# -- changes


def test_what_a_worker_refuses_is_not_what_the_next_one_begins_with(play: Play) -> None:
    def act(stage: Stage) -> None:
        stage.all[0].why = "a heartbeat needs a heartbeat_message"
        with pytest.raises(CannotStart, match="needs a heartbeat_message"):
            stage.workers.change("set", "heartbeat", 1.0, altered)
        stage.workers.scale(2)
        assert [one.start["offer"] for one in stage.all] == ["first", "first"]
        assert stage.workers.version == version("first")

    play(act)


def test_what_all_have_taken_is_what_the_next_one_begins_with(play: Play) -> None:
    def act(stage: Stage) -> None:
        stage.workers.change("set", "idle", 5.0, altered)
        stage.workers.scale(2)
        assert stage.all[1].start["offer"] == "first with idle"
        assert stage.workers.version.recipe.settings == {"idle": 5.0}

    play(act)


def test_who_begins_while_the_others_are_asked_is_told_as_well(play: Play) -> None:
    def act(stage: Stage) -> None:
        stage.all[0].is_deaf = True
        changing = coloop.go(stage.workers.change, "set", "idle", 5.0, altered)
        stage.workers.scale(2)
        assert stage.all[1].start["offer"] == "first"
        changing.join()
        wait_until_idle()
        assert [order["do"] for order in stage.all[1].orders] == ["change"]

    play(act)


def test_those_who_do_not_answer_are_named_and_their_successors_have_it(play: Play) -> None:
    def act(stage: Stage) -> None:
        stage.all[0].is_deaf = stage.all[2].is_deaf = True
        stage.workers.change("set", "idle", 5.0, altered)
        assert stage.said == [
            "web: idle is not changed yet in worker 1 (pid 1001), worker 3 (pid 1003): no answer within 5 s"
        ]
        stage.all[0].kill()
        stage.all[2].kill()
        coloop.sleep(1.0)
        assert [one.start["offer"] for one in stage.all[3:]] == ["first with idle"] * 2

    play(act, 3)


def test_a_change_in_the_midst_of_a_reload_holds_for_what_the_reload_brings(play: Play) -> None:
    def act(stage: Stage) -> None:
        stage.traits["is_slow"] = True
        reloading = coloop.go(stage.workers.reload, version("second"))
        wait_until_idle()
        stage.workers.change("set", "idle", 5.0, altered)
        stage.traits.clear()
        stage.all[2].ready()
        reloading.join()
        assert [one.start["offer"] for one in stage.all] == ["first", "first", "second", "second with idle"]
        assert stage.workers.version.recipe == version("second").recipe.with_setting("idle", 5.0)

    play(act, 2)


def test_a_change_that_nobody_could_take_is_refused(play: Play) -> None:
    def act(stage: Stage) -> None:
        stage.all[0].kill()
        wait_until_idle(0.0)
        with pytest.raises(CannotStart, match="no worker is there"):
            stage.workers.change("set", "idle", 5.0, altered)

    play(act)


def test_a_reload_that_nobody_waits_for_any_more_is_counted_and_known(play: Play) -> None:
    def act(stage: Stage) -> None:
        stage.traits["is_slow"] = True
        reloading = coloop.go(stage.workers.reload, version("second"))
        wait_until_idle()
        reloading.cancel()
        assert (stage.workers.version, stage.workers.reloads) == (version("second"), 0)
        stage.all[1].ready()
        wait_until_idle()
        assert (stage.workers.version, stage.workers.reloads) == (version("second"), 1)

    play(act)


def test_after_a_reload_that_fails_the_version_is_what_was_served_before(play: Play) -> None:
    def act(stage: Stage) -> None:
        stage.traits["is_slow"] = True
        reloading = coloop.go(stage.workers.reload, version("second"))
        wait_until_idle()
        stage.all[1].channel.post({"event": "refused", "why": "no such luck"})
        stage.all[1].channel.flush()
        stage.all[1].kill()
        with pytest.raises(CannotStart, match="no such luck"):
            reloading.result()
        assert (stage.workers.version, stage.workers.reloads) == (version("first"), 0)

    play(act)


# -- scale


def test_a_scale_that_another_one_overtakes_ends_with_it(play: Play) -> None:
    def act(stage: Stage) -> None:
        stage.traits["is_slow"] = True
        overtaken = coloop.go(stage.workers.scale, 3)
        wait_until_idle()
        stage.traits.clear()
        stage.workers.scale(1)
        with pytest.raises(CannotStart, match="overtaken by scale 1"):
            overtaken.result(timeout=1.0)

    play(act)


def test_two_scales_to_the_same_number_both_succeed(play: Play) -> None:
    def act(stage: Stage) -> None:
        both = [coloop.go(stage.workers.scale, 2) for _ in range(2)]
        assert [one.result() for one in both] == [None, None]
        assert len(stage.all) == 2

    play(act)


# -- times that never end


@pytest.mark.parametrize("drain", [math.nan, math.inf, -1.0])
def test_a_drain_that_never_ends_is_refused_before_anything_happens(play: Play, drain: float) -> None:
    def act(stage: Stage) -> None:
        with pytest.raises(ValueError, match="drain must be finite and not negative"):
            stage.workers.stop(drain)
        assert stage.workers.state == "running"

    play(act)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0])
def test_nobody_may_drain_without_end_when_he_is_replaced(seconds: float) -> None:
    with pytest.raises(CommandError, match="max_wait must be finite and not negative"):
        rules_with(Rules(), "max_wait", seconds)
    assert rules_with(Rules(), "max_wait", 0.0) == Rules(max_wait_s=0.0)


@pytest.mark.parametrize(("key", "given"), [("max_requests", math.inf), ("max_wait", 10**400)])
def test_a_number_that_is_none_is_refused(key: str, given: object) -> None:
    with pytest.raises(CommandError, match=key):
        value_of(key, given)
