"""What was entrusted to a scheduler is told, with its owner."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import pytest

import coloop
from coloop import (
    Channel,
    Coroutine,
    Entrusted,
    WrongThread,
    after,
    defer,
    every,
    go,
    holdings,
    listen,
    sleep,
    suspend,
)

pytestmark = pytest.mark.coroutine

user: contextvars.ContextVar[list[int]] = contextvars.ContextVar("user")


def held(kind: str) -> list[Entrusted]:
    return [one for one in holdings(coloop.current_scheduler()) if one.kind == kind]


def test_deferred_calls_with_all_their_arguments() -> None:
    def body() -> None:
        defer(noted, 1, b="two")
        suspend()

    def noted(a: int, b: str) -> None: ...

    co = go(body)
    assert held("deferred call") == [
        Entrusted("deferred call", co, "function", noted),
        Entrusted("deferred call", co, "argument 0", 1),
        Entrusted("deferred call", co, "argument b", "two"),
    ]
    co.cancel()


def test_context_variables_of_the_coroutine() -> None:
    value = [1]

    def body() -> None:
        user.set(value)
        suspend()

    co, other = go(body), go(suspend)
    found = [(one.owner, one.value) for one in held("context variable") if one.name == "user"]
    co.cancel()
    other.cancel()
    assert found == [(co, value)]
    assert found[0][1] is value


def test_what_one_waits_on_but_not_the_timer_of_a_sleep() -> None:
    channel = Channel[int]()
    co, sleeper = go(channel.receive), go(sleep, 60)
    assert held("awaited") == [Entrusted("awaited", co, "receive from", channel)]
    co.cancel()
    sleeper.cancel()


def test_a_value_on_its_way() -> None:
    co = go(suspend)
    co.resume("value")
    assert held("value on its way") == [Entrusted("value on its way", co, "value", "value")]


def test_timed_calls_of_the_users_and_no_sleeps_or_timeouts() -> None:
    def fn(*_: Any) -> None: ...

    once, often = after(60, fn, 1), every(60, fn)
    sleeper = go(limited)
    found = {(one.owner, one.name, one.value) for one in held("timer") if "variable" not in one.name}
    once.cancel()
    often.cancel()
    sleeper.cancel()
    assert found == {(once, "function", fn), (once, "argument 0", 1), (often, "function", fn)}


def limited() -> None:
    with coloop.timeout(50):
        sleep(60)


def test_the_context_of_a_timed_call() -> None:
    value = [1]
    timed: list[coloop.TimedCall] = []

    def make() -> None:
        user.set(value)
        timed.append(after(60, len, ()))

    go(make)
    (call,) = timed
    names = {one.name: one.value for one in held("timer")}
    assert names["context variable user"] is value
    call.cancel()


def test_a_timer_that_was_set_by_hand_belongs_to_its_setter() -> None:
    def body() -> None:
        coloop.current_scheduler().call_later(60, fn, 1)
        suspend()

    def fn(_: int) -> None: ...

    co = go(body)
    assert held("timer") == [Entrusted("timer", co, "function", fn), Entrusted("timer", co, "argument 0", 1)]
    co.cancel()
    assert isinstance(co, Coroutine)


def test_calls_from_elsewhere_that_were_not_made_yet() -> None:
    def fn(_: int) -> None: ...

    coloop.current_scheduler().call_soon_threadsafe(fn, 1)
    assert held("queued call") == [
        Entrusted("queued call", None, "function", fn),
        Entrusted("queued call", None, "argument 0", 1),
    ]


def test_open_sockets() -> None:
    with listen(("127.0.0.1", 0)) as listener:
        assert held("open socket") == [Entrusted("open socket", None, str(listener), listener)]
    assert held("open socket") == []


def test_another_thread_is_refused() -> None:
    scheduler, errors = coloop.current_scheduler(), []

    def ask() -> None:
        try:
            list(holdings(scheduler))
        except WrongThread as error:
            errors.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert errors[0].startswith("holdings: this scheduler runs on another thread")
