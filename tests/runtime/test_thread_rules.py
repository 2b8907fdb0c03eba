"""A scheduler is its own thread's: who calls from another is refused, disturbs nobody, and is told the right way.

Not in here: `Scheduler.call_soon_threadsafe`, `Scheduler.snapshot`, `Scheduler.kill` and `Inbox.put`, which are
made for other threads; and what only reads plain attributes.
"""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import coloop
from coloop import (
    Channel,
    Event,
    Group,
    Inbox,
    NotRunning,
    WrongThread,
    current_scheduler,
    go,
    run,
    suspend,
    to_thread,
)
from coloop.testing import Sequencer, socket_pair, wait_until_idle
from tests.patience import PATIENCE_S

coroutine = pytest.mark.coroutine
RIGHT_WAY = r"scheduler\.call_soon_threadsafe\(\.\.\.\)"

VERBS: dict[str, Callable[[], object]] = {
    "after": lambda: coloop.after(1, len, ""),
    "call_soon_threadsafe": lambda: coloop.call_soon_threadsafe(len, ""),
    "connect": lambda: coloop.connect("127.0.0.1:1"),
    "current_scheduler": current_scheduler,
    "defer": lambda: coloop.defer(len, ""),
    "every": lambda: coloop.every(1, len, ""),
    "go": lambda: go(len, ""),
    "Group": Group,
    "Inbox": Inbox,
    "listen": lambda: coloop.listen("127.0.0.1:0"),
    "serve": lambda: coloop.serve("127.0.0.1:0", len),
    "signals": lambda: coloop.signals(1).__enter__(),
    "sleep": lambda: coloop.sleep(1),
    "sleep 0": lambda: coloop.sleep(0),
    "snapshot": coloop.snapshot,
    "suspend": suspend,
    "timeout": lambda: coloop.timeout(1).__enter__(),
    "to_thread": lambda: to_thread(len, ""),
    "wait_child": lambda: coloop.wait_child(1),
    "wait_signal": lambda: coloop.wait_signal(1),
    "yield_now": coloop.yield_now,
    "Channel.send": lambda: Channel(1).send(1),
    "Channel.receive": lambda: Channel().receive(),
    "Channel.close": lambda: Channel().close(),
    "Event.wait": lambda: Event().wait(),
    "testing.Sequencer": lambda: Sequencer()(0).__enter__(),
    "testing.socket_pair": socket_pair,
    "testing.wait_until_idle": wait_until_idle,
}

METHODS: dict[str, Callable[[Any], object]] = {
    "Coroutine.account": lambda it: it.coroutine.account,
    "Coroutine.cancel": lambda it: it.coroutine.cancel(),
    "Coroutine.join": lambda it: it.coroutine.join(),
    "Coroutine.result": lambda it: it.coroutine.result(),
    "Coroutine.resume": lambda it: it.coroutine.resume(),
    "Coroutine.stack": lambda it: it.coroutine.stack(),
    "Coroutine.throw": lambda it: it.coroutine.throw(ValueError()),
    "Channel.close": lambda it: it.channel.close(),
    "Channel.send": lambda it: it.channel.send(1),
    "Event.set": lambda it: it.event.set(),
    "Group.cancel": lambda it: it.group.cancel(),
    "Group.go": lambda it: it.group.go(len, ""),
    "Inbox.get": lambda it: it.inbox.get(),
    "Listener.accept": lambda it: it.listener.accept(),
    "Listener.close": lambda it: it.listener.close(),
    "Scheduler.call_later": lambda it: it.scheduler.call_later(1, len, ""),
    "Scheduler.cancel": lambda it: it.scheduler.cancel(it.coroutine),
    "Scheduler.go": lambda it: it.scheduler.go(len, ("",)),
    "Server.stop": lambda it: it.server.stop(),
    "Socket.close": lambda it: it.socket.close(),
    "Socket.close(linger=0)": lambda it: it.socket.close(linger=0),
    "Socket.close(linger=1)": lambda it: it.socket.close(linger=1),
    "Socket.recv": lambda it: it.socket.recv(),
    "Socket.recv_exactly": lambda it: it.socket.recv_exactly(1),
    "Socket.recv_until": lambda it: it.socket.recv_until(b"\n"),
    "Socket.send": lambda it: it.socket.send(b"x"),
    "Socket.sendall": lambda it: it.socket.sendall(b"x"),
    "Socket.shutdown": lambda it: it.socket.shutdown(),
    "TimedCall.cancel": lambda it: it.timed_call.cancel(),
}


def on_another_thread(call: Callable[[], object]) -> BaseException | None:
    """What `call()` raises there; the scheduler of this thread stands still meanwhile."""
    errors: list[BaseException | None] = [AssertionError("hangs")]

    def attempt() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)
        else:
            errors.append(None)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return errors[-1]


def in_a_scheduler_of_its_own(call: Callable[[], object]) -> Callable[[], object]:
    return lambda: run(call)


@pytest.fixture
def make() -> Callable[[], Any]:
    """One of each, with a coroutine that waits on it where something can be waited for."""

    def make() -> Any:
        it = SimpleNamespace(scheduler=current_scheduler(), coroutine=go(suspend), inbox=Inbox())
        it.event, it.channel, it.group = Event(), Channel(), Group().__enter__()
        it.waiting = [go(it.event.wait), go(it.channel.receive), it.group.go(suspend), it.coroutine]
        it.listener, it.server = coloop.listen("127.0.0.1:0"), coloop.serve("127.0.0.1:0", len)
        it.socket, it.other_end = socket_pair()
        it.timed_call = coloop.every(1000, len, "")
        return it

    return make


def take_apart(it: Any) -> None:
    it.server.stop()
    for waiting in it.waiting:
        waiting.cancel()
        waiting.join()
    it.group.__exit__(None, None, None)
    for held in (it.listener, it.socket, it.other_end):
        held.close()
    it.timed_call.cancel()


@coroutine
@pytest.mark.parametrize("name", VERBS)
def test_a_verb_on_a_thread_without_a_scheduler_names_the_right_way(name: str) -> None:
    error = on_another_thread(VERBS[name])
    assert type(error) is NotRunning
    assert "no scheduler runs on this thread: start one with coloop.run(main)" in str(error)
    assert "scheduler.call_soon_threadsafe(...)" in str(error)


@pytest.mark.coroutine
@pytest.mark.parametrize("its_own", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_a_method_on_a_foreign_thread_is_refused_and_changes_nothing(
    name: str, its_own: bool, make: Callable[[], Any]
) -> None:
    it = make()
    timers, sockets = len(it.scheduler.timers), dict(it.scheduler.sockets)
    states = [waiting.waiting_on for waiting in it.waiting]

    def call() -> object:
        return METHODS[name](it)

    error = on_another_thread(in_a_scheduler_of_its_own(call) if its_own else call)
    assert isinstance(error, (WrongThread, NotRunning)), error
    assert not its_own or isinstance(error, WrongThread)
    assert "scheduler.call_soon_threadsafe(...)" in str(error)
    assert [waiting.waiting_on for waiting in it.waiting] == states
    assert (len(it.scheduler.timers), it.scheduler.sockets) == (timers, sockets)
    assert not (it.listener.closed)
    assert not (it.socket.closed)
    assert not (it.event.is_set())
    assert not (it.channel.closed)
    assert it.server.state == "accepting"
    it.socket.send(b"still open")
    take_apart(it)


@coroutine
def test_the_right_way_is_right() -> None:
    event, scheduler = Event(), current_scheduler()
    waiting = go(event.wait)
    assert on_another_thread(lambda: scheduler.call_soon_threadsafe(event.set)) is None
    assert waiting.result() is True


@coroutine
def test_what_has_ended_may_be_looked_at_and_closed_from_anywhere() -> None:
    left, right = socket_pair()
    left.close()
    right.close()
    ended = go(lambda: "result")
    assert on_another_thread(left.close) is None
    assert on_another_thread(ended.result) is None
    assert on_another_thread(ended.join) is None
    assert on_another_thread(coloop.current) is None
