"""Who can never be woken again is found, without harm to anybody."""

from __future__ import annotations

import asyncio
import gc
from types import ModuleType
from typing import Any

import pytest

import coloop
from coloop import Channel, Event, Group, go, suspend
from coloop.testing import wait_until_idle

pytestmark = pytest.mark.coroutine


def stuck() -> list[str]:
    wait_until_idle()
    return [co.name for co in coloop.snapshot(stuck=True).coroutines if co.stuck]


def cancel_all() -> None:
    for co in list(coloop.current_scheduler().living.values()):
        if co is not coloop.current():
            co.cancel()


def test_whoever_waits_for_what_nobody_has_is_stuck() -> None:
    go(lambda: Channel[int]().receive(), name="lost")
    go(lambda: Event().wait(), name="forgotten")
    assert stuck() == ["lost", "forgotten"]
    cancel_all()


def test_whoever_waits_for_what_somebody_has_is_not() -> None:
    channel, event = Channel[int](), Event()
    handles = [go(channel.receive), go(event.wait), go(suspend)]
    assert stuck() == []
    for handle in handles:
        handle.cancel()


def test_what_one_waits_for_who_will_wake_by_himself_is_not_lost() -> None:
    """He has it, also if no Python code of his says so."""
    channel: Channel[int] = Channel()
    go(channel.receive, timeout=3600, name="patient")
    go(channel.receive, name="other")
    del channel
    assert stuck() == []
    cancel_all()


def test_who_waits_for_one_that_is_stuck_is_stuck_too() -> None:
    def nobody() -> None:
        Channel[int]().receive()

    def host() -> None:
        with Group() as group:
            group.go(nobody)

    go(host, name="host")
    assert stuck() == ["host", "nobody"]
    cancel_all()


def test_two_who_wait_for_each_other_are_stuck() -> None:
    def pair() -> None:
        left, right = Channel[int](), Channel[int]()
        go(lambda: (left.receive(), right.send(1)), name="first")
        go(lambda: (right.receive(), left.send(1)), name="second")

    pair()
    assert stuck() == ["first", "second"]
    cancel_all()


def test_what_c_code_of_a_module_holds_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to CPython 3.12.5 freed objects are among it: the interpreter hung in its next collection."""
    asyncio.run(asyncio.sleep(0))
    asked: list[Any] = []
    real = gc.get_referents

    def get_referents(*objects: Any) -> list[Any]:
        asked.extend(found for found in objects if issubclass(type(found), ModuleType))
        return real(*objects)

    monkeypatch.setattr(gc, "get_referents", get_referents)
    go(lambda: Channel[int]().receive(), name="lost")
    assert stuck() == ["lost"]
    assert asked == []
    cancel_all()
    gc.collect()


def test_no_object_is_asked_what_it_is() -> None:
    class Shy:
        @property
        def __class__(self) -> type:  # type: ignore[override]
            raise RuntimeError("asked")

    kept = Shy()
    go(lambda: Channel[int]().receive(), name="lost")
    assert stuck() == ["lost"]
    assert type(kept) is Shy
    cancel_all()
