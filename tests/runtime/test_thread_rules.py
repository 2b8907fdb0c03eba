"""A scheduler is its own thread's: who calls from another is refused, disturbs nobody, and is told the right way.

Not in here: `Scheduler.call_soon_threadsafe`, `Scheduler.snapshot`, `Scheduler.kill` and `Inbox.put`, which are
made for other threads; and what only reads plain attributes.
"""

import io
import threading
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

import coloop
from coloop import (
    Barrier,
    Channel,
    Condition,
    Event,
    Group,
    Inbox,
    Lock,
    NotRunning,
    Queue,
    RLock,
    Semaphore,
    WaitGroup,
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
    "bind": lambda: coloop.bind("127.0.0.1:0"),
    "call_soon_threadsafe": lambda: coloop.call_soon_threadsafe(len, ""),
    "connect": lambda: coloop.connect("127.0.0.1:1"),
    "current_scheduler": current_scheduler,
    "defer": lambda: coloop.defer(len, ""),
    "every": lambda: coloop.every(1, len, ""),
    "go": lambda: go(len, ""),
    "Group": Group,
    "Inbox": Inbox,
    "listen": lambda: coloop.listen("127.0.0.1:0"),
    "select": lambda: coloop.select(Channel()),
    "select with a default": lambda: coloop.select(Channel(), default=None),
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
    "Barrier.wait": lambda: Barrier(1).wait(),
    "Barrier.abort": lambda: Barrier(1).abort(),
    "Barrier.reset": lambda: Barrier(1).reset(),
    "Channel.send": lambda: Channel(1).send(1),
    "Channel.receive": lambda: Channel().receive(),
    "Channel.close": lambda: Channel().close(),
    "Condition.acquire": lambda: Condition().acquire(),
    "Condition.wait": lambda: Condition().wait(),
    "Condition.notify": lambda: Condition().notify(),
    "Event.wait": lambda: Event().wait(),
    "Lock.acquire": lambda: Lock().acquire(),
    "Lock.release": lambda: Lock().release(),
    "Queue.put": lambda: Queue[int]().put(1),
    "Queue.get": lambda: Queue[int]().get(),
    "Queue.join": lambda: Queue[int]().join(),
    "Queue.close": lambda: Queue[int]().close(),
    "RLock.acquire": lambda: RLock().acquire(),
    "RLock.release": lambda: RLock().release(),
    "Semaphore.acquire": lambda: Semaphore().acquire(),
    "Semaphore.release": lambda: Semaphore().release(),
    "WaitGroup.wait": lambda: WaitGroup().wait(),
    "testing.Sequencer": lambda: Sequencer()(0).__enter__(),
    "testing.socket_pair": socket_pair,
    "testing.wait_until_idle": wait_until_idle,
}


def notify(condition: Condition) -> None:
    with condition:
        condition.notify()


def wait_for(condition: Condition) -> None:
    with condition:
        condition.wait()


METHODS: dict[str, Callable[[Any], object]] = {
    "Barrier.abort": lambda it: it.barrier.abort(),
    "Barrier.reset": lambda it: it.barrier.reset(),
    "Barrier.wait": lambda it: it.barrier.wait(),
    "Condition.notify": lambda it: notify(it.condition),
    "Condition.wait": lambda it: wait_for(it.condition),
    "Coroutine.account": lambda it: it.coroutine.account,
    "Coroutine.cancel": lambda it: it.coroutine.cancel(),
    "Coroutine.join": lambda it: it.coroutine.join(),
    "Coroutine.result": lambda it: it.coroutine.result(),
    "Coroutine.resume": lambda it: it.coroutine.resume(),
    "Coroutine.stack": lambda it: it.coroutine.stack(),
    "Coroutine.throw": lambda it: it.coroutine.throw(ValueError()),
    "Channel.close": lambda it: it.channel.close(),
    "Channel.send": lambda it: it.channel.send(1),
    "Event.clear": lambda it: it.event.clear(),
    "Event.set": lambda it: it.event.set(),
    "Event.wait": lambda it: it.event.wait(),
    "Group.cancel": lambda it: it.group.cancel(),
    "Group.go": lambda it: it.group.go(len, ""),
    "Inbox.get": lambda it: it.inbox.get(),
    "Listener.accept": lambda it: it.listener.accept(),
    "Listener.close": lambda it: it.listener.close(),
    "Lock.acquire": lambda it: it.lock.acquire(),
    "Lock.release": lambda it: it.lock.release(),
    "Queue.close": lambda it: it.queue.close(),
    "Queue.get": lambda it: it.queue.get(),
    "Queue.join": lambda it: it.full_queue.join(),
    "Queue.put": lambda it: it.queue.put(1),
    "Queue.put when full": lambda it: it.full_queue.put(1),
    "Queue.task_done": lambda it: it.full_queue.task_done(),
    "RLock.acquire": lambda it: it.rlock.acquire(),
    "RLock.release": lambda it: it.rlock.release(),
    "Scheduler.call_later": lambda it: it.scheduler.call_later(1, len, ""),
    "Scheduler.cancel": lambda it: it.scheduler.cancel(it.coroutine),
    "Scheduler.go": lambda it: it.scheduler.go(len, ("",)),
    "Scheduler.interrupt": lambda it: it.scheduler.interrupt(it.coroutine, ValueError()),
    "Scheduler.join": lambda it: it.scheduler.join(it.coroutine, None),
    "Scheduler.park": lambda it: it.scheduler.park("wait"),
    "Scheduler.park with a limit": lambda it: it.scheduler.park("wait", None, 1.0),
    "Scheduler.resume": lambda it: it.scheduler.resume(it.coroutine, None),
    "Scheduler.sleep": lambda it: it.scheduler.sleep(1),
    "Scheduler.sleep 0": lambda it: it.scheduler.sleep(0),
    "Scheduler.throw": lambda it: it.scheduler.throw(it.coroutine, ValueError()),
    "Scheduler.wait_until_idle": lambda it: it.scheduler.wait_until_idle(),
    "Scheduler.wake": lambda it: it.scheduler.wake(it.coroutine),
    "Scheduler.yield_now": lambda it: it.scheduler.yield_now(),
    "Semaphore.acquire": lambda it: it.semaphore.acquire(),
    "Semaphore.release": lambda it: it.semaphore.release(),
    "Server.stop": lambda it: it.server.stop(),
    "Socket.close": lambda it: it.socket.close(),
    "Socket.close(linger=0)": lambda it: it.socket.close(linger=0),
    "Socket.close(linger=1)": lambda it: it.socket.close(linger=1),
    "Socket.peek": lambda it: it.socket.peek(),
    "Socket.recv": lambda it: it.socket.recv(),
    "Socket.recv_into": lambda it: it.socket.recv_into(bytearray(1)),
    "Socket.recvfrom": lambda it: it.socket.recvfrom(),
    "Socket.recv_exactly": lambda it: it.socket.recv_exactly(1),
    "Socket.recv_until": lambda it: it.socket.recv_until(b"\n"),
    "Socket.send": lambda it: it.socket.send(b"x"),
    "Socket.sendall": lambda it: it.socket.sendall(b"x"),
    "Socket.sendfile": lambda it: it.socket.sendfile(io.BytesIO(b"x")),
    "Socket.shutdown": lambda it: it.socket.shutdown(),
    "TimedCall.cancel": lambda it: it.timed_call.cancel(),
    "WaitGroup.add": lambda it: it.wait_group.add(),
    "WaitGroup.done": lambda it: it.wait_group.done(),
    "WaitGroup.wait": lambda it: it.wait_group.wait(),
    "select": lambda it: coloop.select(it.channel.sending(1), Channel()),
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
        it.barrier, it.condition, it.semaphore = Barrier(3), Condition(), Semaphore(0)
        it.lock, it.rlock, it.wait_group = Lock(), RLock(), WaitGroup()
        it.queue, it.full_queue = Queue[int](), Queue[int](1)
        it.wait_group.add()
        it.full_queue.put(1)
        waits = [
            partial(hold, it.lock),
            partial(hold, it.rlock),
            partial(wait_for, it.condition),
            it.barrier.wait,
            it.channel.receive,
            it.event.wait,
            it.full_queue.join,
            partial(it.full_queue.put, 2),
            it.lock.acquire,
            it.queue.get,
            it.rlock.acquire,
            it.semaphore.acquire,
            it.wait_group.wait,
        ]
        it.waiting = [it.coroutine, it.group.go(suspend), *map(go, waits)]
        it.listener, it.server = coloop.listen("127.0.0.1:0"), coloop.serve("127.0.0.1:0", len)
        it.socket, it.other_end = socket_pair()
        it.timed_call = coloop.every(1000, len, "")
        return it

    return make


def hold(lock: Lock) -> None:
    with lock:
        suspend()


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
    try:
        check_it_is_refused(METHODS[name], it, its_own=its_own)
    finally:
        take_apart(it)


def check_it_is_refused(method: Callable[[Any], object], it: Any, *, its_own: bool) -> None:
    timers, sockets = len(it.scheduler.timers), dict(it.scheduler.sockets)
    states = [waiting.waiting_on for waiting in it.waiting]
    shown = [repr(thing) for thing in vars(it).values()]

    def call() -> object:
        return method(it)

    error = on_another_thread(in_a_scheduler_of_its_own(call) if its_own else call)
    assert isinstance(error, (WrongThread, NotRunning)), error
    assert not its_own or isinstance(error, WrongThread)
    assert "scheduler.call_soon_threadsafe(...)" in str(error)
    assert [waiting.waiting_on for waiting in it.waiting] == states
    assert [repr(thing) for thing in vars(it).values()] == shown
    assert (len(it.scheduler.timers), it.scheduler.sockets) == (timers, sockets)
    assert not (it.listener.closed)
    assert not (it.socket.closed)
    assert not (it.event.is_set())
    assert not (it.channel.closed)
    assert it.server.state == "accepting"
    it.socket.send(b"still open")


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
